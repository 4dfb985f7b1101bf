"""Stored credentials go to the destination that they were given for, whichever driver and service it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from core.errors import InvalidInput
from core.http.guard import OutboundGuard
from core.providers.drivers import Driver, Values
from core.providers.providers import Providers
from core.providers.records import NewProvider, ProviderChanges, collection
from core.sealing import Sealer, generate_key
from core.tenancy import Project, Tenant
from services.inference.domain.catalogue.drivers import DRIVERS
from services.rag.adapters import s3
from tests.support.providers import AnyHost, configure
from tests.support.remote_engines import drivers_at
from tests.support.stores import MemoryStore

ACME = Project(Tenant("acme"), "p1")
ALL = {each.id: each for each in (*DRIVERS.values(), *drivers_at().values(), s3.driver(OutboundGuard()))}

HARMLESS = {
    "openai": {"organization", "project"},
    "openai-compatible": {"organization"},
    "azure-openai": {"deploymentName", "apiVersion"},
    "anthropic": {"anthropicVersion", "anthropicBeta"},
    "echo": {"delayMs"},
    "cohere": set(),
    "tei": set(),
    "local": set(),
    "qdrant": {"collectionPrefix"},
    "pgvector": {"database", "user", "schema"},
    "s3": {"prefix"},
}
"""Settings that change what is asked of a server, but neither which server it is nor how it is reached."""


@dataclass(frozen=True)
class Case:
    """A provider as its owner made it, and settings by which somebody else would lead its credentials away."""

    driver: str
    credentials: Mapping[str, str]
    settings: Mapping[str, Any]
    attack: Mapping[str, Any]
    given: Mapping[str, str] = field(default_factory=dict)
    """Credentials that the attacker gives along, of his own."""


KEY = {"apiKey": "secret"}
PAIR = {"accessKeyId": "id", "secretAccessKey": "secret"}
SESSION = {**PAIR, "sessionToken": "secret"}
PG = {"host": "db.example", "database": "d", "user": "u", "ssl": "verify-full"}
PASSWORD = {"password": "secret"}
URL = {"baseUrl": "https://api.example/v1"}
EVIL = "https://evil.example"

CASES = {
    "openai, from its own API": Case("openai", KEY, {}, {"baseUrl": EVIL}),
    "openai, to its own API": Case("openai", KEY, URL, {}),
    "openai-compatible": Case("openai-compatible", KEY, URL, {"baseUrl": EVIL}),
    "openai-compatible, port": Case("openai-compatible", KEY, URL, {"baseUrl": "https://api.example:8443/v1"}),
    "openai-compatible, path": Case("openai-compatible", KEY, URL, {"baseUrl": "https://api.example/evil"}),
    "openai-compatible, plain text": Case("openai-compatible", KEY, URL, {"baseUrl": "http://api.example/v1"}),
    "azure-openai, resource": Case("azure-openai", KEY, {"instanceName": "ours"}, {"instanceName": "evil"}),
    "azure-openai, URL besides": Case(
        "azure-openai", KEY, {"instanceName": "ours"}, {"instanceName": "ours", "baseUrl": EVIL}
    ),
    "anthropic, from its own API": Case("anthropic", KEY, {}, {"baseUrl": EVIL}),
    "anthropic, to its own API": Case("anthropic", KEY, URL, {}),
    "cohere, from its own API": Case("cohere", KEY, {}, {"baseUrl": EVIL}),
    "cohere, to its own API": Case("cohere", KEY, URL, {}),
    "tei": Case("tei", KEY, URL, {"baseUrl": EVIL}),
    "qdrant": Case("qdrant", KEY, {"url": "https://q.example"}, {"url": EVIL}),
    "qdrant, plain text": Case("qdrant", KEY, {"url": "https://q.example"}, {"url": "http://q.example"}),
    "pgvector, host": Case("pgvector", PASSWORD, PG, {**PG, "host": "evil.example"}),
    "pgvector, port": Case("pgvector", PASSWORD, PG, {**PG, "port": 6543}),
    "pgvector, TLS": Case("pgvector", PASSWORD, PG, {**PG, "ssl": "prefer"}),
    "pgvector, TLS left out": Case("pgvector", PASSWORD, PG, {k: v for k, v in PG.items() if k != "ssl"}),
    "pgvector, connection string": Case(
        "pgvector", PASSWORD, PG, PG, {"connectionString": "postgresql://u@evil.example/d"}
    ),
    "pgvector, string to fields": Case(
        "pgvector",
        {"connectionString": "postgresql://u:secret@db.example/d", **PASSWORD},
        {},
        {**PG, "host": "evil.example"},
        {"connectionString": ""},
    ),
    "s3, endpoint": Case("s3", PAIR, {"bucket": "ours"}, {"bucket": "ours", "endpoint": EVIL}),
    "s3, region": Case("s3", PAIR, {"bucket": "ours"}, {"bucket": "ours", "region": "us-gov-west-1"}),
    "s3, bucket": Case("s3", PAIR, {"bucket": "ours"}, {"bucket": "evil"}),
    "s3, virtual host": Case(
        "s3",
        PAIR,
        {"bucket": "evil", "endpoint": "https://s3.example"},
        {"bucket": "evil", "endpoint": "https://s3.example", "usePathStyleEndpoint": False},
    ),
    "s3, one of three": Case("s3", SESSION, {"bucket": "ours"}, {"bucket": "ours", "endpoint": EVIL}, PAIR),
}


@dataclass
class Harness:
    """Providers of every driver there is, in memory."""

    store: MemoryStore = field(default_factory=MemoryStore)

    def __post_init__(self) -> None:
        sealer = Sealer.from_settings(generate_key())
        self.providers = Providers[Driver](self.store, collection("providers"), sealer, ALL, AnyHost(), users="users")

    async def make(self, case: Case) -> str:
        new = NewProvider(case.driver, "Ours", credentials=case.credentials, settings=case.settings)
        return (await self.providers.create(ACME, new)).key

    async def configured(self, key: str) -> tuple[Values, Values]:
        provider = await self.providers.get(ACME, key)
        return self.providers.credentials(ACME, provider), provider.settings


@pytest.fixture
def harness() -> Harness:
    return Harness()


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_a_stored_credential_is_not_sent_to_a_new_destination(harness: Harness, case: Case) -> None:
    """Whoever might change a provider, but not read its key, sent the key to a server of their own."""
    key = await harness.make(case)
    before = await harness.configured(key)
    with pytest.raises(InvalidInput) as refused:
        await harness.providers.update(ACME, key, ProviderChanges(credentials=case.given, settings=case.attack))
    assert refused.value.reason == "CREDENTIAL_NEEDED_AGAIN"
    named = (refused.value.field or "").removeprefix("credentials.")
    assert named in case.credentials
    assert not case.given.get(named)
    assert f"send credentials.{named} again" in refused.value.message
    assert "secret" not in refused.value.message
    assert await harness.configured(key) == before


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_it_moves_with_credentials_that_are_given_again(harness: Harness, case: Case) -> None:
    key = await harness.make(case)
    given = {**{name: "known" for name in case.credentials if name != "connectionString"}, **case.given}
    await harness.providers.update(ACME, key, ProviderChanges(credentials=given, settings=case.attack))
    credentials, _ = await harness.configured(key)
    assert credentials == {name: value for name, value in given.items() if value}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_the_same_destination_again_is_no_change(harness: Harness, case: Case) -> None:
    key = await harness.make(case)
    before = await harness.configured(key)
    await harness.providers.update(ACME, key, ProviderChanges(label="New", settings=case.settings))
    assert await harness.configured(key) == before


async def test_a_provider_without_credentials_may_move(harness: Harness) -> None:
    key = await harness.make(Case("qdrant", {}, {"url": "https://q.example"}, {}))
    await harness.providers.update(ACME, key, ProviderChanges(settings={"url": EVIL}))
    assert (await harness.configured(key))[1] == {"url": EVIL}


async def test_a_credential_that_is_removed_need_not_be_known(harness: Harness) -> None:
    key = await harness.make(Case("qdrant", KEY, {"url": "https://q.example"}, {}))
    await harness.providers.update(ACME, key, ProviderChanges(credentials={"apiKey": ""}, settings={"url": EVIL}))
    assert await harness.configured(key) == ({}, {"url": EVIL})


@pytest.mark.parametrize("driver", ALL.values(), ids=ALL)
def test_every_setting_is_a_destination_or_known_to_be_none(driver: Driver) -> None:
    """A new driver's author has to decide."""
    settings = {each.name for each in driver.fields if not each.secret}
    assert {each.name for each in driver.fields if not each.secret and each.destination} == settings - HARMLESS.get(
        driver.id, set()
    )


INSIDE = "http://127.0.0.1:9000"
LEADS_INSIDE = {
    "openai": ("openai", KEY, {"baseUrl": INSIDE}, "settings.baseUrl"),
    "openai-compatible": ("openai-compatible", KEY, {"baseUrl": INSIDE}, "settings.baseUrl"),
    "azure-openai": ("azure-openai", KEY, {"baseUrl": INSIDE}, "settings.baseUrl"),
    "anthropic": ("anthropic", KEY, {"baseUrl": INSIDE}, "settings.baseUrl"),
    "cohere": ("cohere", KEY, {"baseUrl": INSIDE}, "settings.baseUrl"),
    "tei": ("tei", KEY, {"baseUrl": INSIDE}, "settings.baseUrl"),
    "qdrant": ("qdrant", KEY, {"url": INSIDE}, "settings.url"),
    "pgvector, fields": ("pgvector", PASSWORD, {**PG, "host": "127.0.0.1"}, "settings.host"),
    "pgvector, string": (
        "pgvector",
        {"connectionString": "postgresql://u:p@127.0.0.1/d"},
        {},
        "credentials.connectionString",
    ),
    "s3": ("s3", PAIR, {"bucket": "b-1", "endpoint": INSIDE}, "settings.endpoint"),
}


def test_every_driver_with_a_destination_is_tried() -> None:
    tried = {driver for driver, *_ in LEADS_INSIDE.values()}
    assert tried == {id for id, driver in ALL.items() if any(each.destination for each in driver.fields)}


@pytest.mark.parametrize(("driver", "credentials", "settings", "field"), LEADS_INSIDE.values(), ids=LEADS_INSIDE)
async def test_no_provider_leads_inside(
    driver: str, credentials: Mapping[str, str], settings: Mapping[str, str], field: str
) -> None:
    """The driver says where a provider leads; core asks the guard, when it is made and whenever it is opened."""
    with pytest.raises(InvalidInput) as refused:
        await configure(ALL[driver], credentials, settings, OutboundGuard())
    assert (refused.value.reason, refused.value.field) == ("ADDRESS_REFUSED", field)
    store, sealer = MemoryStore(), Sealer.from_settings(generate_key())
    before = Providers[Driver](store, collection("providers"), sealer, ALL, AnyHost(), users="users")
    made = await before.create(ACME, NewProvider(driver, "P", credentials=credentials, settings=settings))
    after = Providers[Driver](store, collection("providers"), sealer, ALL, OutboundGuard(), users="users")
    with pytest.raises(InvalidInput) as refused:
        await after.access(ACME, made)
    assert (refused.value.reason, refused.value.field) == ("ADDRESS_REFUSED", field)
