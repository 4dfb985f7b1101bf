"""Versions N and N+1 side by side: contracts grow by addition alone, and neither loses what the other knows."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from core.storage.ports import Collection, Level
from core.storage.table import Record, Table
from core.tenancy import Project, Tenant
from core.version import VERSION
from portico.auth.v1 import trust_service_pb2 as trust
from tests.support.stores import MemoryStore

ROOT = Path(__file__).parents[2]
PREVIOUS = ROOT / "tests/compat/contracts/previous.binpb"
"""The descriptor set of the version before. A release replaces it by its own `gen/descriptor.binpb`."""
PROJECT = Project(Tenant("acme"), "p1")
LABELS = Collection("labels", Level.PROJECT)


def breaking(now: Path) -> str:
    """Run buf against the previous version. Returns what it finds."""
    buf = Path(sys.executable).parent / "buf"
    ended = subprocess.run(
        [
            buf,
            "breaking",
            f"{now}#format=binpb",
            "--against",
            f"{PREVIOUS}#format=binpb",
            "--config",
            ROOT / "buf.yaml",
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    return ended.stdout + ended.stderr if ended.returncode else ""


def test_the_version_that_services_tell_is_that_of_the_distribution() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION


def test_contracts_grow_by_addition_alone() -> None:
    """A field, RPC or value that is removed, renumbered or renamed breaks calls between two versions in a rollout."""
    assert breaking(ROOT / "gen/descriptor.binpb") == ""


def test_a_field_that_changes_its_number_is_found(tmp_path: Path) -> None:
    changed = tmp_path / "changed.binpb"
    shutil.copy(PREVIOUS, changed)
    files = descriptor_pb2.FileDescriptorSet.FromString(changed.read_bytes())
    (file,) = [each for each in files.file if each.name == "portico/auth/v1/trust_service.proto"]
    (message,) = [each for each in file.message_type if each.name == "MintServiceTokenResponse"]
    message.field[0].number = 9
    changed.write_bytes(files.SerializeToString())
    assert "MintServiceTokenResponse" in breaking(changed)


def test_a_message_of_a_later_version_is_read_without_what_is_new() -> None:
    """An older follower of revocations passes over a suspension and stays up."""
    later = trust.Revocation(tenant="acme", issued_before=1.0)
    later.suspension.suspended = True
    older = _without(later, "suspension")
    assert older.tenant == "acme"
    assert older.WhichOneof("target") is None
    assert trust.Revocation.FromString(older.SerializeToString()).suspension.suspended  # unknown fields are kept


def _without(message: Any, name: str) -> Any:
    """The message as a version reads it whose contract lacks a field."""
    pool = descriptor_pool.DescriptorPool()
    whole = message.DESCRIPTOR
    for file in descriptor_pb2.FileDescriptorSet.FromString((ROOT / "gen/descriptor.binpb").read_bytes()).file:
        if file.name == whole.file.name:
            (mine,) = [each for each in file.message_type if each.name == whole.name]
            (field,) = [each for each in mine.field if each.name == name]
            mine.field.remove(field)
        pool.Add(file)
    older = message_factory.GetMessageClass(pool.FindMessageTypeByName(whole.full_name))
    return older.FromString(message.SerializeToString())


class Older(Record, frozen=True):
    """A record as version N knows it."""

    id: str
    text: str = ""


class Newer(Older, frozen=True):
    """The same in version N+1."""

    colour: str = "none"


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(LABELS)


async def test_an_older_version_keeps_the_fields_that_it_does_not_know(store: MemoryStore) -> None:
    older, newer = Table(store, LABELS, Older), Table(store, LABELS, Newer)
    await newer.insert(PROJECT, Newer("n1", "first", "red"))
    assert await older.get(PROJECT, "n1") == Older("n1", "first")
    await older.update(PROJECT, "n1", text="second")
    assert await newer.get(PROJECT, "n1") == Newer("n1", "second", "red")


async def test_a_newer_version_reads_what_an_older_one_wrote(store: MemoryStore) -> None:
    await Table(store, LABELS, Older).insert(PROJECT, Older("n1", "first"))
    assert await Table(store, LABELS, Newer).get(PROJECT, "n1") == Newer("n1", "first", "none")
