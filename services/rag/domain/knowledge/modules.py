"""The knowledge modules of a project: create, list, read, update, delete."""

import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import msgspec

from core import context as request_context
from core import fields
from core.audit import changes as audit
from core.errors import Conflict, FailedPrecondition, InvalidInput, NotFound, PorticoError
from core.jobs.jobs import Jobs
from core.storage.ports import Cond, DocumentStore, Op
from core.storage.table import Table
from core.tenancy import Project
from services.rag.domain.files.buckets import Buckets
from services.rag.domain.knowledge.chunking.config import ChunkConfig
from services.rag.domain.knowledge.indexing import ensure_index
from services.rag.domain.knowledge.records import ACTIVE, DELETING, DISABLED, PENDING, RUNNING, Hybrid, Module, Reindex
from services.rag.domain.knowledge.tables import DOCUMENTS, MODULES, REINDEXES
from services.rag.ports import Embedder, IndexRef, Vectors

REMOVAL = "rag.module.removal"
GRACE_SECONDS = 30.0
"""Delay of a job that is submitted before the change that it is about."""
MAX_TOP_K = 100
_PROVIDER = "default"
_BUCKET = "default"
_PROBE = "dimension"
_DETAILS = ("full", "text")
_MODES = ("rrf", "weighted")
_REMOVAL_ATTEMPTS = 1_000


@dataclass(frozen=True, slots=True)
class NewModule:
    """A module as its caller describes it. What is empty or 0 is left to the default."""

    name: str
    embedding_model_key: str
    key: str = ""
    description: str = ""
    vector_provider_key: str = ""
    vector_index_key: str = ""
    chunk_config: ChunkConfig = ChunkConfig()
    file_bucket_key: str = ""
    status: str = ""
    reranker_key: str = ""
    reranker_oversample: int = 0
    default_top_k: int = 0
    default_min_score: float = 0.0
    default_filter: Mapping[str, Any] = field(default_factory=dict)
    filterable_fields: Sequence[str] = ()
    response_detail: str = ""
    hybrid: Hybrid = Hybrid()
    isolate_by_module: bool = True
    metadata: Mapping[str, Any] = field(default_factory=dict)
    vector_store_id: str | None = None
    expires_days: int | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """Documents of a module, and their indexed chunks."""

    documents: int = 0
    chunks: int = 0


class Modules:
    """Use cases. Each takes the project first; what is another's is not there."""

    def __init__(
        self, store: DocumentStore, jobs: Jobs, buckets: Buckets, embedder: Embedder, vectors: Vectors
    ) -> None:
        self._store = store
        self._table = Table(store, MODULES, Module)
        self._reindexes = Table(store, REINDEXES, Reindex)
        self._jobs = jobs
        self._buckets = buckets
        self._embedder = embedder
        self._vectors = vectors

    async def get(self, project: Project, key: str) -> Module:
        """The module of this key. Raises NotFound."""
        module = await self._table.find_one(project, {"liveKey": key}) if key else None
        if module is None:
            raise NotFound("There is no such module in this project.", reason="MODULE_NOT_FOUND", field="moduleKey")
        return module

    async def active(self, project: Project, key: str) -> Module:
        """The module of this key, which takes documents and queries. Raises NotFound, FailedPrecondition."""
        module = await self.get(project, key)
        if module.status != ACTIVE:
            raise FailedPrecondition(
                "The module is disabled. Set its status to active first.", reason="MODULE_DISABLED", field="moduleKey"
            )
        return module

    async def by_id(self, project: Project, id: str) -> Module | None:
        """The module of this id; None: there is none, or it is being deleted."""
        module = await self._table.get(project, id)
        return None if module is None or module.status == DELETING else module

    async def page(self, project: Project, size: int, token: str) -> tuple[list[Module], str]:
        """One page, newest first, and the token of the next."""
        limit = fields.page_size(size, fields.MAX_PAGE)
        where = {"status": Cond(Op.NE, DELETING)}
        return await self._table.page(project, where, page_size=limit, page_token=token)

    async def counts(self, project: Project, ids: Sequence[str]) -> dict[str, Counts]:
        """Count documents and their indexed chunks, by module; counted anew each time."""
        where = {"moduleId": Cond(Op.IN, list(ids)), "status": Cond(Op.NE, DELETING)}
        rows = await self._store.totals(project, DOCUMENTS, where, group_by=["moduleId"], sums=["chunkCount"])
        return {row["moduleId"]: Counts(row["count"], int(row["chunkCount"] or 0)) for row in rows}

    async def create(self, project: Project, new: NewModule) -> Module:
        """Create a module, and the index of its own where none is named. Raises InvalidInput, Conflict (the key),
        NotFound (vector provider, bucket), FailedPrecondition (the embedding model), and what the models raise."""
        name = fields.text("name", new.name, at_least=1, at_most=200)
        module = Module(
            id=f"mod_{uuid4().hex}",
            key=(key := fields.key("key", new.key) if new.key else fields.slug(name, "module")),
            live_key=key,
            name=name,
            embedding_model_key=fields.text("embeddingModelKey", new.embedding_model_key, at_least=1, at_most=200),
            vector_provider_key=new.vector_provider_key or _PROVIDER,
            vector_index_key=new.vector_index_key or own_index_name(key),
            own_index=not new.vector_index_key,
            dimension=0,
            chunk_config=new.chunk_config.checked(),
            created_at=(now := time.time()),
            updated_at=now,
            created_by=request_context.identity().subject,
            vector_store_id=new.vector_store_id,
            expires_days=new.expires_days,
            last_active_at=now if new.vector_store_id else None,
            **checked(
                description=new.description,
                status=new.status or ACTIVE,
                reranker_key=new.reranker_key,
                reranker_oversample=new.reranker_oversample,
                default_top_k=new.default_top_k,
                default_min_score=new.default_min_score,
                default_filter=new.default_filter,
                filterable_fields=new.filterable_fields,
                response_detail=new.response_detail or _DETAILS[0],
                hybrid=new.hybrid,
                isolate_by_module=new.isolate_by_module,
                metadata=new.metadata,
            ),
            **await self._bucket(project, new.file_bucket_key),
        )
        if await self._table.find_one(project, {"liveKey": key}) is not None:
            raise _taken()
        module = await self._with_index(module)
        try:
            await self._table.insert(project, module)
        except Conflict:
            raise _taken() from None
        try:
            await self._make_index(module)
        except PorticoError:
            await self._table.delete(project, module.id)
            raise
        return module

    async def update(self, project: Project, key: str, changes: Mapping[str, Any]) -> Module:
        """Change fields, named as the record names them, but for those that take a re-index. Raises NotFound,
        InvalidInput."""
        given = checked(**{name: value for name, value in changes.items() if name in _CHECKS})
        if "name" in changes:
            given["name"] = fields.text("name", changes["name"], at_least=1, at_most=200)
        if "chunk_config" in changes:
            given["chunk_config"] = changes["chunk_config"]
        if "file_bucket_key" in changes:
            given |= await self._bucket(project, changes["file_bucket_key"])
        module = await self.get(project, key)
        if not given:
            return module
        changed = await self._table.update(project, module.id, where={"liveKey": key}, updated_at=time.time(), **given)
        if changed is None:
            raise NotFound("The module was deleted meanwhile.", reason="MODULE_NOT_FOUND", field="key")
        return changed

    async def delete(self, project: Project, key: str) -> None:
        """Delete a module: it is gone from view at once, and a job removes the rest. Raises NotFound."""
        module = await self.get(project, key)
        job = await self._jobs.submit(
            project, REMOVAL, {"module": module.id}, max_attempts=_REMOVAL_ATTEMPTS, delay=GRACE_SECONDS
        )
        gone = await self._table.update(
            project, module.id, where={"liveKey": key}, live_key=None, status=DELETING, updated_at=time.time()
        )
        await self._jobs.hasten(project, job.id)
        if gone is None:
            raise NotFound("There is no such module in this project.", reason="MODULE_NOT_FOUND", field="key")
        audit.change().resource_id = module.key

    async def switch(self, project: Project, module: Module, **changes: Any) -> Module | None:
        """Change a module over to another generation in one step; None: it is not of this one any more."""
        where = {"generation": module.generation, "status": module.status}
        return await self._table.update(project, module.id, where=where, updated_at=time.time(), **changes)

    async def reindex_of(self, project: Project, module: Module) -> Reindex | None:
        """The re-index of a module that has not ended."""
        where = {"moduleId": module.id, "status": Cond(Op.IN, [PENDING, RUNNING])}
        return await self._reindexes.find_one(project, where)

    async def indexes(self, project: Project, module: Module) -> list[IndexRef]:
        """The index of a module, and the one that a re-index is making."""
        reindex = await self.reindex_of(project, module)
        return [module.index] if reindex is None else [module.index, reindex.index]

    async def dimension_of(self, model_key: str) -> int:
        """The length of a model's vectors, which it is asked for. Raises FailedPrecondition, and what it raises."""
        (vector,) = await self._embedder.embed(model_key, [_PROBE])
        return len(vector)

    async def _with_index(self, module: Module) -> Module:
        """The module with the dimension of its model. Raises InvalidInput where a named index does not fit."""
        dimension = await self.dimension_of(module.embedding_model_key)
        module = msgspec.structs.replace(module, dimension=dimension)
        if module.own_index:
            return module
        with suppress(NotFound):
            info = await self._vectors.index(module.index)
            if info.dimension != dimension:
                raise InvalidInput(
                    f"The index {info.ref.index_key} has the dimension {info.dimension}, and the embedding model makes "
                    f"vectors of {dimension} numbers. Choose another index, or another model.",
                    reason="DIMENSION_MISMATCH",
                    field="vectorIndexKey",
                )
            _check_hybrid(module.hybrid, info.hybrid)
            return msgspec.structs.replace(module, metric=info.metric)
        return module

    async def _make_index(self, module: Module) -> None:
        if module.own_index:
            _check_hybrid(module.hybrid, await ensure_index(self._vectors, module.index, module.dimension))
            return
        try:
            await self._vectors.index(module.index)
        except NotFound:
            made = await ensure_index(self._vectors, module.index, module.dimension)
            _check_hybrid(module.hybrid, made)

    async def _bucket(self, project: Project, key: str) -> dict[str, Any]:
        try:
            bucket = await self._buckets.get(project, key or _BUCKET)
        except NotFound:
            raise NotFound(
                "There is no such bucket in this project.", reason="BUCKET_NOT_FOUND", field="fileBucketKey"
            ) from None
        return {"file_bucket_key": bucket.key, "file_provider_key": bucket.provider_key}


def own_index_name(key: str) -> str:
    """A new name, which is its key too, for the index of a module."""
    return f"rag-{key[:30].strip('-')}-{secrets.token_hex(12)}"


def _taken() -> Conflict:
    return Conflict("The project has a module with this key. Choose another.", reason="KEY_TAKEN", field="key")


def _check_hybrid(hybrid: Hybrid, able: bool) -> None:
    if hybrid.enabled and not able:
        raise InvalidInput("The module's vector index has no keyword search.", field="hybrid.enabled")


def _hybrid(value: Hybrid) -> Hybrid:
    fields.one_of("hybrid.mode", value.mode, _MODES)
    if not 0 <= value.alpha <= 1:
        raise InvalidInput("hybrid.alpha must be 0 to 1.", field="hybrid.alpha")
    if not 0 <= value.k <= 1000:
        raise InvalidInput("hybrid.k must be 0 to 1000.", field="hybrid.k")
    return value


def _filterable(value: Sequence[str]) -> tuple[str, ...]:
    fields.count("filterableFields", value, 64)
    for each in value:
        if not isinstance(each, str) or not 1 <= len(each) <= 100 or each.startswith(("_", "$")):
            raise InvalidInput(
                "filterableFields must be names of metadata, 1 to 100 characters that do not begin with _ or $.",
                field="filterableFields",
            )
    return tuple(value)


_CHECKS: Mapping[str, Any] = {
    "description": lambda value: fields.text("description", value, at_most=2000),
    "status": lambda value: fields.one_of("status", value, (ACTIVE, DISABLED)),
    "reranker_key": lambda value: fields.text("rerankerKey", value, at_most=200),
    "reranker_oversample": lambda value: fields.between("rerankerOversample", value, 1, 20, default=3),
    "default_top_k": lambda value: fields.between("defaultTopK", value, 1, MAX_TOP_K, default=5),
    "default_min_score": float,
    "default_filter": lambda value: fields.small_json("defaultFilter", value),
    "filterable_fields": _filterable,
    "response_detail": lambda value: fields.one_of("responseDetail", value, _DETAILS),
    "hybrid": _hybrid,
    "isolate_by_module": bool,
    "metadata": lambda value: fields.small_json("metadata", value),
}
"""The check of each field that an update may change by itself."""


def checked(**given: Any) -> dict[str, Any]:
    """The checked values of fields, named as the record names them. Raises InvalidInput."""
    return {name: _CHECKS[name](value) for name, value in given.items()}
