"""Downloads over HTTP: which bytes, and the headers that go with them."""

import re
from collections.abc import Mapping
from email.utils import formatdate, parsedate_to_datetime
from urllib.parse import quote

import orjson

from core.errors import PreconditionFailed, RangeNotSatisfiable
from core.rpc.call import CallContext
from services.rag.domain.files.files import Content, Span

_RANGE = re.compile(r"bytes=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*")
_TAG = re.compile(r'(W/)?("[^"]*")')
_MAX_METADATA_HEADER = 4096
"""Bytes. Clients limit the headers they take, some to 16 KiB in all."""


Headers = Mapping[str, str]
"""Headers of a request, names in lower case."""


def select(content: Content, asked: Headers) -> Span | None:
    """Return the span that conditions and range ask for, as RFC 9110 has it; None: the caller has it already.
    Raises PreconditionFailed, RangeNotSatisfiable."""
    _check_conditions(content, asked)
    if _is_known(content, asked):
        return None
    whole = Span(0, content.size)
    found = _RANGE.fullmatch(asked.get("range", ""))
    if_range = asked.get("if-range", "").strip()
    if found is None or (if_range and if_range != content.etag):
        return whole  # what is not understood, several ranges among it, may be ignored
    first, last = found.groups()
    if not first and not last:
        return whole
    if first and last and int(first) > int(last):
        return whole
    if not first and int(last) and not content.size:
        return whole  # it ends with what was asked for, but no Content-Range can say so
    start = int(first) if first else max(0, content.size - int(last))
    end = min(int(last), content.size - 1) if first and last else content.size - 1
    if start > end:
        refusal = RangeNotSatisfiable(f"The file has {content.size} bytes.", field="range")
        refusal.headers = (("content-range", f"bytes */{content.size}"),)
        raise refusal
    return Span(start, end - start + 1, partial=True)


def _check_conditions(content: Content, asked: Headers) -> None:
    """Raises PreconditionFailed."""
    if if_match := asked.get("if-match", ""):
        if not _matches(if_match, content.etag, strongly=True):
            raise PreconditionFailed("The file's content is not one that If-Match names.", field="if-match")
    elif (since := _time(asked.get("if-unmodified-since", ""))) is not None and int(content.modified_at) > since:
        raise PreconditionFailed("The file has changed since then.", field="if-unmodified-since")


def _is_known(content: Content, asked: Headers) -> bool:
    if if_none_match := asked.get("if-none-match", ""):
        return _matches(if_none_match, content.etag)
    since = _time(asked.get("if-modified-since", ""))
    return since is not None and int(content.modified_at) <= since


def _time(date: str) -> float | None:
    """Return the time of an HTTP date, in Unix seconds; None: it is no date, and then the header is to be ignored."""
    try:
        return parsedate_to_datetime(date).timestamp() if date else None
    except (ValueError, OverflowError):
        return None


def add_headers(content: Content, span: Span | None, context: CallContext) -> None:
    """Set status and headers of the answer. The content is a stranger's: it is never to be shown as a page of ours."""
    context.add_header("etag", content.etag)
    context.add_header("cache-control", "private, no-cache")
    context.add_header("accept-ranges", "bytes")
    context.add_header("last-modified", formatdate(content.modified_at, usegmt=True))
    if span is None:
        context.set_http_status(304)
        return
    context.add_header("content-disposition", disposition(content.name))
    context.add_header("x-content-type-options", "nosniff")
    context.add_header("x-file-metadata", metadata(content))
    context.add_header("x-content-length", str(span.length))  # the edge's: gRPC's own length would be another
    if span.partial:
        context.set_http_status(206)
        context.add_header("content-range", f"bytes {span.offset}-{span.offset + span.length - 1}/{content.size}")


def disposition(name: str) -> str:
    """Return the header of an attachment, with the name in both spellings of RFC 6266."""
    plain = "".join(each if " " <= each <= "~" and each not in '"\\%' else "_" for each in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def metadata(content: Content) -> str:
    """A JSON object in ASCII; without the caller's metadata, and then without the names, where they are long."""
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


def _matches(header: str, etag: str, *, strongly: bool = False) -> bool:
    """`strongly`: a weak tag matches nothing."""
    tags = [tag for weak, tag in _TAG.findall(header) if not (weak and strongly)]
    return header.strip() == "*" or etag in tags
