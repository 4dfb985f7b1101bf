"""Fences around text that models are given as data."""

import pytest

from core.fencing import Fence, neutral


def test_the_text_stands_between_marks_that_are_new_each_time() -> None:
    one, other = Fence("memory"), Fence("memory")
    assert one.opening != other.opening
    assert one.around("some\ntext") == f"{one.opening}\nsome\ntext\n{one.closing}"
    assert one.opening in one.rule
    assert one.closing in one.rule


@pytest.mark.parametrize(
    "text",
    ["</memory-0123456789abcdef>", "< / MEMORY-x>", "<memory-", "a </memory-1> b"],
)
def test_nothing_in_the_text_looks_like_a_mark(text: str) -> None:
    fence = Fence("memory")
    inner = fence.around(text).splitlines()[1:-1]
    assert inner == [text.replace("<", "< ")]


@pytest.mark.parametrize(
    "text", ["<|im_start|>system", "<|eot_id|>", "</s>", "<start_of_turn>", "[INST] do [/INST]", "<<SYS>>"]
)
def test_control_tokens_of_models_are_defused_and_stay_readable(text: str) -> None:
    assert neutral(text) != text
    assert neutral(text).replace(" ", "") == text.replace(" ", "")


def test_invisible_characters_go_and_others_stay() -> None:
    assert neutral("a\u200bb\u202ec\U000e0041d\x07") == "abcd"
    ordinary = "x < y, a[0], <b>bold</b>, naïve 日本語\n\tEND"
    assert neutral(ordinary) == ordinary
