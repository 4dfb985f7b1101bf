"""Removal of deleted modules, and of all modules of a deleted project."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

from core.errors import FailedPrecondition, NotFound
from core.jobs.jobs import Jobs
from core.jobs.run import JobRun, Postponed
from core.storage.ports import Cond, DocumentStore, Op
from core.storage.table import Table
from core.tenancy import Project
from services.rag.domain.knowledge.chunks import Chunks
from services.rag.domain.knowledge.document_jobs import DocumentJobs, waiting_for_services
from services.rag.domain.knowledge.records import CANCELLED, COMPLETED, DELETING, FAILED, Document, Module, Reindex
from services.rag.domain.knowledge.tables import COLLECTIONS, DOCUMENTS, MODULES, REINDEXES
from services.rag.domain.knowledge.texts import Texts
from services.rag.ports import IndexRef, Vectors

_AGAIN_SECONDS = 0.5


RemovePart = Callable[[Project, str], Awaitable[None]]
"""Removes what another part of the service keeps of a module, given by its id. May be called again."""


class ModuleRemoval:
    """Handler of the jobs that remove a module. First the jobs of its documents end, then its vectors go, then its
    records, the module's own last."""

    def __init__(
        self, store: DocumentStore, jobs: Jobs, documents: DocumentJobs, texts: Texts, chunks: Chunks, vectors: Vectors
    ) -> None:
        self._store = store
        self._modules = Table(store, MODULES, Module)
        self._documents = Table(store, DOCUMENTS, Document)
        self._reindexes = Table(store, REINDEXES, Reindex)
        self._jobs = jobs
        self._document_jobs = documents
        self._texts = texts
        self._chunks = chunks
        self._vectors = vectors
        self._parts: list[RemovePart] = []

    def also(self, remove: RemovePart) -> None:
        """Have a part of the service remove what it keeps of each module that is removed."""
        self._parts.append(remove)

    async def run(self, run: JobRun) -> None:
        """The handler of the jobs."""
        module = await self._modules.get(run.scope, run.payload["module"])
        if module is None or module.status != DELETING:  # it was never deleted, or is removed already
            return
        await self._end_jobs(run, module)
        with waiting_for_services():
            await self._delete_vectors(run.scope, module)
            async for document in self._documents.scan(run.scope, {"moduleId": module.id}):
                await self._document_jobs.forget(run.scope, document)
        await self._chunks.delete_all(run.scope, module.id)
        await self._texts.delete_all(run.scope, module.id)
        await self._reindexes.delete_where(run.scope, {"moduleId": module.id})
        for remove in self._parts:
            await remove(run.scope, module.id)
        await self._modules.delete(run.scope, module.id)

    async def _end_jobs(self, run: JobRun, module: Module) -> None:
        """Cancel the jobs of the module's documents and re-indexes. Raises Postponed until all have ended."""
        ids = [each.job_id async for each in self._documents.scan(run.scope, {"moduleId": module.id})]
        ids += [each.job_id async for each in self._reindexes.scan(run.scope, {"moduleId": module.id})]
        working = 0
        for id in ids:
            with suppress(NotFound, FailedPrecondition):  # it has ended
                job = await self._jobs.get(run.scope, id)
                if not job.status.ended:
                    job = await self._jobs.cancel(run.scope, id)
                working += not job.status.ended
        if working:
            raise Postponed(_AGAIN_SECONDS)

    async def _delete_vectors(self, project: Project, module: Module) -> None:
        unfinished = {"moduleId": module.id, "status": Cond(Op.NE, COMPLETED)}
        async for reindex in self._reindexes.scan(project, unfinished):
            if reindex.vector_index_key != module.vector_index_key:
                await self._vectors.delete_index(reindex.index)
            if reindex.old_index_key != module.vector_index_key and reindex.status not in (FAILED, CANCELLED):
                await self._delete_from(reindex.old_index, module, own=reindex.old_own_index)
        await self._delete_from(module.index, module, own=module.own_index)

    async def _delete_from(self, index: IndexRef, module: Module, *, own: bool) -> None:
        if own:
            await self._vectors.delete_index(index)
            return
        with suppress(NotFound):
            await self._vectors.delete(index, filter={"_ragModule": module.id})


async def remove_all(store: DocumentStore, jobs: Jobs, project: Project) -> bool:
    """Remove the records of all modules of a deleted project; the vector service removes the indexes. Return whether
    all is gone: jobs that are being stopped may still write."""
    left = await jobs.forget(project, but="")
    for collection in COLLECTIONS:
        await store.delete_where(project, collection, {})
    return not left
