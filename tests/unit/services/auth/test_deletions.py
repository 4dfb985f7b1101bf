"""Project deletions cut off at every point: finished, or not begun."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from core import context
from core.context import Identity, Kind, RequestContext
from core.errors import FailedPrecondition, NotFound, PorticoError, Unavailable
from core.storage.ports import Collection, Document, Where
from core.tenancy import Project, Scope, Tenant
from services.auth.domain.registration import NewTenant, Registered
from tests.support.stores import MemoryStore
from tests.unit.services.auth.conftest import Harness, Process

ACME = Tenant("acme")
SERVICES = ("inference", "rag", "vector")


class Failing(MemoryStore):
    """Takes so many writes more, and then none."""

    def __init__(self) -> None:
        super().__init__()
        self.left: int | None = None

    def _count(self) -> None:
        if self.left is not None:
            if self.left == 0:
                raise Unavailable("away")
            self.left -= 1

    async def insert(self, scope: Scope, collection: Collection, document: Document) -> None:
        self._count()
        await super().insert(scope, collection, document)

    async def insert_many(self, scope: Scope, collection: Collection, documents: Sequence[Document]) -> int:
        self._count()
        return await super().insert_many(scope, collection, documents)

    async def update(
        self, scope: Scope, collection: Collection, id: str, changes: Mapping[str, Any], *, where: Where | None = None
    ) -> Document | None:
        self._count()
        return await super().update(scope, collection, id, changes, where=where)

    async def delete(self, scope: Scope, collection: Collection, id: str) -> bool:
        self._count()
        return await super().delete(scope, collection, id)

    async def delete_where(self, scope: Scope, collection: Collection, where: Where) -> int:
        self._count()
        return await super().delete_where(scope, collection, where)


async def registered(process: Process) -> Registered:
    return await process.domain.registration.register(
        NewTenant("o@acme.example.com", "Correct-Horse-1", "Owner", "Acme", "acme")
    )


def act_as(made: Registered) -> None:
    identity = Identity(Project(ACME, made.project.id), made.owner.id, Kind.SESSION, made.owner.scopes, "t1", 0.0, None)
    context.bind(RequestContext("req-1", identity))


async def listed(process: Process, service: str) -> list[str]:
    return [each.project for each in (await process.domain.deletions.pending(service))[0]]


async def test_every_service_hears_of_it_until_it_acknowledges(harness: Harness) -> None:
    process = await harness.start()
    act_as(await registered(process))
    lab = await process.domain.projects.create("Lab", "", "")
    await process.domain.projects.delete(lab.id)
    for service in SERVICES:
        assert await listed(process, service) == [lab.id]
    await process.domain.deletions.acknowledge("rag", "acme", lab.id)
    await process.domain.deletions.acknowledge("rag", "acme", lab.id)
    assert [await listed(process, service) for service in SERVICES] == [[lab.id], [], [lab.id]]
    (deletion,) = (await process.domain.deletions.pending("vector"))[0]
    assert (deletion.actor.request_id, deletion.actor.token_id) == ("req-1", "t1")
    with pytest.raises(NotFound):
        await process.domain.deletions.acknowledge("rag", "acme", "other")
    with pytest.raises(PorticoError, match="service's name"):
        await process.domain.deletions.pending("no service")


async def test_the_last_project_is_not_published_and_stays(harness: Harness) -> None:
    process = await harness.start()
    made = await registered(process)
    act_as(made)
    lab = await process.domain.projects.create("Lab", "", "")
    await process.domain.tables.projects.delete(ACME, made.project.id)
    with pytest.raises(FailedPrecondition):
        await process.domain.projects.delete(lab.id)
    harness.clock.now += 3600
    await process.domain.projects.finish_deletions()
    assert await listed(process, "rag") == []
    assert (await process.domain.projects.get(lab.id)).status == "active"


@pytest.mark.parametrize("writes", range(12))
async def test_a_deletion_that_is_cut_off_anywhere_is_finished_or_has_not_happened(
    harness: Harness, writes: int
) -> None:
    """It was finished only if somebody asked for it again."""
    store = Failing()
    harness.store = store
    process = await harness.start()
    made = await registered(process)
    act_as(made)
    lab = await process.domain.projects.create("Lab", "", "")
    record, _ = await process.domain.tokens.issue(ACME, made.owner, lab.id, "ci", made.owner.scopes)
    store.left = writes
    cut_off = False
    try:
        await process.domain.projects.delete(lab.id)
    except Unavailable:
        cut_off = True
    store.left = None

    after = await harness.start()
    act_as(made)
    await after.domain.projects.finish_deletions()
    published = await listed(after, "rag")
    harness.clock.now += 61  # until then, somebody may still be at it
    await after.domain.projects.finish_deletions()
    there = await after.domain.tables.projects.get(ACME, lab.id)
    if there is not None:  # it was cut off before it closed the project
        assert cut_off
        assert there.status == "active"
        assert published == []
    else:
        assert await listed(after, "rag") == [lab.id]
        assert await after.domain.tables.tokens.get(ACME, record.id) is None
        assert await listed(after, "auth") == []
    harness.clock.now += 61
    await after.domain.projects.finish_deletions()
    assert (await after.domain.deletions.unpublished(0)) == []
