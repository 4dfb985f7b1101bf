from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.rag.domain.retrieval.windows import neighbours, window


@dataclass(frozen=True)
class Piece:
    content: str
    char_start: int
    char_end: int


def cut(text: str, size: int, overlap: int) -> dict[int, Piece]:
    starts = range(0, max(1, len(text) - overlap), size - overlap)
    return {i: Piece(text[at : at + size], at, min(len(text), at + size)) for i, at in enumerate(starts)}


TEXT = "".join(f"{number:04} " for number in range(400))


@given(st.integers(20, 200), st.integers(0, 19), st.integers(1, 1500), st.data())
def test_a_window_is_a_part_of_the_text_around_the_chunk(
    size: int, overlap: int, wide: int, data: st.DataObject
) -> None:
    pieces = cut(TEXT, size, overlap)
    index = data.draw(st.integers(0, len(pieces) - 1))
    reached = {each: pieces[each] for each in neighbours(index, pieces[index], wide) if each in pieces}
    found = window(index, reached, wide)
    assert found in TEXT
    assert pieces[index].content in found
    assert len(found) <= max(wide, len(pieces[index].content))


def test_a_window_is_as_wide_as_asked_where_there_is_text() -> None:
    pieces = cut(TEXT, 100, 20)
    around = {each: pieces[each] for each in neighbours(10, pieces[10], 500)}
    assert len(window(10, around, 500)) == 500


def test_what_lies_between_two_chunks_is_one_space() -> None:
    pieces = {0: Piece("one", 0, 3), 1: Piece("two", 7, 10), 2: Piece("three", 12, 17)}
    assert window(1, pieces, 100) == "one two three"


@pytest.mark.parametrize("size", [0, 5])
def test_a_window_smaller_than_the_chunk_is_the_chunk(size: int) -> None:
    piece = Piece("a whole chunk", 0, 13)
    assert list(neighbours(0, piece, size)) == [0]
    assert window(0, {0: piece}, size) == piece.content


def test_chunks_that_are_missing_end_the_window() -> None:
    pieces = {1: Piece("two", 7, 10), 3: Piece("four", 20, 24)}
    assert window(1, pieces, 100) == "two"
