"""Downloads: heads, ranges, entity tags, what happens meanwhile, and what large files cost in memory."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from portico.rag.v1 import file_service_pb2 as file_pb
from tests.support.rag_client import (
    FILE_END,
    FORM_END,
    RagClient,
    Reply,
    field,
    file_head,
    received,
)
from tests.support.rag_harness import CODE, MIB, Harness, refused
from tests.support.waiting import until


async def test_the_head_of_a_download(client: RagClient) -> None:
    file = await client.upload(b"<script>", 'ev"il; ä\\%.html', contentType="text/html", metadata={"who": "Zoë 漢 𝄞"})
    reply = await client.download(file["key"])
    assert (reply.status, reply.content_type) == (200, "text/html")
    headers = reply.headers
    assert headers["x-content-length"] == "8"
    assert headers["content-disposition"] == "attachment; filename=\"_.html\"; filename*=UTF-8''%25.html"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["etag"] == file["etag"]
    assert headers["accept-ranges"] == "bytes"
    assert headers["x-file-metadata"].isascii()
    told = orjson.loads(headers["x-file-metadata"])
    assert told["metadata"] == {"who": "Zoë 漢 𝄞"}
    assert told["key"] == file["key"]


def head_size(reply: Reply) -> int:
    return sum(len(name) + len(value) for name, value in reply.headers.items())


async def test_long_metadata_stays_out_of_the_head(client: RagClient) -> None:
    file = await client.upload(b"x", metadata={"long": "漢" * 3000})
    reply = await client.download(file["key"])
    told = orjson.loads(reply.headers["x-file-metadata"])
    assert (told["key"], "metadata" in told) == (file["key"], False)
    assert head_size(reply) < 8192


async def test_long_names_stay_out_of_the_head(client: RagClient) -> None:
    """gRPC clients refuse a head of more than 8 KiB, and such a file could never be had again."""
    file = await client.upload(b"x", "漢" * 255, keyHint="漢" * 1024)
    reply = await client.download(file["key"])
    assert orjson.loads(reply.headers["x-file-metadata"]).keys() == {"contentType", "size", "checksum"}
    assert head_size(reply) < 8192


@pytest.mark.parametrize(
    ("asked", "status", "content", "told"),
    [
        ("bytes=0-0", 206, b"0", "bytes 0-0/10"),
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=-99", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=0-99", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=9-9", 206, b"9", "bytes 9-9/10"),
        ("bytes=", 200, b"0123456789", None),
        ("bytes=-", 200, b"0123456789", None),
        ("bytes=5-2", 200, b"0123456789", None),
        ("bytes=0-1,3-4", 200, b"0123456789", None),
        ("lines=0-1", 200, b"0123456789", None),
        ("bytes=a-b", 200, b"0123456789", None),
    ],
)
async def test_ranges(client: RagClient, asked: str, status: int, content: bytes, told: str | None) -> None:
    await client.upload(b"0123456789", keyHint="digits")
    reply = await client.download("digits", range=asked)
    assert (reply.status, reply.content) == (status, content)
    assert reply.headers.get("content-range") == told
    assert reply.headers["x-content-length"] == str(len(content))


@pytest.mark.parametrize(
    ("content", "asked"),
    [
        (b"0123456789", "bytes=10-"),
        (b"0123456789", "bytes=10-20"),
        (b"0123456789", "bytes=-0"),
        (b"", "bytes=0-"),
        (b"", "bytes=-0"),
    ],
)
async def test_a_range_that_is_not_there(client: RagClient, content: bytes, asked: str) -> None:
    await client.upload(content, keyHint="a")
    error = await refused(client.download("a", range=asked), CODE.OUT_OF_RANGE, "range", http=416)
    assert error.trailing["content-range"] == f"bytes */{len(content)}"


async def test_the_end_of_an_empty_file_is_the_whole_of_it(client: RagClient) -> None:
    """RFC 9110 has a suffix satisfied by whatever is there; it was 416."""
    await client.upload(b"", keyHint="a")
    reply = await client.download("a", range="bytes=-5")
    assert (reply.status, reply.content, reply.headers.get("content-range")) == (200, b"", None)


async def test_conditions(client: RagClient) -> None:
    """If-Match was ignored, so that a range of another content passed for the rest of a file."""
    etag = (await client.upload(b"0123456789", keyHint="a"))["etag"]
    modified = (await client.download("a")).headers["last-modified"]
    before, never = "Thu, 01 Jan 2015 00:00:00 GMT", "yesterday"
    passes: list[dict[str, str]] = [
        {"if_match": etag},
        {"if_match": f'"x", {etag}'},
        {"if_match": "*"},
        {"if_match": etag, "if_unmodified_since": before},  # If-Match goes first
        {"if_unmodified_since": modified},
        {"if_unmodified_since": never},
        {"if_modified_since": before},
        {"if_modified_since": never},
        {"if_none_match": '"x"', "if_modified_since": modified},  # If-None-Match goes first
    ]
    for asked in passes:
        assert (await client.download("a", range="bytes=0-1", **asked)).status == 206, asked
    refusals: list[tuple[str, dict[str, str]]] = [
        ("if-match", {"if_match": '"x"'}),
        ("if-match", {"if_match": f"W/{etag}"}),  # the comparison is a strong one
        ("if-match", {"if_match": '"x"', "if_none_match": etag}),
        ("if-unmodified-since", {"if_unmodified_since": before}),
    ]
    for named, asked in refusals:
        error = await refused(client.download("a", **asked), CODE.FAILED_PRECONDITION, named, http=412)
        assert orjson.loads(error.trailing["x-error-body"])["error"]["code"] == "precondition_failed"
    assert (await client.download("a", if_modified_since=modified)).status == 304
    await client.upload(b"other", keyHint="a")
    await refused(client.download("a", if_match=etag), CODE.FAILED_PRECONDITION, "if-match", http=412)


async def test_the_head_alone(client: RagClient) -> None:
    """The edge makes a call of a HEAD; the content stays in its store."""
    etag = (await client.upload(b"0123456789", keyHint="a"))["etag"]
    reply = await client.download("a", x_portico_head="1", range="bytes=0-1")
    assert (reply.status, reply.content, reply.content_type) == (200, b"", "text/plain")
    assert reply.headers == (await client.download("a")).headers
    assert reply.headers["x-content-length"] == "10"
    assert (await client.download("a", x_portico_head="1", if_none_match=etag)).status == 304
    await refused(client.download("b", x_portico_head="1"), CODE.NOT_FOUND, "objectKey", http=404)


async def test_entity_tags(client: RagClient) -> None:
    etag = (await client.upload(b"0123456789", keyHint="a"))["etag"]
    for asked in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        reply = await client.download("a", if_none_match=asked)
        assert (reply.status, reply.content, reply.headers["etag"]) == (304, b"", etag)
    assert (await client.download("a", if_none_match='"x"')).status == 200
    assert (await client.download("a", range="bytes=0-1", if_range=etag)).status == 206
    assert (await client.download("a", range="bytes=0-1", if_range='"x"')).status == 200
    await client.upload(b"other", keyHint="a")
    assert (await client.download("a", if_none_match=etag)).content == b"other"


async def test_what_cannot_be_downloaded(client: RagClient) -> None:
    await client.upload(b"x", keyHint="a")
    await refused(client.download("b"), CODE.NOT_FOUND, "objectKey", http=404)
    await refused(client.download("a", "nobodys"), CODE.NOT_FOUND, "bucketKey", http=404)
    await refused(client.download("a", variant="pdf"), CODE.INVALID_ARGUMENT, "variant", http=400)
    await refused(client.download("a", variant="markdown"), CODE.FAILED_PRECONDITION, "variant", http=409)


async def test_native_callers_get_the_bytes_and_no_http(client: RagClient) -> None:
    await client.upload(b"hello", keyHint="a", metadata={"long": "x" * 15_000})
    call = client.files.DownloadFile(
        file_pb.DownloadFileRequest(bucket_key="default", object_key="a"), metadata=client.metadata[:1], timeout=20
    )
    reply = await received(call)
    assert (reply.content, reply.content_type) == (b"hello", "text/plain")
    assert not {"etag", "x-file-metadata"} & set(reply.headers)


async def test_a_download_that_is_left_lets_go_of_its_file(client: RagClient) -> None:
    await client.upload_form(b"x" * 32 * MIB, keyHint="a")
    handles = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        call = client.start_download("a")
        await call.read()
        call.cancel()
    await until(lambda: len(os.listdir("/proc/self/fd")) <= handles)


async def test_a_download_survives_the_replacement_and_deletion_of_its_file(client: RagClient) -> None:
    content = os.urandom(24 * MIB)
    await client.upload_form(content, keyHint="a")
    call = client.start_download("a")
    first = (await call.read()).data
    await client.upload(b"new", keyHint="a")
    await client.delete("a")
    rest = []
    while message := await call.read():
        rest.append(message.data)
    assert first + b"".join(rest) == content


async def test_readers_beside_writers_get_whole_files(client: RagClient) -> None:
    contents = [bytes([number]) * (100_000 + number) for number in range(30)]
    await client.upload(contents[0], keyHint="a")

    async def write() -> None:
        for content in contents:
            await client.upload(content, keyHint="a")

    writing = asyncio.ensure_future(write())
    while not writing.done():
        assert (await client.download("a")).content in contents
    await writing


async def test_256_mib_up_and_down_are_never_held_in_memory(harness: Harness, client: RagClient) -> None:
    """The test's own share included: both ends run in this process."""
    size = 256
    block = os.urandom(MIB)

    async def chunks(mib: int) -> AsyncIterator[bytes]:
        yield field("keyHint", "large.bin") + file_head("large.bin", "application/octet-stream")
        for _ in range(mib):
            yield block
        yield FILE_END + FORM_END

    async def watched(work: Any) -> tuple[Any, int]:
        before = peak = rss()
        task = asyncio.ensure_future(work)
        while not task.done():
            peak = max(peak, rss())
            await asyncio.sleep(0.02)
        return await task, peak - before

    async def digest_of(key: str) -> str:
        digest = hashlib.sha256()
        async for message in client.start_download(key):
            digest.update(message.data)
        return digest.hexdigest()

    await client.send(chunks(16))
    await digest_of("large.bin")
    answer, grown = await watched(client.send(chunks(size)))
    assert answer["file"]["size"] == size * MIB
    assert grown < 64 * MIB
    expected = hashlib.sha256()
    for _ in range(size):
        expected.update(block)
    assert answer["file"]["checksum"] == expected.hexdigest()
    digest, grown = await watched(digest_of("large.bin"))
    assert digest == expected.hexdigest()
    assert grown < 64 * MIB


def rss() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
