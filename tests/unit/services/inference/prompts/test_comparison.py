"""Comparison of versions."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.inference.domain.prompts.comparison import ADDED, REMOVED, compare_lines, compare_metadata
from services.inference.domain.prompts.records import PromptVersion

SIGNS = {"added": "+", "removed": "-", "unchanged": " "}


def diff(old: str, new: str) -> list[str]:
    return [SIGNS[each.type] + each.line for each in compare_lines(old, new)]


def version(**metadata: Any) -> PromptVersion:
    return PromptVersion("v", "p", 1, "n", "t", metadata=metadata)


def test_a_line_in_the_middle_does_not_change_those_after_it() -> None:
    """Lines were compared by position: one more made all that followed new."""
    assert diff("a\nb\nc", "a\nnew\nb\nc") == [" a", "+new", " b", " c"]
    assert diff("a\nb\nc", "a\nc") == [" a", "-b", " c"]
    assert diff("a\nb\nc", "a\nB\nc") == [" a", "-b", "+B", " c"]
    assert diff("a\nx\nb\ny\nc", "a\nX\nb\nY\nc") == [" a", "-x", "+X", " b", "-y", "+Y", " c"]
    assert diff("same", "same") == [" same"]


def test_texts_that_would_take_long_to_compare() -> None:
    """Lines that come again and again cost the matcher their number cubed."""
    old, new = "\n".join("ab" * 8000), "\n".join("ba" * 8000)
    changes = compare_lines(old, new)
    assert {each.type for each in changes} == {ADDED, REMOVED}
    assert len(changes) == 32_000


@given(*[st.lists(st.sampled_from("abc"), max_size=12).map("\n".join)] * 2)
def test_both_texts_are_in_the_comparison(old: str, new: str) -> None:
    changes = compare_lines(old, new)
    assert "\n".join(each.line for each in changes if each.type != ADDED) == old
    assert "\n".join(each.line for each in changes if each.type != REMOVED) == new


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ({"a": 1}, {"a": 1}, {"a": False}),
        ({"a": 1}, {"a": True}, {"a": True}),
        ({"a": {"x": 1, "y": [1]}}, {"a": {"y": [1], "x": 1}}, {"a": False}),
        ({"a": {"x": 1}}, {"a": {"x": True}}, {"a": True}),
        ({"b": None}, {"a": 1}, {"a": True, "b": True}),
        ({}, {}, {}),
    ],
)
def test_metadata(old: dict[str, Any], new: dict[str, Any], changed: dict[str, bool]) -> None:
    changes = compare_metadata(version(**old), version(**new))
    assert {each.name: each.changed for each in changes} == changed
    assert [each.name for each in changes] == sorted(changed)
