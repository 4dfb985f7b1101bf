"""Re-indexing: all documents of a module into a new index, then the module changes over in one step.

The old index serves meanwhile. A document that changes while the re-index runs is done again; when none is left, the
module changes over, and what changed at that very moment is done after that. What a run that was killed was working on
is in its checkpoint, so that a document which was deleted meanwhile leaves nothing in the new index.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import uuid4

import msgspec

from core import fields
from core.errors import Conflict, FailedPrecondition, NotFound
from core.jobs.ends import JobEnd
from core.jobs.jobs import Jobs
from core.jobs.records import Job, Status
from core.jobs.run import JobRun
from core.storage.ports import Cond, DocumentStore, Op
from core.storage.table import Table
from core.tenancy import Project
from services.rag.domain.knowledge.chunking.config import ChunkConfig
from services.rag.domain.knowledge.chunks import Chunks
from services.rag.domain.knowledge.document_jobs import waiting_for_services
from services.rag.domain.knowledge.indexing import Indexer, Target, ensure_index
from services.rag.domain.knowledge.modules import GRACE_SECONDS, Modules, own_index_name
from services.rag.domain.knowledge.records import (
    CANCELLED,
    COMPLETED,
    COSINE,
    DELETING,
    FAILED,
    PENDING,
    RUNNING,
    Document,
    Module,
    Reindex,
)
from services.rag.domain.knowledge.tables import DOCUMENTS, REINDEXES
from services.rag.domain.knowledge.texts import Texts
from services.rag.ports import Vectors

KIND = "rag.reindex"
CLEANUP = "rag.reindex.cleanup"
_AT_A_TIME = 8
_CLEANUP_ATTEMPTS = 1_000
_ENDS = {Status.FAILED: FAILED, Status.CANCELLED: CANCELLED}


class Reindexes:
    """Use cases. Each takes the project first; what is another's is not there."""

    def __init__(self, store: DocumentStore, jobs: Jobs, modules: Modules) -> None:
        self._table = Table(store, REINDEXES, Reindex)
        self._jobs = jobs
        self._modules = modules

    async def update(self, project: Project, key: str, changes: dict[str, Any]) -> Module:
        """Change a module. A new embedding model or chunking begins a re-index. Raises as `Modules.update` and
        `create`."""
        module = await self._modules.get(project, key)
        model = changes.pop("embedding_model_key", module.embedding_model_key)
        chunking = changes.pop("chunk_config", module.chunk_config).checked()
        alike = model == module.embedding_model_key and chunking.alike(module.chunk_config)
        if alike and chunking != module.chunk_config:
            changes["chunk_config"] = chunking
        updated = await self._modules.update(project, key, changes)
        if not alike:
            await self.create(project, updated, model, chunking)
        return updated

    async def create(
        self, project: Project, module: Module, embedding_model_key: str = "", chunk_config: ChunkConfig | None = None
    ) -> Reindex:
        """Begin a re-index; empty or None: as the module has it. Raises Conflict where one is under way, InvalidInput,
        FailedPrecondition (the embedding model), and what the model raises."""
        model = fields.text("embeddingModelKey", embedding_model_key or module.embedding_model_key, at_most=200)
        chunking = module.chunk_config if chunk_config is None else chunk_config.checked()
        dimension = await self._modules.dimension_of(model)
        newest, _ = await self._table.page(project, {"moduleId": module.id}, page_size=1)
        now, id = time.time(), f"rix_{uuid4().hex}"
        key = f"{KIND}:{module.id}"
        try:
            job = await self._jobs.submit(project, KIND, {"reindex": id}, unique_key=key, delay=GRACE_SECONDS)
        except Conflict:
            raise Conflict("A re-index of this module is under way.", reason="REINDEXING", field="moduleKey") from None
        reason = "manual" if chunking.alike(module.chunk_config) else "chunk-config"
        reindex = Reindex(
            id=id,
            module_id=module.id,
            job_id=job.id,
            reason=reason if model == module.embedding_model_key else "embedding-model",
            generation=max(module.generation, *(each.generation for each in newest), 0) + 1,
            embedding_model_key=model,
            dimension=dimension,
            vector_provider_key=module.vector_provider_key,
            vector_index_key=own_index_name(module.key),
            chunk_config=chunking,
            old_generation=module.generation,
            old_index_key=module.vector_index_key,
            old_own_index=module.own_index,
            created_at=now,
            updated_at=now,
        )
        await self._table.insert(project, reindex)
        await self._jobs.hasten(project, job.id)
        return reindex

    async def get(self, project: Project, module: Module, id: str) -> tuple[Reindex, Job | None]:
        """The re-index of this id, and its job if that is still known. Raises NotFound."""
        reindex = await self._table.get(project, id)
        if reindex is None or reindex.module_id != module.id:
            raise NotFound("There is no such re-index of this module.", reason="REINDEX_NOT_FOUND", field="id")
        return reindex, await self.job(project, reindex)

    async def job(self, project: Project, reindex: Reindex) -> Job | None:
        try:
            return await self._jobs.get(project, reindex.job_id, KIND)
        except NotFound:
            return None

    async def list(self, project: Project, module: Module, size: int, token: str) -> tuple[list[Reindex], str]:
        """One page, newest first, and the token of the next."""
        where = {"moduleId": module.id}
        return await self._table.page(project, where, page_size=fields.page_size(size), page_token=token)

    async def cancel(self, project: Project, module: Module, id: str) -> tuple[Reindex, Job | None]:
        """Cancel a re-index; its end hook has the new index removed. Raises NotFound, FailedPrecondition for one that
        has ended, or has changed the module over."""
        reindex, _ = await self.get(project, module, id)
        if reindex.status not in (PENDING, RUNNING) or module.generation >= reindex.generation:
            raise FailedPrecondition(f"This has ended already: {reindex.status}.", reason="JOB_ENDED", field="id")
        await self._jobs.cancel(project, reindex.job_id)
        await self._table.update(
            project, id, where={"status": Cond(Op.IN, [PENDING, RUNNING])}, status=CANCELLED, updated_at=time.time()
        )
        return await self.get(project, module, id)


class ReindexJobs:
    """Handlers and end hook of the jobs of re-indexes."""

    def __init__(
        self,
        store: DocumentStore,
        jobs: Jobs,
        modules: Modules,
        texts: Texts,
        chunks: Chunks,
        indexer: Indexer,
        vectors: Vectors,
    ) -> None:
        self._table = Table(store, REINDEXES, Reindex)
        self._documents = Table(store, DOCUMENTS, Document)
        self._jobs = jobs
        self._modules = modules
        self._texts = texts
        self._chunks = chunks
        self._indexer = indexer
        self._vectors = vectors

    async def run(self, run: JobRun) -> None:
        """The handler of re-indexes."""
        reindex = await self._table.get(run.scope, run.payload["reindex"])
        module = await self._modules.by_id(run.scope, reindex.module_id) if reindex else None
        if reindex is None or module is None or reindex.status not in (PENDING, RUNNING):
            run.change.recorded = False
            return
        run.change.resource_id = module.key
        with waiting_for_services():
            await self._table.update(run.scope, reindex.id, status=RUNNING, updated_at=time.time())
            await ensure_index(self._vectors, reindex.index, reindex.dimension)
            await self._forget_deleted(run, reindex, (run.state or {}).get("working", ()))
            while module.generation < reindex.generation:
                while await self._pass(run, module, reindex):
                    pass
                switched = await self._switch(run.scope, module, reindex)
                if switched is None:
                    return
                module = switched
            while await self._pass(run, module, reindex):
                pass
            await self._settle(run.scope, module, reindex)
            await self._remove_old(run.scope, module, reindex)
        await self._table.update(run.scope, reindex.id, status=COMPLETED, updated_at=time.time())

    async def ended(self, end: JobEnd) -> None:
        """The end hook: one that failed or was cancelled says so, and its index is removed. Where the module has
        changed over already, the rest is done."""
        reindex = await self._table.get(end.scope, end.payload["reindex"])
        if reindex is None or end.status is Status.SUCCEEDED or reindex.status == COMPLETED:
            return
        module = await self._modules.by_id(end.scope, reindex.module_id)
        if module is not None and module.generation >= reindex.generation:
            job = await self._jobs.submit(end.scope, KIND, end.payload)
            await self._table.update(end.scope, reindex.id, status=RUNNING, job_id=job.id)
            return
        await self._table.update(
            end.scope, reindex.id, status=_ENDS[end.status], error_message=end.error, updated_at=time.time()
        )
        with suppress(Conflict):
            await self._jobs.submit(
                end.scope,
                CLEANUP,
                end.payload,
                unique_key=f"{CLEANUP}:{reindex.id}",
                max_attempts=_CLEANUP_ATTEMPTS,
            )

    async def clean_up(self, run: JobRun) -> None:
        """The handler of clean-ups: remove the index of a re-index that was not finished."""
        reindex = await self._table.get(run.scope, run.payload["reindex"])
        if reindex is None or reindex.status not in (FAILED, CANCELLED):
            return
        with waiting_for_services():
            await self._vectors.delete_index(reindex.index)
        await self._chunks.delete_generation(run.scope, reindex.module_id, reindex.generation)

    async def _pass(self, run: JobRun, module: Module, reindex: Reindex) -> bool:
        """Index the documents that are not in the new index as they are now. Return whether there were any."""
        missing = []
        total = 0
        async for document in self._documents.scan(run.scope, _indexed(module)):
            total += 1
            there = (document.next_generation, document.next_version) == (reindex.generation, document.indexed_version)
            made_there = document.indexed_generation == reindex.generation
            if not there and not made_there:
                missing.append(document)
        target = _target(module, reindex)
        for at in range(0, len(missing), _AT_A_TIME):
            batch = missing[at : at + _AT_A_TIME]
            await run.checkpoint(total - len(missing) + at, total, {"working": [each.id for each in batch]})
            await asyncio.gather(*(self._one(run.scope, target, document) for document in batch))
        await run.checkpoint(total, total, {"working": []})
        return bool(missing)

    async def _one(self, project: Project, target: Target, document: Document) -> None:
        text = await self._texts.read(project, document.id, document.indexed_source)
        version = document.indexed_version
        shown = msgspec.structs.replace(document, version=version)
        own = replace(target, chunk_config=document.chunk_config or target.chunk_config)
        count = await self._indexer.index(project, own, shown, text, _ignored)
        changed = await self._documents.update(
            project,
            document.id,
            where={"indexedVersion": version, "status": Cond(Op.NE, DELETING)},
            next_version=version,
            next_generation=target.generation,
            next_chunk_count=count,
        )
        now = await self._documents.get(project, document.id) if changed is None else changed
        if now is None or now.status == DELETING:
            await self._drop(project, target, document.id)
        elif document.next_generation == target.generation or changed is None:
            kept = now.indexed_version
            await self._vectors.delete(target.index, filter={"_documentId": document.id, "_version": {"$ne": kept}})
            await self._chunks.delete(project, document.id, generation=target.generation, but_version=kept)

    async def _forget_deleted(self, run: JobRun, reindex: Reindex, ids: Sequence[str]) -> None:
        for id in ids:
            document = await self._documents.get(run.scope, id)
            if document is None or document.status == DELETING:
                await self._vectors.delete(reindex.index, filter={"_documentId": id})
                await self._chunks.delete(run.scope, id, generation=reindex.generation)

    async def _drop(self, project: Project, target: Target, document_id: str) -> None:
        await self._vectors.delete(target.index, filter={"_documentId": document_id})
        await self._chunks.delete(project, document_id, generation=target.generation)

    async def _switch(self, project: Project, module: Module, reindex: Reindex) -> Module | None:
        """Change the module over; the module as it is where something else of it was changed. None: it is gone."""
        switched = await self._modules.switch(
            project,
            module,
            generation=reindex.generation,
            embedding_model_key=reindex.embedding_model_key,
            dimension=reindex.dimension,
            chunk_config=reindex.chunk_config,
            vector_index_key=reindex.vector_index_key,
            own_index=True,
            metric=COSINE,
        )
        return switched or await self._modules.by_id(project, module.id)

    async def _settle(self, project: Project, module: Module, reindex: Reindex) -> None:
        """Say in each document that it is in the new index, and how many chunks it has there."""
        async for document in self._documents.scan(project, _indexed(module)):
            if document.indexed_generation != reindex.generation:
                await self._documents.update(
                    project,
                    document.id,
                    where={"indexedVersion": document.next_version},
                    indexed_generation=reindex.generation,
                    chunk_count=document.next_chunk_count,
                )

    async def _remove_old(self, project: Project, module: Module, reindex: Reindex) -> None:
        if reindex.old_own_index:
            await self._vectors.delete_index(reindex.old_index)
        else:
            with suppress(NotFound):
                await self._vectors.delete(reindex.old_index, filter={"_ragModule": module.id})
        await self._chunks.delete_generation(project, module.id, reindex.old_generation)


async def _ignored(done: int, total: int) -> None:
    """The progress of a re-index is counted in documents."""


def _indexed(module: Module) -> dict[str, Any]:
    return {"moduleId": module.id, "indexedVersion": Cond(Op.GT, 0), "status": Cond(Op.NE, DELETING)}


def _target(module: Module, reindex: Reindex) -> Target:
    same = module.embedding_model_key == reindex.embedding_model_key and module.generation != reindex.generation
    return Target(
        generation=reindex.generation,
        index=reindex.index,
        embedding_model_key=reindex.embedding_model_key,
        dimension=reindex.dimension,
        chunk_config=reindex.chunk_config,
        filterable=module.filterable_fields,
        reusable={reindex.generation: reindex.index} | ({module.generation: module.index} if same else {}),
    )
