"""Uploads: as JSON and as forms, keys, types, limits, replacing."""

import asyncio
import base64
import hashlib
import os
from contextlib import suppress
from pathlib import Path

import orjson
import pytest

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
    served,
)
from tests.support.rag_harness import CODE, MIB, Harness, refused
from tests.support.serving import connect
from tests.support.tokens import Signer


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


async def test_an_upload_as_a_form(client: RagClient, harness: Harness) -> None:
    file = await client.upload_form(
        b"\r\n--hello\r\n", "ä b.bin", keyHint="docs/2024/ä.bin", metadata='{"a": 1}', contentType="application/x-own"
    )
    assert (file["key"], file["fileName"], file["contentType"]) == ("docs/2024/ä.bin", "ä b.bin", "application/x-own")
    assert file["metadata"] == {"a": 1}
    assert (await client.download("docs/2024/ä.bin")).content == b"\r\n--hello\r\n"
    assert await harness.upload_intents() == 0


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
async def test_a_form_in_chunks_of_any_size(client: RagClient, size: int) -> None:
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
async def test_broken_base64_is_refused_and_leaves_nothing(client: RagClient, harness: Harness, data: str) -> None:
    await refused(client.upload(b"", data=data), CODE.INVALID_ARGUMENT, "data", http=400)
    assert harness.objects() == []
    assert await client.keys() == []


async def test_base64_that_breaks_after_megabytes_leaves_nothing(client: RagClient, harness: Harness) -> None:
    data = base64.b64encode(os.urandom(6 * MIB)).decode()
    for at in (len(data) - 5, 3 * MIB, 1024 * 1024 - 1):
        broken = f"{data[:at]}={data[at + 1 :]}"
        await refused(client.upload(b"", data=broken), CODE.INVALID_ARGUMENT, "data")
    assert harness.objects() == []
    assert await harness.upload_intents() == 0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"[]", "body"),
        (b'{"data": "YQ=="}', "fileName"),
        (b'{"fileName": 1, "data": "YQ=="}', "fileName"),
        (b'{"fileName": "a"}', "data"),
        (b'{"fileName": "", "data": "YQ=="}', "fileName"),
        (b'{"fileName": "a\\u0000b", "data": "YQ=="}', "fileName"),
        (b'{"fileName": "a", "data": "YQ==", "metadata": []}', "metadata"),
        (b'{"fileName": "a", "data": "YQ==", "contentType": "nonsense"}', "contentType"),
        (b'{"fileName": "a", "data": "YQ==", "contentType": "text/plain\\r\\nx: y"}', "contentType"),
        (b'{"fileName": "\xff", "data": "YQ=="}', "body"),
        (b'{"fileName": "a", "data": "YQ==", "metadata": {"a": ' + b"[" * 100_000, "body"),
    ],
)
async def test_json_that_does_not_fit(client: RagClient, harness: Harness, body: bytes, field: str | None) -> None:
    await refused(client.send([body], "application/json"), CODE.INVALID_ARGUMENT, field, http=400)
    assert harness.objects() == []


async def test_json_is_read_up_to_its_limit(client: RagClient) -> None:
    chunks = [b'{"fileName": "a", "data": "', *[b"A" * MIB] * 33, b'"}']
    await refused(client.send(chunks, "application/json"), CODE.INVALID_ARGUMENT, "body", http=413)


async def test_metadata_of_more_than_16_kib_is_refused(client: RagClient, harness: Harness) -> None:
    metadata = {"a": "x" * 16 * 1024}
    await refused(client.upload(b"x", metadata=metadata), CODE.INVALID_ARGUMENT, "metadata")
    await refused(client.upload_form(b"x", metadata=orjson.dumps(metadata).decode()), CODE.INVALID_ARGUMENT, "metadata")
    await refused(client.upload(b"x", metadata={"a": [0] * 100_000}), CODE.INVALID_ARGUMENT, "metadata")
    late = file_head() + b"x" + FILE_END + field("metadata", orjson.dumps(metadata)) + FORM_END
    await refused(client.send([late]), CODE.INVALID_ARGUMENT, "metadata")
    assert harness.objects() == []
    assert await harness.upload_intents() == 0


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
        field("metadata", '{"a": ' + "[" * 20_000) + form(b"x"),
        field("convertToMarkdown", "perhaps") + form(b"x"),
        field("keyHint", b"\xff\xfe") + form(b"x"),
        b"".join(field(f"f{number}", "x") for number in range(200)) + form(b"x"),
        f"--{BOUNDARY}\r\n{'X-A: b' * 3000}\r\n\r\n\r\n--{BOUNDARY}--\r\n".encode(),
    ],
)
async def test_a_broken_form_is_refused_and_leaves_nothing(client: RagClient, harness: Harness, body: bytes) -> None:
    await refused(client.send([body]), CODE.INVALID_ARGUMENT, http=400)
    assert harness.objects() == []
    assert await client.keys() == []
    assert await harness.upload_intents() == 0


async def test_not_much_may_follow_a_form(client: RagClient, harness: Harness) -> None:
    await client.send([form(b"x"), b"\r\n"])
    await refused(client.send([form(b"x"), b"x" * 2 * MIB]), CODE.INVALID_ARGUMENT)
    assert len(harness.objects()) == 1


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
async def test_hostile_keys_are_refused_everywhere(client: RagClient, harness: Harness, key: str) -> None:
    await refused(client.upload(b"x", keyHint=key), CODE.INVALID_ARGUMENT, "keyHint", http=400)
    await refused(client.upload_form(b"x", keyHint=key), CODE.INVALID_ARGUMENT, "keyHint", http=400)
    await refused(client.get(key), CODE.INVALID_ARGUMENT, "objectKey", http=400)
    await refused(client.delete(key), CODE.INVALID_ARGUMENT, "objectKey", http=400)
    await refused(client.download(key), CODE.INVALID_ARGUMENT, "objectKey", http=400)
    assert harness.objects() == []


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
        connect(running.port) as channel,
    ):
        harness = Harness(running, channel, signer, tmp_path)
        client = harness.client()
        await client.upload_form(b"x" * MIB)
        assert len(harness.objects()) == 1
        await refused(client.upload_form(b"x" * (MIB + 1)), CODE.INVALID_ARGUMENT, "file", http=413)
        await refused(client.upload(b"x" * (MIB + 1)), CODE.INVALID_ARGUMENT, "file", http=413)
        await refused(client.upload(b"x", "a.pdf"), CODE.INVALID_ARGUMENT, "contentType", http=415)
        await refused(client.upload_form(b"x", "a.txt", contentType="text/html"), CODE.INVALID_ARGUMENT, http=415)
        await client.upload(b"x", "a.png")
        await client.upload(b"x", "a", contentType="TEXT/plain; charset=utf-8")
        assert len(harness.objects()) == 3
        assert await harness.upload_intents() == 0


async def test_a_file_with_the_same_key_is_replaced_whole(client: RagClient, harness: Harness) -> None:
    old = await client.upload(b"old", keyHint="a", metadata={"v": 1}, contentType="text/html")
    new = await client.upload_form(b"newer", "b.txt", keyHint="a")
    assert (new["id"], new["createdAt"]) == (old["id"], old["createdAt"])
    assert (new["size"], new["fileName"], new["metadata"], new["contentType"]) == (5, "b.txt", {}, "text/plain")
    assert new["etag"] != old["etag"]
    assert (await client.download("a")).content == b"newer"
    assert len(harness.objects()) == 1
    assert await client.keys() == ["a"]


async def test_of_many_uploads_of_one_key_one_stays(client: RagClient, harness: Harness) -> None:
    contents = [bytes([number]) * 1000 for number in range(12)]
    await asyncio.gather(*(client.upload(content, keyHint="a") for content in contents))
    assert (await client.download("a")).content in contents
    assert len(harness.objects()) == 1
    assert await harness.upload_intents() == 0


async def test_uploads_and_deletions_of_one_key_at_a_time(client: RagClient, harness: Harness) -> None:
    async def upload(number: int) -> None:
        await client.upload(bytes([number]) * 1000, keyHint="a")

    async def delete() -> None:
        with suppress(Refused):  # there is none, or it is replaced all the time
            await client.delete("a")

    for _ in range(5):
        await asyncio.gather(*(work for number in range(4) for work in (upload(number), delete())))
        there = await client.keys()
        assert len(harness.objects()) == len(there) <= 1
        if there:
            content = (await client.download("a")).content
            assert content == content[:1] * 1000
    assert await harness.upload_intents() == 0


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("filename=\"a.txt\"; filename*=UTF-8''na%C3%AFve%20%E2%82%AC.txt", "naïve €.txt"),
        ("filename*=utf-8'en'na%C3%AFve.txt; filename=\"a.txt\"", "naïve.txt"),
        ("filename*=ISO-8859-1''na%EFve.txt", "naïve.txt"),
        ('filename="=?UTF-8?B?bmHDr3ZlLnR4dA==?="', "naïve.txt"),
        ('filename="=?utf-8?Q?na=C3=AFve_?= =?utf-8?Q?a.txt?="', "naïve a.txt"),
        ('filename="=?nothing?Q?a?="', "=?nothing?Q?a?="),
        ('filename="100%25 a=?b?=.txt"', "100%25 a=?b?=.txt"),
    ],
)
async def test_names_of_files_as_clients_encode_them(client: RagClient, given: str, name: str) -> None:
    """`filename*` (RFC 5987) wins over `filename`, and encoded words (RFC 2047) are decoded; both were ignored."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; {given}\r\n\r\n'.encode()
    assert (await client.send([head + b"x" + FILE_END + FORM_END]))["file"]["name"] == name


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("preamble", [b"This is a message in MIME format.\r\n", b"--not it\r\n", b"\r\n", b"\n\n"])
async def test_a_preamble_is_skipped(client: RagClient, preamble: bytes, size: int) -> None:
    """RFC 2046 lets a text stand before the first boundary; such a form was refused as malformed."""
    body = preamble + form(b"content", "a.txt", keyHint="a")
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    assert (await client.send(chunks))["file"]["size"] == 7
    assert (await client.download("a")).content == b"content"


async def test_a_preamble_has_an_end(client: RagClient) -> None:
    await refused(client.send([b"x" * 1024] * 100), CODE.INVALID_ARGUMENT, "body", http=400)
    await refused(client.send([b"no boundary at all"]), CODE.INVALID_ARGUMENT, "body", http=400)
