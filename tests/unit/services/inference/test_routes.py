"""Routes: found in memory, and never older than they may be."""

from typing import Any

import pytest

from core.errors import FailedPrecondition, InvalidInput, NotFound
from core.providers.records import NewProvider, ProviderChanges
from core.runtime_pool import RuntimePool
from core.sealing import Sealer, generate_key
from core.tasks import Tasks
from core.tenancy import Project, Tenant
from services.inference.domain import routes
from services.inference.domain.echo_upstream import EchoUpstream
from services.inference.domain.models import ModelChanges, Models, ModelSettings, NewModel
from services.inference.domain.providers import Providers
from services.inference.domain.routes import REFRESH_SECONDS, STALE_SECONDS, ClientKey, Route, RouteKey, Routes
from services.inference.ports import Client, Endpoint
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


class Process:
    """One of several that share a store."""

    def __init__(self, store: CountingStore, sealer: Sealer) -> None:
        self.tasks = Tasks()
        self.endpoints: list[Endpoint] = []
        self.closed = 0
        self.providers = Providers(store, sealer, self._check, self._changed)
        self.models = Models(store, self.providers, self._changed)
        self.clients: RuntimePool[ClientKey, Client] = RuntimePool(10, 60.0, self._close)
        pool: RuntimePool[RouteKey, Route] = RuntimePool(10, 60.0, self._forget)
        self.routes = Routes(
            self.providers, self.models, self._connect, pool, self.clients, self.tasks, idle_seconds=60.0
        )

    def _changed(self, project: Project) -> None:
        self.routes.changed(project)

    def _connect(self, endpoint: Endpoint) -> Client:
        self.endpoints.append(endpoint)
        return Client(EchoUpstream())

    async def _check(self, url: str, field: str) -> None: ...

    async def _close(self, client: Client) -> None:
        self.closed += 1

    async def _forget(self, route: Route) -> None: ...

    async def client(self, model: str = "m") -> Client:
        route = await self.find(model)
        return await self.clients.get(route.client_key, route.connect)

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
    sealer = Sealer.from_settings(generate_key())
    first, second = Process(store, sealer), Process(store, sealer)
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
    assert route.chat_target == b"/v1/chat/completions"
    reads = store.reads
    assert await first.find() is route
    assert store.reads == reads


async def test_a_change_in_this_process_holds_at_once(processes: tuple[Process, Process]) -> None:
    first, _ = processes
    old = await first.find()
    await first.models.update(PROJECT, "m", ModelChanges(model_id="other"))
    assert (await first.find()).model_id == "other"
    assert old.model_id == "up"


async def test_a_change_elsewhere_is_noticed_beside_the_calls(processes: tuple[Process, Process], clock: Clock) -> None:
    first, second = processes
    await first.find()
    await second.models.update(PROJECT, "m", ModelChanges(settings=ModelSettings(timeout=9)))
    clock.now += REFRESH_SECONDS + 1
    assert (await first.find()).timeouts.first_byte == 300
    await first.tasks.drain(5)
    assert (await first.find()).timeouts.first_byte == 9


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
    assert (await first.find()).model_id == "changed"


async def test_models_of_one_provider_share_its_connections(processes: tuple[Process, Process]) -> None:
    first, _ = processes
    client = await first.client()
    await first.models.create(PROJECT, NewModel("N", "llm", "p", "up2", key="n"))
    assert await first.client("n") is client
