"""Resolution of index references, cached for a short time."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from core.bounded import BoundedDict
from core.jobs.jobs import Jobs
from core.providers.records import Provider
from core.tenancy import Project
from services.vector.domain.indexes import Index, Indexes, migration_key
from services.vector.ports import IndexLocation


@dataclass(frozen=True, slots=True)
class IndexRef:
    """An index as a caller names it."""

    project: Project
    provider_key: str
    index_key: str


@dataclass(frozen=True, slots=True)
class ResolvedIndex:
    index: Index
    provider: Provider
    location: IndexLocation
    migrating: bool
    """A migration copies it, so it must not change."""
    until: float
    """Time at which it has to be looked up again, on the monotonic clock."""


class IndexResolver:
    """Holds what was looked up for `seconds`: so long may another process's change stay unseen, where processes do not
    tell each other."""

    def __init__(
        self,
        indexes: Indexes,
        jobs: Jobs,
        *,
        seconds: float,
        capacity: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.seconds = seconds
        self._indexes = indexes
        self._jobs = jobs
        self._clock = clock
        self._known: BoundedDict[IndexRef, ResolvedIndex] = BoundedDict(capacity)
        self._changes = 0
        indexes.changes.subscribe(self.forget)

    async def of(self, ref: IndexRef, *, fresh: bool = False) -> ResolvedIndex:
        """Resolve an index reference. Raises NotFound."""
        known = self._known.get(ref)
        if known is not None and not fresh and known.until > self._clock():
            return known
        changes, until = self._changes, self._clock() + self.seconds
        index, provider = await self._indexes.get(ref.project, ref.provider_key, ref.index_key)
        migrating = await self._jobs.find(ref.project, migration_key(index.id)) is not None
        resolved = ResolvedIndex(index, provider, index.location(ref.project), migrating, until)
        if changes == self._changes:  # or what was just read may be out of date
            self._known[ref] = resolved
        return resolved

    def forget(self, project: Project | None) -> None:
        """Forget the project's resolved indexes after a change, or with None all."""
        self._changes += 1
        for ref in [each for each in self._known if project is None or each.project == project]:
            del self._known[ref]
