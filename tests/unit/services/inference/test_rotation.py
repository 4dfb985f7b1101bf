"""Rotating the key that seals credentials."""

import pytest

from core.sealing import Sealer, generate_key
from core.storage.memory import MemoryStore
from core.tenancy import Project, Tenant
from services.inference.commands import rotate_tenant
from services.inference.domain.providers import NewProvider, Providers

TENANT = Tenant("acme")
PROJECTS = [Project(TENANT, "p1"), Project(TENANT, "p2")]


async def _any(url: str, field: str) -> None: ...


def providers_of(store: MemoryStore, sealer: Sealer) -> Providers:
    return Providers(store, sealer, _any, lambda project: None)


async def test_all_credentials_open_with_the_new_key_alone(capsys: pytest.CaptureFixture[str]) -> None:
    old, new = generate_key("k1"), generate_key("k2")
    store = MemoryStore()
    before = providers_of(store, Sealer.from_settings(old))
    for project in PROJECTS:
        await before.create(project, NewProvider("openai", "With", key="with", credentials={"apiKey": project.id}))
        await before.create(project, NewProvider("echo", "Without", key="without"))
    both = Sealer.from_settings(f"{new},{old}")
    assert await rotate_tenant(store, both, TENANT) == 0
    assert await rotate_tenant(store, both, TENANT) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert "2 sealed anew, 2 left" in first
    assert "0 sealed anew, 4 left" in second
    after = providers_of(store, Sealer.from_settings(new))
    for project in PROJECTS:
        assert after.credentials(project, await after.get(project, "with")) == {"apiKey": project.id}


async def test_what_no_key_opens_is_reported_and_holds_up_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    lost, old, new = generate_key("k0"), generate_key("k1"), generate_key("k2")
    store = MemoryStore()
    credentials = {"apiKey": "secret-value"}
    for key, text in (("lost", lost), ("kept", old)):
        made = providers_of(store, Sealer.from_settings(text))
        await made.create(PROJECTS[0], NewProvider("openai", key, key=key, credentials=credentials))
    assert await rotate_tenant(store, Sealer.from_settings(f"{new},{old}"), TENANT) == 1
    out, err = capsys.readouterr()
    assert "1 sealed anew" in out
    assert "provider lost of p1: SEALED_WITH_UNKNOWN_KEY" in err
    assert "secret-value" not in out + err
