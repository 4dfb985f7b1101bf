"""The jobs of documents: each brings one version of a document about.

A job begins when the job of the version before has ended, so no two work on a document at a time. It does nothing where
its version never came to be, or is superseded, but for taking back what was kept for it.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import msgspec

from core import logs
from core.circuits import CircuitOpen
from core.errors import (
    SERVICE_AWAY,
    FailedPrecondition,
    NotFound,
    PorticoError,
    Unavailable,
)
from core.jobs.ends import JobEnd
from core.jobs.jobs import Jobs
from core.jobs.records import Status
from core.jobs.run import MAY_PASS, JobRun, Postponed
from core.storage.ports import Cond, DocumentStore, Op
from core.storage.table import Table
from core.tenancy import Project
from services.rag.domain.files.files import Files
from services.rag.domain.knowledge.chunks import Chunks
from services.rag.domain.knowledge.document_texts import DocumentTexts
from services.rag.domain.knowledge.indexing import Indexer, Target, ensure_index
from services.rag.domain.knowledge.modules import Modules
from services.rag.domain.knowledge.records import (
    CANCELLED,
    DELETING,
    FAILED,
    INDEXED,
    PROCESSING,
    Document,
    FileRef,
    Module,
)
from services.rag.domain.knowledge.tables import DOCUMENTS
from services.rag.domain.knowledge.texts import Texts
from services.rag.ports import IndexRef, Vectors

log = logs.get(__name__)

_AWAY_SECONDS = 2.0
_MIGRATING_SECONDS = 15.0
_PREVIOUS_SECONDS = 0.2
_OUR_FAULT = frozenset({"INTERNAL", "INTERRUPTED"})


@contextmanager
def waiting_for_services() -> Iterator[None]:
    """Put a job off while a service that it needs is away, or a migration copies its index: that is no failure of the
    job."""
    try:
        yield
    except CircuitOpen as error:
        raise Postponed(error.retry_after or _AWAY_SECONDS) from error
    except Unavailable as error:
        if error.reason != SERVICE_AWAY:
            raise
        raise Postponed(_AWAY_SECONDS) from error
    except FailedPrecondition as error:
        if error.reason != "MIGRATING":
            raise
        raise Postponed(_MIGRATING_SECONDS) from error


class DocumentJobs:
    """Handler and end hook of the jobs of documents."""

    def __init__(
        self,
        store: DocumentStore,
        jobs: Jobs,
        modules: Modules,
        texts: Texts,
        chunks: Chunks,
        document_texts: DocumentTexts,
        indexer: Indexer,
        vectors: Vectors,
        files: Files,
    ) -> None:
        self._table = Table(store, DOCUMENTS, Document)
        self._jobs = jobs
        self._modules = modules
        self._texts = texts
        self._chunks = chunks
        self._document_texts = document_texts
        self._indexer = indexer
        self._vectors = vectors
        self._files = files

    async def run(self, run: JobRun) -> None:
        """The handler of the jobs."""
        run.change.recorded = False
        await self._wait_for_previous(run)
        document = await self._table.get(run.scope, run.payload["document"])
        if document is None or document.job_id != run.id:
            await self._take_back(run, document)
            return
        run.change.resource_id = document.path
        with waiting_for_services():
            if document.status == DELETING:
                await self._remove(run.scope, document)
                return
            module = await self._modules.by_id(run.scope, document.module_id)
            if module is None:  # its removal does the rest
                return
            if document.status == CANCELLED:
                await self._drop_unindexed(run.scope, module, document)
            else:
                await self._bring_about(run, module, document)

    async def ended(self, end: JobEnd) -> None:
        """The end hook of the jobs: a version that failed for good says so in the document."""
        if end.status is not Status.FAILED:
            return
        message = "The ingestion broke off again and again." if end.reason in _OUR_FAULT else end.error
        await self._table.update(
            end.scope,
            end.payload["document"],
            where={"jobId": end.id, "status": Cond(Op.NE, DELETING)},
            status=FAILED,
            error_message=message,
            error_reason=end.reason,
            updated_at=time.time(),
        )

    async def _wait_for_previous(self, run: JobRun) -> None:
        previous = run.payload["previous"]
        if not previous:
            return
        with suppress(NotFound, FailedPrecondition):
            job = await self._jobs.get(run.scope, previous)
            if not job.status.ended:
                job = await self._jobs.cancel(run.scope, previous)
            if not job.status.ended:
                raise Postponed(_PREVIOUS_SECONDS)

    async def _take_back(self, run: JobRun, document: Document | None) -> None:
        """Remove what was kept for a version that never came to be."""
        sources = () if document is None else (document.source.id, document.text_source, document.indexed_source)
        if run.id not in sources:
            await self._texts.delete_source(run.scope, run.id)
        if run.payload["file"] is not None:
            file = msgspec.convert(run.payload["file"], FileRef)
            in_use = () if document is None else (document.source.file, *document.stale_files)
            if file not in in_use:
                await self._delete_file(run.scope, file)

    async def _bring_about(self, run: JobRun, module: Module, document: Document) -> None:
        if document.indexed_version != document.version or document.indexed_generation != module.generation:
            try:
                indexed = await self._index(run, module, document)
            except PorticoError as error:
                if not isinstance(error, MAY_PASS) or run.job.failures + 1 >= run.job.max_attempts:
                    await self._drop_version(run.scope, module, document)
                raise
            if indexed is None:
                return
            document, module = indexed
        await self._clean_up(run, module, document)

    async def _index(self, run: JobRun, module: Module, document: Document) -> tuple[Document, Module] | None:
        """Index the version, and make it the one that is found. None: it was superseded."""
        ours = {"jobId": run.id, "status": Cond(Op.NE, DELETING)}
        if await self._table.update(run.scope, document.id, where=ours, status=PROCESSING) is None:
            return None
        text = await self._document_texts.read(run.scope, document)
        if document.text_source != (source := document.source.id):
            if (ready := await self._table.update(run.scope, document.id, where=ours, text_source=source)) is None:
                return None
            document = ready
        while True:
            try:
                count = await self._indexer.index(
                    run.scope, target_of(module, document), document, text, run.checkpoint
                )
            except NotFound:
                module = await self._with_index(run.scope, module)
                continue
            changes: dict[str, Any] = {
                "status": INDEXED,
                "indexed_version": document.version,
                "indexed_source": document.source.id,
                "indexed_generation": module.generation,
                "text_length": len(text),
                "chunk_count": count,
                "error_message": "",
                "error_reason": "",
                "last_indexed_at": (now := time.time()),
                "updated_at": now,
            }
            changed = await self._table.update(run.scope, document.id, where=ours, **changes)
            current = await self._modules.by_id(run.scope, module.id)
            if changed is None or current is None:
                return None
            if current.generation == module.generation:
                return changed, module
            await self._chunks.delete(run.scope, document.id, generation=module.generation)
            module = current  # a re-index has ended meanwhile, which may not have seen this version

    async def _with_index(self, project: Project, module: Module) -> Module:
        """The module, whose index was not there, as it is now: changed over to another one, or with the index made."""
        current = await self._modules.by_id(project, module.id)
        if current is None:
            raise NotFound("The module was deleted meanwhile.", reason="MODULE_NOT_FOUND", field="moduleKey")
        if current.generation == module.generation:
            if not current.own_index:
                raise FailedPrecondition(
                    "The module's vector index is gone. Create it again, or re-index the module.",
                    reason="INDEX_GONE",
                    field="vectorIndexKey",
                )
            await ensure_index(self._vectors, current.index, current.dimension)
        return current

    async def _clean_up(self, run: JobRun, module: Module, document: Document) -> None:
        """Remove what there is of other versions, and tell the audit log."""
        if document.version > 1:
            await self._delete_vectors(
                module.index, {"_documentId": document.id, "_version": {"$ne": document.version}}
            )
            await self._chunks.delete(
                run.scope, document.id, generation=module.generation, but_version=document.version
            )
            await self._texts.delete(run.scope, document.id, but=(document.source.id, document.indexed_source))
            for file in document.stale_files:
                await self._delete_file(run.scope, file)
            if document.stale_files:
                await self._table.update(run.scope, document.id, where={"jobId": run.id}, stale_files=())
        run.change.recorded = True

    async def _drop_version(self, project: Project, module: Module, document: Document) -> None:
        """Remove what a version that fails has written, as far as that is possible now; nobody finds it anyway."""
        try:
            await self._delete_vectors(module.index, {"_documentId": document.id, "_version": document.version})
            await self._chunks.delete(
                project, document.id, generation=module.generation, but_version=document.indexed_version
            )
        except PorticoError as error:
            log.warning("chunks of a failed document are left", reason=error.reason)

    async def _drop_unindexed(self, project: Project, module: Module, document: Document) -> None:
        """Remove what has been written of versions that were cancelled before they were indexed."""
        indexed = document.indexed_version
        await self._delete_vectors(module.index, {"_documentId": document.id, "_version": {"$ne": indexed}})
        await self._chunks.delete(project, document.id, generation=module.generation, but_version=indexed)

    async def _remove(self, project: Project, document: Document) -> None:
        module = await self._modules.by_id(project, document.module_id)
        if module is not None:
            for index in await self._modules.indexes(project, module):
                await self._delete_vectors(index, {"_documentId": document.id})
        await self.forget(project, document)

    async def forget(self, project: Project, document: Document) -> None:
        """Remove a document whose vectors are gone: its chunks, texts and files, then its record."""
        await self._chunks.delete(project, document.id)
        await self._texts.delete(project, document.id)
        for file in (*document.stale_files, document.source.file):
            if file is not None and (document.source.owned or file != document.source.file):
                await self._delete_file(project, file)
        await self._table.delete(project, document.id)

    async def _delete_vectors(self, index: IndexRef, filter: dict[str, Any]) -> None:
        with suppress(NotFound):
            await self._vectors.delete(index, filter=filter)

    async def _delete_file(self, project: Project, file: FileRef) -> None:
        with suppress(NotFound):
            await self._files.delete(project, file.bucket_key, file.object_key)


def target_of(module: Module, document: Document) -> Target:
    return Target(
        generation=module.generation,
        index=module.index,
        embedding_model_key=module.embedding_model_key,
        dimension=module.dimension,
        chunk_config=document.chunk_config or module.chunk_config,
        filterable=module.filterable_fields,
        reusable={module.generation: module.index},
    )
