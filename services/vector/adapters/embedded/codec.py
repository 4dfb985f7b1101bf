"""Messages between the service and an engine worker: a pickled call there, a pickled answer back, both with their
length in front. An empty answer comes first: the process is ready. The socket's two ends are one program, which made
the pair itself: neither end is a stranger to the other.

Queries, points and matches travel as plain tuples: as the objects that they are they take five times as long to pickle,
which on a query would be a tenth of the engine's own time.
"""

import pickle
import struct
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import PorticoError
from services.vector.domain.points import Match, Point
from services.vector.ports import PointPage, Query

LENGTH = struct.Struct("<I")

Row = tuple[Any, ...]
WorkerCall = tuple[str, str, Sequence[Any]]
"""Method, folder of the index, arguments."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`stale` is the size in bytes of the index's vectors that wait for a rebuild. `detail` is for the log."""

    result: Any = None
    error: PorticoError | None = None
    detail: str = ""
    stale: int = 0


def encode_call(call: WorkerCall) -> bytes:
    return _encode(call)


def encode_answer(answer: Answer) -> bytes:
    return _encode((answer.result, answer.error, answer.detail, answer.stale))


def decode_call(message: bytes) -> WorkerCall:
    call: WorkerCall = pickle.loads(message)  # noqa: S301  # see above: no stranger wrote it
    return call


def decode_answer(message: bytes) -> Answer:
    return Answer(*pickle.loads(message))  # noqa: S301  # see above


def _encode(value: object) -> bytes:
    message = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    return LENGTH.pack(len(message)) + message


class Messages:
    """A decoder of messages from chunks of any size."""

    def __init__(self) -> None:
        self._held = bytearray()

    def of(self, data: bytes) -> Iterator[bytes]:
        """Iterate the messages that are complete with this data."""
        held = self._held
        held += data
        start = 0
        while len(held) - start >= LENGTH.size:
            begin = start + LENGTH.size
            end = begin + LENGTH.unpack_from(held, start)[0]
            if len(held) < end:
                break
            yield bytes(memoryview(held)[begin:end])
            start = end
        if start:
            del held[:start]


def encode_query(query: Query) -> Row:
    return (query.vector.tobytes(), query.top_k, query.filter, query.include_values, query.keywords)


def decode_query(row: Row) -> Query:
    return Query(array("f", row[0]), *row[1:])


def encode_points(points: Sequence[Point]) -> list[Row]:
    return [(point.id, point.values.tobytes(), point.metadata, point.text) for point in points]


def decode_points(rows: Sequence[Row]) -> list[Point]:
    return [Point(id, array("f", values), metadata, text) for id, values, metadata, text in rows]


def encode_matches(matches: Sequence[Match]) -> list[Row]:
    return [
        (match.id, match.score, match.metadata, match.text, None if match.values is None else match.values.tobytes())
        for match in matches
    ]


def decode_matches(rows: Sequence[Row]) -> list[Match]:
    return [
        Match(id, score, metadata, text, None if values is None else array("f", values))
        for id, score, metadata, text, values in rows
    ]


def encode_page(page: PointPage) -> Row:
    return encode_points(page.points), page.after


def decode_page(row: Row) -> PointPage:
    return PointPage(decode_points(row[0]), row[1])
