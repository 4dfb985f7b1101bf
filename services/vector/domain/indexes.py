"""The indexes of a project: their keys, dimensions and metrics, and their providers.

The record's id is the engine's location, and is never used again, so an index of a deleted one's name begins empty. A
record goes through `creating`, `active` and `deleting`: it is written before the engine makes the place and removed
after the engine has dropped it, so a crash leaves a record that somebody finishes rather than data that nobody knows.
"""

import time
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from core import fields
from core.audit import changes as audit
from core.errors import Conflict, FailedPrecondition, InvalidInput, NotFound
from core.jobs.jobs import Jobs
from core.jobs.run import JobRun
from core.project_changes import ProjectChanges
from core.providers.records import Provider
from core.storage.ports import DocumentStore
from core.storage.table import Record, Table
from core.tenancy import Project
from services.vector.domain.engines import Engines
from services.vector.domain.points import IndexSpec, Metric
from services.vector.domain.providers import VectorProviders
from services.vector.domain.tables import INDEXES, QUERY_LOGS
from services.vector.ports import EngineCapabilities, IndexLocation

DROP = "vector.index.drop"
CREATING, ACTIVE, DELETING = "creating", "active", "deleting"
_ATTEMPTS = 50
_DROP_ATTEMPTS = 20


class Index(Record, frozen=True):
    """One record. `name_lower` is what of the name tells it apart from others: see `folded`."""

    id: str
    key: str
    name: str
    name_lower: str
    provider_key: str
    dimension: int
    metric: Metric
    hybrid: bool
    metadata: Mapping[str, Any] = {}
    status: str = CREATING
    created_at: float = 0.0
    updated_at: float = 0.0

    @property
    def spec(self) -> IndexSpec:
        return IndexSpec(self.dimension, self.metric, self.hybrid)

    @property
    def path(self) -> str:
        """Keys of provider and index, as the audit log names an index."""
        return f"{self.provider_key}/{self.key}"

    def location(self, project: Project) -> IndexLocation:
        return IndexLocation(project, self.id)


@dataclass(frozen=True, slots=True)
class NewIndex:
    """An empty metric is cosine."""

    name: str
    dimension: int
    metric: str = ""
    hybrid: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)


def folded(name: str) -> str:
    """The name in the form in which it is unique."""
    return unicodedata.normalize("NFC", name).casefold()


def migration_key(index_id: str) -> str:
    """The unique key of the job that copies an index."""
    return f"vector.migration:{index_id}"


class Indexes:
    """Use cases. Each takes the project first; what is another's is not there. `changes` tells of every change of an
    index or its provider."""

    def __init__(self, store: DocumentStore, providers: VectorProviders, engines: Engines, jobs: Jobs) -> None:
        self._store = store
        self._table = Table(store, INDEXES, Index)
        self._providers = providers
        self._engines = engines
        self._jobs = jobs
        self.changes = ProjectChanges()
        providers.changes.subscribe(self.changes.notify)

    async def create(self, project: Project, provider_key: str, new: NewIndex) -> tuple[Index, bool]:
        """Create an index. Returns it, and whether it existed before. Raises NotFound (provider), Conflict,
        InvalidInput."""
        name = fields.text("name", new.name, at_least=1, at_most=200)
        metadata = fields.small_json("metadata", new.metadata)
        spec = IndexSpec(new.dimension, Metric.parse(new.metric.lower()), new.hybrid)
        provider = await self._providers.get(project, provider_key)
        _check_able(self._providers.drivers[provider.driver].capabilities, spec)
        stem, now = fields.slug(name, "index"), time.time()
        keys = iter([stem, *(f"{stem}-{at}" for at in range(2, _ATTEMPTS))])
        for _ in range(_ATTEMPTS - 1):
            where = {"providerKey": provider.key, "nameLower": folded(name)}
            existing = await self._table.find_one(project, where)
            if existing is not None:
                if existing.status == ACTIVE or (existing.status == CREATING and _fits(existing.spec, spec)):
                    return await self._reuse(project, provider, existing, spec)
                await self._drop(project, provider, existing)
                continue
            index = Index(
                id=f"idx_{uuid4().hex}",
                key=next(keys),
                name=name,
                name_lower=folded(name),
                provider_key=provider.key,
                dimension=spec.dimension,
                metric=spec.metric,
                hybrid=spec.hybrid,
                metadata=metadata,
                created_at=now,
                updated_at=now,
            )
            with suppress(Conflict):  # of the key, or of the name by a call at the same moment: the next turn knows
                await self._table.insert(project, index)
                return await self._make(project, provider, index)
        raise Conflict("Too many indexes have names like this one. Choose another.", field="name")

    async def get(self, project: Project, provider_key: str, key: str) -> tuple[Index, Provider]:
        """The index of this key or record id. Raises NotFound."""
        provider = await self._providers.get(project, provider_key)
        index = await self._find(project, provider, key)
        if index is None or index.status != ACTIVE:
            raise _not_found()
        return index, provider

    async def list(self, project: Project, provider_key: str, size: int, token: str) -> tuple[list[Index], str]:
        """One page, newest first, and the token of the next. Raises NotFound (provider), InvalidInput."""
        provider = await self._providers.get(project, provider_key)
        where = {"providerKey": provider.key, "status": ACTIVE}
        limit = fields.page_size(size, fields.MAX_PAGE)
        return await self._table.page(project, where, page_size=limit, page_token=token)

    async def update(
        self, project: Project, provider_key: str, key: str, name: str | None, metadata: Mapping[str, Any] | None
    ) -> Index:
        """Change an index. None: unchanged. Raises NotFound, InvalidInput, Conflict (the name)."""
        if name is None and metadata is None:
            raise InvalidInput("There is nothing to change: give name or metadata.", field="name")
        changes: dict[str, Any] = {"updated_at": time.time()}
        if name is not None:
            text = fields.text("name", name, at_least=1, at_most=200)
            changes |= {"name": text, "name_lower": folded(text)}
        if metadata is not None:
            changes["metadata"] = fields.small_json("metadata", metadata)
        index, _ = await self.get(project, provider_key, key)
        try:
            updated = await self._table.update(project, index.id, where={"status": ACTIVE}, **changes)
        except Conflict:
            raise Conflict("Another index of this provider has that name.", reason="NAME_TAKEN", field="name") from None
        if updated is None:
            raise _not_found()
        return updated

    async def delete(self, project: Project, provider_key: str, key: str) -> None:
        """Delete an index with all its points. Raises NotFound, FailedPrecondition, and Unavailable where the engine is
        away: the index is gone from view then, and a job goes on trying."""
        provider = await self._providers.get(project, provider_key)
        index = await self._find(project, provider, key)
        if index is None or index.status == CREATING:
            raise _not_found()
        audit.change().resource_id = index.path
        if await self._jobs.find(project, migration_key(index.id)) is not None:
            raise FailedPrecondition(
                "A migration copies this index. Cancel it, and wait until it has ended.", reason="MIGRATING"
            )
        with await self._engines.use(project, provider):
            pass  # or nothing could be dropped, and the caller can mend that
        with suppress(Conflict):  # the job is there already
            payload = {"providerKey": provider.key, "indexId": index.id}
            await self._jobs.submit(
                project, DROP, payload, unique_key=f"{DROP}:{index.id}", max_attempts=_DROP_ATTEMPTS
            )
        await self._drop(project, provider, index)

    async def finish_drop(self, run: JobRun) -> None:
        """The handler of DROP: finishes what `delete` could not."""
        index = await self._table.get(run.scope, run.payload["indexId"])
        run.change.recorded = index is not None
        if index is not None:
            run.change.resource_id = index.path
            provider = await self._providers.get(run.scope, run.payload["providerKey"])
            await self._drop(run.scope, provider, index)

    async def count_in(self, project: Project, provider: Provider) -> int:
        """Count the indexes in the provider, after finishing what was begun and not ended."""
        for status in (CREATING, DELETING):
            where = {"providerKey": provider.key, "status": status}
            while page := (await self._table.page(project, where))[0]:
                for index in page:
                    await self._drop(project, provider, index)
        return await self._table.count(project, {"providerKey": provider.key})

    async def drop(self, project: Project, provider: Provider, index: Index) -> None:
        """Drop an index with all its points, whatever state it or its provider is in. For removing a project."""
        await self._drop(project, provider, index, even_disabled=True)

    async def _reuse(
        self, project: Project, provider: Provider, existing: Index, spec: IndexSpec
    ) -> tuple[Index, bool]:
        if not _fits(existing.spec, spec):
            was = existing.spec
            raise Conflict(
                f"There is an index of that name with dimension {was.dimension}, metric {was.metric}"
                f"{' and keyword search' if was.hybrid else ''}. Choose another name, or delete it first.",
                reason="INDEX_EXISTS",
                field="name",
            )
        if existing.status == ACTIVE:
            return existing, True
        return await self._make(project, provider, existing)

    async def _make(self, project: Project, provider: Provider, index: Index) -> tuple[Index, bool]:
        """Create the index in the engine, then its record; of several calls at once, one makes it."""
        try:
            await self._providers.active(project, provider.key)
            with await self._engines.use(project, provider) as engine:
                await engine.create(index.location(project), index.spec)
        except (NotFound, InvalidInput):
            await self._table.delete(project, index.id)
            raise
        made = await self._table.update(project, index.id, where={"status": CREATING}, status=ACTIVE)
        if made is not None:
            return made, False
        now = await self._table.get(project, index.id)
        if now is not None and now.status == ACTIVE:
            return now, True
        await self._drop(project, provider, index)
        raise Conflict("An index of that name was made or deleted at the same moment. Try again.", field="name")

    async def _drop(self, project: Project, provider: Provider, index: Index, *, even_disabled: bool = False) -> None:
        await self._table.update(project, index.id, status=DELETING)
        self.changes.publish(project)
        with await self._engines.use(project, provider, even_disabled=even_disabled) as engine:
            await engine.drop(index.location(project))
        await self._store.delete_where(project, QUERY_LOGS, {"indexId": index.id})
        await self._table.delete(project, index.id)

    async def _find(self, project: Project, provider: Provider, key: str) -> Index | None:
        return await self._table.find_one(project, {"providerKey": provider.key, "key": key})


def _fits(there: IndexSpec, wanted: IndexSpec) -> bool:
    """Return whether an existing index serves the wanted one; one with keyword search serves too."""
    same = (there.dimension, there.metric) == (wanted.dimension, wanted.metric)
    return same and (there.hybrid or not wanted.hybrid)


def _check_able(able: EngineCapabilities, spec: IndexSpec) -> None:
    if spec.metric not in able.metrics:
        raise InvalidInput(f"This engine's metrics are {', '.join(able.metrics)}.", field="metric")
    if spec.hybrid and not able.hybrid:
        raise InvalidInput("This engine has no keyword search. Leave hybrid out.", field="hybrid")


def _not_found() -> NotFound:
    return NotFound("There is no such index in this provider.", reason="INDEX_NOT_FOUND", field="indexId")
