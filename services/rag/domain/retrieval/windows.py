"""Parent windows: the part of a document's text around a chunk. Pure."""

from services.rag.domain.knowledge.texts import PIECE_CHARS


def bounds(start: int, end: int, size: int, length: int) -> tuple[int, int]:
    """The part of a text of `length` characters that lies around the chunk from `start` to `end`: `size` characters, as
    far as there are as many, and never less than the chunk."""
    missing = max(0, size - (end - start))
    low = max(0, start - missing // 2)
    high = min(length, max(end, low + size))
    return max(0, min(low, high - size)), high


def piece_ids(source_id: str, low: int, high: int) -> list[str]:
    """Ids of the stored parts that hold the text of a source from one character to another, in order."""
    return [f"{source_id}:{start}" for start in range(low - low % PIECE_CHARS, high, PIECE_CHARS)]
