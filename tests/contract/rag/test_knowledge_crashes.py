"""Knowledge modules whose process dies at a write: at every one of an ingestion, a re-ingestion, a deletion and a
re-index, in the store or in the vector service. The next process brings about what was asked for."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from core import config, context
from core.context import Identity, Kind, RequestContext
from core.errors import Conflict, NotFound
from core.jobs.limits import JobLimits
from core.jobs.records import JOBS
from core.sealing import generate_key
from core.storage.ports import DocumentStore, Order
from core.tenancy import Project, Tenant
from services.rag.adapters.local import LocalStore
from services.rag.app import Domain, assemble
from services.rag.domain.knowledge import documents, modules, reindexing
from services.rag.domain.knowledge.chunking.config import ChunkConfig
from services.rag.domain.knowledge.documents import NewDocument, new_document_id
from services.rag.domain.knowledge.modules import NewModule
from services.rag.domain.knowledge.records import Module
from services.rag.domain.knowledge.tables import CHUNKS, DOCUMENTS, REINDEXES, TEXTS
from services.rag.settings import Settings
from tests.support.knowledge import FakeTokens, Neighbours
from tests.support.platforms import memory_platform
from tests.support.stores import MemoryStore

ACME = Project(Tenant("acme"), "p1")
LIMITS = JobLimits(poll=0.01, first_retry=0.01, lease=0.15, heartbeat=0.04)
WRITES = frozenset({"insert", "insert_many", "update", "increment", "delete", "delete_where"})
VECTOR_WRITES = frozenset({"ensure_index", "delete_index", "upsert", "delete"})
OLD, NEW = "One is here.\n\nTwo is here.\n\nThree is here.", "One is here.\n\nFour is here."
SMALL, LARGE = ChunkConfig(chunk_size=20, chunk_overlap=0), ChunkConfig(chunk_size=30, chunk_overlap=0)


@dataclass
class Death:
    """Comes before the write number `at`; nothing that the process does from then on has any effect."""

    at: float = float("inf")
    writes: int = 0
    came: asyncio.Event = field(default_factory=asyncio.Event)

    def write(self) -> bool:
        """Return whether the process is alive to do it."""
        if self.writes >= self.at:
            self.came.set()
        self.writes += 1
        return not self.came.is_set()


class MortalStore:
    """A store for a process that dies."""

    def __init__(self, store: MemoryStore, death: Death) -> None:
        self._store = store
        self._death = death

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            if self._death.came.is_set() or (name in WRITES and not self._death.write()):
                await asyncio.Event().wait()
            return await method(*args, **kwargs)

        return call


class Backends:
    """All that outlives a process: the store, the files, and the other services."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = MemoryStore()
        self.neighbours = Neighbours()

    @asynccontextmanager
    async def process(self, death: Death) -> AsyncIterator[Domain]:
        def vectors(name: str) -> None:
            if death.came.is_set() or (name in VECTOR_WRITES and not death.write()):
                raise asyncio.CancelledError

        self.neighbours.vectors.before = vectors
        platform = memory_platform("rag", store=cast("DocumentStore", MortalStore(self.store, death)))
        local = LocalStore(self.folder)
        settings = config.load(Settings, {"PORTICO_ENCRYPTION_KEYS": generate_key()})
        domain = await assemble(
            platform, settings, folder=local, services=self.neighbours.services, tokens=FakeTokens(), limits=LIMITS
        )
        await domain.knowledge.jobs.start()
        try:
            yield domain
        finally:
            death.came.set()
            await platform.tasks.drain(0)
            await local.close()

    async def settled(self) -> None:
        """Wait until every job has ended, its end hook included."""
        async with asyncio.timeout(20):
            while await self.store.count(ACME, JOBS, {"endedAt": None}) or await self.store.count(
                ACME, JOBS, {"endPending": True}
            ):
                await asyncio.sleep(0.005)

    async def check(self, contents: list[str]) -> None:
        """These are the chunks, once each, and nothing else is left."""
        (index,) = self.neighbours.vectors.indexes.values()
        assert sorted(point.text for point in index.points.values()) == sorted(contents)
        rows = (await self.store.find(ACME, CHUNKS, order=Order("chunkIndex"), page_size=1000)).items
        assert sorted(row["content"] for row in rows) == sorted(contents)
        assert {row["id"] for row in rows} == set(index.points)
        count = await self.store.count(ACME, DOCUMENTS)
        assert await self.store.count(ACME, TEXTS) == count == (1 if contents else 0)


@dataclass(frozen=True)
class Scenario:
    """`ask` asks for it, again where the first time was not acknowledged."""

    ask: Callable[[Domain, Module, str], Awaitable[object]]
    contents: list[str]
    prepared: bool = True
    """True if there is a document before."""


async def _add(domain: Domain, module: Module, id: str, text: str = OLD) -> object:
    knowledge = domain.knowledge
    id = id or new_document_id()
    content = await knowledge.documents.text_content(ACME, module, id, text)
    return await knowledge.documents.add(ACME, module, id, NewDocument("a.txt", "text/plain"), content)


async def _change(domain: Domain, module: Module, id: str) -> object:
    content = await domain.knowledge.documents.text_content(ACME, module, id, NEW)
    return await domain.knowledge.documents.reprocess(ACME, module, id, NewDocument("a.txt", "text/plain"), content)


async def _delete(domain: Domain, module: Module, id: str) -> object:
    with suppress(NotFound):
        await domain.knowledge.documents.delete(ACME, module, id)
    return None


async def _reindex(domain: Domain, module: Module, id: str) -> object:
    now = await domain.knowledge.modules.get(ACME, module.key)
    if now.generation > module.generation:
        return now
    with suppress(Conflict):
        return await domain.knowledge.reindexes.create(ACME, now, "embed-2", LARGE)
    return None


SCENARIOS = {
    "ingestion": Scenario(lambda domain, module, id: _add(domain, module, ""), OLD.split("\n\n"), prepared=False),
    "re-ingestion": Scenario(_change, NEW.split("\n\n")),
    "deletion": Scenario(_delete, []),
    "re-index": Scenario(_reindex, ["One is here.\n\nTwo is here.", "Three is here."]),
}


def _act() -> None:
    now = time.time()
    identity = Identity(ACME, "u1", Kind.API, frozenset({"*"}), "t1", now, now + 1000)
    context.bind(RequestContext("r1", identity))


async def _prepare(world: Backends, scenario: Scenario) -> tuple[Module, str]:
    async with world.process(Death()) as domain:
        module = await domain.knowledge.modules.create(ACME, NewModule("kb", "embed", chunk_config=SMALL))
        id = ""
        if scenario.prepared:
            id = (cast("Any", await _add(domain, module, ""))).id
        await world.settled()
        return module, id


async def _run(world: Backends, scenario: Scenario, module: Module, id: str, death: Death) -> bool:
    """Ask, and let the process work until it dies, or has no more to do. Return whether it was acknowledged."""
    async with world.process(death) as domain:
        asking = asyncio.ensure_future(scenario.ask(domain, module, id))
        dying = asyncio.ensure_future(death.came.wait())
        settling = asyncio.ensure_future(_after(asking, world))
        await asyncio.wait({dying, settling}, return_when=asyncio.FIRST_COMPLETED)
        acknowledged = asking.done() and not asking.cancelled() and asking.exception() is None
        for each in (asking, dying, settling):
            each.cancel()
        await asyncio.gather(asking, dying, settling, return_exceptions=True)
    return acknowledged


async def _after(asking: "asyncio.Future[object]", world: Backends) -> None:
    await asyncio.wait({asking})
    await world.settled()


@pytest.mark.parametrize("name", SCENARIOS)
async def test_killed_at_every_write(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for each in (documents, modules, reindexing):
        monkeypatch.setattr(each, "GRACE_SECONDS", 0.3)
    _act()
    scenario, at, finished = SCENARIOS[name], 0, False
    while not finished:
        world = Backends(tmp_path / f"{at}")
        module, id = await _prepare(world, scenario)
        death = Death(at)
        acknowledged = await _run(world, scenario, module, id, death)
        finished = death.writes <= at
        async with world.process(Death()) as domain:
            if not acknowledged:
                await world.settled()
                await scenario.ask(domain, module, id)
            await world.settled()
        await world.check(scenario.contents)
        at += 1
    assert at > 10


async def test_a_reindex_that_was_killed_is_one_reindex(tmp_path: Path) -> None:
    _act()
    world = Backends(tmp_path)
    module, _ = await _prepare(world, SCENARIOS["re-index"])
    async with world.process(Death()) as domain:
        await domain.knowledge.reindexes.create(ACME, module, "embed-2", LARGE)
    async with world.process(Death()):
        await world.settled()
    assert await world.store.count(ACME, REINDEXES, {"status": "completed"}) == 1
