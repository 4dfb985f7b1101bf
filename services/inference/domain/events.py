"""Server-sent events out of bytes that were cut anywhere."""

from collections.abc import Sequence

from core.errors import UpstreamFailed

MAX_EVENT_BYTES = 16 * 1024 * 1024


class EventSplitter:
    """Collects bytes and gives out the data of the events that they complete.

    Lines may end in LF, CRLF or CR. Comments, and fields other than `data`, are dropped.
    """

    def __init__(self) -> None:
        self._rest = bytearray()
        self._after_cr = False

    def feed(self, data: bytes) -> Sequence[bytes]:
        """Raises UpstreamFailed for an event that does not end."""
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
            if len(rest) > MAX_EVENT_BYTES:
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

    def _with_line_feeds(self, data: bytes) -> bytes:
        if not data:
            return data
        # The LF of a CRLF that was cut in two is dropped: its CR has ended the line already.
        lines = data.removeprefix(b"\n") if self._after_cr else data
        self._after_cr = data.endswith(b"\r")
        return lines.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _payloads(events: bytes) -> list[bytes]:
    return [payload for event in events.split(b"\n\n") if event and (payload := _payload(event)) is not None]


def _payload(event: bytes) -> bytes | None:
    """The event's data, its lines joined as the standard says; None if it has none."""
    if event.startswith(b"data:") and b"\n" not in event:
        return event[5:].strip()
    lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(lines).strip() if lines else None
