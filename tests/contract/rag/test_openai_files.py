"""OpenAI's files."""

from typing import Any

import pytest

from portico.rag.v1 import file_service_pb2 as file_pb
from tests.support.rag_client import (
    RagClient,
    form,
    received,
)
from tests.support.rag_world import CODE, World, refused


async def test_openais_files(client: RagClient, world: World) -> None:
    made = await client.send([form(b'{"a": 1}\n', "train.jsonl", purpose="fine-tune")], bucket="")
    assert made["id"].startswith("file-")
    assert len(made["id"]) == 29
    assert made == {
        "id": made["id"],
        "object": "file",
        "bytes": 9,
        "created_at": made["created_at"],
        "filename": "train.jsonl",
        "purpose": "fine-tune",
        "status": "processed",
    }
    assert isinstance(made["bytes"], int)
    got = await client.call(client.openai.GetOpenAIFile, file_pb.GetOpenAIFileRequest(file_id=made["id"]))
    assert (got.id, got.bytes, got.purpose, got.created_at) == (made["id"], 9, "fine-tune", made["created_at"])
    download = client.openai.DownloadOpenAIFile(
        file_pb.DownloadOpenAIFileRequest(file_id=made["id"]), metadata=client.metadata, timeout=20
    )
    assert (await received(download)).content == b'{"a": 1}\n'
    assert (await client.get(made["id"], "openai")).name == "train.jsonl"
    gone = await client.call(client.openai.DeleteOpenAIFile, file_pb.DeleteOpenAIFileRequest(file_id=made["id"]))
    assert (gone.id, gone.deleted) == (made["id"], True)
    again = file_pb.GetOpenAIFileRequest(file_id=made["id"])
    await refused(client.call(client.openai.GetOpenAIFile, again), CODE.NOT_FOUND, http=404)
    assert world.objects() == []


async def test_openais_list(client: RagClient) -> None:
    ids = []
    for number in range(7):
        purpose = "batch" if number % 2 else "assistants"
        ids.append((await client.send([form(b"x", purpose=purpose)], bucket=""))["id"])

    async def page(**given: Any) -> Any:
        return await client.call(client.openai.ListOpenAIFiles, file_pb.ListOpenAIFilesRequest(**given))

    whole = await page()
    assert (whole.object, whole.has_more, whole.next_page_token) == ("list", False, "")
    assert [each.id for each in whole.data] == ids[::-1]
    assert (whole.first_id, whole.last_id) == (ids[-1], ids[0])
    assert [each.id for each in (await page(order="asc")).data] == ids
    assert [each.id for each in (await page(purpose="batch", order="asc")).data] == ids[1::2]
    seen, after = [], ""
    while True:
        part = await page(limit=2, after=after)
        seen += [each.id for each in part.data]
        after = part.next_page_token
        if not part.has_more:
            break
        assert after == part.last_id
    assert seen == ids[::-1]
    await refused(page(after="file-none"), CODE.NOT_FOUND, "after")
    await refused(page(limit=10_001), CODE.INVALID_ARGUMENT, "limit")
    await refused(page(order="up"), CODE.INVALID_ARGUMENT, "order")


@pytest.mark.parametrize("fields", [{}, {"purpose": ""}, {"purpose": "x" * 65}])
async def test_a_purpose_is_wanted(client: RagClient, world: World, fields: dict[str, str]) -> None:
    await refused(client.send([form(b"x", **fields)], bucket=""), CODE.INVALID_ARGUMENT, "purpose", http=400)
    assert world.objects() == []
