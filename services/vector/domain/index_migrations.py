"""Copies of indexes into other providers, as durable jobs.

The source takes no writes while the job is under way, so that the copy is whole and the counts can be compared. Points
go over in batches, in the source's own order; each batch is saved in the destination before its checkpoint, and writing
one again changes nothing, so a crash costs at most one batch. What the destination already held counts against it at
the end: a copy into an index with other points fails.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from core import fields
from core.errors import Conflict, FailedPrecondition, InvalidInput, PorticoError
from core.jobs.jobs import Jobs
from core.jobs.records import Job
from core.jobs.run import JobRun
from core.providers.records import Provider
from core.tenancy import Project
from services.vector.domain.engines import Engines
from services.vector.domain.indexes import Indexes, NewIndex, migration_key
from services.vector.ports import IndexLocation

KIND = "vector.migration"
_MAX_BATCH = 5000
_BATCH = 500
_BATCH_FLOATS = 8 * 1024 * 1024
"""32 MiB of numbers: what a batch of long vectors may hold in memory."""


_SOURCE = {"providerKey": "sourceProviderKey", "indexId": "sourceIndexId"}
_DESTINATION = {
    "providerKey": "destinationProviderKey",
    "name": "destinationName",
    "metric": "destinationProviderKey",  # its engine lacks what the source has
    "hybrid": "destinationProviderKey",
}
"""Names of a migration's fields in place of those of the calls that it makes."""


@dataclass(frozen=True, slots=True)
class NewIndexMigration:
    """An empty destination name is the source's; 0: a batch size of 500."""

    source_provider: str
    source_index: str
    destination_provider: str
    destination_name: str = ""
    batch_size: int = 0


@dataclass(frozen=True, slots=True)
class IndexMigration:
    job: Job

    @property
    def source(self) -> tuple[str, str]:
        """Keys of provider and index."""
        return self.job.payload["sourceProvider"], self.job.payload["sourceIndex"]

    @property
    def destination(self) -> tuple[str, str]:
        return self.job.payload["destinationProvider"], self.job.payload["destinationIndex"]

    @property
    def verified(self) -> bool:
        return bool((self.job.state or {}).get("verified"))


class IndexMigrations:
    """`settle_seconds`: for so long after the job's beginning may a process still let writes through."""

    def __init__(self, jobs: Jobs, indexes: Indexes, engines: Engines, *, settle_seconds: float) -> None:
        self._jobs = jobs
        self._indexes = indexes
        self._engines = engines
        self._settle_seconds = settle_seconds

    async def create(self, project: Project, new: NewIndexMigration) -> IndexMigration:
        """Start a migration. Raises NotFound, Conflict, InvalidInput, FailedPrecondition (a provider is disabled)."""
        batch = fields.between("batchSize", new.batch_size, 1, _MAX_BATCH, default=_BATCH)
        with _fields_named(_SOURCE):
            source, _ = await self._indexes.get(project, new.source_provider, new.source_index)
        if await self._jobs.find(project, migration_key(source.id)) is not None:
            raise _under_way()
        spec = source.spec
        made = NewIndex(new.destination_name or source.name, spec.dimension, spec.metric.value, spec.hybrid)
        with _fields_named(_DESTINATION):
            destination, _ = await self._indexes.create(project, new.destination_provider, made)
        if destination.id == source.id:
            raise InvalidInput("Source and destination are the same index.", field="destinationProviderKey")
        payload = {
            "sourceProvider": source.provider_key,
            "sourceIndex": source.key,
            "sourceId": source.id,
            "destinationProvider": destination.provider_key,
            "destinationIndex": destination.key,
            "destinationId": destination.id,
            "batchSize": max(1, min(batch, _BATCH_FLOATS // spec.dimension)),
        }
        try:
            job = await self._jobs.submit(project, KIND, payload, unique_key=migration_key(source.id))
        except Conflict:
            raise _under_way() from None
        self._indexes.changes.publish(project)
        return IndexMigration(job)

    async def get(self, project: Project, id: str) -> IndexMigration:
        """The migration of this id. Raises NotFound."""
        return IndexMigration(await self._jobs.get(project, id, KIND))

    async def list(self, project: Project, size: int, token: str) -> tuple[list[IndexMigration], str]:
        """One page, newest first, and the token of the next."""
        jobs, following = await self._jobs.list(project, KIND, size=fields.page_size(size), token=token)
        return [IndexMigration(job) for job in jobs], following

    async def cancel(self, project: Project, id: str) -> IndexMigration:
        """Cancel a migration. Raises NotFound, FailedPrecondition for one that has ended."""
        await self.get(project, id)
        job = await self._jobs.cancel(project, id)
        self._indexes.changes.publish(project)
        return IndexMigration(job)

    async def run(self, run: JobRun) -> None:
        """Copy an index: the handler of the job."""
        try:
            await self._copy(run)
        finally:
            self._indexes.changes.publish(run.scope)

    async def _copy(self, run: JobRun) -> None:
        source_provider, location = await self._find(run, "source")
        destination_provider, copy = await self._find(run, "destination")
        with (
            await self._engines.use(run.scope, source_provider) as source,
            await self._engines.use(run.scope, destination_provider) as destination,
        ):
            if run.state is None:
                await asyncio.sleep(self._settle_seconds)
                await run.checkpoint(0, await source.count(location), {"after": "", "copied": False})
            state = dict(run.state or {})
            while not state["copied"]:
                page = await source.scroll(location, state["after"], run.payload["batchSize"])
                if run.done + len(page.points) > run.total:
                    raise FailedPrecondition(
                        f"The source counted {run.total:.0f} vectors and gives more.", reason="COUNTS_DIFFER"
                    )
                if page.points:
                    await destination.upsert(copy, page.points)
                state = {"after": page.after, "copied": not page.after}
                await run.checkpoint(run.done + len(page.points), state=state)
            there, here = await source.count(location), await destination.count(copy)
        if there != here:
            raise FailedPrecondition(f"The source has {there} vectors, the destination {here}.", reason="COUNTS_DIFFER")
        await run.checkpoint(here, there, {**state, "verified": True})

    async def _find(self, run: JobRun, end: str) -> tuple[Provider, IndexLocation]:
        provider_key, key, id = (run.payload[f"{end}{name}"] for name in ("Provider", "Index", "Id"))
        index, provider = await self._indexes.get(run.scope, provider_key, key)
        if index.id != id:
            raise FailedPrecondition(f"The {end} index was deleted and made anew.", reason="INDEX_CHANGED")
        return provider, index.location(run.scope)


@contextmanager
def _fields_named(names: Mapping[str, str]) -> Iterator[None]:
    """Errors name the fields as the caller of a migration knows them."""
    try:
        yield
    except PorticoError as error:
        error.field = names.get(error.field or "", error.field)
        raise


def _under_way() -> Conflict:
    return Conflict("A migration of this index is under way.", reason="MIGRATING", field="sourceIndexId")
