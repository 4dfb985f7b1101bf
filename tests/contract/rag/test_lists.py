"""Lists of files, and deleting from them."""

from typing import Any

import pytest

from portico.rag.v1 import file_service_pb2 as file_pb
from tests.support.rag_client import (
    RagClient,
)
from tests.support.rag_harness import CODE, Harness, refused

pytestmark = pytest.mark.each_store


async def test_a_list_is_by_key_and_paged(client: RagClient) -> None:
    keys = [f"k{number:02}" for number in range(25)]
    for key in reversed(keys):
        await client.upload(b"x", keyHint=key)
    assert await client.keys() == keys
    for size in (1, 7, 24, 25, 26, 1000):
        assert await client.keys(limit=size) == keys
        assert await client.keys(page_size=size) == keys


async def test_a_search_looks_in_name_and_key_in_any_case(client: RagClient) -> None:
    for number in range(12):
        await client.upload(
            b"x", f"Report {number}.txt" if number % 3 else f"other{number}.txt", keyHint=f"k{number:02}"
        )
    found = [f"k{number:02}" for number in range(12) if number % 3]
    assert await client.keys(search="rEPORT") == found
    assert await client.keys(search="report", limit=3) == found
    assert await client.keys(search="K0") == [f"k{number:02}" for number in range(10)]
    assert await client.keys(search="nothing") == []


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"limit": -1}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"page_size": 1001}, "limit"),
        ({"cursor": "x"}, "cursor"),
        ({"page_token": "a.b"}, "cursor"),
        ({"cursor": "é"}, "cursor"),
        ({"search": "x" * 2000}, "search"),
    ],
)
async def test_a_list_with_bad_parameters(client: RagClient, more: dict[str, Any], field: str) -> None:
    request = file_pb.ListFilesRequest(bucket_key="default", **more)
    await refused(client.call(client.files.ListFiles, request), CODE.INVALID_ARGUMENT, field, http=400)


async def test_deleting_a_file(client: RagClient, harness: Harness) -> None:
    file = await client.upload(b"x")
    answer = await client.delete(file["key"])
    assert (answer.bucket_key, answer.object_key) == ("default", file["key"])
    assert answer.message
    await refused(client.get(file["key"]), CODE.NOT_FOUND, "objectKey", http=404)
    await refused(client.delete(file["key"]), CODE.NOT_FOUND, "objectKey", http=404)
    assert harness.objects() == []
    assert await harness.upload_intents() == 0
