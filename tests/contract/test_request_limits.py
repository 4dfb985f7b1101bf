"""Limits of a request: its size, its fields, its time to arrive, and checks before it is read.

Each test is an attack that once took a service's memory, on real servers and connections.
"""

import asyncio
import gzip
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.api.httpbody_pb2 import HttpBody

from core.rpc import arrivals as arrivals_module
from core.rpc.arrivals import Arrivals
from core.rpc.limits import KIB, MAX_REQUEST_FIELDS, MIB, UNREAD_BYTES
from portico.inference.v1.openai_service_pb2 import CreateEmbeddingRequest
from portico.rag.v1 import file_service_pb2, file_service_pb2_grpc
from tests.support import http1_channel
from tests.support.http1_channel import Http1Channel, connected
from tests.support.http2_client import frame, http2
from tests.support.inference_harness import reason_of
from tests.support.rpc_harness import (
    EMBED,
    EMPTY_ATTACHMENT,
    HEALTH,
    HTTP2_WINDOW,
    KEYS,
    REFLECTION,
    SECONDS,
    TOKENS,
    C,
    Harness,
    Servicers,
    raw,
    refusal,
    serving,
    unknown_field,
)
from tests.support.serving import connect


@pytest.fixture
def servicers() -> Servicers:
    return Servicers()


@pytest.fixture
async def harness(servicers: Servicers) -> AsyncIterator[Harness]:
    async with serving(servicers.all()) as started:
        yield started


@pytest.fixture(params=["http2", "http1"])
async def channel(request: pytest.FixtureRequest, harness: Harness) -> AsyncIterator[Any]:
    if request.param == "http1":
        yield Http1Channel(harness.edge_port)
        return
    async with connect(harness.port) as opened:
        yield opened


# -- size


@pytest.mark.parametrize(
    ("path", "limit", "text"),
    [(KEYS, 64 * KIB, "64 KiB"), (TOKENS, MIB, "1 MiB"), (EMBED, 32 * MIB + 64 * KIB, "32 MiB")],
    ids=["public", "with a token", "with content"],
)
async def test_a_request_beyond_the_limit_of_its_rpc_is_refused(
    harness: Harness, channel: Any, servicers: Servicers, path: str, limit: int, text: str
) -> None:
    """Every RPC took 40 MiB: twelve calls of Login took a gigabyte."""
    call = channel.unary_unary(path, request_serializer=bytes)
    await call(unknown_field(limit), metadata=harness.bearer(), timeout=SECONDS)
    error = await refusal(call(unknown_field(limit + 1), metadata=harness.bearer(), timeout=SECONDS))
    assert servicers.calls == 1
    if error.code() is C.RESOURCE_EXHAUSTED:  # gRPC's own limit, which is the largest of the server's
        assert str(limit) in (error.details() or "")
    else:
        assert error.code() is C.INVALID_ARGUMENT
        assert text in (error.details() or "")
        assert reason_of(error) == "PAYLOAD_TOO_LARGE"


async def test_a_server_of_small_rpcs_does_not_take_in_a_large_message(servicers: Servicers) -> None:
    async with serving(servicers.auth()) as harness:
        stream = await raw(harness, KEYS, frame(bytes(40 * MIB)))
    assert stream.code == C.RESOURCE_EXHAUSTED.value[0]
    assert str(MIB) in stream.message
    assert stream.sent < MIB
    assert servicers.calls == 0


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("path", [KEYS, HEALTH, REFLECTION])
async def test_a_compressed_message_is_refused_before_it_is_unpacked(
    harness: Harness, servicers: Servicers, encoding: str, path: str
) -> None:
    """37 KiB became 40 MiB."""
    stream = await raw(
        harness, path, frame(gzip.compress(bytes(40 * MIB)), compressed=True), [("grpc-encoding", encoding)]
    )
    assert stream.code == C.UNIMPLEMENTED.value[0]
    assert servicers.calls == 0


async def test_a_grpc_client_that_compresses_is_told_so(harness: Harness) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{harness.port}", compression=grpc.Compression.Gzip) as channel:
        call = channel.unary_unary(TOKENS, request_serializer=bytes)
        error = await refusal(call(unknown_field(100_000), metadata=harness.bearer(), timeout=SECONDS))
    assert error.code() is C.UNIMPLEMENTED
    assert "gzip" in (error.details() or "")


async def test_a_message_of_a_stream_is_limited_and_the_stream_is_not(harness: Harness) -> None:
    async with connect(harness.port) as channel:
        upload = file_service_pb2_grpc.FileServiceStub(channel).UploadFile

        def pieces(*sizes: int) -> Any:
            return iter([file_service_pb2.UploadFileRequest(body=HttpBody(data=bytes(size))) for size in sizes])

        answer = await upload(pieces(*[2 * MIB] * 5), metadata=harness.bearer(), timeout=SECONDS)
        assert answer.data == b"%d" % (10 * MIB)
        error = await refusal(upload(pieces(MIB, 3 * MIB), metadata=harness.bearer(), timeout=SECONDS))
    assert error.code() is C.INVALID_ARGUMENT
    assert "2 MiB" in (error.details() or "")


# -- fields


@pytest.mark.parametrize("count", [MAX_REQUEST_FIELDS - 2, MAX_REQUEST_FIELDS - 1])
async def test_many_empty_submessages_are_refused_before_they_are_parsed(
    harness: Harness, channel: Any, servicers: Servicers, count: int
) -> None:
    """Two bytes each on the wire, a hundred and more in memory: 16 MiB took a gigabyte, with the scope, too."""
    body = HttpBody(data=b"x" * 4096).SerializeToString() + EMPTY_ATTACHMENT * count
    request = CreateEmbeddingRequest(body=HttpBody.FromString(b"")).SerializeToString()[:1] + _sized(body)
    call = channel.unary_unary(EMBED, request_serializer=bytes)(request, metadata=harness.bearer(), timeout=SECONDS)
    if 2 + count <= MAX_REQUEST_FIELDS:  # with the body and its data
        await call
        assert servicers.calls == 1
    else:
        error = await refusal(call)
        assert reason_of(error) == "TOO_MANY_VALUES"
        assert "250000" in (error.details() or "")
        assert servicers.calls == 0


async def test_garbage_of_any_length_is_the_callers_mistake(harness: Harness, channel: Any) -> None:
    call = channel.unary_unary(EMBED, request_serializer=bytes)
    for garbage in (b"\xff", b"\xff" * MIB, b"\x0a" * MIB, b"\x0b" * MIB):
        error = await refusal(call(garbage, metadata=harness.bearer(), timeout=SECONDS))
        assert error.code() is C.INVALID_ARGUMENT


def _sized(data: bytes) -> bytes:
    out, size = bytearray(), len(data)
    while size > 0x7F:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*out, size]) + data


# -- before the request is read


NOT_ALLOWED = {
    "without a token": ({}, False, C.UNAUTHENTICATED),
    "without the scope": ({"scopes": ["files:read"]}, True, C.PERMISSION_DENIED),
}


@pytest.mark.parametrize("who", NOT_ALLOWED)
async def test_who_may_not_call_is_refused_before_the_request_is_received(
    harness: Harness, servicers: Servicers, who: str
) -> None:
    """A token without the scope could make inference receive and parse 16 MiB, and drop them."""
    claims, signed_in, code = NOT_ALLOWED[who]
    metadata = harness.bearer(**claims) if signed_in else ()
    data = frame(bytes(16 * MIB))
    stream = await raw(harness, EMBED, data, metadata)
    assert stream.code == code.value[0]
    assert stream.sent <= HTTP2_WINDOW
    assert servicers.calls == 0


@pytest.mark.parametrize("who", NOT_ALLOWED)
async def test_by_the_edge_too_and_its_connection_goes_on(harness: Harness, servicers: Servicers, who: str) -> None:
    claims, signed_in, code = NOT_ALLOWED[who]
    data = http1_channel.request(EMBED, bytes(16 * MIB), harness.bearer(**claims) if signed_in else ())
    async with asyncio.timeout(SECONDS), connected(harness.edge_port) as (reader, writer):
        writer.write(data[: 64 * KIB])
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"\r\ngrpc-status: %d\r\n" % code.value[0] in head
        writer.write(data[64 * KIB :])  # as the edge does, which has the whole request to send
        writer.write(http1_channel.request(EMBED, b"", harness.bearer()))
        assert b"grpc-status: 0" in await reader.readuntil(b"0\r\ngrpc-status: 0\r\n\r\n")
    assert servicers.calls == 1


async def test_a_frame_that_announces_too_much_is_refused_by_itself(harness: Harness) -> None:
    announced = http1_channel.request(TOKENS, b"", harness.bearer()).partition(b"\r\n\r\n")[0]
    body = b"\0" + (MIB + 1).to_bytes(4, "big")
    async with asyncio.timeout(SECONDS), connected(harness.edge_port) as (reader, writer):
        writer.write(announced + b"\r\n\r\n%x\r\n%b\r\n" % (len(body), body))
        assert b"\r\ngrpc-status: 3\r\n" in await reader.readuntil(b"\r\n\r\n")


async def test_calls_that_wait_for_their_turn_are_held_back(servicers: Servicers) -> None:
    """One large message of a tenant is let in at a time, of the others no more than their beginning."""
    size = 32 * MIB
    async with serving(servicers.openai()) as harness, http2(harness.port) as client:
        bearer = harness.bearer(tenant="acme")
        await client.answer(client.start(EMBED))  # the server has told by now how much it takes
        streams = [client.start(EMBED, bearer) for _ in range(10)]
        sending = [asyncio.create_task(client.send(stream, frame(bytes(size - 1000), size=size))) for stream in streams]
        while not any(task.done() for task in sending):
            await asyncio.sleep(0.01)
        async with connect(harness.port) as channel:
            call = channel.unary_unary(EMBED, request_serializer=bytes)
            await call(unknown_field(2 * MIB), metadata=harness.bearer(tenant="globex"), timeout=SECONDS)
        sent = sorted(stream.sent for stream in streams)
        assert sent[9:] == [size + 5 - 1000]
        assert max(sent[:9]) <= UNREAD_BYTES
        for task in sending:
            task.cancel()


# -- time


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Arrivals:
    monkeypatch.setattr(arrivals_module, "SWEEP_SECONDS", 0.02)
    return Arrivals(seconds=0.1)


@pytest.mark.parametrize("data", [b"", b"\0\0", frame(b"x" * 500, size=60_000)], ids=["none", "half a frame", "half"])
async def test_a_message_that_drips_in_is_given_up(servicers: Servicers, impatient: Arrivals, data: bytes) -> None:
    async with serving(servicers.auth(), arrivals=impatient) as harness:
        stream = await raw(harness, KEYS, data, end=False)
        assert stream.code == C.DEADLINE_EXCEEDED.value[0]
        assert "0.1 seconds" in stream.message
        head = http1_channel.request(KEYS, b"").partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        async with asyncio.timeout(SECONDS), connected(harness.edge_port) as (reader, writer):
            writer.write(head + (b"%x\r\n%b\r\n" % (len(data), data) if data else b""))
            assert b"\r\ngrpc-status: 4\r\n" in await reader.readuntil(b"\r\n\r\n")
        assert servicers.calls == 0
        while harness.load.in_flight:
            await asyncio.sleep(0.01)


async def test_a_handler_may_take_longer_than_a_message(servicers: Servicers, impatient: Arrivals) -> None:
    servicers.hold = asyncio.Event()
    async with (
        serving(servicers.auth(), arrivals=impatient) as harness,
        connect(harness.port) as channel,
    ):
        slow = asyncio.ensure_future(channel.unary_unary(KEYS)(b"", timeout=SECONDS))
        assert (await raw(harness, KEYS, b"", end=False)).code == C.DEADLINE_EXCEEDED.value[0]
        servicers.hold.set()
        await slow


async def test_a_call_without_a_message_has_a_status(harness: Harness) -> None:
    stream = await raw(harness, KEYS, b"", end=True)
    assert stream.code == C.INVALID_ARGUMENT.value[0]
    while harness.load.in_flight:
        await asyncio.sleep(0.01)
