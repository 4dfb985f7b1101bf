from hypothesis import given
from hypothesis import strategies as st

from services.rag.domain.retrieval.budget import clipped, fitting, groups, tokens
from services.rag.domain.retrieval.matches import Match


def match(count: int) -> Match:
    return Match("m", 1.0, 1.0, "d", "f", 0, "text", 0, 4, token_count=count)


def test_the_best_matches_that_fit_are_taken() -> None:
    matches = [match(100), match(100), match(100)]
    assert len(fitting(matches, 300)) == 2  # the marks around each take 40
    assert len(fitting(matches, 10)) == 1
    assert fitting([], 10) == []


@given(st.lists(st.integers(1, 500)), st.integers(1, 1000))
def test_groups_hold_every_item_once_in_order_and_fit(sizes: list[int], budget: int) -> None:
    found = list(groups(sizes, budget))
    assert [index for group in found for index in group] == list(range(len(sizes)))
    assert all(len(group) == 1 or sum(sizes[index] for index in group) <= budget for group in found)


@given(st.text(), st.integers(1, 50))
def test_a_clipped_text_fits(text: str, budget: int) -> None:
    kept = clipped(text, budget)
    assert text.startswith(kept)
    assert tokens(kept) <= budget


def test_chinese_takes_a_token_a_character() -> None:
    assert tokens("中文" * 100) >= 200 > 80 > tokens("word " * 50)
