"""The end of vector stores that nobody has used for the days that they were given.

From its time on a vector store refuses searches and new files. Its files, chunks and vectors are removed by a job that
was submitted when the days were set, and that waits again where the vector store has been used meanwhile.
"""

import time

from core.errors import Conflict
from core.jobs.jobs import Jobs
from core.jobs.run import JobRun, Postponed
from core.storage.ports import Cond, DocumentStore, Op
from core.storage.table import Table
from core.tenancy import Project
from services.rag.domain.knowledge.documents import Documents
from services.rag.domain.knowledge.records import DELETING, Document, Module
from services.rag.domain.knowledge.tables import DOCUMENTS, MODULES

KIND = "rag.vector_store_expiry"
SCOPES = ("vectors:write",)
_LONGEST_WAIT = 86_400.0
"""Seconds: the days may be made fewer meanwhile."""


class Expiry:
    def __init__(self, store: DocumentStore, jobs: Jobs, documents: Documents) -> None:
        self._modules = Table(store, MODULES, Module)
        self._table = Table(store, DOCUMENTS, Document)
        self._jobs = jobs
        self._documents = documents

    async def watch(self, project: Project, module: Module) -> None:
        """Have a vector store emptied when it expires."""
        if module.expires_days is None:
            return
        try:
            await self._jobs.submit(project, KIND, {"moduleId": module.id}, unique_key=f"{KIND}:{module.id}")
        except Conflict:  # it is watched already
            return

    async def run(self, job: JobRun) -> None:
        """The handler of the jobs."""
        module = await self._modules.get(job.scope, str(job.payload["moduleId"]))
        if module is None or module.live_key is None or module.expires_at is None:
            job.change.recorded = False
            return
        left = module.expires_at - time.time()
        if left > 0:
            raise Postponed(min(left, _LONGEST_WAIT))
        live = {"moduleId": module.id, "status": Cond(Op.NE, DELETING)}
        async for document in self._table.scan(job.scope, live):
            await self._documents.delete(job.scope, module, document.id)
            await job.extend()
