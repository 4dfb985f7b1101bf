"""Request bodies that arrive in chunks: how they are read, and the uploads that they hold."""

import asyncio
import binascii
import re
from collections.abc import AsyncIterator, Mapping
from functools import partial
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar

import msgspec

from core import free_json, json_bodies
from core.disk import on_disk, scratch_file, write_all
from core.errors import InvalidInput, PayloadTooLarge
from core.fields import MAX_SMALL_JSON_BYTES, too_long
from core.offload import offload

_MIB = 1024 * 1024
"""Bytes that are handled at once, of base64 too: it is a multiple of 4."""
MAX_JSON_BYTES = 32 * _MIB
_HELD = _MIB
"""Bytes of a body that are kept in memory."""
_DATA_URL = re.compile(rb"data:([^;,]{0,255})((?:;[^;,]{1,255}){0,8}),")
_LONGEST_HEAD = 4096


_NULL = msgspec.Raw(b"null")
T = TypeVar("T")


class Json(msgspec.Struct, rename="camel"):
    """An upload as JSON; None: not given."""

    file_name: str
    data: msgspec.Raw = _NULL
    base64: msgspec.Raw = _NULL
    """Another name of `data`."""
    content_type: str | None = None
    metadata: msgspec.Raw = _NULL
    convert_to_markdown: bool | None = None
    key_hint: str | None = None


_JSON = msgspec.json.Decoder(Json)
_TEXT = msgspec.json.Decoder(str | None)
_MAX_METADATA = MAX_SMALL_JSON_BYTES * 8
"""Bytes, with all the white space and escapes that a client may put in."""


async def json_body(content: AsyncIterator[bytes], scratch: Path) -> Json:
    """Read an upload. Raises as `read_json`."""
    return await read_json(_JSON, content, scratch)


async def read_json(decoder: "msgspec.json.Decoder[T]", content: AsyncIterator[bytes], scratch: Path) -> T:
    """Read where it lies: a large one in a file of the folder `scratch`, so that many at once take no memory. Raises
    PayloadTooLarge, InvalidInput, InsufficientStorage."""
    held, size = bytearray(), 0
    file: IO[bytes] | None = None
    try:
        async for chunk in content:
            held += chunk
            size += len(chunk)
            if size > MAX_JSON_BYTES:
                raise PayloadTooLarge(
                    f"An upload as JSON may have at most {MAX_JSON_BYTES // _MIB} MiB. Send larger files as a form.",
                    field="body",
                )
            if len(held) > _HELD:
                if file is None:
                    file = await on_disk(partial(scratch_file, scratch))
                await on_disk(partial(write_all, file, held))
                held = bytearray()
        if file is None:
            return json_bodies.read(decoder, held)
        await on_disk(partial(write_all, file, held))
        # The mapping stays as long as a part of it is in use.
        whole = await on_disk(partial(mmap, file.fileno(), 0, access=ACCESS_READ))
        return await offload(lambda: json_bodies.read(decoder, whole), size)
    finally:
        if file is not None:
            file.close()


class WithData(Protocol):
    """A body that may hold a file."""

    @property
    def data(self) -> msgspec.Raw: ...

    @property
    def base64(self) -> msgspec.Raw: ...


def data_of(body: WithData) -> tuple[memoryview, str]:
    """The base64, and the MIME type that a data URL names. Raises InvalidInput."""
    data = _text_of(body.data, "data")
    if data is None:
        data = _text_of(body.base64, "base64")
    if data is None:
        raise InvalidInput("data must hold the file as base64, or as a data URL.", field="data")
    start = bytes(data[:_LONGEST_HEAD])
    if not start.startswith(b"data:"):
        return data, ""
    found = _DATA_URL.match(start)
    if found is None or not found[2].lower().endswith(b";base64"):
        raise InvalidInput("A data URL must look like data:text/plain;base64,SGVsbG8=.", field="data")
    return data[found.end() :], found[1].decode(errors="replace")


def _text_of(raw: msgspec.Raw, field: str) -> memoryview | None:
    """A string of JSON without its quotation marks, where it lies unless something in it is escaped; None: null."""
    view = memoryview(raw)
    escaped = any(b"\\" in bytes(view[at : at + _MIB]) for at in range(0, len(view), _MIB))
    if view[0] == ord('"') and not escaped:
        return view[1:-1]
    text = json_bodies.read(_TEXT, raw, field)
    return None if text is None else memoryview(text.encode())


async def decoded(data: memoryview) -> AsyncIterator[bytes]:
    """The bytes, slice by slice. Raises InvalidInput for what is not base64 as RFC 4648 has it."""
    broken = InvalidInput("data is not valid base64.", reason="BROKEN_BASE64", field="data")
    if len(data) % 4:
        raise broken
    for at in range(0, len(data), _MIB):
        part = data[at : at + _MIB]
        if at + _MIB < len(data) and part[-1] == ord("="):
            raise broken
        try:
            chunk = binascii.a2b_base64(part, strict_mode=True)
        except binascii.Error:
            raise broken from None
        yield chunk
        await asyncio.sleep(0)  # others want the loop, too


def flag(field: str, value: str) -> bool:
    """A yes or no in a form. Raises InvalidInput."""
    if value.lower() in ("true", "1", "yes", "on"):
        return True
    if value.lower() in ("", "false", "0", "no", "off"):
        return False
    raise InvalidInput(f"{field} must be true or false.", field=field)


def metadata(value: str | msgspec.Raw) -> Mapping[str, Any]:
    """The JSON object that stands in `metadata`; empty or null: none. What is far too long is not read. Raises
    InvalidInput."""
    if len(value) > _MAX_METADATA:
        raise too_long("metadata", MAX_SMALL_JSON_BYTES)
    if isinstance(value, str) and not value.strip():
        return {}
    return free_json.read("metadata", value)
