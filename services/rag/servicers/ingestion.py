"""Receiver of documents for knowledge modules: as a form, whose file goes straight to the store, or as JSON."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from core import context as request_context
from core import free_json, json_bodies
from core.errors import (
    InvalidInput,
    NotFound,
    PayloadTooLarge,
    PermissionDenied,
    PorticoError,
    RequestTimeout,
    UnsupportedMedia,
)
from core.offload import offload
from core.permissions import allows
from core.tenancy import Project
from services.rag.domain.files import names
from services.rag.domain.files.files import Files
from services.rag.domain.files.kinds import HEAD_BYTES, kind_of
from services.rag.domain.files.names import essence
from services.rag.domain.files.rules import Rules
from services.rag.domain.files.uploads import NewFile, Upload
from services.rag.domain.knowledge.chunking.config import ChunkConfig
from services.rag.domain.knowledge.documents import Content, Documents, NewDocument, new_document_id, now_ms
from services.rag.domain.knowledge.records import Document, FileRef, Module
from services.rag.servicers import bodies
from services.rag.servicers.arrivals import Arrivals, Pace
from services.rag.servicers.forms import Form

MAX_TEXT_CHARS = 20 * 1024 * 1024
_SKIP_BYTES = 64 * 1024 * 1024
_SKIP_SECONDS = 10.0
_CONVERTED = frozenset({"text/html", "application/xhtml+xml", "text/csv"})
"""Types of texts that are converted, where the caller names them."""
_NULL = msgspec.Raw(b"null")


class _File(msgspec.Struct, rename="camel"):
    bucket_key: str
    object_key: str


class _Json(msgspec.Struct, rename="camel"):
    """A document as JSON; None: not given."""

    file_name: str | None = None
    content: msgspec.Raw = _NULL
    data: msgspec.Raw = _NULL
    base64: msgspec.Raw = _NULL
    file: _File | None = None
    content_type: str | None = None
    metadata: msgspec.Raw = _NULL
    chunk_config: ChunkConfig | None = None
    force: bool | None = None
    wait: bool | None = None


_JSON = msgspec.json.Decoder(_Json)
_TEXT = msgspec.json.Decoder(str | None)
_CHUNKING = msgspec.json.Decoder(ChunkConfig)


@dataclass(frozen=True, slots=True)
class Received:
    """The document after an ingestion. `wait`: whether the body asks to wait; None: it does not say. `inline`: the
    content came in JSON."""

    document: Document
    wait: bool | None
    inline: bool


class _Intake:
    """One ingestion: into a module, or of a document that there is."""

    def __init__(
        self, reader: "IngestionReader", stack: AsyncExitStack, project: Project, module: Module, known: Document | None
    ) -> None:
        self._reader = reader
        self._stack = stack
        self.project = project
        self.module = module
        self.known = known
        self.id = known.id if known else new_document_id()

    async def upload(self, new: NewDocument, content: AsyncIterator[bytes]) -> Content:
        """Store a file beside the module. Raises PayloadTooLarge, UnsupportedMedia, InvalidInput for an empty one."""
        upload: Upload = await self._stack.enter_async_context(
            self._reader.files.begin(self.project, self.module.file_bucket_key)
        )
        head = bytearray()
        await upload.write(_measured(content, head, self._reader.rules))
        if not upload.stored.size:
            raise InvalidInput("The document is empty.", reason="EMPTY_DOCUMENT", field="data")
        kind_of(new.file_name, new.content_type, bytes(head))
        key = names.automatic_key(f"rag/{self.module.key}/{self.id}", new.file_name, now_ms())
        ref = FileRef(self.module.file_bucket_key, key)

        async def keep(source_id: str) -> FileRef | None:
            subject = request_context.identity().subject
            await upload.commit(NewFile(new.file_name, subject, new.content_type, key))
            return ref

        return Content(upload.stored.size, upload.stored.sha256, keep, ref, owned=True)

    async def text(self, new: NewDocument, text: str) -> Content:
        """The content that a text is. Raises InvalidInput, PayloadTooLarge."""
        if not text.strip():
            raise InvalidInput("The document is empty.", reason="EMPTY_DOCUMENT", field="content")
        if len(text) > MAX_TEXT_CHARS:
            raise PayloadTooLarge(f"content may have at most {MAX_TEXT_CHARS} characters.", field="content")
        return await self._reader.documents.text_content(self.project, self.module, self.id, text)

    async def commit(self, new: NewDocument, content: Content | None) -> Document:
        documents = self._reader.documents
        if self.known is None:
            if content is None:
                raise InvalidInput(
                    "The body must hold the document: content (a text), data (base64), or file (a file in a bucket).",
                    field="content",
                )
            return await documents.add(self.project, self.module, self.id, new, content)
        given = new if content is not None or new.metadata or new.chunk_config else None
        return await documents.reprocess(self.project, self.module, self.known.id, given, content)


Find = Callable[[Any], Awaitable[tuple[Module, Document | None]]]
"""Finds module and document that the first message names; None: a new document."""


class IngestionReader:
    """`rules`: for the size of documents; `scratch`: a folder for large bodies of JSON while they are read."""

    def __init__(self, files: Files, documents: Documents, rules: Rules, scratch: Path, pace: Pace) -> None:
        self.files = files
        self.documents = documents
        self.rules = rules
        self._scratch = scratch
        self._pace = pace

    async def read(self, messages: AsyncIterator[Any], find: Find) -> tuple[Received, Module]:
        """Read the call's body and add its document. `find` says where it goes, from the first message. Returns what
        was received, and its module. Raises InvalidInput, RequestTimeout and what
        uploads and documents raise."""
        arrivals = Arrivals(messages, self._pace)
        try:
            first: Any = await arrivals.next()
            if first is None:
                raise InvalidInput("The call has no body.", field="body")
            module, known = await find(first)
            project = request_context.identity().project
            async with AsyncExitStack() as stack:
                intake = _Intake(self, stack, project, module, known)
                received = await self._read(intake, first.body.content_type, arrivals.chunks(first))
            return received, module
        except RequestTimeout:
            raise
        except PorticoError:
            await arrivals.skip(_SKIP_BYTES, _SKIP_SECONDS)
            raise

    async def _read(self, intake: _Intake, content_type: str, chunks: AsyncIterator[bytes]) -> Received:
        kind = essence(content_type)
        if kind == "multipart/form-data":
            return await self._read_form(intake, Form(content_type, chunks))
        if kind == "application/json" or (not kind and intake.known is not None):
            return await self._read_json(intake, chunks)
        raise UnsupportedMedia("The body must be multipart/form-data or application/json.", field="content-type")

    async def _read_form(self, intake: _Intake, form: Form) -> Received:
        fields: dict[str, str] = {}
        new: NewDocument | None = None
        content: Content | None = None
        async for part in form.parts():
            if part.name != "file":
                fields[part.name] = await part.text()
            elif content is not None:
                raise InvalidInput("A form may hold one file.", field="file")
            else:
                new = _from_form(fields, part.file_name, part.content_type)
                content = await intake.upload(new, part.content)
        if new is None or content is None:
            raise InvalidInput('The form must hold the document, as a part named "file".', field="file")
        document = await intake.commit(new, content)
        return Received(document, bodies.flag("wait", fields["wait"]) if "wait" in fields else None, inline=False)

    async def _read_json(self, intake: _Intake, chunks: AsyncIterator[bytes]) -> Received:
        body = await self._body(chunks, optional=intake.known is not None)
        known = intake.known
        name = body.file_name or (known.file_name if known else "")
        metadata = {} if body.metadata == _NULL else free_json.read("metadata", body.metadata)
        file = await self._file(intake.project, body.file) if body.file else None
        given = NewDocument(
            name or (file[0] if file else ""),
            body.content_type or (file[1] if file else "") or (known.content_type if known else ""),
            metadata,
            body.chunk_config,
            bool(body.force),
        )
        new = given.checked()
        content: Content | None = None
        if body.file and file:
            content = file[2]
        elif body.content != _NULL:
            content = await self._text(intake, body, new)
        elif body.data != _NULL or body.base64 != _NULL:
            data, named = await offload(lambda: bodies.data_of(body), len(body.data) + len(body.base64))
            if named and not body.content_type:
                new = replace(new, content_type=named).checked()
            content = await intake.upload(new, bodies.decoded(data))
        document = await intake.commit(new, content)
        return Received(document, body.wait, inline=body.file is None)

    async def _body(self, chunks: AsyncIterator[bytes], *, optional: bool) -> _Json:
        if not optional:
            return await bodies.read_json(_JSON, chunks, self._scratch)
        first = await anext(chunks, b"")
        return await bodies.read_json(_JSON, _chained(first or b"{}", chunks), self._scratch)

    async def _text(self, intake: _Intake, body: _Json, new: NewDocument) -> Content:
        text = await offload(lambda: json_bodies.read(_TEXT, body.content, "content"), len(body.content))
        if text is None:
            raise InvalidInput("content must be a text.", field="content")
        if essence(body.content_type or "") in _CONVERTED and text.strip():
            return await intake.upload(new, _sliced(text.encode("utf-8", "replace")))
        return await intake.text(new, text)

    async def _file(self, project: Project, ref: _File) -> tuple[str, str, Content]:
        """Name, type and content of a file of the project. Raises NotFound, PermissionDenied."""
        if not allows(request_context.identity().scopes, "files:read"):
            raise PermissionDenied(
                "This takes a token with the scope files:read.", reason="MISSING_SCOPE", field="file"
            )
        try:
            file = await self.files.get(project, ref.bucket_key, ref.object_key)
        except NotFound as error:
            raise NotFound(error.message, reason=error.reason, field="file") from None
        if not file.size:
            raise InvalidInput("The document is empty.", reason="EMPTY_DOCUMENT", field="file")
        self.rules.check_size(file.size)
        kept = FileRef(file.bucket_key, file.key)

        async def keep(source_id: str) -> FileRef | None:
            return kept

        return file.name, file.content_type, Content(file.size, file.checksum, keep, kept)


def _from_form(fields: Mapping[str, str], file_name: str, content_type: str) -> NewDocument:
    chunking = fields.get("chunkConfig", "").strip()
    return NewDocument(
        fields.get("fileName") or file_name,
        fields.get("contentType") or content_type,
        bodies.metadata(fields.get("metadata", "")),
        json_bodies.read(_CHUNKING, chunking, "chunkConfig") if chunking else None,
        bodies.flag("force", fields.get("force", "")),
    ).checked()


async def _measured(content: AsyncIterator[bytes], head: bytearray, rules: Rules) -> AsyncIterator[bytes]:
    """The content, whose beginning goes to `head`. Raises PayloadTooLarge."""
    size = 0
    async for chunk in content:
        if len(head) < HEAD_BYTES:
            head += chunk[: HEAD_BYTES - len(head)]
        size += len(chunk)
        rules.check_size(size)
        yield chunk


async def _sliced(content: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(content), 1024 * 1024):
        yield content[at : at + 1024 * 1024]


async def _chained(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk
