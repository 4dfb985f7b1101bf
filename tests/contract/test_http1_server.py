"""The port for the edge, on raw sockets: what it answers to the edge, and what to everybody else."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from google.api.httpbody_pb2 import HttpBody

from core.config import Secret
from core.health import Health
from core.rpc.call import CallContext
from core.rpc.chain import Chain
from core.rpc.http1 import connection, wire
from core.rpc.http1.body import Body
from core.rpc.http1.server import Http1Server
from core.rpc.server import ServiceRegistration
from core.rpc.stages.auth import Auth
from portico.inference.v1 import openai_service_pb2_grpc
from portico.inference.v1.openai_service_pb2 import CreateChatCompletionRequest, CreateEmbeddingRequest
from tests.support.http1_channel import connected, frame, request
from tests.support.tokens import Signer

SERVICE = "/portico.inference.v1.OpenAIService"
CHAT, EMBED = f"{SERVICE}/CreateChatCompletion", f"{SERVICE}/CreateEmbedding"
SECONDS = 5


@dataclass
class OpenAI(openai_service_pb2_grpc.OpenAIServiceServicer):
    """Streams what `parts` gives, or as many bytes as the embedding's request says."""

    parts: Callable[[], AsyncIterator[bytes]] | None = None
    initial: tuple[tuple[str, str], ...] = ()
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def CreateChatCompletion(self, request: Any, context: CallContext) -> AsyncIterator[HttpBody]:
        try:
            for name, value in self.initial:
                context.add_header(name, value, native=True)
            if self.parts is None:
                return
            async for part in self.parts():
                yield HttpBody(data=part)
        finally:
            self.left.set()

    async def CreateEmbedding(self, request: Any, context: CallContext) -> HttpBody:
        return HttpBody(data=request.body.data)


@dataclass
class Harness:
    openai: OpenAI
    server: Http1Server
    health: Health
    port: int
    bearer: tuple[tuple[str, str], ...]

    def chat(self, *metadata: tuple[str, str]) -> bytes:
        return request(CHAT, CreateChatCompletionRequest().SerializeToString(), (*self.bearer, *metadata))

    def embed(self, data: bytes = b"x") -> bytes:
        message = CreateEmbeddingRequest(body=HttpBody(data=data)).SerializeToString()
        return request(EMBED, message, self.bearer)

    async def answer(self, *sent: bytes) -> bytes:
        """All that comes until the server closes."""
        async with asyncio.timeout(SECONDS), connected(self.port) as (reader, writer):
            for part in sent:
                writer.write(part)
                await asyncio.sleep(0)
            return await reader.read()

    async def still_serves(self) -> None:
        async with asyncio.timeout(SECONDS), connected(self.port) as (reader, writer):
            writer.write(self.embed())
            assert (await reader.readuntil(wire.OK)).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    signer, openai, health = Signer(), OpenAI(), Health()
    chain = Chain([Auth(signer.verifier(), Secret("s" * 32))])
    registration = ServiceRegistration(SERVICE[1:], openai_service_pb2_grpc.add_OpenAIServiceServicer_to_server, openai)
    server = Http1Server([registration], chain, health)
    bearer = (("authorization", f"Bearer {signer.token()}"),)
    port = await server.start("127.0.0.1:0")
    yield Harness(openai, server, health, port, bearer)
    await server.stop(0)


async def test_a_small_answer_is_one_chunk_and_the_connection_stays(harness: Harness) -> None:
    async with asyncio.timeout(SECONDS), connected(harness.port) as (reader, writer):
        for _ in range(3):
            writer.write(harness.embed(b"abc"))
            whole = await reader.readuntil(wire.OK)
            message = frame(HttpBody(data=b"abc").SerializeToString())
            assert whole == wire.CHUNKED + b"\r\n%x\r\n%b\r\n" % (len(message), message) + wire.OK


async def test_a_request_may_come_byte_by_byte(harness: Harness) -> None:
    async with asyncio.timeout(SECONDS), connected(harness.port) as (reader, writer):
        for byte in harness.embed():
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        assert await reader.readuntil(wire.OK)


async def test_large_bodies_pass_both_ways(harness: Harness) -> None:
    data = b"x" * (32 * 1024 * 1024)
    async with asyncio.timeout(30), connected(harness.port) as (reader, writer):
        writer.write(harness.embed(data))
        assert data in await reader.readuntil(wire.OK)


async def test_a_slow_reader_holds_up_the_stream(harness: Harness) -> None:
    """A model that is faster than its client must not fill the memory."""
    given = 0

    async def parts() -> AsyncIterator[bytes]:
        nonlocal given
        for _ in range(2000):
            given += 1
            yield b"x" * 65536

    harness.openai.parts = parts
    async with asyncio.timeout(30):
        reader, writer = await asyncio.open_connection("127.0.0.1", harness.port, limit=1024)
        writer.write(harness.chat())
        await reader.readexactly(100)
        before = -1
        while before < given:  # until it stands still
            before = given
            await asyncio.sleep(0.1)
        assert given < 1000
        while await reader.read(1 << 20):
            if given == 2000:
                break
        writer.close()


async def test_closing_the_connection_cancels_the_call(harness: Harness) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"first"
        await asyncio.Event().wait()

    harness.openai.parts = parts
    async with asyncio.timeout(SECONDS):
        async with connected(harness.port) as (reader, writer):
            writer.write(harness.chat())
            await reader.readuntil(b"first\r\n")
            assert not harness.openai.left.is_set()
        await harness.openai.left.wait()
    await harness.still_serves()


async def test_bytes_behind_a_request_end_the_connection_and_its_call(harness: Harness) -> None:
    """There is one way to read what comes: nothing is kept for later that another could read otherwise."""

    async def parts() -> AsyncIterator[bytes]:
        yield b"first"
        await asyncio.Event().wait()

    harness.openai.parts = parts
    async with asyncio.timeout(SECONDS), connected(harness.port) as (reader, writer):
        writer.write(harness.chat())
        await reader.readuntil(b"first\r\n")
        writer.write(harness.chat())
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        await harness.openai.left.wait()


async def test_two_requests_at_once_are_refused(harness: Harness) -> None:
    with suppress(ConnectionError):  # closed without an answer, or reset
        assert await harness.answer(harness.embed() + harness.embed()) == b""
    await harness.still_serves()


async def test_the_deadline_ends_the_call(harness: Harness) -> None:
    async def parts() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    harness.openai.parts = parts
    async with asyncio.timeout(SECONDS), connected(harness.port) as (reader, writer):
        writer.write(harness.chat(("grpc-timeout", "10m")))
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"\r\ngrpc-status: 4\r\n" in head
        assert harness.openai.left.is_set()
        writer.write(harness.embed())
        assert await reader.readuntil(wire.OK)


async def test_an_error_in_the_middle_is_told_in_the_trailers(harness: Harness) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"first"
        raise RuntimeError("secret")

    harness.openai.parts = parts
    async with asyncio.timeout(SECONDS), connected(harness.port) as (reader, writer):
        writer.write(harness.chat())
        head = await reader.readuntil(b"\r\n\r\n")
        rest = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(wire.CHUNKED)
        assert b"\r\n0\r\ngrpc-status: 13\r\n" in rest
        assert b"secret" not in rest


async def test_a_stream_of_nothing_is_a_status_alone(harness: Harness) -> None:
    async def parts() -> AsyncIterator[bytes]:
        return
        yield b""

    harness.openai.parts = parts
    async with asyncio.timeout(SECONDS), connected(harness.port) as (reader, writer):
        writer.write(harness.chat())
        assert await reader.readuntil(b"\r\n\r\n") == wire.EMPTY + wire.OK_STATUS + b"\r\n"


@pytest.mark.parametrize("value", ["a\r\nx-injected: 1", "a\nb", "a\0", "ü", "\x7f"])
async def test_a_header_cannot_carry_another(harness: Harness, value: str) -> None:
    harness.openai.initial = (("x-portico-dropped-params", value),)
    async with asyncio.timeout(SECONDS), connected(harness.port) as (reader, writer):
        writer.write(harness.chat())
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"\r\ngrpc-status: 13\r\n" in head
        assert b"injected" not in head


def post(path: str = CHAT, *lines: str, body: bytes = b"") -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "host: x", *lines]).encode() + b"\r\n\r\n" + body


_GRPC = "content-type: application/grpc"
HOSTILE = {
    "garbage": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    "http2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "get": (f"GET {CHAT} HTTP/1.1\r\nhost: x\r\n\r\n".encode(), 405),
    "connect": (b"CONNECT x:1 HTTP/1.1\r\nhost: x\r\n\r\n", 400),
    "http1.0": (f"POST {CHAT} HTTP/1.0\r\n{_GRPC}\r\ncontent-length: 0\r\n\r\n".encode(), 505),
    "no content type": (post(), 415),
    "json": (post(CHAT, "content-type: application/json", "content-length: 2", body=b"{}"), 415),
    "another grpc": (post(CHAT, "content-type: application/grpc-web"), 415),
    "upgrade": (post(CHAT, _GRPC, "connection: upgrade", "upgrade: h2c", "content-length: 0"), 400),
    "two lengths": (post(CHAT, _GRPC, "content-length: 5", "content-length: 6", body=b"\0\0\0\0\0"), 400),
    "length and chunks": (post(CHAT, _GRPC, "content-length: 5", "transfer-encoding: chunked"), 400),
    "odd coding": (post(CHAT, _GRPC, "transfer-encoding: gzip, chunked"), 501),
    "bad chunk": (post(CHAT, _GRPC, "transfer-encoding: chunked", body=b"zz\r\n"), 400),
    "huge length": (post(CHAT, _GRPC, "content-length: 99999999999"), 413),
    "one huge header": (post(CHAT, _GRPC, "x: " + "y" * 200_000), 431),
    "many headers": (post(CHAT, _GRPC, *(f"x-{i}: {'y' * 100}" for i in range(2000))), 431),
    "endless head": (b"POST / HTTP/1.1\r\nx: " + b"y" * 200_000, 431),
    "endless path": (b"POST /" + b"y" * 200_000, 431),
    "huge trailers": (
        post(CHAT, _GRPC, "transfer-encoding: chunked", body=b"5\r\n\0\0\0\0\0\r\n0\r\nx: " + b"y" * 800_000),
        431,
    ),
}


@pytest.mark.parametrize("sent", HOSTILE)
async def test_what_the_edge_would_never_send_is_refused(harness: Harness, sent: str) -> None:
    data, status = HOSTILE[sent]
    try:
        answer = await harness.answer(data)
    except ConnectionError:  # closed while we were still sending
        answer = b""
    assert answer.startswith(b"HTTP/1.1 %d " % status) or (not answer and len(data) > 100_000)
    assert len(answer) < 200
    await harness.still_serves()


BODIES = {
    "nothing": (b"", 3),
    "half a prefix": (b"\0\0", 3),
    "a truncated message": (b"\0\0\0\0\x05ab", 3),
    "two messages": (frame(b"") * 2, 3),
    "a compressed message": (b"\1" + frame(b"ab")[1:], 12),
    "no protobuf": (frame(b"\xff\xff\xff"), 3),
}


@pytest.mark.parametrize("sent", BODIES)
async def test_a_body_that_is_not_one_message_has_a_status(harness: Harness, sent: str) -> None:
    body, code = BODIES[sent]
    authorization = f"authorization: {harness.bearer[0][1]}"
    data = post(CHAT, _GRPC, authorization, f"content-length: {len(body)}", body=body)
    async with asyncio.timeout(SECONDS), connected(harness.port) as (reader, writer):
        writer.write(data)
        assert b"\r\ngrpc-status: %d\r\n" % code in await reader.readuntil(b"\r\n\r\n")
        writer.write(harness.embed())  # the connection goes on
        assert await reader.readuntil(wire.OK)


async def test_a_message_beyond_the_limit_is_refused_while_it_comes(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_MAX_BODY", 1000)
    head = post(CHAT, _GRPC, "transfer-encoding: chunked")
    assert (await harness.answer(head, b"3e9\r\n" + b"x" * 1001)).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"POST", b"HTTP/1.1 408 "),
        (post(CHAT, _GRPC, "content-length: 100", body=b"x"), b"HTTP/1.1 200 "),  # of a call that needs no body
        (b"", b""),
    ],
)
async def test_who_is_slow_to_ask_is_closed(monkeypatch: pytest.MonkeyPatch, sent: bytes, answer: bytes) -> None:
    monkeypatch.setattr("core.rpc.http1.server._SWEEP_SECONDS", 0.01)
    monkeypatch.setattr(connection, "REQUEST_SECONDS", 0.05)
    monkeypatch.setattr(connection, "IDLE_SECONDS", 0.05)
    server = Http1Server([], Chain([]), Health())
    port = await server.start("127.0.0.1:0")
    async with asyncio.timeout(SECONDS), connected(port) as (reader, writer):
        writer.write(sent)
        whole = await reader.read()
        assert whole.startswith(answer) if answer else not whole
    await server.stop(0)


async def test_a_connection_too_many_is_closed(monkeypatch: pytest.MonkeyPatch, harness: Harness) -> None:
    monkeypatch.setattr("core.rpc.http1.server.MAX_CONNECTIONS", 1)
    async with asyncio.timeout(SECONDS), connected(harness.port) as (reader, writer):
        writer.write(harness.embed())
        await reader.readuntil(wire.OK)
        assert await harness.answer(b"") == b""
    while harness.server._connections:
        await asyncio.sleep(0)
    await harness.still_serves()


async def test_health_is_told_to_the_edge(harness: Harness) -> None:
    ask = b"GET /health/ready HTTP/1.1\r\nhost: x\r\n\r\n"
    async with asyncio.timeout(SECONDS), connected(harness.port) as (reader, writer):
        for _ in range(2):
            writer.write(ask)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
        await harness.health.shutting_down()
        writer.write(ask)
        assert (await reader.read()).startswith(b"HTTP/1.1 503 ")  # and the connection ends


async def test_a_service_that_drains_asks_for_no_more_on_its_connections(harness: Harness) -> None:
    await harness.health.shutting_down()
    answer = await harness.answer(harness.embed())
    assert b"\r\nconnection: close\r\n" in answer
    assert answer.endswith(wire.OK)


async def test_a_stop_lets_calls_end_and_closes_what_is_idle(harness: Harness) -> None:
    go = asyncio.Event()

    async def parts() -> AsyncIterator[bytes]:
        yield b"first"
        await go.wait()
        yield b"last"

    harness.openai.parts = parts
    async with (
        asyncio.timeout(SECONDS),
        connected(harness.port) as (busy, writer),
        connected(harness.port) as (idle, _),
    ):
        writer.write(harness.chat())
        await busy.readuntil(b"first\r\n")
        stopping = asyncio.create_task(harness.server.stop(SECONDS))
        assert await idle.read() == b""
        with pytest.raises(ConnectionError):
            await asyncio.open_connection("127.0.0.1", harness.port)
        go.set()
        rest = await busy.read()
        assert b"last" in rest
        assert rest.endswith(wire.OK)
        await stopping


async def test_a_stop_cancels_what_outlasts_its_grace(harness: Harness) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"first"
        await asyncio.Event().wait()

    harness.openai.parts = parts
    async with asyncio.timeout(SECONDS), connected(harness.port) as (reader, writer):
        writer.write(harness.chat())
        await reader.readuntil(b"first\r\n")
        await harness.server.stop(0.01)
        assert harness.openai.left.is_set()


async def test_nothing_is_kept_of_a_body_whose_connection_was_lost(harness: Harness) -> None:
    """Sixteen MiB of each call that a client gave up lay in a reference cycle until the garbage collector came by,
    which an idle process does not call."""
    whole = harness.embed(bytes(1024 * 1024))
    gc.collect()
    gc.disable()
    try:
        async with asyncio.timeout(SECONDS), connected(harness.port) as (_, writer):
            writer.write(whole[:-1000])
            await writer.drain()
            while not any(len(body._content) > len(whole) // 2 for body in _bodies()):
                await asyncio.sleep(0.01)
            writer.transport.abort()
            while any(len(body._content) for body in _bodies()):
                await asyncio.sleep(0.01)
    finally:
        gc.enable()


def _bodies() -> list[Body]:
    return [each for each in gc.get_objects() if isinstance(each, Body)]
