from typing import Any

import pytest

from core.errors import InvalidInput
from services.rag.domain.vector_stores.values import AUTO, Chunking, ExpiresAfter, StaticChunks, attributes, metadata


def test_auto_is_openais_default() -> None:
    assert Chunking("auto").sizes() == AUTO == StaticChunks(800, 400)
    assert Chunking("static", StaticChunks(100, 50)).sizes() == StaticChunks(100, 50)


@pytest.mark.parametrize(
    ("chunking", "field"),
    [
        (Chunking("other"), "chunking_strategy.type"),
        (Chunking("static"), "chunking_strategy.static"),
        (Chunking("auto", StaticChunks(800, 400)), "chunking_strategy.static"),
        (Chunking("static", StaticChunks(99, 0)), "chunking_strategy.static.max_chunk_size_tokens"),
        (Chunking("static", StaticChunks(4097, 0)), "chunking_strategy.static.max_chunk_size_tokens"),
        (Chunking("static", StaticChunks(100, 51)), "chunking_strategy.static.chunk_overlap_tokens"),
        (Chunking("static", StaticChunks(100, -1)), "chunking_strategy.static.chunk_overlap_tokens"),
    ],
)
def test_sizes_are_within_openais_limits(chunking: Chunking, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        chunking.sizes()
    assert caught.value.field == field


@pytest.mark.parametrize(("anchor", "days"), [("created_at", 1), ("last_active_at", 0), ("last_active_at", 366)])
def test_expiry_is_within_its_limits(anchor: str, days: int) -> None:
    with pytest.raises(InvalidInput):
        ExpiresAfter(anchor, days).check()


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({str(each): 1 for each in range(17)}, "attributes"),
        ({"": 1}, "attributes"),
        ({"a" * 65: 1}, "attributes"),
        ({"a": "b" * 513}, "attributes.a"),
        ({"a": [1]}, "attributes.a"),
        ({"a": None}, "attributes.a"),
        ({"_documentId": "other"}, "attributes._documentId"),
    ],
)
def test_attributes_are_within_their_limits(given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        attributes(given)
    assert caught.value.field == field


def test_attributes_and_metadata_are_kept_as_they_are() -> None:
    assert attributes({"a": "b", "c": 1.5, "d": True}) == {"a": "b", "c": 1.5, "d": True}
    assert metadata(None) == {}
    with pytest.raises(InvalidInput, match=r"metadata\.a"):
        metadata({"a": "b" * 513})
