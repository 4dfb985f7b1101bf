"""Receiver of uploads: as a form, whose file goes straight to the store, or as JSON."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

from core.errors import InvalidInput, PorticoError, RequestTimeout, UnsupportedMedia
from core.offload import offload
from services.rag.domain.files.names import essence
from services.rag.domain.files.records import File
from services.rag.domain.files.rules import Rules
from services.rag.domain.files.uploads import NewFile, Upload
from services.rag.servicers import bodies
from services.rag.servicers.arrivals import Arrivals, Pace
from services.rag.servicers.bodies import Json
from services.rag.servicers.forms import Form

_SKIP_BYTES = 64 * 1024 * 1024
_SKIP_SECONDS = 10.0

Begin = Callable[[Any], AbstractAsyncContextManager[Upload]]
"""Opens the upload that the first message asks for."""

FromJson = Callable[[Json, str], NewFile]
"""Read the file's description from the body; the text is the type that its data URL names."""


class FromForm(Protocol):
    def __call__(self, fields: Mapping[str, str], file_name: str, content_type: str, *, complete: bool) -> NewFile:
        """Read the file's description from the form; name and type as the file's own part gives them. Not `complete`:
        more fields may come behind the file. Raises InvalidInput."""


class UploadReader:
    def __init__(self, rules: Rules, scratch: Path, pace: Pace) -> None:
        """`scratch` is a folder for large bodies of JSON while they are read."""
        self._rules = rules
        self._scratch = scratch
        self._pace = pace

    async def read(
        self, messages: AsyncIterator[Any], begin: Begin, from_form: FromForm, from_json: FromJson | None = None
    ) -> File:
        """Store and commit the file that the call's body holds. Raises InvalidInput, RequestTimeout and what uploads
        raise."""
        arrivals = Arrivals(messages, self._pace)
        try:
            return await self._read(arrivals, begin, from_form, from_json)
        except RequestTimeout:
            raise
        except PorticoError:
            await arrivals.skip(_SKIP_BYTES, _SKIP_SECONDS)
            raise

    async def _read(self, arrivals: Arrivals, begin: Begin, from_form: FromForm, from_json: FromJson | None) -> File:
        first = await arrivals.next()
        if first is None:
            raise InvalidInput("The call has no body.", field="body")
        content_type = first.body.content_type
        chunks = arrivals.chunks(first)
        async with begin(first) as upload:
            kind = essence(content_type)
            if kind == "multipart/form-data":
                new = await self._read_form(Form(content_type, chunks), upload, from_form)
            elif kind == "application/json" and from_json is not None:
                new = await self._read_json(chunks, upload, from_json)
            else:
                kinds = "multipart/form-data" if from_json is None else "multipart/form-data or application/json"
                raise UnsupportedMedia(f"The body must be {kinds}.", field="content-type")
            return await upload.commit(new)

    async def _read_form(self, form: Form, upload: Upload, from_form: FromForm) -> NewFile:
        """Read the form. Fields before the file are checked before it is read; others may follow it."""
        fields: dict[str, str] = {}
        file: tuple[str, str] | None = None
        async for part in form.parts():
            if part.name != "file":
                fields[part.name] = await part.text()
            elif file is not None:
                raise InvalidInput("A form may hold one file.", field="file")
            else:
                file = (part.file_name, part.content_type)
                from_form(fields, *file, complete=False).checked(self._rules)
                await upload.write(part.content)
        if file is None:
            raise InvalidInput('The form must hold the file, as a part named "file".', field="file")
        return from_form(fields, *file, complete=True)

    async def _read_json(self, chunks: AsyncIterator[bytes], upload: Upload, from_json: FromJson) -> NewFile:
        body = await bodies.json_body(chunks, self._scratch)
        data, named_type = await offload(lambda: bodies.data_of(body), len(body.data) + len(body.base64))
        new = from_json(body, named_type)
        new.checked(self._rules)
        await upload.write(bodies.decoded(data))
        return new
