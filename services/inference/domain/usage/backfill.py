"""Roll-ups of records that were written before there were any."""

from collections.abc import Sequence
from itertools import islice

from core.storage.ports import Document, DocumentStore, Increment
from core.storage.scan import scan
from core.tenancy import AllProjects, Main, Project, Tenant
from services.inference.domain.tables import ROLLUPS, USAGE
from services.inference.domain.usage.rollups import DAY, Rollups

_ROLLED = 100
"""Records that are rolled up in one call, in which no other work gets its turn."""
_WRITTEN = 500
"""Roll-ups that are written in one transaction."""
_NEWER: Document = {"cacheWriteInputTokens": 0, "reasoningTokens": 0, "cachedInputTokens": 0}
"""Fields that records of earlier versions may lack."""

_Counters = dict[tuple[str, str], Document]
"""Roll-ups by project and id."""


async def roll_up(store: DocumentStore, scope: Main | Tenant) -> None:
    """Roll up all records of a tenant, day by day, so that those of one day alone are in memory. Nothing else writes
    roll-ups meanwhile, so a repetition finds the same sums."""
    assert isinstance(scope, Tenant)
    rollups, counters = Rollups(), _Counters()
    batch: list[Document] = []
    day = None
    async for record in scan(store, AllProjects(scope), USAGE):  # oldest first
        its_day = record["createdAt"] // DAY
        ended, day = its_day != day, its_day
        if ended or len(batch) == _ROLLED:
            _add(counters, rollups, batch)
            batch = []
        if ended:
            await _write(store, scope, counters)
            counters = _Counters()
        batch.append(_NEWER | record)
    _add(counters, rollups, batch)
    await _write(store, scope, counters)


async def _write(store: DocumentStore, tenant: Tenant, counters: _Counters) -> None:
    for project in {project for project, _ in counters}:
        documents = iter([each for (of, _), each in counters.items() if of == project])
        while some := list(islice(documents, _WRITTEN)):
            await store.insert_many(Project(tenant, project), ROLLUPS, some)


def _add(counters: _Counters, rollups: Rollups, records: Sequence[Document]) -> None:
    for project in {record["project"] for record in records}:
        for each in rollups.increments(project, [record for record in records if record["project"] == project]):
            _count(counters.setdefault((project, each.id), {**each.initial, "id": each.id}), each)


def _count(counter: Document, increment: Increment) -> None:
    counter.update({name: counter.get(name, 0) + amount for name, amount in increment.amounts.items()})
