"""Settings and the operators' commands."""

import asyncio
import io
import json
import sys
from pathlib import Path

import pytest

from core.audit.records import AUDIT_LOG
from core.commands import run
from core.config import ConfigError, load
from core.sealing import generate_key
from core.storage.scan import scan
from core.tenancy import Tenant
from services.auth.commands import COMMANDS
from services.auth.settings import Settings
from tests.support.stores import sqlite_store


def test_a_limit_that_is_none_is_refused_at_the_start() -> None:
    with pytest.raises(ConfigError, match="10 per fortnight"):
        load(
            Settings,
            {"PORTICO_ENCRYPTION_KEYS": generate_key(), "PORTICO_AUTH_LOGIN_LIMIT": "10 per fortnight of the moon"},
        )


def test_there_is_no_key_by_default() -> None:
    with pytest.raises(ConfigError, match="PORTICO_ENCRYPTION_KEYS"):
        load(Settings, {})


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {
        "PORTICO_DATA_DIR": str(tmp_path / "data"),
        "PORTICO_ENCRYPTION_KEYS": generate_key(),
        "PORTICO_REGISTRATION": "closed",
        "PORTICO_AUTH_PASSWORD_MEMORY_KIB": "1024",
        "PORTICO_AUTH_PASSWORD_PASSES": "1",
        "PORTICO_AUTH_KEY_PUBLISH_SECONDS": "0",
    }


def command(env: dict[str, str], *arguments: str) -> int | None:
    return run("auth", COMMANDS, arguments, env)


CREATE = ("create-tenant", "--company", "Acme", "--email", "ann@example.com", "--name", "Ann")


def test_an_operator_makes_a_tenant_where_registration_is_closed(
    env: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(env, *CREATE, "--slug", "acme-1", "--token-label", "first") == 0
    made = json.loads(capsys.readouterr().out)
    assert made["tenant"] == "acme-1"
    assert made["token"].startswith("ptc_")
    assert len(made["password"]) > 20
    assert command(env, *CREATE, "--slug", "acme-1") == 1
    assert "registered already" in capsys.readouterr().err


def test_what_an_operator_makes_is_in_the_audit_log(env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """An API token that a command made was not."""
    assert command(env, *CREATE, "--token-label", "first") == 0
    tenant = Tenant(json.loads(capsys.readouterr().out)["tenant"])

    async def entries() -> list[tuple[str, str]]:
        store = sqlite_store(Path(env["PORTICO_DATA_DIR"]))
        try:
            return sorted([(each["action"], each["actorKind"]) async for each in scan(store, tenant, AUDIT_LOG)])
        finally:
            await store.close()

    assert asyncio.run(entries()) == [("tenant.create", "operator"), ("token.create", "operator")]


def test_a_given_password_is_not_repeated(
    env: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("Correct-Horse-1\n"))
    assert command(env, *CREATE, "--password-stdin") == 0
    shown = capsys.readouterr().out
    assert "Correct-Horse-1" not in shown
    assert set(json.loads(shown)) == {"tenant", "projectId", "userId"}


def test_rotating_twice_takes_two_keys(env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert [command(env, "rotate-keys") for _ in range(2)] == [0, 0]
    first, second = capsys.readouterr().out.splitlines()
    assert first != second


def test_a_rotation_is_in_the_operators_log(env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """A rotation of the signing key left no trace."""
    assert command(env, "rotate-keys") == 0
    signs_now = capsys.readouterr().out.split()[1]
    assert command(env, "operator-log", "--json") == 0
    (entry,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (entry["action"], entry["resourceId"]) == ("signing_key.rotate", signs_now)
    assert entry["metadata"]["retired"] != signs_now


def test_a_rotation_too_soon_says_when(env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert command({**env, "PORTICO_AUTH_KEY_PUBLISH_SECONDS": "600"}, "rotate-keys") == 1
    assert "seconds or later" in capsys.readouterr().err


def test_a_command_without_settings_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert command({}, "rotate-keys") == 2
    assert "PORTICO_ENCRYPTION_KEYS" in capsys.readouterr().err
