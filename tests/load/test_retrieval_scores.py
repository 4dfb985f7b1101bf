"""The arithmetic of the retrieval benchmark, and its questions."""

from pathlib import Path

import pytest

from tests.load.bench_retrieval import BEGIN, END, Question, questions, score, write


def test_a_question_counts_by_the_place_of_its_page() -> None:
    wanted = [Question("a", frozenset({"x"})), Question("b", frozenset({"y", "z"})), Question("c", frozenset({"q"}))]
    rankings = [["x", "o"], ["o", "o", "o", "o", "o", "z"], ["o"]]
    found = score(rankings, wanted)
    assert found.found == pytest.approx(1 / 3)
    assert found.found_pages == pytest.approx(2 / 3)
    assert found.reciprocal == pytest.approx((1 + 1 / 6) / 3)


def test_there_are_enough_questions_and_each_is_asked_once() -> None:
    texts = [each.text for each in questions()]
    assert len(texts) >= 60
    assert len(set(texts)) == len(texts)
    assert all(each.pages for each in questions())


def test_the_report_takes_its_place_in_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write(page, ["new"])
    assert page.read_text() == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
