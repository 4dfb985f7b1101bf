"""Records of traces as the adapters keep them: JSON, and contents that are compressed where they are long."""

import sys
import threading

import msgspec

from services.tracing.domain.records import Event, Session

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAX_PAGE_BYTES = 4 * 1024 * 1024
"""Contents of a page of events, at least one event."""
MAX_GROUP_AGENTS = 100
"""Agents that are named of a thread."""
_COMPRESSED_ABOVE = 256
_LEVEL = 3
_ZSTD = b"\x28\xb5\x2f\xfd"

_local = threading.local()
_session_decoder = msgspec.json.Decoder(Session)
_event_decoder = msgspec.json.Decoder(Event)
_encode = msgspec.json.Encoder().encode


def searched(session: Session) -> str:
    """The text that a search looks through, in lower case."""
    return "\n".join((session.id, session.thread_id, session.agent_name, session.trace_id)).lower()


def session_record(session: Session) -> str:
    return _encode(session).decode()


def event_record(event: Event) -> str:
    return _encode(event).decode()


def session_of(record: str | bytes) -> Session:
    return _session_decoder.decode(record)


def event_of(record: str | bytes) -> Event:
    return _event_decoder.decode(record)


def packed(content: bytes) -> bytes:
    """Content as it is kept. JSON never begins as a compressed frame does."""
    if len(content) <= _COMPRESSED_ABOVE:
        return content
    compressor = getattr(_local, "compressor", None)
    if compressor is None:  # one for each thread: to make one takes as long as to compress a content
        compressor = _local.compressor = zstd.ZstdCompressor(_LEVEL)
    return compressor.compress(content, zstd.ZstdCompressor.FLUSH_FRAME)


def unpacked(content: bytes) -> bytes:
    return zstd.decompress(content) if content.startswith(_ZSTD) else content
