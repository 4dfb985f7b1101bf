"""Routes: found in memory, and never older than they may be."""

from typing import Any

import pytest

from core import config
from core.errors import FailedPrecondition, InvalidInput, NotFound
from core.providers.records import NewProvider, ProviderChanges
from core.sealing import generate_key
from core.tenancy import Project, Tenant
from services.inference.app import assemble
from services.inference.domain.catalogue.model_settings import ModelSettings
from services.inference.domain.catalogue.models import ModelChanges, NewModel
from services.inference.domain.echo.upstream import EchoUpstream
from services.inference.domain.routing import routes
from services.inference.domain.routing.routes import REFRESH_SECONDS, STALE_SECONDS, Route
from services.inference.ports import Client, Endpoint
from services.inference.settings import Settings
from tests.support.platforms import memory_platform
from tests.support.providers import AnyHost
from tests.support.stores import MemoryStore

PROJECT = Project(Tenant("acme"), "p1")


class CountingStore(MemoryStore):
    reads = 0

    async def find_one(self, *args: Any, **kwargs: Any) -> Any:
        self.reads += 1
        return await super().find_one(*args, **kwargs)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Closing(EchoUpstream):
    """Counts how many were closed."""

    def __init__(self, process: "Process") -> None:
        super().__init__()
        self._process = process

    async def close(self) -> None:
        self._process.closed += 1


class Process:
    """One of several that share a store."""

    def __init__(self, store: CountingStore, keys: str) -> None:
        self.endpoints: list[Endpoint] = []
        self.closed = 0
        platform = memory_platform("inference", store)
        settings = config.load(Settings, {"PORTICO_ENCRYPTION_KEYS": keys})
        domain = assemble(platform, settings, guard=AnyHost(), make_client=self._connect)
        self.tasks, self.routes, self.clients = platform.tasks, domain.routes, domain.clients
        self.providers, self.models = domain.providers, domain.models

    def _connect(self, endpoint: Endpoint) -> Client:
        self.endpoints.append(endpoint)
        return Client(Closing(self))

    async def client(self, model: str = "m") -> Client:
        route = await self.find(model)
        return await self.clients.get(route.targets[0].client_key, route.targets[0].make_client)

    async def find(self, model: str = "m", category: str = "llm") -> Route:
        return await self.routes.find(PROJECT, model, category)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(routes, "time", made)
    return made


@pytest.fixture
def store() -> CountingStore:
    return CountingStore()


@pytest.fixture
async def processes(store: CountingStore, clock: Clock) -> tuple[Process, Process]:
    keys = generate_key()
    first, second = Process(store, keys), Process(store, keys)
    settings = {"baseUrl": "http://provider/v1"}
    new = NewProvider("openai-compatible", "P", key="p", credentials={"apiKey": "secret"}, settings=settings)
    await first.providers.create(PROJECT, new)
    await first.models.create(PROJECT, NewModel("M", "llm", "p", "up", key="m"))
    return first, second


async def test_a_known_route_reads_nothing(processes: tuple[Process, Process], store: CountingStore) -> None:
    first, _ = processes
    route = await first.find()
    await first.client()
    assert first.endpoints[0].headers == (("authorization", "Bearer secret"),)
    assert route.targets[0].path == b"/v1/chat/completions"
    reads = store.reads
    assert await first.find() is route
    assert store.reads == reads


async def test_a_change_in_this_process_holds_at_once(processes: tuple[Process, Process]) -> None:
    first, _ = processes
    old = await first.find()
    await first.models.update(PROJECT, "m", ModelChanges(model_id="other"))
    assert (await first.find()).targets[0].model_id == "other"
    assert old.targets[0].model_id == "up"


async def test_a_change_elsewhere_is_noticed_beside_the_calls(processes: tuple[Process, Process], clock: Clock) -> None:
    first, second = processes
    await first.find()
    await second.models.update(PROJECT, "m", ModelChanges(settings=ModelSettings(timeout=9)))
    clock.now += REFRESH_SECONDS + 1
    assert (await first.find()).targets[0].timeouts.first_byte == 300
    await first.tasks.drain(5)
    assert (await first.find()).targets[0].timeouts.first_byte == 9


async def test_a_route_that_nobody_checked_for_long_is_checked_first(
    processes: tuple[Process, Process], clock: Clock
) -> None:
    first, second = processes
    await first.client()
    await second.providers.update(PROJECT, "p", ProviderChanges(credentials={"apiKey": "new"}))
    clock.now += STALE_SECONDS + 1
    await first.client()
    assert first.endpoints[-1].headers == (("authorization", "Bearer new"),)
    await first.clients.close()
    assert first.closed == 2


async def test_an_unchanged_route_is_kept_with_its_connections(
    processes: tuple[Process, Process], clock: Clock
) -> None:
    first, _ = processes
    route, client = await first.find(), await first.client()
    clock.now += STALE_SECONDS + 1
    assert await first.find() is route
    assert await first.client() is client


async def test_a_model_removed_elsewhere_goes(processes: tuple[Process, Process], clock: Clock) -> None:
    first, second = processes
    await first.find()
    await second.models.delete(PROJECT, "m")
    clock.now += STALE_SECONDS + 1
    with pytest.raises(NotFound):
        await first.find()


async def test_calls_go_on_while_the_store_is_away(
    processes: tuple[Process, Process], store: CountingStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = processes
    route = await first.find()

    async def away(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("disk gone")

    monkeypatch.setattr(store, "find_one", away)
    clock.now += STALE_SECONDS + 1
    assert await first.find() is route
    clock.now += 1
    assert await first.find() is route
    await first.tasks.drain(5)


async def test_what_cannot_be_called_says_why(processes: tuple[Process, Process]) -> None:
    first, _ = processes
    with pytest.raises(InvalidInput) as wrong:
        await first.find(category="embedding")
    assert wrong.value.reason == "WRONG_MODEL_CATEGORY"
    await first.providers.update(PROJECT, "p", ProviderChanges(status="disabled"))
    with pytest.raises(FailedPrecondition):
        await first.find()
    with pytest.raises(NotFound):
        await first.routes.find(Project(Tenant("globex"), "p1"), "m", "llm")


async def test_a_change_during_the_reading_is_not_missed(
    processes: tuple[Process, Process], store: CountingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A route that was read before a change and kept after it would hold until the next check."""
    first, _ = processes
    read = first.models.by_key

    async def slow(project: Project, key: str) -> Any:
        model = await read(project, key)
        if store.reads < 1000:
            store.reads = 1000
            await first.models.update(PROJECT, "m", ModelChanges(model_id="changed"))
        return model

    monkeypatch.setattr(first.models, "by_key", slow)
    assert (await first.find()).targets[0].model_id == "changed"


async def test_models_of_one_provider_share_its_connections(processes: tuple[Process, Process]) -> None:
    first, _ = processes
    client = await first.client()
    await first.models.create(PROJECT, NewModel("N", "llm", "p", "up2", key="n"))
    assert await first.client("n") is client
