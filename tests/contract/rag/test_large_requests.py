"""Requests that are cheap to send and dear to read: refused with the name of what is too large."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import orjson
import pytest
from google.api.httpbody_pb2 import HttpBody

from portico.rag.v1 import bucket_service_pb2 as bucket_pb
from portico.rag.v1 import file_service_pb2 as file_pb
from portico.rag.v1 import provider_service_pb2 as provider_pb
from tests.support.large_requests import json_list, json_object, members, repeated
from tests.support.rag_client import RagClient, form
from tests.support.rag_harness import CODE, MIB, Harness, refused

Send = Callable[[RagClient], Awaitable[Any]]
RECORDS: dict[str, tuple[Send, str]] = {
    "bucket's metadata": (
        lambda c: c.call(c.buckets.CreateBucket, bucket_pb.CreateBucketRequest(name="x", metadata=members(20_000))),
        "metadata",
    ),
    "provider's metadata": (
        lambda c: c.call(
            c.providers.CreateFileProvider,
            provider_pb.CreateFileProviderRequest(driver="local", label="x", metadata=members(20_000)),
        ),
        "metadata",
    ),
    "provider's settings": (
        lambda c: c.call(
            c.providers.CreateFileProvider,
            provider_pb.CreateFileProviderRequest(driver="local", label="x", settings=members(60_000, digits=6)),
        ),
        "settings",
    ),
    "provider's credentials": (
        lambda c: c.call(
            c.providers.CreateFileProvider,
            provider_pb.CreateFileProviderRequest(driver="local", label="x", credentials=members(60_000, digits=6)),
        ),
        "credentials",
    ),
    "file's metadata in JSON": (
        lambda c: c.send(
            [b'{"fileName":"a","data":"YQ==","metadata":{"a":%b}}' % json_list(b"[]", 100_000)], "application/json"
        ),
        "metadata",
    ),
    "file's metadata in a form": (
        lambda c: c.send([form(b"x", metadata=json.dumps({"a": [[]] * 15_000}))]),
        "metadata",
    ),
}


@pytest.mark.parametrize("name", RECORDS)
async def test_a_record_that_is_too_large_is_refused_by_field(client: RagClient, name: str) -> None:
    """12 MiB of metadata were converted for seconds before their size was looked at."""
    send, named = RECORDS[name]
    await refused(send(client), CODE.INVALID_ARGUMENT, named, http=400)


async def test_a_message_of_millions_of_fields_is_refused(client: RagClient) -> None:
    """It was parsed in one go, for seconds in which nobody was served."""

    async def messages() -> Any:
        yield file_pb.UploadFileRequest(bucket_key="default", body=repeated(HttpBody(extensions=[{}]), 1_000_000))

    call = client.files.UploadFile(messages(), metadata=client.metadata, timeout=60)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() is CODE.INVALID_ARGUMENT


async def test_members_that_nobody_asked_for_are_passed_over(client: RagClient) -> None:
    body = b'{"fileName":"a","data":"YQ==",' + json_object(200_000)[1:]
    assert (await client.send([body], "application/json"))["file"]["size"] == 1


async def test_files_with_much_metadata_come_in_short_pages(client: RagClient) -> None:
    """A page of them took a minute, and was too large to send."""
    long = {"text": "x" * 16_000}
    for number in range(140):
        await client.upload(b"x", keyHint=f"{number:03}", metadata=long)
    page = await client.call(client.files.ListFiles, file_pb.ListFilesRequest(bucket_key="default", limit=1000))
    assert 100 < page.count < 140
    assert await client.keys(limit=1000) == [f"{number:03}" for number in range(140)]
    assert await client.keys(limit=7) == [f"{number:03}" for number in range(140)]
    assert await client.keys(search="1", limit=1000) == [f"{n:03}" for n in range(140) if "1" in f"{n:03}"]


async def test_openais_list_is_whole_however_large_the_records_are(client: RagClient) -> None:
    for number in range(140):
        await client.upload(b"x", bucket="openai", keyHint=f"{number:03}", metadata={"text": "x" * 16_000})
    listed = await client.call(client.openai.ListOpenAIFiles, file_pb.ListOpenAIFilesRequest())
    assert (len(listed.data), listed.has_more) == (140, False)


async def test_metadata_comes_back_as_it_was_sent(client: RagClient) -> None:
    given = {"whole": 1, "half": 0.5, "list": [1, None, True], "nested": {"a": ""}}
    assert (await client.upload(b"x", metadata=given))["metadata"] == given


async def test_others_go_on_while_large_files_come_as_json(harness: Harness, client: RagClient) -> None:
    data = base64.b64encode(b"x" * (20 * MIB)).decode()
    body = orjson.dumps({"fileName": "a", "data": data})
    other = harness.client(tenant="globex")
    large = asyncio.gather(*(client.send([body], "application/json") for _ in range(3)))
    for number in range(10):
        assert (await other.upload(b"mine", keyHint=f"{number}"))["size"] == 4
    assert [answer["file"]["size"] for answer in await large] == [20 * MIB] * 3
