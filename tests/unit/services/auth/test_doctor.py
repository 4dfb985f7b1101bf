"""Findings and advice of the doctor, in the parts that need no running services."""

import os
import time
from pathlib import Path

from core import config
from services.auth.commands_doctor import _table
from services.auth.operations import doctor
from services.auth.operations.doctor import Finding, Status
from services.auth.operations.installation import OperatorSettings
from tests.support.serving import environment


def levels(findings: list[Finding]) -> list[tuple[str, Status]]:
    return [(each.check, each.status) for each in findings]


def test_what_belongs_to_no_tenant_is_found(tmp_path: Path) -> None:
    for name in ("tenant_acme.sqlite", "tenant_acme.traces.sqlite", "tenant_gone.sqlite", "portico_main.sqlite"):
        (tmp_path / name).touch()
    for name in ("files/acme", "files/gone", "vectors/gone", ".snapshot-acme.old", ".snapshot-acme.new"):
        (tmp_path / name).mkdir(parents=True)
    yesterday = time.time() - 86_400
    os.utime(tmp_path / ".snapshot-acme.old", (yesterday, yesterday))
    found = doctor.orphans(tmp_path, {"acme"})
    assert [each.detail for each in found] == ["tenant_gone.sqlite", "files/gone", "vectors/gone", ".snapshot-acme.old"]
    assert all(each.advice for each in found)
    assert doctor.orphans(tmp_path / "missing", set())[0].status is Status.OK


def test_a_data_folder_that_others_can_read_is_a_failure(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert ("disk", Status.FAILURE) in levels(doctor.of_disk(tmp_path))
    tmp_path.chmod(0o700)
    assert ("disk", Status.FAILURE) not in levels(doctor.of_disk(tmp_path))
    assert levels(doctor.of_disk(tmp_path / "missing")) == [("disk", Status.FAILURE)]


def test_settings_that_are_valid_but_better_not_so_are_warned_of(tmp_path: Path) -> None:
    given = environment(tmp_path, PORTICO_INSECURE_COOKIES="true")
    found = doctor.of_settings(config.load(OperatorSettings, given))
    assert levels(found) == [("settings", Status.WARNING)]
    assert doctor.of_settings(config.load(OperatorSettings, environment(tmp_path)))[0].status is Status.OK


async def test_an_edge_that_is_away_is_a_failure() -> None:
    (found,) = await doctor.of_edge("http://127.0.0.1:1")
    assert found.status is Status.FAILURE
    assert "PORTICO_EDGE_URL" in found.advice


def test_the_table_says_what_to_do_below_each_finding() -> None:
    shown = _table([doctor.ok("settings", "valid"), doctor.failure("edge", "away", "Start it.")]).splitlines()
    assert shown[1].split() == ["settings", "ok", "valid"]
    assert shown[3].strip() == "-> Start it."
