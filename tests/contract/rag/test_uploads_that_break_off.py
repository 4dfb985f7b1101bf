"""Uploads that are cancelled, stall, lose their connection or their bucket."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from portico.rag.v1 import bucket_service_pb2 as bucket_pb
from tests.support.rag_client import (
    FILE_END,
    FORM,
    FORM_END,
    RagClient,
    field,
    file_head,
    served,
)
from tests.support.rag_harness import CODE, MIB, Harness, SlowForm, outcome, refused
from tests.support.serving import connect
from tests.support.tokens import Signer
from tests.support.waiting import until


async def test_an_upload_that_the_caller_cancels_leaves_nothing(client: RagClient, harness: Harness) -> None:
    call = client.start_upload(SlowForm().chunks(), FORM)
    waiting = asyncio.ensure_future(outcome(call))
    await until(harness.objects)
    call.cancel()
    assert await waiting == "CANCELLED"
    await until(lambda: not harness.objects())
    assert await client.keys() == []
    while await harness.upload_intents():
        await asyncio.sleep(0.01)


async def test_an_upload_over_a_connection_that_breaks_leaves_nothing(harness: Harness) -> None:
    async with grpc.aio.insecure_channel(
        f"127.0.0.1:{harness.running.port}", options=[("grpc.use_local_subchannel_pool", 1)]
    ) as channel:
        call = RagClient(channel, harness.signer.token()).start_upload(SlowForm().chunks(), FORM)
        waiting = asyncio.ensure_future(outcome(call))
        await until(harness.objects)
    await waiting
    await until(lambda: not harness.objects())
    assert await harness.client().keys() == []


async def test_an_upload_that_stalls_is_given_up(tmp_path: Path, signer: Signer) -> None:
    async with (
        served(tmp_path, signer, PORTICO_FILES_IDLE_SECONDS="0.2") as running,
        connect(running.port) as channel,
    ):
        harness = Harness(running, channel, signer, tmp_path)
        slow = SlowForm()
        sending = asyncio.ensure_future(harness.client().send(slow.chunks()))
        await until(harness.objects)
        await until(lambda: not harness.objects())
        slow.on.set()
        await refused(sending, CODE.DEADLINE_EXCEEDED, http=408)
        assert await harness.upload_intents() == 0


class Drip:
    """An upload whose sender gives `size` bytes every twenty milliseconds, `count` times or without end."""

    def __init__(self, head: bytes, size: int, end: bytes = b"", count: int = 0) -> None:
        self._head, self._size, self._end, self._count = head, size, end, count

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._head
        sent = 0
        while not self._count or sent < self._count:
            await asyncio.sleep(0.02)
            yield b"x" * self._size
            sent += 1
        yield self._end


@pytest.mark.parametrize(
    ("head", "size", "content_type", "bucket"),
    [
        (field("keyHint", "drip") + file_head(), 1, FORM, "default"),
        (file_head(), 1, FORM, ""),
        (b'{"fileName":"a","data":"', 1, "application/json", "default"),
        (b"", 0, FORM, "default"),
    ],
    ids=["form", "OpenAI's", "JSON", "empty messages"],
)
async def test_uploads_that_drip_are_given_up(
    tmp_path: Path, signer: Signer, head: bytes, size: int, content_type: str, bucket: str
) -> None:
    """Forty-two of them held all places of the service for as long as they liked, with a byte now and then."""
    env = {"PORTICO_FILES_IDLE_SECONDS": "0.3", "PORTICO_FILES_MIN_RATE": "10000"}
    async with (
        served(tmp_path, signer, **env) as running,
        connect(running.port) as channel,
    ):
        harness = Harness(running, channel, signer, tmp_path)
        client = harness.client()
        drips = [client.start_upload(Drip(head, size).chunks(), content_type, bucket) for _ in range(42)]
        assert (await harness.client(tenant="globex").upload(b"mine"))["size"] == 4
        async with asyncio.timeout(60):
            codes = {await drip.code() for drip in drips}
        assert codes <= {CODE.DEADLINE_EXCEEDED, CODE.INTERNAL}  # as a client says that was writing when it was refused
        await until(lambda: len(harness.objects()) == 1)
        while await harness.upload_intents():
            await asyncio.sleep(0.01)


async def test_a_slow_upload_that_is_steady_ends_well(tmp_path: Path, signer: Signer) -> None:
    async with (
        served(tmp_path, signer, PORTICO_FILES_IDLE_SECONDS="1.5", PORTICO_FILES_MIN_RATE="100") as running,
        connect(running.port) as channel,
    ):
        client = Harness(running, channel, signer, tmp_path).client()
        slow = Drip(field("keyHint", "slow") + file_head(), 1000, FILE_END + FORM_END, count=100)
        assert (await client.send(slow.chunks()))["file"]["size"] == 100_000


async def test_a_slow_upload_does_not_hide_the_old_file(client: RagClient, harness: Harness) -> None:
    await client.upload(b"old", keyHint="slow.bin")
    slow = SlowForm()
    sending = asyncio.ensure_future(client.send(slow.chunks()))
    await until(lambda: len(harness.objects()) == 2)
    assert (await client.download("slow.bin")).content == b"old"
    slow.on.set()
    assert (await sending)["file"]["size"] == slow.size + 3
    assert (await client.get("slow.bin")).size == slow.size + 3
    assert len(harness.objects()) == 1


async def test_a_bucket_that_is_deleted_during_an_upload_takes_no_file(client: RagClient, harness: Harness) -> None:
    await client.call(client.buckets.CreateBucket, bucket_pb.CreateBucketRequest(name="Brief", key="brief"))
    slow = SlowForm()
    sending = asyncio.ensure_future(client.send(slow.chunks(), bucket="brief"))
    await until(harness.objects)
    await client.call(client.buckets.DeleteBucket, bucket_pb.DeleteBucketRequest(bucket_key="brief"))
    slow.on.set()
    await refused(sending, CODE.NOT_FOUND, "bucketKey", http=404)
    assert harness.objects() == []
    assert await harness.upload_intents() == 0


async def test_an_upload_into_no_bucket_is_refused_and_read_to_its_end(client: RagClient) -> None:
    """A sender over HTTP/1.1 who is cut off might never read the refusal."""
    sent: list[int] = []

    async def chunks() -> AsyncIterator[bytes]:
        for chunk in [file_head(), *[b"x" * MIB] * 8, FILE_END + FORM_END]:
            sent.append(len(chunk))
            yield chunk

    await refused(client.send(chunks(), bucket="nobodys"), CODE.NOT_FOUND, "bucketKey", http=404)
    assert sum(sent) > 8 * MIB
