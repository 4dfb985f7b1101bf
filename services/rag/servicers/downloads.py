"""Downloads over HTTP: which bytes, and the headers that go with them."""

import re
from urllib.parse import quote

import orjson

from core.errors import RangeNotSatisfiable
from core.rpc import reply
from services.rag.domain.files import Content, Span

_RANGE = re.compile(r"bytes=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*")
_TAG = re.compile(r'(?:W/)?("[^"]*")')
_MAX_METADATA_HEADER = 4096
"""Bytes. Clients limit the headers they take, some to 16 KiB in all."""


def select(content: Content, *, wanted: str, if_range: str, if_none_match: str) -> Span | None:
    """What the headers Range, If-Range and If-None-Match ask for; None: the caller has it already.
    Raises RangeNotSatisfiable."""
    if if_none_match and _matches(if_none_match, content.etag):
        return None
    whole = Span(0, content.size)
    found = _RANGE.fullmatch(wanted)
    if found is None or (if_range and if_range.strip() != content.etag):
        return whole  # what is not understood, several ranges among it, may be ignored
    first, last = found.groups()
    if not first and not last:
        return whole
    if first and last and int(first) > int(last):
        return whole
    start = int(first) if first else max(0, content.size - int(last))
    end = min(int(last), content.size - 1) if first and last else content.size - 1
    if start > end:
        reply.add_header("content-range", f"bytes */{content.size}")
        raise RangeNotSatisfiable(f"The file has {content.size} bytes.", field="range")
    return Span(start, end - start + 1, partial=True)


def tell(content: Content, span: Span | None) -> None:
    """The answer's status and headers. The content is a stranger's: it is never to be shown as a page of ours."""
    reply.add_header("etag", content.etag)
    reply.add_header("cache-control", "private, no-cache")
    reply.add_header("accept-ranges", "bytes")
    if span is None:
        reply.set_status(304)
        return
    reply.add_header("content-disposition", disposition(content.name))
    reply.add_header("x-content-type-options", "nosniff")
    reply.add_header("x-file-metadata", metadata(content))
    reply.add_header("x-content-length", str(span.length))  # the edge's: gRPC's own length would be another
    if span.partial:
        reply.set_status(206)
        reply.add_header("content-range", f"bytes {span.offset}-{span.offset + span.length - 1}/{content.size}")


def disposition(name: str) -> str:
    """As an attachment, with the name in both spellings of RFC 6266."""
    plain = "".join(each if " " <= each <= "~" and each not in '"\\%' else "_" for each in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def metadata(content: Content) -> str:
    """A JSON object in ASCII; without the caller's notes, and then without the names, where they are long."""
    file = content.file
    facts = {"contentType": content.content_type, "size": content.size, "checksum": file.checksum}
    named = {"key": file.key, "bucketKey": file.bucket_key, "fileName": file.name, **facts}
    fullest_first = ({**named, "metadata": dict(file.metadata)}, named, facts)
    return next(text for each in fullest_first if len(text := _ascii(each)) <= _MAX_METADATA_HEADER)


def _ascii(value: object) -> str:
    text = orjson.dumps(value).decode()
    return "".join(each if " " <= each <= "~" else _escaped(each) for each in text)


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def _matches(header: str, etag: str) -> bool:
    return header.strip() == "*" or etag in _TAG.findall(header)
