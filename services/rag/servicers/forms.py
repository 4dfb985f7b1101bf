"""multipart/form-data, read part by part as it comes: what is not yet asked for is not yet read."""

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import collapse_rfc2231_value
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from core.errors import InvalidInput, PayloadTooLarge

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MAX_PARTS = 100
MAX_FIELD_BYTES = 64 * 1024
_MAX_HEADERS = 16
_MAX_HEADER_BYTES = 8 * 1024
_MAX_PREAMBLE = 64 * 1024
_MAX_EPILOGUE = 1024 * 1024
_SLICE = 64 * 1024
"""Bytes that are parsed at once."""
_ENCODED_WORD = re.compile(r"=\?[^?\s]+\?[BbQq]\?[^?\s]*\?=")

Headers = dict[str, bytes]
Event = Headers | bytes | None
"""The head of a part, some of its content, or its end."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a form; `content` is to be read before the next part is asked for."""

    name: str
    file_name: str
    content_type: str
    content: AsyncIterator[bytes]

    async def text(self) -> str:
        """The content of a part that is a field. Raises PayloadTooLarge, InvalidInput."""
        content = bytearray()
        async for chunk in self.content:
            content += chunk
            if len(content) > MAX_FIELD_BYTES:
                raise PayloadTooLarge(
                    f"The form's field {_shown(self.name)} has more than {MAX_FIELD_BYTES // 1024} KiB.",
                    field=_shown(self.name),
                )
        try:
            return content.decode()
        except UnicodeDecodeError:
            raise InvalidInput(f"The form's field {_shown(self.name)} is not UTF-8.", field=_shown(self.name)) from None


class Form:
    """The parts of one body. Raises InvalidInput for what is not a form, or ends too early."""

    def __init__(self, content_type: str, chunks: AsyncIterator[bytes]) -> None:
        """`content_type` is the header, which names the boundary."""
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if not boundary:
            raise InvalidInput("The content type of a form must name its boundary.", field="content-type")
        self._chunks = chunks
        self._unparsed = memoryview(b"")
        self._preamble: _Preamble | None = _Preamble(boundary)
        self._events: deque[Event] = deque()
        self._ended = False
        self._count = 0
        self._headers: Headers = {}
        self._header_name = bytearray()
        self._header_value = bytearray()
        try:
            self._parser = MultipartParser(
                boundary, self._callbacks(), max_header_count=_MAX_HEADERS, max_header_size=_MAX_HEADER_BYTES
            )
        except FormParserError:
            raise InvalidInput("The form's boundary is too long.", field="content-type") from None

    async def parts(self) -> AsyncIterator[Part]:
        """Each part once, in order. What its reader leaves of a part is skipped."""
        while await self._more():
            head = self._events.popleft()
            if isinstance(head, dict):
                part = self._part(head)
                yield part
                async for _ in part.content:
                    pass
        await self._read_epilogue()

    def _part(self, headers: Headers) -> Part:
        kind, options = parse_options_header(headers.get("content-disposition", b""))
        if kind != b"form-data" or b"name" not in options:
            raise _broken("a part has no name")
        return Part(
            name=_decoded(options[b"name"]),
            file_name=_file_name(headers["content-disposition"], options.get(b"filename", b"")),
            content_type=_decoded(headers.get("content-type", b"")),
            content=self._content(),
        )

    async def _content(self) -> AsyncIterator[bytes]:
        while await self._more():
            event = self._events.popleft()
            if not isinstance(event, bytes):
                return
            yield event

    async def _more(self) -> bool:
        """Return whether there is another event, reading more of the body where it must."""
        while not self._events and not self._ended:
            if self._unparsed:
                await asyncio.sleep(0)  # others want the loop, too
            else:
                self._unparsed = await self._next_chunk()
            chunk, self._unparsed = bytes(self._unparsed[:_SLICE]), self._unparsed[_SLICE:]
            if self._preamble is not None:
                chunk = self._preamble.skip(chunk)
                if not chunk:
                    continue
                self._preamble = None
            try:
                self._parser.write(chunk)
            except FormParserError:
                raise _broken("a boundary or header is malformed") from None
        return bool(self._events)

    async def _next_chunk(self) -> memoryview:
        chunk = await anext(self._chunks, None)
        if chunk is None:
            raise _broken("it ends too early")
        return memoryview(chunk)

    async def _read_epilogue(self) -> None:
        """Read a little behind the last part, so that the sender can end."""
        left = _MAX_EPILOGUE - len(self._unparsed)
        while left >= 0:
            chunk = await anext(self._chunks, None)
            if chunk is None:
                return
            left -= len(chunk)
        raise _broken("too much follows its end")

    def _callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._on_part,
            "on_header_field": lambda data, start, end: self._header_name.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header_value.extend(data[start:end]),
            "on_header_end": self._on_header,
            "on_headers_finished": self._on_headers,
            "on_part_data": lambda data, start, end: self._events.append(bytes(data[start:end])),
            "on_part_end": lambda: self._events.append(None),
            "on_end": self._on_end,
        }

    def _on_part(self) -> None:
        self._count += 1
        if self._count > MAX_PARTS:
            raise InvalidInput(f"A form may have at most {MAX_PARTS} parts.", reason="BROKEN_FORM", field="body")

    def _on_header(self) -> None:
        self._headers[self._header_name.decode("latin-1").lower()] = bytes(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def _on_headers(self) -> None:
        self._events.append(self._headers)
        self._headers = {}

    def _on_end(self) -> None:
        self._ended = True


class _Preamble:
    """Text before the first boundary, which is ignored."""

    def __init__(self, boundary: bytes) -> None:
        self._first = re.compile(rb"[\r\n]--" + re.escape(boundary))
        self._read = bytearray(b"\n")  # as if a line had ended here

    def skip(self, chunk: bytes) -> bytes:
        """Return the body so far from the boundary on; empty: it has not come yet. Raises InvalidInput."""
        self._read += chunk
        if found := self._first.search(self._read):
            return bytes(self._read[found.start() + 1 :])
        if len(self._read) > _MAX_PREAMBLE:
            raise _broken("too much stands before its first boundary")
        return b""


def _file_name(disposition: bytes, plain: bytes) -> str:
    """`filename*` before `filename` (RFC 5987 and 6266, though RFC 7578 wants none in forms); of either, encoded words
    (RFC 2047) are decoded, as mail programs write them."""
    if b"*=" in disposition:
        message = Message()
        message["content-disposition"] = _decoded(disposition)
        given = message.get_params(header="content-disposition") or []
        extended = [value for name, value in given if name.lower() == "filename" and isinstance(value, tuple)]
        if extended:
            return collapse_rfc2231_value(extended[0], errors="replace")
    name = _decoded(plain).replace("%22", '"')
    if _ENCODED_WORD.search(name):
        try:
            return str(make_header(decode_header(name)))
        except (HeaderParseError, LookupError, UnicodeDecodeError):
            return name
    return name


def _broken(how: str) -> InvalidInput:
    return InvalidInput(f"The body is not a well-formed multipart form: {how}.", reason="BROKEN_FORM", field="body")


def _decoded(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _shown(name: str) -> str:
    return "".join(each for each in name if each.isprintable())[:64] or "?"
