"""The domain of memory on stores in memory, with fakes of the other services."""

from typing import Any, cast

from core import context
from core.context import Identity, Kind, RequestContext
from core.jobs.run import JobRun
from core.tenancy import Project, Tenant
from services.rag import app_memory
from services.rag.domain.memory.checks import NewMemory
from services.rag.domain.memory.records import Memory, MemoryStore
from services.rag.domain.memory.searches import Match, Query
from services.rag.domain.memory.stores import NewStore
from services.rag.domain.memory.tables import MEMORIES
from services.rag.settings import MemorySettings
from tests.support.fake_services import FakeChat, FakeEmbedder, FakeVectors, services_of
from tests.support.stores import MemoryStore as DocumentStore

ACME = Project(Tenant("acme"), "p1")
GRACE = 600.0


class NoJobs:
    """Takes jobs and runs none."""

    def __init__(self) -> None:
        self.submitted: list[Project] = []

    def handle(self, *args: Any, **kwargs: Any) -> None:
        """Tests call the handler themselves."""

    async def submit(self, project: Project, *args: Any, **kwargs: Any) -> None:
        self.submitted.append(project)


class MemoryHarness:
    """`now` is the time, which only tests move."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.documents: Any = DocumentStore(clock=lambda: self.now)
        self.embedder, self.chat, self.vectors, self.jobs = FakeEmbedder(), FakeChat(), FakeVectors(), NoJobs()
        self.restart()

    def restart(self) -> None:
        """A new process on the same stores."""
        services = services_of(self.embedder, self.vectors, self.chat)
        settings = MemorySettings(grace_seconds=GRACE)
        self.parts = app_memory.assemble(
            self.documents, cast("Any", self.jobs), services, settings, clock=lambda: self.now
        )

    def act_as(self, project: Project) -> Project:
        """From now on the present request is of this project."""
        identity = Identity(project, "u", Kind.API, frozenset({"*"}), "t", 0.0, None)
        context.bind(RequestContext("r", identity))
        return project

    async def make_store(self, project: Project = ACME, key: str = "notes", **config: Any) -> MemoryStore:
        self.act_as(project)
        return await self.parts.stores.create(project, NewStore(key, "default", "words", key, config=config))

    async def add(self, content: str, *, project: Project = ACME, key: str = "notes", **more: Any) -> Memory:
        self.act_as(project)
        return (await self.parts.additions.add(project, key, NewMemory(content, **more))).memory

    async def search(self, text: str, *, project: Project = ACME, key: str = "notes", **more: Any) -> list[Match]:
        self.act_as(project)
        return await self.parts.searches.search(project, key, Query(text, **more))

    async def found(self, text: str, **more: Any) -> list[str]:
        return [match.memory.content for match in await self.search(text, **more)]

    async def clean_up(self, project: Project = ACME) -> None:
        """Do as the sweep and its jobs do, once everything under way has had its time."""
        self.now += GRACE + 1
        self.act_as(project)
        await self.parts.cleanup.sweep()
        await self.parts.cleanup.run(cast("JobRun", _Run(project)))

    async def records(self, project: Project = ACME) -> list[Any]:
        page = await self.documents.find(project, MEMORIES, None, page_size=1000)
        return list(page.items)

    def vector_ids(self) -> set[str]:
        """Of all indexes."""
        return {id for points in self.vectors.points.values() for id in points}

    async def check_consistent(self, project: Project = ACME) -> None:
        """Every memory has its vector with the metadata that filters see, and there is no other vector."""
        records = await self.records(project)
        points = {id: point for points in self.vectors.points.values() for id, point in points.items()}
        assert {record["vectorId"] for record in records} == points.keys()
        for record in records:
            seen = points[record["vectorId"]].metadata
            assert (seen["scope"], seen["scopeId"], seen["status"]) == (
                record["scope"], record["scopeId"], record["status"],
            )  # fmt: skip
            assert seen["tags"] == list(record.get("tags", []))
        assert await self.parts.intents.count(project) == 0


class _Run:
    def __init__(self, scope: Project) -> None:
        self.scope = scope
