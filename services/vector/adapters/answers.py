"""Checks of answers from engines that belong to a tenant."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from core import free_json, logs
from core.errors import UpstreamFailed
from services.vector.domain.points import MAX_ID, MAX_METADATA_BYTES, MAX_TEXT, Match, Point
from services.vector.ports import PointPage

MAX_POINT_BYTES = 1024 * 1024
"""Most bytes of a point's id, metadata, text and, where it is kept, vector as JSON; what is written is at most some 970
KiB."""
_FLAT = free_json.MAX_DEPTH
"""Brackets in the JSON text of a point that is looked at no further."""
_POINT_BYTES = 2048
"""Bytes of a usual point, without its numbers."""

log = logs.get(__name__)

P = TypeVar("P", Point, Match)


class AnswerTooLarge(UpstreamFailed):
    default_reason = "ANSWER_TOO_LARGE"

    def __init__(self) -> None:
        super().__init__("The answer of the vector provider is too large. Ask for fewer vectors at once.")


def malformed() -> UpstreamFailed:
    return UpstreamFailed(
        "The vector provider's answer is not what its protocol promises.", reason="UPSTREAM_MALFORMED"
    )


def unreadable(engine: str, error: Exception) -> UpstreamFailed:
    """Return the error to raise instead of one of reading. Its text may hold what the server said: neither the log nor
    the traceback of what is raised may have it."""
    log.warning("an answer cannot be read", engine=engine, error=type(error).__name__, location=logs.location_of(error))
    return malformed()


def checked(point: P, raw: str) -> P:
    """A point or match that was read, from JSON text whose length was looked at. Raises where it is not what could have
    been written; see `readable`."""
    id, metadata, text = point.id, point.metadata, point.text
    if not (type(id) is type(text) is str and 0 < len(id) <= MAX_ID and len(text) <= MAX_TEXT):
        raise TypeError("id and text are texts of limited length")
    if type(metadata) is not dict:
        raise TypeError("metadata is an object")
    if raw.count("[") + raw.count("{") > _FLAT:  # else it is neither deep nor much larger than its text
        free_json.check("metadata", metadata, at_most=MAX_METADATA_BYTES)
    return point


@contextmanager
def readable(engine: str) -> Iterator[None]:
    """Around what reads an answer: whatever goes wrong is the server's fault."""
    try:
        yield
    except UpstreamFailed:
        raise
    except Exception as error:
        raise unreadable(engine, error) from None


async def page_that_fits(
    read: Callable[[int], Awaitable[PointPage]], limit: int, dimension: int, max_bytes: int
) -> PointPage:
    """A page of `limit` points, or of fewer where that many would be more than may be answered."""
    limit = max(1, min(limit, max_bytes // (4 * dimension + _POINT_BYTES)))
    while True:
        try:
            return await read(limit)
        except AnswerTooLarge:
            if limit == 1:
                raise
            limit = max(1, limit // 4)
