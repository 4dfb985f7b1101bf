"""Roll-ups of records that were written before there were any."""

from collections.abc import Sequence
from itertools import islice

from core.storage.ports import Document, DocumentStore, Increment
from core.storage.scan import scan
from core.tenancy import AllProjects, Main, Project, Tenant
from services.inference.domain.tables import ROLLUPS, USAGE
from services.inference.domain.usage.rollups import Rollups

_BATCH = 500
_NEWER: Document = {"cacheWriteInputTokens": 0, "reasoningTokens": 0, "cachedInputTokens": 0}
"""Fields that records of earlier versions may lack."""


async def roll_up(store: DocumentStore, scope: Main | Tenant) -> None:
    """Roll up all records of a tenant. Nothing else writes roll-ups meanwhile, so a repetition finds the same sums."""
    assert isinstance(scope, Tenant)
    rollups, counters = Rollups(), dict[tuple[str, str], Document]()
    batch: list[Document] = []
    async for record in scan(store, AllProjects(scope), USAGE):
        batch.append(_NEWER | record)
        if len(batch) == _BATCH:
            _add(counters, rollups, batch)
            batch = []
    _add(counters, rollups, batch)
    for project in {project for project, _ in counters}:
        documents = iter([each for (of, _), each in counters.items() if of == project])
        while some := list(islice(documents, _BATCH)):
            await store.insert_many(Project(scope, project), ROLLUPS, some)


def _add(counters: dict[tuple[str, str], Document], rollups: Rollups, records: Sequence[Document]) -> None:
    for project in {record["project"] for record in records}:
        for each in rollups.increments(project, [record for record in records if record["project"] == project]):
            _count(counters.setdefault((project, each.id), {**each.initial, "id": each.id}), each)


def _count(counter: Document, increment: Increment) -> None:
    counter.update({name: counter.get(name, 0) + amount for name, amount in increment.amounts.items()})
