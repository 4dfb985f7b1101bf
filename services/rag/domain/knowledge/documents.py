"""The documents of knowledge modules: add, list, process anew, delete.

Everything that is asked of a document is a new version of its record and a job that does it (`document_jobs`). The job
is submitted first, with a delay, then the record is changed, then the job is made due. So whenever the process is
killed, a job is there that finishes what was acknowledged, or takes back what was not.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from uuid import uuid4

import msgspec

from core import context as request_context
from core import fields
from core.audit import changes as audit
from core.errors import Conflict, NotFound
from core.jobs.jobs import Jobs
from core.jobs.records import Job
from core.storage.ports import Cond, DocumentStore, Op
from core.storage.table import Table
from core.tenancy import Project
from services.rag.domain.files import names
from services.rag.domain.files.records import position_at
from services.rag.domain.knowledge.chunking.config import ChunkConfig
from services.rag.domain.knowledge.modules import GRACE_SECONDS, Modules
from services.rag.domain.knowledge.records import (
    CANCELLED,
    DELETING,
    DOCUMENT_STATUSES,
    FAILED,
    INDEXED,
    PENDING,
    PROCESSING,
    Document,
    FileRef,
    Module,
    Source,
)
from services.rag.domain.knowledge.tables import DOCUMENTS
from services.rag.domain.knowledge.texts import Texts

KIND = "rag.document"
SCOPES = ("inference:write", "vectors:write")
ATTEMPTS = 10
_TRIES = 20
_FIRST_LOOK, _LONGEST_PAUSE = 0.02, 0.5


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A document as its caller describes it. `force`: process it anew where it is there already. `file_id`: in a vector
    store, the id of its file, by which it is told from others instead of by name and content; `batch_id`: the files
    that are added with it."""

    file_name: str
    content_type: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    chunk_config: ChunkConfig | None = None
    force: bool = False
    file_id: str = ""
    batch_id: str = ""

    def checked(self) -> "NewDocument":
        """The checked values. Raises InvalidInput."""
        name = names.file_name("fileName", self.file_name)
        return NewDocument(
            name,
            names.content_type("contentType", self.content_type, name),
            fields.small_json("metadata", self.metadata),
            self.chunk_config.checked() if self.chunk_config else None,
            self.force,
            self.file_id,
            self.batch_id,
        )


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a document as it came. `keep` stores it where there is anything to store, under the id of a
    source, and says where it is; it is called when a job is there that removes what is kept in vain."""

    size: int
    sha256: str
    keep: Callable[[str], Awaitable[FileRef | None]]
    file: FileRef | None = None
    """The file that it will be, known before it is kept."""
    owned: bool = False
    is_text: bool = False


class Documents:
    """Use cases. Each takes the project first; what is another's is not there."""

    def __init__(self, store: DocumentStore, jobs: Jobs, modules: Modules, texts: Texts) -> None:
        self._table = Table(store, DOCUMENTS, Document)
        self._jobs = jobs
        self._modules = modules
        self._texts = texts

    async def get(self, project: Project, module: Module, id: str) -> Document:
        """The document of this id. Raises NotFound."""
        document = await self._table.get(project, id)
        if document is None or document.module_id != module.id or document.status == DELETING:
            raise NotFound("There is no such document in this module.", reason="DOCUMENT_NOT_FOUND", field="documentId")
        return document

    async def list(
        self, project: Project, module: Module, *, status: str = "", size: int = 0, token: str = ""
    ) -> tuple[list[Document], str]:
        """One page, newest first, and the token of the next. Raises InvalidInput."""
        wanted: Any = Cond(Op.NE, DELETING)
        if status:
            wanted = fields.one_of("status", status, DOCUMENT_STATUSES)
        where = {"moduleId": module.id, "status": wanted}
        return await self._table.page(project, where, page_size=fields.page_size(size, field="limit"), page_token=token)

    async def job(self, project: Project, document: Document) -> Job | None:
        """The job of the document's present version, if it is still known."""
        try:
            return await self._jobs.get(project, document.job_id, KIND)
        except NotFound:
            return None

    async def text_content(self, project: Project, module: Module, document_id: str, text: str) -> Content:
        """The content that a text is."""
        encoded = text.encode("utf-8", "surrogatepass")

        async def keep(source_id: str) -> FileRef | None:
            await self._texts.write(project, module.id, document_id, source_id, text)
            return None

        return Content(len(encoded), sha256(encoded).hexdigest(), keep, is_text=True)

    async def known(self, project: Project, module: Module, new: NewDocument, digest: str) -> Document | None:
        """The document with this name and content, if there is one."""
        return await self._table.find_one(project, {"moduleId": module.id, "identity": _identity(new, digest)})

    async def add(
        self, project: Project, module: Module, document_id: str, new: NewDocument, content: Content
    ) -> Document:
        """Add a document, or return the one with the same name and content, processed anew with `force`. Raises
        NotFound where the module was deleted meanwhile, and what keeping the content raises."""
        existing = await self.known(project, module, new, content.sha256)
        if existing is not None:
            if new.force:
                return await self.reprocess(project, module, existing.id)
            if existing.status == PENDING:  # whoever asks again may have been cut off before its job was made due
                await self._jobs.hasten(project, existing.job_id)
            return existing
        job = await self._submit(project, document_id, 1, "", content)
        now = time.time()
        kept = await content.keep(job.id)
        document = Document(
            id=document_id,
            module_id=module.id,
            module_key=module.key,
            file_name=new.file_name,
            content_type=new.content_type,
            size=content.size,
            source_hash=content.sha256,
            source=Source(job.id, kept, owned=content.owned),
            text_source=job.id if content.is_text else "",
            identity=_identity(new, content.sha256),
            position=position_at(now),
            file_id=new.file_id or None,
            batch_id=new.batch_id or None,
            created_at=now,
            updated_at=now,
            job_id=job.id,
            chunk_config=new.chunk_config,
            metadata=new.metadata,
            created_by=request_context.identity().subject,
        )
        try:
            await self._table.insert(project, document)
        except Conflict:  # the same was added at the same moment; the job takes back what was kept
            await self._jobs.hasten(project, job.id)
            known = await self.known(project, module, new, content.sha256)
            if known is None:
                raise
            return known
        if await self._modules.by_id(project, module.id) is None:  # or its removal may not have seen the document
            await self._table.delete(project, document.id)
            await self._jobs.hasten(project, job.id)
            raise NotFound("The module was deleted meanwhile.", reason="MODULE_NOT_FOUND", field="moduleKey")
        await self._jobs.hasten(project, job.id)
        audit.change().resource_id = document.path
        return document

    async def reprocess(
        self,
        project: Project,
        module: Module,
        id: str,
        new: NewDocument | None = None,
        content: Content | None = None,
    ) -> Document:
        """Process a document anew: with new content, or with what it has. Raises NotFound, Conflict where another
        document of the module has that name and content, and what keeping the content raises."""
        kept: FileRef | None = None
        for attempt in range(_TRIES):
            document = await self.get(project, module, id)
            version = document.version + 1
            job = await self._submit(project, id, version, document.job_id, content)
            changes: dict[str, Any] = {"status": PENDING, "error_message": "", "error_reason": ""}
            if new is not None:
                changes |= _described(document, new)
            if content is not None:
                if content.is_text or not attempt:  # a file is kept once, whatever job it came with
                    kept = await content.keep(job.id)
                changes |= _with_content(document, job.id, content, kept)
            if document.file_id is None and ("file_name" in changes or content is not None):
                changes["identity"] = identity(
                    changes.get("file_name", document.file_name), changes.get("source_hash", document.source_hash)
                )
            try:
                changed = await self._advance(project, document, job, changes)
            except Conflict:
                await self._jobs.hasten(project, job.id)
                raise Conflict(
                    "Another document of the module has this name and content.",
                    reason="DOCUMENT_EXISTS",
                    field="content",
                ) from None
            if changed is not None:
                audit.change().resource_id = changed.path
                return changed
        raise Conflict("The document is being changed by others. Try again.", reason="CHANGED_MEANWHILE")

    async def cancel(self, project: Project, module: Module, id: str) -> Document:
        """Cancel what is being processed of a document; what is indexed of it stays. Nothing where nothing is. Raises
        NotFound."""
        for _ in range(_TRIES):
            document = await self.get(project, module, id)
            if document.status not in (PENDING, PROCESSING):
                return document
            job = await self._submit(project, id, document.version + 1, document.job_id, None)
            changed = await self._advance(project, document, job, {"status": CANCELLED})
            if changed is not None:
                return changed
        raise Conflict("The document is being changed by others. Try again.", reason="CHANGED_MEANWHILE")

    async def text(self, project: Project, document: Document) -> str:
        """The text of a document as it is indexed; empty: it is not yet."""
        if not document.indexed_source:
            return ""
        return await self._texts.read(project, document.id, document.indexed_source)

    async def delete(self, project: Project, module: Module, id: str) -> Document:
        """Delete a document; return it as it was. It is gone from view at once, and a job removes the rest. Raises
        NotFound."""
        for _ in range(_TRIES):
            document = await self.get(project, module, id)
            job = await self._submit(project, id, document.version + 1, document.job_id, None)
            changed = await self._advance(project, document, job, {"status": DELETING, "identity": None})
            if changed is not None:
                return document
        raise Conflict("The document is being changed by others. Try again.", reason="CHANGED_MEANWHILE")

    async def wait_for_removal(self, project: Project, id: str, seconds: float) -> None:
        """Wait until a deleted document has left nothing, for so many seconds at most."""
        give_up = time.monotonic() + seconds
        pause = _FIRST_LOOK
        while time.monotonic() < give_up and await self._table.get(project, id) is not None:
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    async def _submit(
        self, project: Project, document_id: str, version: int, previous: str, content: Content | None
    ) -> Job:
        """Submit the job of a version that is about to be. It knows what it has to take back if that never is."""
        file = content.file if content is not None and content.owned else None
        payload = {
            "document": document_id,
            "version": version,
            "previous": previous,
            "file": msgspec.to_builtins(file) if file else None,
        }
        return await self._jobs.submit(project, KIND, payload, max_attempts=ATTEMPTS, delay=GRACE_SECONDS)

    async def _advance(
        self, project: Project, document: Document, job: Job, changes: Mapping[str, Any]
    ) -> Document | None:
        """Make a new version of a document, and its job due. None: others were faster."""
        where = {"version": document.version, "jobId": document.job_id, "status": Cond(Op.NE, DELETING)}
        version = {"version": document.version + 1, "job_id": job.id, "updated_at": time.time()}
        changed = await self._table.update(project, document.id, where=where, **changes, **version)
        await self._jobs.hasten(project, job.id)
        return changed


def new_document_id() -> str:
    return f"doc_{uuid4().hex}"


def now_ms() -> int:
    return int(time.time() * 1000)


def identity(file_name: str, digest: str) -> str:
    """Identity of an ingestion, which is that of an earlier one that it repeats."""
    return sha256(f"{digest}\0{file_name}".encode("utf-8", "surrogatepass")).hexdigest()


async def wait(documents: Documents, project: Project, module: Module, document: Document, seconds: float) -> Document:
    """Return the document when its version is done, or as it is after so many seconds. Raises NotFound."""
    version, pause = document.version, _FIRST_LOOK
    give_up = time.monotonic() + seconds
    while not ended(document, version) and time.monotonic() < give_up:
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)
        document = await documents.get(project, module, document.id)
    return document


def _identity(new: NewDocument, digest: str) -> str:
    return identity(*(("", new.file_id) if new.file_id else (new.file_name, digest)))


def ended(document: Document, version: int) -> bool:
    """Return whether the version is done: indexed or failed, or superseded."""
    return document.version != version or document.status in (INDEXED, FAILED, CANCELLED)


def _described(document: Document, new: NewDocument) -> dict[str, Any]:
    changes: dict[str, Any] = {"file_name": new.file_name, "content_type": new.content_type}
    if new.metadata or document.file_id is not None:
        changes["metadata"] = new.metadata
    if new.chunk_config is not None:
        changes["chunk_config"] = new.chunk_config
    return changes


def _with_content(document: Document, source_id: str, content: Content, kept: FileRef | None) -> dict[str, Any]:
    old = document.source
    stale = (*document.stale_files, old.file) if old.owned and old.file else document.stale_files
    return {
        "size": content.size,
        "source_hash": content.sha256,
        "source": Source(source_id, kept, owned=content.owned),
        "text_source": source_id if content.is_text else "",
        "stale_files": stale,
    }
