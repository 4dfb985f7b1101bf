"""Parent windows: the text around a chunk, put together from its neighbours. Pure."""

from collections.abc import Mapping
from typing import Protocol

_MOST_NEIGHBOURS = 16
"""Chunks on either side of a hit that are looked at."""


class Piece(Protocol):
    """A chunk of a document."""

    @property
    def content(self) -> str: ...
    @property
    def char_start(self) -> int: ...
    @property
    def char_end(self) -> int: ...


def neighbours(index: int, piece: Piece, size: int) -> range:
    """Indexes of the chunks that a window of `size` characters around a chunk may reach, its own included."""
    length = max(1, piece.char_end - piece.char_start)
    each_side = min(_MOST_NEIGHBOURS, -(-max(0, size - length) // (2 * length)) + 1) if size > length else 0
    return range(max(0, index - each_side), index + each_side + 1)


def window(index: int, pieces: Mapping[int, Piece], size: int) -> str:
    """The text of at most `size` characters around the chunk `index`, as far as its neighbours are in `pieces`. What
    lies between two chunks is white space, of which one space stays. The chunk itself is always whole."""
    hit = pieces[index]
    each_side = max(0, size - len(hit.content)) // 2
    before, after = _text_before(index, pieces, each_side), _text_after(index, pieces, each_side)
    return f"{before[max(0, len(before) - each_side) :]}{hit.content}{after[:each_side]}"


def _text_before(index: int, pieces: Mapping[int, Piece], length: int) -> str:
    text, start = "", pieces[index].char_start
    while len(text) < length:
        index -= 1
        piece = pieces.get(index)
        if piece is None or piece.char_start >= start:
            break
        gap = " " if piece.char_end < start else ""
        text = f"{piece.content[: start - piece.char_start]}{gap}{text}"
        start = piece.char_start
    return text


def _text_after(index: int, pieces: Mapping[int, Piece], length: int) -> str:
    text, end = "", pieces[index].char_end
    while len(text) < length:
        index += 1
        piece = pieces.get(index)
        if piece is None or piece.char_end <= end:
            break
        gap = " " if piece.char_start > end else ""
        text += f"{gap}{piece.content[max(0, end - piece.char_start) :]}"
        end = piece.char_end
    return text
