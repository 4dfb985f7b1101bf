"""The rag service's files on a real server and store: every RPC, bad input, what one project sees of another, and
uploads and downloads that break off."""

import asyncio
import base64
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]
import grpc
import orjson
import pytest
from google.protobuf.struct_pb2 import Struct
from moto.server import ThreadedMotoServer

from core.app import Running
from core.tenancy import MAIN
from portico.rag.v1 import bucket_service_pb2 as bucket_pb
from portico.rag.v1 import file_service_pb2 as file_pb
from portico.rag.v1 import provider_service_pb2 as provider_pb
from services.rag.domain.tables import LEFTOVERS
from tests.support.auth_service import Refused
from tests.support.rag_client import (
    BOUNDARY,
    FILE_END,
    FORM,
    FORM_END,
    RagClient,
    field,
    file_head,
    form,
    objects_in,
    received,
    served,
)
from tests.support.tokens import Signer
from tests.support.waiting import until

CODE = grpc.StatusCode
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer()


@dataclass
class World:
    running: Running
    channel: grpc.aio.Channel
    signer: Signer
    folder: Path

    def client(self, tenant: str = "acme", project: str = "p1", **claims: Any) -> RagClient:
        return RagClient(self.channel, self.signer.token(tenant=tenant, project=project, **claims))

    def objects(self) -> list[Path]:
        """Everything that lies in the folder of files."""
        return objects_in(self.folder)

    async def notes(self) -> int:
        store = self.running.platform.store
        await store.prepare(MAIN, [LEFTOVERS])
        return await store.count(MAIN, LEFTOVERS)


@pytest.fixture
async def world(tmp_path: Path, signer: Signer) -> AsyncIterator[World]:
    async with (
        served(tmp_path, signer) as running,
        grpc.aio.insecure_channel(f"127.0.0.1:{running.port}") as channel,
    ):
        yield World(running, channel, signer, tmp_path)


@pytest.fixture
def client(world: World) -> RagClient:
    return world.client()


async def refused(awaitable: Any, code: grpc.StatusCode, field: str | None = None, http: int = 0) -> Refused:
    with pytest.raises(Refused) as caught:
        await awaitable
    error = caught.value
    assert error.code is code, error
    if field is not None:
        assert error.field == field, error
    if http:
        assert error.trailing["x-http-status"] == str(http)
    return error


# Uploads


async def test_an_upload_as_json(client: RagClient) -> None:
    file = await client.upload(b"hello", "Annual Report.TXT", metadata={"year": 2024, "tags": ["a"]})
    assert file["name"] == file["fileName"] == "Annual Report.TXT"
    assert file["id"] == file["_id"]
    assert file["key"].startswith("annual-report-")
    assert file["key"].endswith(".txt")
    assert file["size"] == 5
    assert isinstance(file["size"], int)
    assert file["contentType"] == "text/plain"
    assert file["checksum"] == hashlib.sha256(b"hello").hexdigest()
    assert file["metadata"] == {"year": 2024, "tags": ["a"]}
    assert (file["bucketKey"], file["providerKey"]) == ("default", "default")
    assert (file["markdownStatus"], file["createdBy"]) == ("none", "u1")
    got = await client.get(file["key"])
    assert (got.id, got.etag, got.size) == (file["id"], file["etag"], 5)
    assert (await client.download(file["key"])).content == b"hello"


async def test_an_upload_as_a_form(client: RagClient, world: World) -> None:
    file = await client.upload_form(
        b"\r\n--hello\r\n", "ä b.bin", keyHint="docs/2024/ä.bin", metadata='{"a": 1}', contentType="application/x-own"
    )
    assert (file["key"], file["fileName"], file["contentType"]) == ("docs/2024/ä.bin", "ä b.bin", "application/x-own")
    assert file["metadata"] == {"a": 1}
    assert (await client.download("docs/2024/ä.bin")).content == b"\r\n--hello\r\n"
    assert await world.notes() == 0


async def test_success_is_201(client: RagClient) -> None:
    call = client.start_upload([form(b"x")], FORM)
    await call
    assert dict(await call.initial_metadata())["x-http-status"] == "201"


async def test_fields_may_stand_behind_the_file_too(client: RagClient) -> None:
    """As some clients of OpenAI's send them."""
    body = file_head() + b"x" + FILE_END + field("keyHint", "late.txt") + FORM_END
    assert (await client.send([body]))["file"]["key"] == "late.txt"
    answer = await client.send(
        [file_head("b.jsonl") + b"{}" + FILE_END + field("purpose", "batch") + FORM_END], bucket=""
    )
    assert (answer["purpose"], answer["filename"]) == ("batch", "b.jsonl")


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 1000])
async def test_a_form_in_pieces_of_any_size(client: RagClient, size: int) -> None:
    content = os.urandom(200) + b"\r\n--portico-boundar" + b"\r\n" * 3 + b"--" + b"\r"
    body = form(content, keyHint="pieces.bin")
    await client.send(body[at : at + size] for at in range(0, len(body), size))
    assert (await client.download("pieces.bin")).content == content


async def test_an_empty_file(client: RagClient) -> None:
    for file in (await client.upload(b"", "empty.txt"), await client.upload_form(b"", "empty.txt")):
        assert file["size"] == 0
        reply = await client.download(file["key"])
        assert (reply.status, reply.content, reply.content_type) == (200, b"", "text/plain")
        assert reply.headers["x-content-length"] == "0"


async def test_data_as_a_data_url_gives_the_type(client: RagClient) -> None:
    data = f"data:application/x-thing;base64,{base64.b64encode(b'hi').decode()}"
    file = await client.upload(b"", "thing", data=data)
    assert (file["contentType"], file["size"]) == ("application/x-thing", 2)
    assert (await client.upload(b"", "thing", data=data, contentType="text/csv"))["contentType"] == "text/csv"


@pytest.mark.parametrize(
    "data",
    [
        "a",
        "ab",
        "abc",
        "====",
        "ab=c",
        "YQ==YQ==",
        "YQ= =",
        "YW\nE=",
        "_-_-",
        "é===",
        "data:text/plain,hello",
        "data:;base64",
        "data:text/plain;base64,a",
    ],
)
async def test_broken_base64_is_refused_and_leaves_nothing(client: RagClient, world: World, data: str) -> None:
    await refused(client.upload(b"", data=data), CODE.INVALID_ARGUMENT, "data", http=400)
    assert world.objects() == []
    assert await client.keys() == []


async def test_base64_that_breaks_after_megabytes_leaves_nothing(client: RagClient, world: World) -> None:
    data = base64.b64encode(os.urandom(6 * MIB)).decode()
    for at in (len(data) - 5, 3 * MIB, 1024 * 1024 - 1):
        broken = f"{data[:at]}={data[at + 1 :]}"
        await refused(client.upload(b"", data=broken), CODE.INVALID_ARGUMENT, "data")
    assert world.objects() == []
    assert await world.notes() == 0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", None),
        (b"{", None),
        (b"[]", None),
        (b'{"data": "YQ=="}', None),
        (b'{"fileName": 1, "data": "YQ=="}', "fileName"),
        (b'{"fileName": "a"}', "data"),
        (b'{"fileName": "", "data": "YQ=="}', "fileName"),
        (b'{"fileName": "a\\u0000b", "data": "YQ=="}', "fileName"),
        (b'{"fileName": "a", "data": "YQ==", "metadata": []}', "metadata"),
        (b'{"fileName": "a", "data": "YQ==", "contentType": "nonsense"}', "contentType"),
        (b'{"fileName": "a", "data": "YQ==", "contentType": "text/plain\\r\\nx: y"}', "contentType"),
        (b'{"fileName": "\xff", "data": "YQ=="}', None),
        (b"[" * 100_000, None),
    ],
)
async def test_json_that_does_not_fit(client: RagClient, world: World, body: bytes, field: str | None) -> None:
    await refused(client.send([body], "application/json"), CODE.INVALID_ARGUMENT, field, http=400)
    assert world.objects() == []


async def test_json_is_read_up_to_its_limit(client: RagClient) -> None:
    pieces = [b'{"fileName": "a", "data": "', *[b"A" * MIB] * 33, b'"}']
    await refused(client.send(pieces, "application/json"), CODE.INVALID_ARGUMENT, "body", http=413)


async def test_notes_of_more_than_16_kib_are_refused(client: RagClient, world: World) -> None:
    notes = {"a": "x" * 16 * 1024}
    await refused(client.upload(b"x", metadata=notes), CODE.INVALID_ARGUMENT, "metadata")
    await refused(client.upload_form(b"x", metadata=orjson.dumps(notes).decode()), CODE.INVALID_ARGUMENT, "metadata")
    late = file_head() + b"x" + FILE_END + field("metadata", orjson.dumps(notes)) + FORM_END
    await refused(client.send([late]), CODE.INVALID_ARGUMENT, "metadata")
    assert world.objects() == []
    assert await world.notes() == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        f"--{BOUNDARY}".encode(),
        f"--{BOUNDARY}--\r\n".encode(),
        f"--{BOUNDARY}\r\n\r\nno name\r\n--{BOUNDARY}--\r\n".encode(),
        f"--{BOUNDARY}\r\n: x\r\n\r\n\r\n--{BOUNDARY}--\r\n".encode(),
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"'.encode(),
        file_head() + b"cut off",
        file_head() + b"cut off" + FILE_END,
        file_head() + b"x" + FILE_END + f"--{BOUNDARY}\r\n".encode(),
        file_head() + b"one" + FILE_END + file_head() + b"two" + FILE_END + FORM_END,
        field("file2", "x") + FORM_END,
        field("metadata", "{") + form(b"x"),
        field("convertToMarkdown", "perhaps") + form(b"x"),
        field("keyHint", b"\xff\xfe") + form(b"x"),
        b"".join(field(f"f{number}", "x") for number in range(200)) + form(b"x"),
        f"--{BOUNDARY}\r\n{'X-A: b' * 3000}\r\n\r\n\r\n--{BOUNDARY}--\r\n".encode(),
    ],
)
async def test_a_broken_form_is_refused_and_leaves_nothing(client: RagClient, world: World, body: bytes) -> None:
    await refused(client.send([body]), CODE.INVALID_ARGUMENT, http=400)
    assert world.objects() == []
    assert await client.keys() == []
    assert await world.notes() == 0


async def test_not_much_may_follow_a_form(client: RagClient, world: World) -> None:
    await client.send([form(b"x"), b"\r\n"])
    await refused(client.send([form(b"x"), b"x" * 2 * MIB]), CODE.INVALID_ARGUMENT)
    assert len(world.objects()) == 1


async def test_a_field_of_a_form_has_a_limit(client: RagClient) -> None:
    await refused(
        client.send([field("metadata", "x" * 70_000) + form(b"x")]), CODE.INVALID_ARGUMENT, "metadata", http=413
    )


@pytest.mark.parametrize("content_type", ["", "text/plain", "multipart/mixed; boundary=x", "application/jsonx"])
async def test_a_body_of_another_kind(client: RagClient, content_type: str) -> None:
    await refused(client.send([b"x"], content_type), CODE.INVALID_ARGUMENT, "content-type", http=415)


@pytest.mark.parametrize("content_type", ["multipart/form-data", f"multipart/form-data; boundary={'x' * 300}"])
async def test_a_form_without_a_usable_boundary(client: RagClient, content_type: str) -> None:
    await refused(client.send([b"x"], content_type), CODE.INVALID_ARGUMENT, "content-type", http=400)


async def test_json_is_not_for_openais_files(client: RagClient) -> None:
    await refused(client.send([b"{}"], "application/json", ""), CODE.INVALID_ARGUMENT, "content-type", http=415)


async def test_a_call_without_a_message(client: RagClient) -> None:
    await refused(client.send([]), CODE.INVALID_ARGUMENT, "body")


HOSTILE = [
    "../../x",
    "..",
    ".",
    "a/../b",
    "/x",
    "x/",
    "a//b",
    "a/./b",
    "a\0b",
    "a\nb",
    "a\x7fb",
    "a\x85b",
    "x" * 1025,
    "a\\b",
    "%00",
    "%2e%2e/x",
    "%2e%2e%2fx",
    "a/%2E%2E/b",
    "a%5Cb",
]


@pytest.mark.parametrize("key", HOSTILE)
async def test_hostile_keys_are_refused_everywhere(client: RagClient, world: World, key: str) -> None:
    await refused(client.upload(b"x", keyHint=key), CODE.INVALID_ARGUMENT, "keyHint", http=400)
    await refused(client.upload_form(b"x", keyHint=key), CODE.INVALID_ARGUMENT, "keyHint", http=400)
    await refused(client.get(key), CODE.INVALID_ARGUMENT, "objectKey", http=400)
    await refused(client.delete(key), CODE.INVALID_ARGUMENT, "objectKey", http=400)
    await refused(client.download(key), CODE.INVALID_ARGUMENT, "objectKey", http=400)
    assert world.objects() == []


@pytest.mark.parametrize("key", ["x" * 1024, "a b/c", "...", ".hidden", "100%", "漢/字.txt", "a?b#c", "CON", "a:b"])
async def test_odd_keys_that_are_keys(client: RagClient, key: str) -> None:
    assert (await client.upload(b"x", keyHint=key))["key"] == key
    assert (await client.get(key)).key == key
    assert (await client.download(key)).content == b"x"
    assert await client.keys() == [key]
    await client.delete(key)
    assert await client.keys() == []


async def test_limits_of_the_installation(tmp_path: Path, signer: Signer) -> None:
    env = {"PORTICO_FILES_MAX_MB": "1", "PORTICO_FILES_ALLOWED_TYPES": "image/*,text/plain"}
    async with (
        served(tmp_path, signer, **env) as running,
        grpc.aio.insecure_channel(f"127.0.0.1:{running.port}") as channel,
    ):
        world = World(running, channel, signer, tmp_path)
        client = world.client()
        await client.upload_form(b"x" * MIB)
        assert len(world.objects()) == 1
        await refused(client.upload_form(b"x" * (MIB + 1)), CODE.INVALID_ARGUMENT, "file", http=413)
        await refused(client.upload(b"x" * (MIB + 1)), CODE.INVALID_ARGUMENT, "file", http=413)
        await refused(client.upload(b"x", "a.pdf"), CODE.INVALID_ARGUMENT, "contentType", http=415)
        await refused(client.upload_form(b"x", "a.txt", contentType="text/html"), CODE.INVALID_ARGUMENT, http=415)
        await client.upload(b"x", "a.png")
        await client.upload(b"x", "a", contentType="TEXT/plain; charset=utf-8")
        assert len(world.objects()) == 3
        assert await world.notes() == 0


async def test_a_file_with_the_same_key_is_replaced_whole(client: RagClient, world: World) -> None:
    old = await client.upload(b"old", keyHint="a", metadata={"v": 1}, contentType="text/html")
    new = await client.upload_form(b"newer", "b.txt", keyHint="a")
    assert (new["id"], new["createdAt"]) == (old["id"], old["createdAt"])
    assert (new["size"], new["fileName"], new["metadata"], new["contentType"]) == (5, "b.txt", {}, "text/plain")
    assert new["etag"] != old["etag"]
    assert (await client.download("a")).content == b"newer"
    assert len(world.objects()) == 1
    assert await client.keys() == ["a"]


async def test_of_many_uploads_of_one_key_one_stays(client: RagClient, world: World) -> None:
    contents = [bytes([number]) * 1000 for number in range(12)]
    await asyncio.gather(*(client.upload(content, keyHint="a") for content in contents))
    assert (await client.download("a")).content in contents
    assert len(world.objects()) == 1
    assert await world.notes() == 0


async def test_uploads_and_deletions_of_one_key_at_a_time(client: RagClient, world: World) -> None:
    async def upload(number: int) -> None:
        await client.upload(bytes([number]) * 1000, keyHint="a")

    async def delete() -> None:
        with suppress(Refused):  # there is none, or it is replaced all the time
            await client.delete("a")

    for _ in range(5):
        await asyncio.gather(*(work for number in range(4) for work in (upload(number), delete())))
        there = await client.keys()
        assert len(world.objects()) == len(there) <= 1
        if there:
            content = (await client.download("a")).content
            assert content == content[:1] * 1000
    assert await world.notes() == 0


# Uploads that break off


@dataclass
class Slow:
    """A form whose sender stops in the middle of the file, until told to go on."""

    size: int = 2 * MIB
    key: str = "slow.bin"

    def __post_init__(self) -> None:
        self.on = asyncio.Event()

    async def pieces(self) -> AsyncIterator[bytes]:
        yield field("keyHint", self.key) + file_head("slow.bin")
        for _ in range(self.size // 65536):
            yield b"x" * 65536
        await self.on.wait()
        yield b"end" + FILE_END + FORM_END


async def test_an_upload_that_the_caller_cancels_leaves_nothing(client: RagClient, world: World) -> None:
    call = client.start_upload(Slow().pieces(), FORM)
    waiting = asyncio.ensure_future(_outcome(call))
    await until(world.objects)
    call.cancel()
    assert await waiting == "CANCELLED"
    await until(lambda: not world.objects())
    assert await client.keys() == []
    while await world.notes():
        await asyncio.sleep(0.01)


async def test_an_upload_over_a_connection_that_breaks_leaves_nothing(world: World) -> None:
    async with grpc.aio.insecure_channel(
        f"127.0.0.1:{world.running.port}", options=[("grpc.use_local_subchannel_pool", 1)]
    ) as channel:
        call = RagClient(channel, world.signer.token()).start_upload(Slow().pieces(), FORM)
        waiting = asyncio.ensure_future(_outcome(call))
        await until(world.objects)
    await waiting
    await until(lambda: not world.objects())
    assert await world.client().keys() == []


async def _outcome(call: Any) -> str:
    try:
        await call
    except (grpc.aio.AioRpcError, asyncio.CancelledError) as error:
        return error.code().name if isinstance(error, grpc.aio.AioRpcError) else "CANCELLED"
    return "OK"


async def test_an_upload_that_stalls_is_given_up(tmp_path: Path, signer: Signer) -> None:
    async with (
        served(tmp_path, signer, PORTICO_FILES_IDLE_SECONDS="0.2") as running,
        grpc.aio.insecure_channel(f"127.0.0.1:{running.port}") as channel,
    ):
        world = World(running, channel, signer, tmp_path)
        slow = Slow()
        sending = asyncio.ensure_future(world.client().send(slow.pieces()))
        await until(world.objects)
        await until(lambda: not world.objects())
        slow.on.set()
        await refused(sending, CODE.DEADLINE_EXCEEDED, http=504)
        assert await world.notes() == 0


async def test_a_slow_upload_does_not_hide_the_old_file(client: RagClient, world: World) -> None:
    await client.upload(b"old", keyHint="slow.bin")
    slow = Slow()
    sending = asyncio.ensure_future(client.send(slow.pieces()))
    await until(lambda: len(world.objects()) == 2)
    assert (await client.download("slow.bin")).content == b"old"
    slow.on.set()
    assert (await sending)["file"]["size"] == slow.size + 3
    assert (await client.get("slow.bin")).size == slow.size + 3
    assert len(world.objects()) == 1


async def test_a_bucket_that_is_deleted_during_an_upload_takes_no_file(client: RagClient, world: World) -> None:
    await client.call(client.buckets.CreateBucket, bucket_pb.CreateBucketRequest(name="Brief", key="brief"))
    slow = Slow()
    sending = asyncio.ensure_future(client.send(slow.pieces(), bucket="brief"))
    await until(world.objects)
    await client.call(client.buckets.DeleteBucket, bucket_pb.DeleteBucketRequest(bucket_key="brief"))
    slow.on.set()
    await refused(sending, CODE.NOT_FOUND, "bucketKey", http=404)
    assert world.objects() == []
    assert await world.notes() == 0


async def test_an_upload_into_no_bucket_is_refused_and_read_to_its_end(client: RagClient) -> None:
    """A sender over HTTP/1.1 who is cut off might never read the refusal."""
    sent: list[int] = []

    async def pieces() -> AsyncIterator[bytes]:
        for piece in [file_head(), *[b"x" * MIB] * 8, FILE_END + FORM_END]:
            sent.append(len(piece))
            yield piece

    await refused(client.send(pieces(), bucket="nobodys"), CODE.NOT_FOUND, "bucketKey", http=404)
    assert sum(sent) > 8 * MIB


# Downloads


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


async def test_long_notes_stay_out_of_the_head(client: RagClient) -> None:
    file = await client.upload(b"x", metadata={"long": "漢" * 3000})
    reply = await client.download(file["key"])
    assert "metadata" not in orjson.loads(reply.headers["x-file-metadata"])
    assert sum(len(name) + len(value) for name, value in reply.headers.items()) < 8192


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
        (b"", "bytes=-1"),
    ],
)
async def test_a_range_that_is_not_there(client: RagClient, content: bytes, asked: str) -> None:
    await client.upload(content, keyHint="a")
    error = await refused(client.download("a", range=asked), CODE.OUT_OF_RANGE, "range", http=416)
    assert error.trailing["content-range"] == f"bytes */{len(content)}"


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


# Lists


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
    "more",
    [
        {"limit": -1},
        {"limit": 1001},
        {"page_size": 1001},
        {"cursor": "x"},
        {"page_token": "a.b"},
        {"cursor": "é"},
        {"search": "x" * 2000},
    ],
)
async def test_a_list_with_bad_parameters(client: RagClient, more: dict[str, Any]) -> None:
    request = file_pb.ListFilesRequest(bucket_key="default", **more)
    await refused(client.call(client.files.ListFiles, request), CODE.INVALID_ARGUMENT, http=400)


async def test_deleting_a_file(client: RagClient, world: World) -> None:
    file = await client.upload(b"x")
    answer = await client.delete(file["key"])
    assert (answer.bucket_key, answer.object_key) == ("default", file["key"])
    assert answer.message
    await refused(client.get(file["key"]), CODE.NOT_FOUND, "objectKey", http=404)
    await refused(client.delete(file["key"]), CODE.NOT_FOUND, "objectKey", http=404)
    assert world.objects() == []
    assert await world.notes() == 0


# Buckets and providers


async def test_every_project_has_the_default_bucket_and_provider(client: RagClient) -> None:
    page = await client.call(client.buckets.ListBuckets, bucket_pb.ListBucketsRequest())
    assert [bucket.key for bucket in page.buckets] == ["default"]
    assert page.count == 1
    bucket = (await client.call(client.buckets.GetBucket, bucket_pb.GetBucketRequest(bucket_key="default"))).bucket
    assert bucket == page.buckets[0]
    assert (bucket.provider, bucket.provider_key, bucket.status) == ("default", "default", "active")
    assert bucket.id == bucket.record_id
    listed = await client.call(client.providers.ListFileProviders, provider_pb.ListFileProvidersRequest())
    assert [(each.key, each.driver, each.has_credentials) for each in listed.providers] == [("default", "local", False)]


async def test_the_default_is_made_once_however_many_ask(world: World) -> None:
    client = world.client(project="fresh")
    request = bucket_pb.GetBucketRequest(bucket_key="default")
    answers = await asyncio.gather(*(client.call(client.buckets.GetBucket, request) for _ in range(20)))
    assert len({answer.bucket.id for answer in answers}) == 1


async def test_buckets(client: RagClient) -> None:
    notes = Struct()
    notes.update({"a": 1})
    request = bucket_pb.CreateBucketRequest(name="My Docs", description="d", prefix="in/2024/", metadata=notes)
    made = (await client.call(client.buckets.CreateBucket, request)).bucket
    assert (made.key, made.name, made.description, made.prefix) == ("my-docs", "My Docs", "d", "in/2024")
    assert (await client.call(client.buckets.CreateBucket, request)).bucket.key == "my-docs-2"
    listed = await client.call(client.buckets.ListBuckets, bucket_pb.ListBucketsRequest())
    assert {each.key for each in listed.buckets} == {"default", "my-docs", "my-docs-2"}
    file = await client.upload(b"x", "n.txt", "my-docs")
    assert file["key"].startswith("in/2024/n-")
    assert await client.keys() == []
    delete = bucket_pb.DeleteBucketRequest(bucket_key="my-docs")
    await refused(client.call(client.buckets.DeleteBucket, delete), CODE.FAILED_PRECONDITION, http=409)
    await client.upload(b"x", "n.txt", "my-docs")
    for key in await client.keys("my-docs"):
        await client.delete(key, "my-docs")
    assert (await client.call(client.buckets.DeleteBucket, delete)).success
    await refused(client.keys("my-docs"), CODE.NOT_FOUND, "bucketKey", http=404)
    await refused(client.upload(b"x", bucket="my-docs"), CODE.NOT_FOUND, "bucketKey", http=404)
    await refused(client.call(client.buckets.DeleteBucket, delete), CODE.NOT_FOUND, "bucketKey")


async def test_a_bucket_made_again_is_another_one(client: RagClient) -> None:
    create = bucket_pb.CreateBucketRequest(name="b", key="b")
    one = (await client.call(client.buckets.CreateBucket, create)).bucket
    await refused(client.call(client.buckets.CreateBucket, create), CODE.ALREADY_EXISTS, "key", http=409)
    await client.call(client.buckets.DeleteBucket, bucket_pb.DeleteBucketRequest(bucket_key="b"))
    assert (await client.call(client.buckets.CreateBucket, create)).bucket.id != one.id


@pytest.mark.parametrize(
    ("given", "code", "field"),
    [
        ({"name": ""}, CODE.INVALID_ARGUMENT, "name"),
        ({"name": "x" * 201}, CODE.INVALID_ARGUMENT, "name"),
        ({"name": "b", "key": "No Key"}, CODE.INVALID_ARGUMENT, "key"),
        ({"name": "b", "key": "x" * 65}, CODE.INVALID_ARGUMENT, "key"),
        ({"name": "b", "key": "default"}, CODE.ALREADY_EXISTS, "key"),
        ({"name": "b", "description": "x" * 2001}, CODE.INVALID_ARGUMENT, "description"),
        ({"name": "b", "prefix": "../x"}, CODE.INVALID_ARGUMENT, "prefix"),
        ({"name": "b", "prefix": "x" * 201}, CODE.INVALID_ARGUMENT, "prefix"),
        ({"name": "b", "provider_key": "nobodys"}, CODE.NOT_FOUND, "providerKey"),
    ],
)
async def test_buckets_that_cannot_be_made(
    client: RagClient, given: dict[str, Any], code: grpc.StatusCode, field: str
) -> None:
    await refused(client.call(client.buckets.CreateBucket, bucket_pb.CreateBucketRequest(**given)), code, field)


async def test_the_defaults_stay(client: RagClient) -> None:
    bucket = bucket_pb.DeleteBucketRequest(bucket_key="default")
    await refused(client.call(client.buckets.DeleteBucket, bucket), CODE.FAILED_PRECONDITION)
    provider = provider_pb.DeleteFileProviderRequest(provider_key="default")
    await refused(client.call(client.providers.DeleteFileProvider, provider), CODE.FAILED_PRECONDITION)


async def test_drivers(client: RagClient) -> None:
    answer = await client.call(client.providers.ListFileDrivers, provider_pb.ListFileDriversRequest())
    drivers = {each.id: each for each in answer.drivers}
    assert set(drivers) == {"local", "s3"}
    assert {field.name for field in drivers["s3"].fields if field.required} == {
        "accessKeyId",
        "secretAccessKey",
        "bucket",
    }
    assert {field.scope for field in drivers["s3"].fields} == {"credentials", "settings"}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def struct(values: dict[str, Any]) -> Struct:
    made = Struct()
    made.update(values)
    return made


def s3_provider(endpoint: str, bucket: str = "tenants", **more: Any) -> provider_pb.CreateFileProviderRequest:
    given: dict[str, Any] = {"driver": "s3", "label": "Our S3", "key": "ours"}
    credentials = struct({"accessKeyId": "id", "secretAccessKey": "hush-hush"})
    settings = struct({"bucket": bucket, "endpoint": endpoint})
    return provider_pb.CreateFileProviderRequest(**{**given, "credentials": credentials, "settings": settings, **more})


def s3_client(endpoint: str) -> Any:
    return boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="k", aws_secret_access_key="s"
    )


async def test_files_in_s3(client: RagClient, world: World, endpoint: str) -> None:
    s3 = s3_client(endpoint)
    s3.create_bucket(Bucket="tenants")
    provider = (await client.call(client.providers.CreateFileProvider, s3_provider(endpoint))).provider
    assert provider.has_credentials
    assert "hush" not in str(provider)
    await client.call(
        client.buckets.CreateBucket, bucket_pb.CreateBucketRequest(name="Far", key="far", provider_key="ours")
    )
    content = os.urandom(20 * MIB)
    file = await client.upload_form(content, "big.bin", "far", keyHint="big")
    assert file["providerKey"] == "ours"
    assert (await client.download("big", "far")).content == content
    assert (await client.download("big", "far", range="bytes=-5")).content == content[-5:]
    await client.upload(b"small", bucket="far", keyHint="big")
    assert (await client.download("big", "far")).content == b"small"
    assert world.objects() == []
    assert len(s3.list_objects_v2(Bucket="tenants")["Contents"]) == 1
    call = client.start_upload(Slow(12 * MIB).pieces(), FORM, "far")
    waiting = asyncio.ensure_future(_outcome(call))
    while not s3.list_multipart_uploads(Bucket="tenants").get("Uploads"):
        await asyncio.sleep(0.01)
    call.cancel()
    await waiting
    while s3.list_multipart_uploads(Bucket="tenants").get("Uploads"):
        await asyncio.sleep(0.01)
    delete = provider_pb.DeleteFileProviderRequest(provider_key="ours")
    await refused(client.call(client.providers.DeleteFileProvider, delete), CODE.FAILED_PRECONDITION, http=409)
    await client.delete("big", "far")
    assert "Contents" not in s3.list_objects_v2(Bucket="tenants")
    await client.call(client.buckets.DeleteBucket, bucket_pb.DeleteBucketRequest(bucket_key="far"))
    assert (await client.call(client.providers.DeleteFileProvider, delete)).success


async def test_credentials_are_sealed_and_never_come_out(client: RagClient, world: World, endpoint: str) -> None:
    await client.call(client.providers.CreateFileProvider, s3_provider(endpoint))
    listed = await client.call(client.providers.ListFileProviders, provider_pb.ListFileProvidersRequest())
    assert "hush-hush" not in str(listed)
    assert all(b"hush-hush" not in path.read_bytes() for path in world.folder.glob("*.sqlite*"))


async def test_providers_are_listed_by_status_and_driver(client: RagClient, endpoint: str) -> None:
    await client.call(client.providers.CreateFileProvider, s3_provider(endpoint, status="disabled", key=""))

    async def keys(**given: Any) -> list[str]:
        request = provider_pb.ListFileProvidersRequest(**given)
        return [each.key for each in (await client.call(client.providers.ListFileProviders, request)).providers]

    assert set(await keys()) == {"our-s3", "default"}
    assert await keys(status="disabled") == ["our-s3"]
    assert await keys(driver="local") == ["default"]
    bucket = bucket_pb.CreateBucketRequest(name="b", provider_key="our-s3")
    await refused(client.call(client.buckets.CreateBucket, bucket), CODE.FAILED_PRECONDITION, "providerKey")


async def test_a_provider_is_changed_and_the_next_call_goes_where_it_leads(client: RagClient, endpoint: str) -> None:
    s3 = s3_client(endpoint)
    for name in ("before", "after"):
        s3.create_bucket(Bucket=name)
    await client.call(client.providers.CreateFileProvider, s3_provider(endpoint, "before"))
    await client.call(
        client.buckets.CreateBucket, bucket_pb.CreateBucketRequest(name="Far", key="far", provider_key="ours")
    )
    await client.upload(b"here", bucket="far", keyHint="a")

    async def change(**given: Any) -> provider_pb.FileProvider:
        request = provider_pb.UpdateFileProviderRequest(provider_key="ours", **given)
        answer: provider_pb.UpdateFileProviderResponse = await client.call(client.providers.UpdateFileProvider, request)
        return answer.provider

    renewed = await change(credentials=struct({"secretAccessKey": "other"}), label="Renewed")
    assert (renewed.label, renewed.has_credentials, renewed.settings["bucket"]) == ("Renewed", True, "before")
    assert (await client.download("a", "far")).content == b"here"
    await change(settings=struct({"bucket": "after", "endpoint": endpoint}))
    await refused(client.download("a", "far"), CODE.UNAVAILABLE)
    await client.upload(b"there", bucket="far", keyHint="b")
    assert len(s3.list_objects_v2(Bucket="after")["Contents"]) == 1
    await change(status="disabled")
    await refused(client.upload(b"x", bucket="far"), CODE.FAILED_PRECONDITION)
    got = await client.call(client.providers.GetFileProvider, provider_pb.GetFileProviderRequest(provider_key="ours"))
    assert got.provider.status == "disabled"
    await refused(change(credentials=struct({"accessKeyId": ""})), CODE.INVALID_ARGUMENT, "credentials.accessKeyId")
    await refused(change(settings=struct({"bucket": "../x"})), CODE.INVALID_ARGUMENT, "settings.bucket")
    await change(status="active", settings=struct({"bucket": "before", "endpoint": endpoint}))
    assert (await client.download("a", "far")).content == b"here"


def _without(name: str) -> Struct:
    given = {"accessKeyId": "id", "secretAccessKey": "x"}
    return struct({key: value for key, value in given.items() if key != name})


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"driver": "ftp"}, "driver"),
        ({"label": ""}, "label"),
        ({"key": "No"}, "key"),
        ({"status": "maybe"}, "status"),
        ({"credentials": _without("accessKeyId")}, "credentials.accessKeyId"),
        ({"credentials": struct({"accessKeyId": "a", "secretAccessKey": "b", "x": "y"})}, "credentials.x"),
        ({"settings": struct({})}, "settings.bucket"),
        ({"settings": struct({"bucket": "../x"})}, "settings.bucket"),
        ({"settings": struct({"bucket": "b-1", "region": "evil.com/"})}, "settings.region"),
        ({"settings": struct({"bucket": "b-1", "endpoint": "ftp://x"})}, "settings.endpoint"),
        ({"settings": struct({"bucket": "b-1", "endpoint": "http://user:x@127.0.0.1"})}, "settings.endpoint"),
        ({"settings": struct({"bucket": "b-1", "endpoint": "http://169.254.169.254"})}, "settings.endpoint"),
        ({"settings": struct({"bucket": "b-1", "endpoint": "http://[::1]:9"})}, "settings.endpoint"),
        ({"settings": struct({"bucket": "b-1", "prefix": "../x"})}, "settings.prefix"),
        ({"settings": struct({"bucket": "b-1", "usePathStyleEndpoint": "perhaps"})}, "settings.usePathStyleEndpoint"),
        ({"settings": struct({"bucket": ["b"]})}, "settings.bucket"),
    ],
)
async def test_providers_that_cannot_be_made(client: RagClient, more: dict[str, Any], field: str) -> None:
    request = s3_provider("http://127.0.0.1:9", **more)
    await refused(client.call(client.providers.CreateFileProvider, request), CODE.INVALID_ARGUMENT, field)


async def test_a_provider_that_cannot_be_reached(client: RagClient, world: World) -> None:
    await client.call(client.providers.CreateFileProvider, s3_provider("http://127.0.0.1:9"))
    bucket = bucket_pb.CreateBucketRequest(name="Far", key="far", provider_key="ours")
    await client.call(client.buckets.CreateBucket, bucket)
    await refused(client.upload(b"x", bucket="far"), CODE.UNAVAILABLE, http=503)
    assert await client.keys("far") == []
    assert await world.notes() == 1, "what may lie at the provider is looked at later"


# OpenAI's files


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


# Tenants and projects


async def test_the_same_keys_in_two_projects_of_two_tenants(world: World) -> None:
    clients = {
        (tenant, project): world.client(tenant, project) for tenant in ("acme", "globex") for project in ("p1", "p2")
    }
    for name, client in clients.items():
        await client.call(client.buckets.CreateBucket, bucket_pb.CreateBucketRequest(name="b", key="b"))
        await client.upload(repr(name).encode(), keyHint="a", metadata={"who": repr(name)})
        await client.upload(repr(name).encode(), bucket="b", keyHint="a")
    for name, client in clients.items():
        assert await client.keys() == ["a"]
        assert (await client.get("a")).metadata["who"] == repr(name)
        assert (await client.download("a")).content == repr(name).encode()
        assert (await client.download("a", "b")).content == repr(name).encode()
    paths = {path.relative_to(world.folder / "files").parts[:2] for path in world.objects()}
    assert paths == set(clients)
    first = clients["acme", "p1"]
    await first.delete("a")
    await first.delete("a", "b")
    await first.call(first.buckets.DeleteBucket, bucket_pb.DeleteBucketRequest(bucket_key="b"))
    for name, client in list(clients.items())[1:]:
        assert (await client.download("a", "b")).content == repr(name).encode()
    assert len(world.objects()) == 6


async def test_nothing_of_anothers_is_there(world: World, endpoint: str) -> None:
    owner = world.client()
    await owner.call(owner.providers.CreateFileProvider, s3_provider(endpoint))
    bucket = (await owner.call(owner.buckets.CreateBucket, bucket_pb.CreateBucketRequest(name="b", key="own"))).bucket
    file = await owner.upload(b"x", bucket="own", keyHint="a")
    openai = await owner.send([form(b"x", purpose="batch")], bucket="")
    listed = await owner.call(owner.providers.ListFileProviders, provider_pb.ListFileProvidersRequest())
    provider_id = next(each.id for each in listed.providers if each.key == "ours")
    for stranger in (world.client(project="p2"), world.client("globex")):
        for key in ("own", bucket.id):
            request = bucket_pb.GetBucketRequest(bucket_key=key)
            await refused(stranger.call(stranger.buckets.GetBucket, request), CODE.NOT_FOUND, "bucketKey")
            await refused(stranger.get("a", key), CODE.NOT_FOUND, "bucketKey")
            await refused(stranger.download("a", key), CODE.NOT_FOUND, "bucketKey")
            await refused(stranger.delete("a", key), CODE.NOT_FOUND, "bucketKey")
            await refused(stranger.upload(b"y", bucket=key), CODE.NOT_FOUND, "bucketKey")
        await refused(stranger.get(file["id"]), CODE.NOT_FOUND, "objectKey")
        gone = file_pb.DeleteOpenAIFileRequest(file_id=openai["id"])
        await refused(stranger.call(stranger.openai.DeleteOpenAIFile, gone), CODE.NOT_FOUND)
        for key in ("ours", provider_id):
            create = bucket_pb.CreateBucketRequest(name="b", provider_key=key)
            await refused(stranger.call(stranger.buckets.CreateBucket, create), CODE.NOT_FOUND, "providerKey")
            delete = provider_pb.DeleteFileProviderRequest(provider_key=key)
            await refused(stranger.call(stranger.providers.DeleteFileProvider, delete), CODE.NOT_FOUND)
        assert not (await stranger.call(stranger.openai.ListOpenAIFiles, file_pb.ListOpenAIFilesRequest())).data
    assert (await owner.download("a", "own")).content == b"x"


async def test_cursors_of_one_project_show_another_nothing(world: World) -> None:
    owner, stranger = world.client(), world.client(project="p2")
    for number in range(3):
        await owner.upload(b"x", keyHint=f"k{number}")
    page = await owner.call(owner.files.ListFiles, file_pb.ListFilesRequest(bucket_key="default", limit=1))
    request = file_pb.ListFilesRequest(bucket_key="default", cursor=page.next_cursor)
    assert not (await stranger.call(stranger.files.ListFiles, request)).files


LOCAL = provider_pb.CreateFileProviderRequest(driver="local", label="l")
SCOPES: list[tuple[str, Callable[[RagClient], Any]]] = [
    ("files:read", lambda c: c.keys()),
    ("files:read", lambda c: c.download("a")),
    ("files:write", lambda c: c.upload(b"x", keyHint="b")),
    ("files:write", lambda c: c.delete("a")),
    ("files:admin", lambda c: c.call(c.providers.CreateFileProvider, LOCAL)),
]


LESS = {"files:read": (), "files:write": ("files:read",), "files:admin": ("files:read", "files:write")}


@pytest.mark.parametrize(("scope", "act"), SCOPES)
async def test_scopes(world: World, scope: str, act: Callable[[RagClient], Any]) -> None:
    await world.client().upload(b"x", keyHint="a")
    await act(world.client(scopes=[scope]))
    for less in ("models:admin", *LESS[scope]):
        await refused(act(world.client(scopes=[less])), CODE.PERMISSION_DENIED, http=403)


# Large files


async def test_256_mib_up_and_down_are_never_held_in_memory(world: World, client: RagClient) -> None:
    """The test's own share included: both ends run in this process."""
    size = 256
    block = os.urandom(MIB)

    async def pieces(mib: int) -> AsyncIterator[bytes]:
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

    await client.send(pieces(16))
    await digest_of("large.bin")
    answer, grown = await watched(client.send(pieces(size)))
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
