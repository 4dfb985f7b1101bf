"""Rotation of the key that seals credentials: `python -m services.<name> rotate-credentials`."""

import asyncio
from pathlib import Path

import pytest

from core import commands
from core.audit.records import AUDIT_LOG
from core.providers import records, rotation
from core.providers.drivers import Driver, Field
from core.providers.providers import Providers
from core.providers.records import NewProvider
from core.sealing import Sealer, generate_key
from core.storage.ports import DocumentStore
from core.storage.tenant_registry import TENANTS
from core.tenancy import MAIN, Project, Tenant
from services.tracing.domain.alerts.records import RULES
from tests.support.providers import AnyHost
from tests.support.stores import MemoryStore, sqlite_store

TENANT = Tenant("acme")
PROJECTS = [Project(TENANT, "p1"), Project(TENANT, "p2")]
PROVIDERS = records.collection("providers")
DRIVERS = {"plain": Driver("plain", "Plain", "For tests.", (Field("apiKey", "API key", "Sent along.", secret=True),))}


def providers_of(store: DocumentStore, keys: str) -> Providers[Driver]:
    sealer = Sealer.from_settings(keys)
    return Providers(store, PROVIDERS, sealer, DRIVERS, AnyHost(), users="things")


async def test_all_credentials_open_with_the_new_key_alone(capsys: pytest.CaptureFixture[str]) -> None:
    old, new = generate_key("k1"), generate_key("k2")
    store = MemoryStore()
    before = providers_of(store, old)
    for project in PROJECTS:
        await before.create(project, NewProvider("plain", "With", key="with", credentials={"apiKey": project.id}))
        await before.create(project, NewProvider("plain", "Without", key="without"))
    both = Sealer.from_settings(f"{new},{old}")
    assert await rotation.rotate_tenant(store, both, PROVIDERS, TENANT) == 0
    assert await rotation.rotate_tenant(store, both, PROVIDERS, TENANT) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert "2 sealed anew, 2 left" in first
    assert "0 sealed anew, 4 left" in second
    after = providers_of(store, new)
    (entry,) = (await store.find(TENANT, AUDIT_LOG)).items
    assert (entry["action"], entry["actorKind"], entry["outcome"]) == ("credentials.rotate", "operator", "success")
    assert entry["metadata"] == {"collection": "providers", "sealed": "2", "failed": "0"}
    for project in PROJECTS:
        assert after.credentials(project, await after.get(project, "with")) == {"apiKey": project.id}


async def test_what_no_key_opens_is_reported_and_holds_up_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    lost, old, new = generate_key("k0"), generate_key("k1"), generate_key("k2")
    store = MemoryStore()
    for key, text in (("lost", lost), ("kept", old)):
        secret = NewProvider("plain", key, key=key, credentials={"apiKey": "secret-value"})
        await providers_of(store, text).create(PROJECTS[0], secret)
    assert await rotation.rotate_tenant(store, Sealer.from_settings(f"{new},{old}"), PROVIDERS, TENANT) == 1
    out, err = capsys.readouterr()
    assert "1 sealed anew" in out
    assert "lost of p1 in providers: SEALED_WITH_UNKNOWN_KEY" in err
    assert "secret-value" not in out + err


async def test_secrets_within_lists_are_sealed_anew_too() -> None:
    """Webhooks of alert rules stayed sealed with the old key, which could then not be taken away."""
    old, new = generate_key("k1"), generate_key("k2")
    project, sealer = PROJECTS[0], Sealer.from_settings(old)
    store = MemoryStore()
    channels = [{"id": "c1", "sealed": sealer.seal(project, "channel c1", b"url")}, {"id": "c2", "sealed": ""}]
    await store.insert(project, RULES, {"id": "r1", "createdAt": 1.0, "updatedAt": 1.0, "channels": channels})
    assert await rotation.rotate_tenant(store, Sealer.from_settings(f"{new},{old}"), RULES, TENANT) == 0
    rule = await store.get(project, RULES, "r1")
    assert rule is not None
    assert Sealer.from_settings(new).open(project, "channel c1", rule["channels"][0]["sealed"]) == b"url"
    assert rule["channels"][1] == {"id": "c2", "sealed": ""}


def run(env: dict[str, str]) -> int | None:
    return commands.run("vector", [rotation.command(PROVIDERS)], ["rotate-credentials"], env)


async def _fill(folder: Path, key: str) -> None:
    store = sqlite_store(folder)
    await store.create_tenant(TENANT)
    await store.insert(MAIN, TENANTS, {"id": "t1", "slug": "acme", "createdAt": 1.0})
    await providers_of(store, key).create(PROJECTS[0], NewProvider("plain", "One", credentials={"apiKey": "x"}))
    await store.close()


def test_the_command_goes_through_every_tenant(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = generate_key("k1"), generate_key("k2")
    asyncio.run(_fill(tmp_path, old))
    env = {"PORTICO_DATA_DIR": str(tmp_path), "PORTICO_ENCRYPTION_KEYS": f"{new},{old}"}
    assert run(env) == 0
    assert "acme: providers: 1 sealed anew" in capsys.readouterr().out
    assert run(env | {"PORTICO_ENCRYPTION_KEYS": new}) == 0
    assert run({"PORTICO_DATA_DIR": str(tmp_path)}) == 2
    assert "PORTICO_ENCRYPTION_KEYS" in capsys.readouterr().err
