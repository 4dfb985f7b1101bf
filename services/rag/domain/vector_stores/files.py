"""The files of vector stores: documents whose content is a file of OpenAI's bucket."""

import time
from collections.abc import Sequence
from typing import Any

from core import fields
from core.audit import changes as audit
from core.errors import NotFound
from core.storage.ports import Cond, DocumentStore, Op
from core.storage.table import Table
from core.tenancy import Project
from services.rag.domain.files.buckets import OPENAI
from services.rag.domain.files.openai_files import OpenAIFiles
from services.rag.domain.files.records import File, position_at
from services.rag.domain.knowledge import records
from services.rag.domain.knowledge.documents import Content, Documents, NewDocument, new_document_id
from services.rag.domain.knowledge.records import Document, FileRef, Module
from services.rag.domain.knowledge.tables import DOCUMENTS
from services.rag.domain.retrieval.together import together
from services.rag.domain.vector_stores import stores
from services.rag.domain.vector_stores.paging import Cursor, page
from services.rag.domain.vector_stores.requests import CreateStore, NewFile
from services.rag.domain.vector_stores.stores import VectorStores
from services.rag.domain.vector_stores.values import Attributes
from services.rag.domain.vector_stores.views import FILE_STATUSES, Batch, Counts, FileError, Store, StoreFile

_BATCH_PREFIX = "vsfb_"
_LIVE = {"status": Cond(Op.NE, records.DELETING)}
_AT_A_TIME = 8
_CODES = {"NOT_CONVERTIBLE": "unsupported_file"} | dict.fromkeys(
    ("CONVERSION_FAILED", "FILE_GONE", "FILE_TOO_LARGE", "NO_TEXT", "TEXT_TOO_LARGE", "TOO_MANY_CHUNKS"),
    "invalid_file",
)
"""OpenAI's codes of the reasons that lie in the file. Any other failure is a server_error."""


class StoreFiles:
    """Use cases. Each takes the project first; what is another's is not there."""

    def __init__(self, store: DocumentStore, own: VectorStores, documents: Documents, files: OpenAIFiles) -> None:
        self._store = store
        self._table = Table(store, DOCUMENTS, Document)
        self._stores = own
        self._documents = documents
        self._files = files

    async def create_store(self, project: Project, asked: CreateStore) -> Store:
        """Create a vector store with its first files, all of which are looked at before. Raises as
        `VectorStores.create`, NotFound (a file)."""
        files = asked.files()
        await self._check(project, files)
        module = await self._stores.create(project, asked)
        if files:
            await self._add_all(project, module, files)
        return await self._stores.view(project, module.vector_store_id or "")

    async def add(self, project: Project, store_id: str, new: NewFile) -> StoreFile:
        """Add a file of /v1/files; one that is there already is processed anew. Raises NotFound (vector store, file),
        FailedPrecondition (expired)."""
        module = await self._stores.in_use(project, store_id)
        document = await self._added(project, module, new)
        audit.change().resource_id = f"{store_id}/{new.file_id}"
        return _view(module, document)

    async def view(self, project: Project, store_id: str, file_id: str) -> StoreFile:
        """Raises NotFound."""
        module, document = await self._find(project, store_id, file_id)
        return _view(module, document)

    async def page(
        self, project: Project, store_id: str, cursor: Cursor, *, status: str = "", batch_id: str = ""
    ) -> tuple[list[StoreFile], bool]:
        """One page, and whether there are more. Raises NotFound (vector store, batch, cursor), InvalidInput."""
        module = await self._stores.get(project, store_id)
        where: dict[str, Any] = {"moduleId": module.id, "fileId": Cond(Op.GT, ""), **_LIVE}
        if status:
            fields.one_of("filter", status, FILE_STATUSES)
            where["status"] = Cond(Op.IN, stores.document_statuses(status))
        if batch_id:
            await self._counts(project, module, batch_id)
            where["batchId"] = batch_id

        async def position_of(file_id: str) -> str:
            return (await self._find(project, store_id, file_id))[1].position

        found = await page(self._table, project, where, "position", cursor, position_of)
        return [_view(module, document) for document in found.items], found.has_more

    async def update(self, project: Project, store_id: str, file_id: str, attributes: Attributes) -> StoreFile:
        """Replace the attributes, without embedding anything again. Raises NotFound, FailedPrecondition."""
        module, document = await self._find(project, store_id, file_id)
        changed = NewDocument(document.file_name, document.content_type, attributes).checked()
        changed_document = await self._documents.reprocess(project, module, document.id, changed)
        audit.change().resource_id = f"{store_id}/{file_id}"
        return _view(module, changed_document)

    async def delete(self, project: Project, store_id: str, file_id: str) -> None:
        """Take a file out of a vector store. Raises NotFound."""
        module, document = await self._find(project, store_id, file_id)
        await self._documents.delete(project, module, document.id)

    async def text(self, project: Project, store_id: str, file_id: str) -> str:
        """The text of a file, as it was processed; empty: it has not been yet. Raises NotFound."""
        _, document = await self._find(project, store_id, file_id)
        return await self._documents.text(project, document)

    async def add_batch(self, project: Project, store_id: str, files: Sequence[NewFile]) -> Batch:
        """Add files together. All are looked at before the first is added. Raises as `add`."""
        module = await self._stores.in_use(project, store_id)
        await self._check(project, files)
        id = await self._add_all(project, module, files)
        audit.change().resource_id = f"{store_id}/{id}"
        return await self.batch(project, store_id, id)

    async def batch(self, project: Project, store_id: str, batch_id: str) -> Batch:
        """Raises NotFound."""
        module = await self._stores.get(project, store_id)
        counts = await self._counts(project, module, batch_id)
        return Batch(batch_id, store_id, _made_at(batch_id), counts)

    async def cancel_batch(self, project: Project, store_id: str, batch_id: str) -> Batch:
        """Cancel what of a batch has not been processed. Raises NotFound."""
        module = await self._stores.get(project, store_id)
        await self._counts(project, module, batch_id)
        where = {
            "moduleId": module.id,
            "batchId": batch_id,
            "status": Cond(Op.IN, (records.PENDING, records.PROCESSING)),
        }
        waiting = [document async for document in self._table.scan(project, where)]
        await together(lambda each: self._documents.cancel(project, module, each.id), waiting, _AT_A_TIME)
        return await self.batch(project, store_id, batch_id)

    async def _check(self, project: Project, files: Sequence[NewFile]) -> None:
        """Raises NotFound for a file that is not there."""
        await together(lambda new: self._file(project, new.file_id), files, _AT_A_TIME)

    async def _file(self, project: Project, id: str) -> File:
        try:
            return await self._files.get(project, id)
        except NotFound:
            raise NotFound(
                f"There is no file {id[:100]} in this project.", reason="FILE_NOT_FOUND", field="file_id"
            ) from None

    async def _add_all(self, project: Project, module: Module, files: Sequence[NewFile]) -> str:
        """The id of the new batch."""
        id = f"{_BATCH_PREFIX}{position_at(time.time())}"
        await together(lambda new: self._added(project, module, new, batch_id=id), files, _AT_A_TIME)
        return id

    async def _added(self, project: Project, module: Module, new: NewFile, *, batch_id: str = "") -> Document:
        """The document of a file, which is processed anew where it is there already."""
        file = await self._file(project, new.file_id)
        described = NewDocument(
            file_name=file.name,
            content_type=file.content_type,
            metadata=new.attributes,
            chunk_config=None if new.chunks is None else stores.chunk_config(new.chunks),
            file_id=new.file_id,
            batch_id=batch_id,
        ).checked()
        known = await self._documents.known(project, module, described, file.checksum)
        if known is None:
            content = _content(file)
            return await self._documents.add(project, module, new_document_id(), described, content)
        document = await self._documents.reprocess(project, module, known.id, described)
        if batch_id:
            document = await self._table.update(project, known.id, batch_id=batch_id) or document
        return document

    async def _find(self, project: Project, store_id: str, file_id: str) -> tuple[Module, Document]:
        module = await self._stores.get(project, store_id)
        where = {"moduleId": module.id, "fileId": file_id, **_LIVE}
        document = await self._table.find_one(project, where)
        if document is None:
            raise NotFound(
                "There is no such file in this vector store.", reason="VECTOR_STORE_FILE_NOT_FOUND", field="file_id"
            )
        return module, document

    async def _counts(self, project: Project, module: Module, batch_id: str) -> Counts:
        """The files of a batch by their status. Raises NotFound."""
        where = {"moduleId": module.id, "batchId": batch_id, **_LIVE}
        rows = await self._store.totals(project, DOCUMENTS, where, group_by=["status"], sums=[])
        if not rows:
            raise NotFound(
                "There is no such batch in this vector store.", reason="FILE_BATCH_NOT_FOUND", field="batch_id"
            )
        return stores.counts(rows)


def _content(file: File) -> Content:
    """The content of a document that is a file, which stays where it is."""
    ref = FileRef(OPENAI, file.key)

    async def keep(source_id: str) -> FileRef:
        return ref

    return Content(file.size, file.checksum, keep, file=ref)


def _made_at(batch_id: str) -> float:
    """The time of a batch, which its id holds."""
    position = batch_id.removeprefix(_BATCH_PREFIX)
    return int(position[:16], 16) / 1e6


def _view(module: Module, document: Document) -> StoreFile:
    failed = document.status == records.FAILED
    return StoreFile(
        id=document.file_id or "",
        store_id=module.vector_store_id or "",
        created_at=document.created_at,
        status=stores.status_of(document.status),
        attributes=document.metadata,
        chunks=stores.sizes_of(document.chunk_config or module.chunk_config),
        usage_bytes=document.size,
        error=FileError(_CODES.get(document.error_reason, "server_error"), document.error_message) if failed else None,
    )
