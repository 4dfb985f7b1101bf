"""Rerank requests as they are read."""

from services.inference.domain.frontends import rerank


def test_scores_are_taken_from_0_to_1() -> None:
    """A score of hundreds of digits was an internal error."""
    documents = [{"text": "a", "score": score} for score in (10**400, -(10**400), 0.25, 7)]
    assert rerank.read({"documents": documents}, return_documents=True).scores == [1.0, 0.0, 0.25, 1.0]


def test_scores_count_only_where_all_documents_have_one() -> None:
    documents = ["a", {"text": "b", "score": 0.5}]
    assert rerank.read({"documents": documents}, return_documents=True).scores is None
