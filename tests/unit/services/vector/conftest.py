"""The vector service's domain on a store and engines in memory."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from core import config
from core.http.guard import OutboundGuard
from core.jobs.limits import JobLimits
from core.providers.drivers import Field
from core.sealing import generate_key
from core.tenancy import Project, Tenant
from services.vector.app import assemble
from services.vector.domain.index_resolver import IndexRef
from services.vector.domain.indexes import Index, NewIndex
from services.vector.domain.points import Point, vector
from services.vector.ports import VectorDriver
from services.vector.settings import Settings
from tests.support.exact_engine import ExactEngine, driver
from tests.support.platforms import memory_platform, tidy
from tests.support.stores import MemoryStore

ACME = Project(Tenant("acme"), "p1")
URL = Field("url", "URL", "Where it is.", required=True, destination=True)
API_KEY = Field("apiKey", "API key", "Sent along.", secret=True)


@dataclass
class Harness:
    """The domain, with engines to look into."""

    store: MemoryStore = field(default_factory=MemoryStore)
    embedded: ExactEngine = field(default_factory=ExactEngine)
    remote: ExactEngine = field(default_factory=ExactEngine)
    opened: list[tuple[dict[str, Any], dict[str, Any]]] = field(default_factory=list)
    now: float = 1000.0

    async def assemble(self) -> None:
        env = {"PORTICO_ENCRYPTION_KEYS": generate_key(), "PORTICO_VECTOR_LOOKUP_SECONDS": "0.01"}
        self.platform = memory_platform("vector", self.store)
        domain = await assemble(
            self.platform,
            config.load(Settings, env),
            guard=OutboundGuard(lookup=_public),
            embedded=self.embedded,
            drivers={each.id: each for each in (driver("embedded", self.embedded), self._remote())},
            job_limits=JobLimits(heartbeat=0.05, poll=0.02, first_retry=0.001, drain=0.2),
            clock=lambda: self.now,
        )
        self.tasks = self.platform.tasks
        self.jobs, self.pool = domain.jobs, domain.pool
        self.providers, self.engines = domain.providers, domain.engines
        self.indexes, self.resolver = domain.indexes, domain.resolver
        self.log, self.vectors, self.migrations = domain.queries, domain.vectors, domain.migrations

    async def index(self, name: str = "docs", project: Project = ACME, provider: str = "default") -> Index:
        index, _ = await self.indexes.create(project, provider, NewIndex(name, 2))
        return index

    async def upsert(self, *points: Point, key: str = "docs", project: Project = ACME) -> int:
        return await self.vectors.upsert(IndexRef(project, "default", key), lambda: list(points), 1)

    def _remote(self) -> VectorDriver:
        plain = driver("remote", self.remote, URL, API_KEY)

        def opened(credentials: Mapping[str, Any], settings: Mapping[str, Any]) -> Any:
            engine = plain.open(credentials, settings)
            self.opened.append((dict(credentials), dict(settings)))
            return engine

        return replace(plain, open=opened)


async def _public(host: str, port: int) -> list[str]:
    return ["93.184.215.14"]


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    made = Harness()
    await made.assemble()
    yield made
    await tidy(made.platform)


def point(id: str, *values: float, **metadata: Any) -> Point:
    return Point(id, vector(values or (1.0, 0.0)), metadata)
