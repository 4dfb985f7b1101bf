"""Memory stores: their settings, and the vector index that each has of its own."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import msgspec

from core import fields
from core.errors import Conflict, FailedPrecondition, InvalidInput, NotFound, PorticoError
from core.storage.closed_projects import check_project_open
from core.storage.keys import insert_with_key
from core.storage.ports import DocumentStore
from core.storage.references import referring
from core.storage.table import Table
from core.tenancy import Project
from services.rag.domain.memory import checks
from services.rag.domain.memory.cleanup import Cleanup
from services.rag.domain.memory.intents import STORE, Intents
from services.rag.domain.memory.records import ACTIVE, INACTIVE, METRICS, SCOPES, MemoryStore, StoreConfig
from services.rag.domain.memory.tables import MEMORIES
from services.rag.ports import Embedder, IndexRef, Vectors

STATUSES = (ACTIVE, INACTIVE)
_PROBE = "dimension"
"""Text that is embedded to learn how many numbers a model's embeddings have."""
_FIXED = ("embedding_dimension", "metric")
"""Settings that stay as they are, for the index is made for them."""


@dataclass(frozen=True, slots=True)
class NewStore:
    """The values that a store is made from. `config` has the fields that were given, as the record spells them."""

    name: str
    vector_provider_key: str
    embedding_model_key: str
    key: str = ""
    description: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoreChange:
    """New values of a store; None: as before."""

    name: str | None = None
    description: str | None = None
    status: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)


class MemoryStores:
    """Use cases. Each takes the project first; another project's stores do not exist for it."""

    def __init__(
        self,
        store: DocumentStore,
        table: Table[MemoryStore],
        intents: Intents,
        cleanup: Cleanup,
        embedder: Embedder,
        vectors: Vectors,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._table = table
        self._intents = intents
        self._cleanup = cleanup
        self._embedder = embedder
        self._vectors = vectors
        self._clock = clock

    async def create(self, project: Project, new: NewStore) -> MemoryStore:
        """Create a store with its index. Raises Conflict (the key), NotFound, FailedPrecondition (the embedding model),
        InvalidInput."""
        name = fields.text("name", new.name, at_least=1, at_most=200)
        key = fields.key("key", new.key) if new.key else ""
        description = fields.text("description", new.description, at_most=2000)
        provider = fields.text("vectorProviderKey", new.vector_provider_key, at_least=1, at_most=200)
        model = fields.text("embeddingModelKey", new.embedding_model_key, at_least=1, at_most=200)
        config = checked_config(StoreConfig(), new.config)
        await check_project_open(self._store, project)
        if key and await self._table.find_one(project, {"key": key}):
            raise Conflict(f"The key {key} is taken in this project. Choose another.", reason="KEY_TAKEN", field="key")
        (vector,) = await self._embedder.embed(model, [_PROBE])
        config = _with_dimension(config, len(vector), given=config.embedding_dimension)
        id, now = f"mst_{uuid4().hex}", self._clock()
        record = MemoryStore(
            id=id,
            key=key,
            name=name,
            description=description,
            vector_provider_key=provider,
            vector_index_key=f"mem-{fields.slug(key or name, 'store', 30)}-{id[-24:]}",
            embedding_model_key=model,
            config=config,
            created_at=now,
            updated_at=now,
        )
        return await self._make(project, record, key, fields.slug(name, "memory"))

    async def _make(self, project: Project, record: MemoryStore, key: str, stem: str) -> MemoryStore:
        """The index first, since the record makes the store: where that is not written, the index goes again."""
        intent = await self._intents.register(project, STORE, record)
        try:
            index = await self._vectors.ensure_index(
                record.vector_provider_key,
                record.vector_index_key,
                record.config.embedding_dimension,
                metric=record.config.metric,
            )
            record = msgspec.structs.replace(record, vector_index_key=index.ref.index_key)
            intent = await self._intents.confirm(intent)
            made = await referring(
                lambda: insert_with_key(
                    self._table, project, lambda key: msgspec.structs.replace(record, key=key), key, stem
                ),
                check=lambda _: check_project_open(self._store, project),
                undo=lambda made: self._table.delete(project, made.id),
            )
        except PorticoError as error:
            await self._abandon(intent)
            raise _of_store(error) from None
        await self._intents.drop(intent)
        return made

    async def _abandon(self, intent: Any) -> None:
        """Take back what was begun. What fails is left to the cleanup."""
        try:
            await self._cleanup.settle(intent)
        except PorticoError:
            return

    async def get(self, project: Project, key: str) -> MemoryStore:
        """The store of this key. Raises NotFound."""
        found = await self._table.find_one(project, {"key": key}) if key else None
        if found is None or found.closing is not None:
            raise NotFound(
                "There is no memory store of this key in this project.",
                reason="MEMORY_STORE_NOT_FOUND",
                field="storeKey",
            )
        return found

    async def active(self, project: Project, key: str) -> MemoryStore:
        """As `get`. Raises FailedPrecondition where the store is inactive."""
        found = await self.get(project, key)
        if found.status != ACTIVE:
            raise FailedPrecondition(
                "The memory store is inactive. Set its status to active first.", reason="MEMORY_STORE_INACTIVE"
            )
        return found

    async def page(
        self, project: Project, *, status: str = "", search: str = "", size: int = 0, token: str = ""
    ) -> tuple[list[MemoryStore], str]:
        """One page, newest first, and the token of the next. Raises InvalidInput."""
        limit = fields.page_size(size, fields.MAX_PAGE)
        where = {"status": fields.one_of("status", status, (*STATUSES, "error"))} if status else {}
        wanted = search.strip().casefold()
        found, following = await self._table.page(project, where, page_size=limit, page_token=token)
        return [
            store
            for store in found
            if store.closing is None and wanted in "\n".join((store.key, store.name, store.description)).casefold()
        ], following

    async def update(self, project: Project, key: str, change: StoreChange) -> MemoryStore:
        """Change a store. Raises NotFound, InvalidInput."""
        store = await self.get(project, key)
        changes: dict[str, Any] = {}
        if change.name is not None:
            changes["name"] = fields.text("name", change.name, at_least=1, at_most=200)
        if change.description is not None:
            changes["description"] = fields.text("description", change.description, at_most=2000)
        if change.status is not None:
            changes["status"] = fields.one_of("status", change.status, STATUSES)
        if change.config:
            changes["config"] = checked_config(store.config, change.config, made=True)
        if not changes:
            raise InvalidInput("Nothing is to be changed. Send name, description, status or config.", field="body")
        where = {"closing": None, "updatedAt": store.updated_at}
        changed = await self._table.update(project, store.id, where=where, **changes, updated_at=self._clock())
        if changed is None:
            await self.get(project, key)
            raise Conflict("The store is being changed by others. Try again.", reason="CHANGED_MEANWHILE")
        return changed

    async def delete(self, project: Project, key: str) -> None:
        """Delete a store with its memories and its index. Its key is free at once; what cannot be removed now is
        removed later. Raises NotFound."""
        store = await self.get(project, key)
        intent = await self._intents.register(project, STORE, store)
        gone = await self._table.update(
            project, store.id, where={"closing": None}, closing=intent.id, key=f"~{store.id}", status=INACTIVE
        )
        if gone is None:
            await self._intents.drop(intent)
            await self.get(project, key)
        await self._abandon(intent)

    async def counts(self, project: Project) -> dict[str, int]:
        """Number of memories of each store that has some, by the store's id."""
        rows = await self._store.totals(project, MEMORIES, None, group_by=("storeId",), sums=())
        return {str(row["storeId"]): int(row["count"]) for row in rows}

    async def count(self, project: Project, store: MemoryStore) -> int:
        """Number of the store's memories."""
        return await self._store.count(project, MEMORIES, {"storeId": store.id})


def index_of(store: MemoryStore) -> IndexRef:
    return IndexRef(store.vector_provider_key, store.vector_index_key)


def checked_config(config: StoreConfig, given: Mapping[str, Any], *, made: bool = False) -> StoreConfig:
    """The settings with those that were given. `made`: the store exists. Raises InvalidInput."""
    given = dict(given)
    for name in _FIXED if made else ():
        if given.pop(name, old := getattr(config, name)) != old:
            field = msgspec.structs.fields(StoreConfig)[StoreConfig.__struct_fields__.index(name)].encode_name
            raise InvalidInput(f"config.{field} stays as it is. Make another store.", field=f"config.{field}")
    if (ranking := given.pop("ranking", None)) is not None:
        given["ranking"] = checks.check_ranking(msgspec.structs.replace(config.ranking, **ranking))
    config = msgspec.structs.replace(config, **given)
    fields.one_of("config.metric", config.metric, METRICS)
    fields.one_of("config.defaultScope", config.default_scope, SCOPES)
    checks.number("config.embeddingDimension", config.embedding_dimension, 0, 65_536)
    checks.number("config.maxMemories", config.max_memories, 0, checks.MAX_MEMORIES)
    checks.number("config.ttlDays", config.ttl_days, 0.0, checks.MAX_TTL_DAYS)
    checks.number("config.defaultTopK", config.default_top_k, 1, checks.MAX_TOP_K)
    if config.default_min_score is not None:
        checks.share("config.defaultMinScore", config.default_min_score)
    fields.text("config.chatModelKey", config.chat_model_key, at_most=200)
    for name, field in (("auto_summarize", "autoSummarize"), ("extraction", "extraction")):
        if getattr(config, name) and not config.chat_model_key:
            raise InvalidInput(
                f"config.{field} needs config.chatModelKey, the model to ask.", field="config.chatModelKey"
            )
    return config


def _with_dimension(config: StoreConfig, dimension: int, *, given: int) -> StoreConfig:
    if given and given != dimension:
        raise InvalidInput(
            f"config.embeddingDimension is {given}, but the embeddings of this model have {dimension} numbers. "
            "Leave it out.",
            field="config.embeddingDimension",
        )
    return msgspec.structs.replace(config, embedding_dimension=dimension)


def _of_store(error: PorticoError) -> PorticoError:
    """The error of the vector service, with the names that fields have here."""
    error.field = {"providerKey": "vectorProviderKey", "metric": "config.metric"}.get(error.field or "", error.field)
    return error
