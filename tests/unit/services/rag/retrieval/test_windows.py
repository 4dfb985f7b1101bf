from hypothesis import assume, given
from hypothesis import strategies as st

from services.rag.domain.retrieval.windows import bounds


@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 1500), st.integers(0, 1200))
def test_a_window_lies_in_the_text_around_the_chunk(start: int, end: int, size: int, length: int) -> None:
    assume(start < end <= length)
    low, high = bounds(start, end, size, length)
    assert 0 <= low <= start < end <= high <= length
    assert high - low == max(end - start, min(size, length))


def test_the_chunk_is_in_the_middle() -> None:
    assert bounds(50, 60, 30, 100) == (40, 70)
    assert bounds(5, 15, 30, 100) == (0, 30)
    assert bounds(90, 100, 30, 100) == (70, 100)
    assert bounds(5, 15, 0, 100) == (5, 15)
