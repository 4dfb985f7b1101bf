"""OpenAI's files."""

from typing import Any

import pytest

from portico.rag.v1 import file_service_pb2 as file_pb
from services.rag.domain.files.openai_files import PURPOSES
from tests.support.rag_client import (
    FILE_END,
    FORM_END,
    RagClient,
    field,
    file_head,
    form,
    received,
)
from tests.support.rag_harness import CODE, Harness, refused

pytestmark = pytest.mark.each_store


async def test_openais_files(client: RagClient, harness: Harness) -> None:
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
    assert harness.objects() == []


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
    await refused(page(purpose="odd"), CODE.INVALID_ARGUMENT, "purpose")


async def test_a_list_goes_on_behind_a_file_that_has_been_deleted(client: RagClient) -> None:
    """`for f in client.files.list(limit=2): client.files.delete(f.id)` stopped after 2 of 5."""
    ids = [(await client.send([form(b"x", purpose="batch")], bucket=""))["id"] for _ in range(5)]
    for order, expected in (("desc", ids[3:][::-1]), ("asc", ids[:2])):
        request = file_pb.ListOpenAIFilesRequest(limit=2, order=order)
        assert [each.id for each in (await client.call(client.openai.ListOpenAIFiles, request)).data] == expected
    seen: list[str] = []
    after = ""
    while True:
        request = file_pb.ListOpenAIFilesRequest(limit=2, after=after)
        page = await client.call(client.openai.ListOpenAIFiles, request)
        for file in page.data:
            seen.append(file.id)
            await client.call(client.openai.DeleteOpenAIFile, file_pb.DeleteOpenAIFileRequest(file_id=file.id))
        if not page.has_more:
            break
        after = page.last_id
    assert seen == ids[::-1]


@pytest.mark.parametrize("purpose", PURPOSES)
async def test_every_purpose_of_openais_is_taken(client: RagClient, purpose: str) -> None:
    assert (await client.send([form(b"x", purpose=purpose)], bucket=""))["purpose"] == purpose


@pytest.mark.parametrize("name", ["expires_after[anchor]", "expires_after[seconds]", "expires_after"])
async def test_an_expiry_is_refused_as_long_as_it_cannot_be_kept(
    client: RagClient, harness: Harness, name: str
) -> None:
    """It was dropped, and the file stayed for ever."""
    body = [form(b"x", purpose="batch", **{name: "3600"})]
    await refused(client.send(body, bucket=""), CODE.INVALID_ARGUMENT, "expires_after", http=400)
    behind = [file_head("b.jsonl") + b"{}" + FILE_END + field("purpose", "batch") + field(name, "3600") + FORM_END]
    await refused(client.send(behind, bucket=""), CODE.INVALID_ARGUMENT, "expires_after", http=400)
    assert harness.objects() == []


@pytest.mark.parametrize("fields", [{}, {"purpose": ""}, {"purpose": "x" * 65}, {"purpose": "bogus"}])
async def test_a_purpose_of_openais_is_wanted(client: RagClient, harness: Harness, fields: dict[str, str]) -> None:
    """A file with another purpose broke every list of a typed client."""
    await refused(client.send([form(b"x", **fields)], bucket=""), CODE.INVALID_ARGUMENT, "purpose", http=400)
    assert harness.objects() == []
