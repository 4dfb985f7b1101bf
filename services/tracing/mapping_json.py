"""Bodies that pass the edge as they are: JSON of SDKs, and the answers to it. Pure."""

import zlib
from typing import Any

import msgspec
import orjson

from core import json_bodies, json_shape
from core.errors import InvalidInput, PayloadTooLarge, UnsupportedMedia
from core.json_shape import Bounds
from services.tracing.domain.records import Session

LARGE_BODY_BYTES = 32 * 1024
"""Bodies up to this size are read at once, larger ones in the worker thread."""
BOUNDS = Bounds(nodes=1_000_000, entries=1_000_000)
Body = dict[str, Any]
_OBJECT = msgspec.json.Decoder(dict[str, Any])
_MIB = 1024 * 1024
_ZLIB_OR_GZIP = 47
"""zlib's own wbits: 15 for the largest window, and 32 to tell the two formats apart."""


def read(data: bytes, coding: str, max_mb: int) -> dict[str, Any]:
    """The JSON object of a body. An empty body is an empty object. Raises InvalidInput, PayloadTooLarge,
    UnsupportedMedia."""
    plain = unpacked(data, coding, max_mb)
    json_shape.check(plain, BOUNDS)
    return json_bodies.read(_OBJECT, plain) if plain else {}


def unpacked(data: bytes, coding: str, max_mb: int) -> bytes:
    """The body without its Content-Encoding, of which no more is unpacked than is allowed. Raises PayloadTooLarge,
    UnsupportedMedia, InvalidInput."""
    limit = max_mb * _MIB
    name = coding.strip().lower()
    if name in ("", "identity"):
        if len(data) > limit:
            raise _too_large(max_mb)
        return data
    if name not in ("gzip", "deflate"):
        raise UnsupportedMedia(
            "Send the body plain or with Content-Encoding: gzip.", reason="UNSUPPORTED_ENCODING", field="body"
        )
    inflater = zlib.decompressobj(_ZLIB_OR_GZIP)
    try:
        plain = inflater.decompress(data, limit + 1)
    except zlib.error:
        raise InvalidInput(f"The body is not {name}.", reason="INVALID_ENCODING", field="body") from None
    if len(plain) > limit:
        raise _too_large(max_mb)
    if not inflater.eof or inflater.unused_data:
        raise InvalidInput(f"The body is cut off, or is more than one {name} stream.", field="body")
    return plain


def _too_large(max_mb: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The body must have at most {max_mb} MiB, unpacked. Send less at once.", field="body")


def ingested(session: Session, events: int) -> bytes:
    return orjson.dumps({"success": True, "sessionId": session.id, "eventsStored": events})


def started(session: Session) -> bytes:
    return orjson.dumps({"success": True, "sessionId": session.id, "status": session.status})


def appended(session: Session, event_id: str) -> bytes:
    answer = {"success": True, "sessionId": session.id, "eventId": event_id, "totalEvents": session.totals.events}
    return orjson.dumps(answer)


def ended(session: Session) -> bytes:
    answer = {
        "success": True,
        "sessionId": session.id,
        "status": session.status,
        "durationMs": session.duration_ms,
        "totalEvents": session.totals.events,
    }
    return orjson.dumps(answer)


def exported(spans: int, sessions: int, rejected: int, reason: str) -> bytes:
    partial = {"partialSuccess": {"rejectedSpans": str(rejected), "errorMessage": reason}} if rejected else {}
    counts = {"success": True, "spansProcessed": spans, "sessionsIngested": sessions, "eventsStored": spans}
    return orjson.dumps({**partial, **counts})
