"""The vector service's domain on a store and engines in memory."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from core.errors import InvalidInput
from core.jobs.jobs import Jobs
from core.jobs.limits import JobLimits
from core.lifecycle import Lifecycle
from core.providers.drivers import Field, Values
from core.providers.runtimes import RuntimeKey
from core.runtime_pool import RuntimePool
from core.sealing import Sealer, generate_key
from core.tasks import Tasks
from core.tenancy import Project, Tenant
from services.vector.domain.engines import Engines
from services.vector.domain.indexes import DROP, Index, Indexes, NewIndex
from services.vector.domain.migrations import KIND, Migrations
from services.vector.domain.points import Point, vector
from services.vector.domain.providers import Providers
from services.vector.domain.queries import QueryLog
from services.vector.domain.targets import Address, Targets
from services.vector.domain.vectors import Vectors
from services.vector.ports import Driver, VectorEngine
from tests.support.exact_engine import ExactEngine, driver
from tests.support.stores import MemoryStore

ACME = Project(Tenant("acme"), "p1")
URL = Field("url", "URL", "Where it is.", required=True, destination=True)
API_KEY = Field("apiKey", "API key", "Sent along.", secret=True)


@dataclass
class House:
    """The domain, assembled as `services.vector.app` does, with engines to look into."""

    store: MemoryStore = field(default_factory=MemoryStore)
    embedded: ExactEngine = field(default_factory=ExactEngine)
    remote: ExactEngine = field(default_factory=ExactEngine)
    opened: list[tuple[dict[str, Any], dict[str, Any]]] = field(default_factory=list)
    now: float = 1000.0

    def __post_init__(self) -> None:
        self.tasks, self.lifecycle = Tasks(), Lifecycle()
        limits = JobLimits(heartbeat=0.05, poll=0.02, first_retry=0.001, drain=0.2)
        self.jobs = Jobs(self.store, self.tasks, self.lifecycle, limits=limits)
        drivers = {each.id: each for each in (driver("embedded", self.embedded), self._remote())}
        sealer = Sealer.from_settings(generate_key())
        self.providers = Providers(self.store, sealer, drivers, self._check_address, self._changed)
        self.pool: RuntimePool[RuntimeKey, VectorEngine] = RuntimePool(10, 60.0, lambda engine: engine.close())
        self.engines = Engines(self.providers, self.embedded, self.pool)
        self.indexes = Indexes(self.store, self.providers, self.engines, self.jobs, self._forget)
        self.targets = Targets(self.indexes, self.jobs, seconds=10, clock=lambda: self.now)
        self.log = QueryLog(self.store, self.tasks, capacity=1000, keep_days=30)
        self.vectors = Vectors(self.targets, self.engines, self.log)
        self.migrations = Migrations(self.jobs, self.indexes, self.engines, self._forget, settle_seconds=0.0)
        self.jobs.handle(KIND, self.migrations.run, None)
        self.jobs.handle(DROP, self.indexes.finish_drop, None)

    async def index(self, name: str = "docs", project: Project = ACME, provider: str = "default") -> Index:
        index, _ = await self.indexes.create(project, provider, NewIndex(name, 2))
        return index

    async def upsert(self, *points: Point, key: str = "docs", project: Project = ACME) -> int:
        return await self.vectors.upsert(Address(project, "default", key), lambda: list(points), 1)

    def _remote(self) -> Driver:
        plain = driver("remote", self.remote, URL, API_KEY)

        def opened(credentials: Mapping[str, Any], settings: Mapping[str, Any]) -> Any:
            engine = plain.open(credentials, settings)
            self.opened.append((dict(credentials), dict(settings)))
            return engine

        return replace(plain, open=opened)

    async def _check_address(self, driver: Driver, credentials: Values, settings: Values) -> None:
        if "169.254" in settings.get("url", ""):
            raise InvalidInput("url leads to an address that is not public.", field="settings.url")

    def _forget(self, project: Project) -> None:
        self.targets.forget(project)

    def _changed(self, project: Project) -> None:
        self.engines.forget(project)
        self.targets.forget(project)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    made = House()
    yield made
    await made.lifecycle.stop()
    await made.tasks.drain(0.1)


def point(id: str, *values: float, **metadata: Any) -> Point:
    return Point(id, vector(values or (1.0, 0.0)), metadata)
