"""Batches of a request for a local model."""

from services.inference.adapters.local.models import batches


def test_texts_of_a_length_share_a_batch_and_none_is_lost() -> None:
    lengths = [5, 100, 7, 90, 6, 300]
    plan = batches(lengths, 200)
    assert plan == [[5], [1, 3], [2, 4, 0]]
    assert all(len(batch) * max(lengths[at] for at in batch) <= 200 or len(batch) == 1 for batch in plan)


def test_one_text_that_is_too_long_for_a_batch_is_one() -> None:
    assert batches([999], 10) == [[0]]
