"""Parse server-sent events from a byte stream, and detect a body's kind from its first bytes."""

from collections.abc import Sequence
from enum import Enum, auto

from core.errors import UpstreamFailed
from services.inference.domain.json_values import BYTE_ORDER_MARK

MAX_EVENT_BYTES = 32 * 1024 * 1024
"""Unless told otherwise; as large as a whole answer may be."""


class Kind(Enum):
    """The kind of a body by its first bytes, as its Content-Type is often wrong."""

    JSON = auto()
    EVENTS = auto()
    PAGE = auto()
    """HTML or XML: an error page of a proxy."""


def kind_of(start: bytes) -> Kind | None:
    """The kind of a body; None while `start` does not tell."""
    if start.startswith(b"data:"):
        return Kind.EVENTS
    text = start.removeprefix(BYTE_ORDER_MARK).lstrip()
    if not text or BYTE_ORDER_MARK.startswith(start):
        return None
    if text[0] in b"{[":
        return Kind.JSON
    return Kind.PAGE if text[0] in b"<" else Kind.EVENTS


class ErrorData(bytes):
    """The data of an event that calls itself an error: by its type, or by a field `error`, as llama.cpp wrote it."""


class EventSplitter:
    """Collects bytes and gives out the data of the events that they complete.

    Lines may end in LF, CRLF or CR; one byte order mark may stand before the first. Comments, and fields other than
    `data` and `error`, are dropped. JSON without a field's name counts as data.
    """

    def __init__(self, max_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_bytes = max_bytes
        self._rest = bytearray()
        self._after_cr = False
        self._start: bytes | None = b""
        """Bytes that may be the beginning of a byte order mark; None once that is decided."""

    def feed(self, data: bytes) -> Sequence[bytes]:
        """Feed bytes; returns the data of completed events. Raises UpstreamFailed for an event that does not end."""
        if self._start is not None:
            data = self._without_mark(data)
        if self._after_cr or b"\r" in data:
            data = self._with_line_feeds(data)
        rest = self._rest
        if not rest and data.endswith(b"\n\n"):
            if data.startswith(b"data:") and data.find(b"\n") == len(data) - 2:  # one event of one line: nearly always
                return (data[5:].strip(),)
            return _payloads(data)
        seen = max(0, len(rest) - 1)  # the blank line may be cut in two
        rest += data
        end = rest.rfind(b"\n\n", seen)
        if end < 0:
            if len(rest) > self._max_bytes:
                raise UpstreamFailed("The provider sent an event that does not end.", reason="UPSTREAM_MALFORMED")
            return ()
        events = bytes(rest[:end])
        del rest[: end + 2]
        return _payloads(events)

    def end(self) -> Sequence[bytes]:
        """The data of a last event that no blank line ended."""
        events = bytes(self._rest)
        self._rest.clear()
        return _payloads(events)

    def _without_mark(self, data: bytes) -> bytes:
        if not self._start and data.startswith(b"data:"):
            self._start = None
            return data
        start = (self._start or b"") + data
        if len(start) < len(BYTE_ORDER_MARK) and BYTE_ORDER_MARK.startswith(start):
            self._start = start
            return b""
        self._start = None
        return start.removeprefix(BYTE_ORDER_MARK)

    def _with_line_feeds(self, data: bytes) -> bytes:
        if not data:
            return data
        # The LF of a CRLF that was cut in two is dropped: its CR has ended the line already.
        lines = data.removeprefix(b"\n") if self._after_cr else data
        self._after_cr = data.endswith(b"\r")
        return lines.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _payloads(events: bytes) -> list[bytes]:
    found: list[bytes] = []
    for event in events.split(b"\n\n"):
        if event.startswith(b"data:") and b"\n" not in event:
            found.append(event[5:].strip())
        elif event:
            found += _fields(event)
    return found


def _fields(event: bytes) -> list[bytes]:
    """The event's data, its lines joined as the standard says, and what of it is an error on its own."""
    if event.lstrip()[:1] in (b"{", b"["):
        return [event.strip()]
    lines: list[bytes] = []
    others: list[bytes] = []
    failed = False
    for line in event.split(b"\n"):
        name, _, value = line.partition(b":")
        if name == b"data":
            lines.append(value.removeprefix(b" "))
        elif name == b"error":
            others.append(ErrorData(value.strip()))
        elif name == b"event":
            failed = value.strip() == b"error"
        elif line.startswith(b"{"):
            others.append(line)
    if not lines:
        return others
    data = b"\n".join(lines).strip()
    return [ErrorData(data) if failed else data, *others]
