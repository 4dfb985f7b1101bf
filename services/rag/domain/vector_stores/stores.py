"""Vector stores: modules that OpenAI's clients make, list and search."""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from core import fields
from core.audit import changes as audit
from core.errors import FailedPrecondition, NotFound
from core.storage.ports import Cond, Document, DocumentStore, Op
from core.storage.table import Table
from core.tenancy import Project
from services.rag.domain.files.records import position_at
from services.rag.domain.knowledge import records
from services.rag.domain.knowledge.chunking.config import ChunkConfig
from services.rag.domain.knowledge.modules import Modules, NewModule
from services.rag.domain.knowledge.records import Hybrid, Module
from services.rag.domain.knowledge.tables import DOCUMENTS, MODULES
from services.rag.domain.vector_stores import values, views
from services.rag.domain.vector_stores.expiry import Expiry
from services.rag.domain.vector_stores.paging import Cursor, page
from services.rag.domain.vector_stores.requests import CreateStore, UpdateStore
from services.rag.domain.vector_stores.values import StaticChunks
from services.rag.domain.vector_stores.views import Counts, Store
from services.rag.ports import Models

_PREFIX = "vs_"
_LIVE = {"status": Cond(Op.IN, (records.ACTIVE, records.DISABLED))}
_ACTIVE_SECONDS = 60.0
"""Exactness of the time of the last activity."""
_STATUS = {
    records.PENDING: "in_progress",
    records.PROCESSING: "in_progress",
    records.INDEXED: "completed",
    records.FAILED: "failed",
    records.CANCELLED: "cancelled",
}


class VectorStores:
    """Use cases. Each takes the project first; what is another's is not there."""

    def __init__(
        self, store: DocumentStore, modules: Modules, models: Models, expiry: Expiry, *, embedding_model: str = ""
    ) -> None:
        """`embedding_model`: key of the model of vector stores that name none; empty: the project's oldest."""
        self._store = store
        self._table = Table(store, MODULES, Module)
        self._modules = modules
        self._models = models
        self._expiry = expiry
        self._embedding_model = embedding_model

    async def create(self, project: Project, asked: CreateStore) -> Module:
        """Create a vector store without files. Raises InvalidInput, FailedPrecondition (no embedding model)."""
        chunks = (asked.chunking_strategy or values.Chunking("auto")).sizes()
        if asked.expires_after is not None:
            asked.expires_after.check()
        id = f"{_PREFIX}{position_at(time.time())}"
        new = NewModule(
            key=_key_of(id),
            name=fields.text("name", asked.name or "", at_most=200) or id,
            description=fields.text("description", asked.description or "", at_most=512),
            embedding_model_key=asked.embedding_model or self._embedding_model or await self._models.embedding_model(),
            chunk_config=chunk_config(chunks),
            hybrid=Hybrid(enabled=asked.hybrid is not False),
            reranker_key=asked.reranker_key or "",
            metadata=values.metadata(asked.metadata),
            vector_store_id=id,
            expires_days=None if asked.expires_after is None else asked.expires_after.days,
        )
        module = await self._modules.create(project, new)
        audit.change().resource_id = id
        await self._expiry.watch(project, module)
        return module

    async def get(self, project: Project, id: str) -> Module:
        """The module of a vector store. Raises NotFound."""
        module = await self._table.find_one(project, {"vectorStoreId": id, **_LIVE}) if id else None
        if module is None:
            raise NotFound(
                "There is no such vector store in this project.",
                reason="VECTOR_STORE_NOT_FOUND",
                field="vector_store_id",
            )
        return module

    async def in_use(self, project: Project, id: str) -> Module:
        """The module of a vector store that has not expired; using it keeps it from expiring. Raises NotFound,
        FailedPrecondition."""
        module = await self.get(project, id)
        now = time.time()
        if _expired(module, now):
            raise FailedPrecondition("This vector store has expired. Create a new one.", reason="VECTOR_STORE_EXPIRED")
        if now - (module.last_active_at or 0.0) > _ACTIVE_SECONDS:
            await self._table.update(project, module.id, last_active_at=now)
        return module

    async def view(self, project: Project, id: str) -> Store:
        """Raises NotFound."""
        return (await self.views(project, [await self.get(project, id)]))[0]

    async def page(self, project: Project, cursor: Cursor) -> tuple[list[Store], bool]:
        """One page, and whether there are more. Raises InvalidInput, NotFound (the cursor)."""

        async def position_of(id: str) -> str:
            return (await self.get(project, id)).vector_store_id or ""

        where = {**_LIVE, "vectorStoreId": Cond(Op.GT, "")}
        found = await page(self._table, project, where, "vectorStoreId", cursor, position_of)
        return await self.views(project, found.items), found.has_more

    async def update(self, project: Project, id: str, asked: UpdateStore) -> Store:
        """Raises NotFound, InvalidInput."""
        module = await self.get(project, id)
        changes: dict[str, Any] = {"last_active_at": time.time()}
        if asked.name is not msgspec.UNSET:
            changes["name"] = fields.text("name", asked.name or "", at_most=200) or id
        if asked.metadata is not msgspec.UNSET:
            changes["metadata"] = values.metadata(asked.metadata)
        if asked.expires_after is not msgspec.UNSET:
            if asked.expires_after is not None:
                asked.expires_after.check()
            changes["expires_days"] = None if asked.expires_after is None else asked.expires_after.days
        changed = await self._table.update(project, module.id, where=_LIVE, updated_at=time.time(), **changes)
        if changed is None:  # deleted meanwhile
            return await self.view(project, id)
        await self._expiry.watch(project, changed)
        return (await self.views(project, [changed]))[0]

    async def delete(self, project: Project, id: str) -> None:
        """Raises NotFound."""
        module = await self.get(project, id)
        await self._modules.delete(project, module.key)
        audit.change().resource_id = id

    async def views(self, project: Project, modules: Sequence[Module]) -> list[Store]:
        """The modules as vector stores, whose files are counted at once."""
        if not modules:
            return []
        ids = tuple(module.id for module in modules)
        where = {"moduleId": Cond(Op.IN, ids), "status": Cond(Op.NE, records.DELETING)}
        rows = await self._store.totals(project, DOCUMENTS, where, group_by=["moduleId", "status"], sums=["size"])
        now = time.time()
        return [_view(module, [row for row in rows if row["moduleId"] == module.id], now) for module in modules]


def chunk_config(sizes: StaticChunks) -> ChunkConfig:
    return ChunkConfig(
        strategy="token", chunk_size=sizes.max_chunk_size_tokens, chunk_overlap=sizes.chunk_overlap_tokens
    )


def sizes_of(config: ChunkConfig) -> StaticChunks:
    return StaticChunks(config.chunk_size, config.chunk_overlap or 0)


def _expired(module: Module, now: float) -> bool:
    return module.expires_at is not None and now >= module.expires_at


def counts(rows: Iterable[Document]) -> Counts:
    """Number of files by status, of rows that count documents by theirs."""
    found: dict[str, int] = dict.fromkeys(views.FILE_STATUSES, 0)
    for row in rows:
        found[_STATUS[row["status"]]] += row["count"]
    return Counts(**found)


def status_of(document_status: str) -> str:
    return _STATUS[document_status]


def document_statuses(status: str) -> Sequence[str]:
    """Statuses of the documents whose files have this one."""
    return tuple(own for own, shown in _STATUS.items() if shown == status)


def _key_of(id: str) -> str:
    """The key of the module: ids have underscores, which keys have not."""
    return id.replace("_", "-")


def _view(module: Module, rows: Sequence[Mapping[str, Any]], now: float) -> Store:
    return Store(
        id=module.vector_store_id or "",
        name=module.name,
        description=module.description,
        metadata=module.metadata,
        created_at=module.created_at,
        last_active_at=module.last_active_at or module.created_at,
        expires_days=module.expires_days,
        expired=_expired(module, now),
        counts=counts(dict(row) for row in rows),
        usage_bytes=sum(int(row["size"] or 0) for row in rows),
    )
