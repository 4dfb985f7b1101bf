"""Bodies that come in pieces: how they are read, and the uploads that they hold."""

import asyncio
import binascii
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

import msgspec
from google.api.httpbody_pb2 import HttpBody

from core import json_bodies
from core.errors import DeadlineExceeded, InvalidInput, PayloadTooLarge
from core.fields import MAX_NOTES_BYTES

MAX_JSON_BYTES = 32 * 1024 * 1024
_SLICE = 1024 * 1024
"""Characters of base64 that are decoded at once; a multiple of 4."""
_DATA_URL = re.compile(r"data:([^;,]{0,255})((?:;[^;,]{1,255}){0,8}),")


class Message(Protocol):
    """A message of an upload's stream."""

    body: HttpBody


class Json(msgspec.Struct, rename="camel"):
    """An upload as JSON; None: not given."""

    file_name: str
    data: str | None = None
    base64: str | None = None
    """Another name of `data`."""
    content_type: str | None = None
    metadata: msgspec.Raw = msgspec.Raw(b"null")
    convert_to_markdown: bool | None = None
    key_hint: str | None = None


_JSON = msgspec.json.Decoder(Json)
_NOTES = msgspec.json.Decoder(dict[str, Any] | None)
_MAX_NOTES = MAX_NOTES_BYTES * 8
"""Bytes, with all the white space and escapes that a client may put in."""


async def pieces(first: Message, rest: AsyncIterator[Message], idle_seconds: float) -> AsyncIterator[bytes]:
    """The body. Raises DeadlineExceeded where nothing comes for so long."""
    yield first.body.data
    while True:
        try:
            async with asyncio.timeout(idle_seconds):
                message = await anext(rest, None)
        except TimeoutError:
            raise DeadlineExceeded(
                f"Nothing more of the body has come for {idle_seconds:g} seconds.", reason="UPLOAD_STALLED"
            ) from None
        if message is None:
            return
        yield message.body.data


async def skip(rest: AsyncIterator[Message], at_most: int, seconds: float) -> None:
    """Lets a sender who is refused finish, within bounds: one who is cut off in the middle may not read the refusal."""
    try:
        async with asyncio.timeout(seconds):
            async for message in rest:
                at_most -= len(message.body.data)
                if at_most < 0:
                    return
    except TimeoutError:
        return


async def json_body(content: AsyncIterator[bytes]) -> Json:
    """Raises PayloadTooLarge, InvalidInput."""
    body = bytearray()
    async for piece in content:
        body += piece
        if len(body) > MAX_JSON_BYTES:
            raise PayloadTooLarge(
                f"An upload as JSON may have at most {MAX_JSON_BYTES // 1024**2} MiB. Send larger files as a form.",
                field="body",
            )
    return await asyncio.to_thread(json_bodies.read, _JSON, body)


def data_of(body: Json) -> tuple[str, int, str]:
    """The text that holds the base64, where it begins, and the MIME type that a data URL names. Raises InvalidInput."""
    data = body.data if body.data is not None else body.base64
    if data is None:
        raise InvalidInput("data must hold the file as base64, or as a data URL.", field="data")
    if not data.startswith("data:"):
        return data, 0, ""
    found = _DATA_URL.match(data)
    if found is None or not found[2].lower().endswith(";base64"):
        raise InvalidInput("A data URL must look like data:text/plain;base64,SGVsbG8=.", field="data")
    return data, found.end(), found[1]


async def decoded(data: str, start: int) -> AsyncIterator[bytes]:
    """The bytes, slice by slice. Raises InvalidInput for what is not base64 as RFC 4648 has it."""
    broken = InvalidInput("data is not valid base64.", reason="BROKEN_BASE64", field="data")
    if (len(data) - start) % 4:
        raise broken
    for at in range(start, len(data), _SLICE):
        part = data[at : at + _SLICE]
        if at + _SLICE < len(data) and part.endswith("="):
            raise broken
        try:
            piece = binascii.a2b_base64(part.encode("ascii"), strict_mode=True)
        except (binascii.Error, UnicodeEncodeError):
            raise broken from None
        yield piece
        await asyncio.sleep(0)  # others want the loop, too


def flag(field: str, value: str) -> bool:
    """A yes or no in a form. Raises InvalidInput."""
    if value.lower() in ("true", "1", "yes", "on"):
        return True
    if value.lower() in ("", "false", "0", "no", "off"):
        return False
    raise InvalidInput(f"{field} must be true or false.", field=field)


def notes(value: str | msgspec.Raw) -> Mapping[str, Any]:
    """The JSON object that stands in `metadata`; empty or null: none. What is far too long is not read. Raises
    InvalidInput."""
    if len(value) > _MAX_NOTES:
        raise InvalidInput(f"metadata must be at most {MAX_NOTES_BYTES} bytes of JSON.", field="metadata")
    if isinstance(value, str) and not value.strip():
        return {}
    return json_bodies.read(_NOTES, value, "metadata") or {}
