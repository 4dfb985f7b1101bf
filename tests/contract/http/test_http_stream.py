"""Responses that are read while they come."""

import asyncio
import gc
import time
import zlib

import pytest

from core.errors import DeadlineExceeded
from core.http.errors import BadResponse, TransportFailed, UpstreamTimeout
from core.http.limits import MAX_BUFFERED_BYTES
from core.http.ports import Timeouts
from tests.support.compression import COMPRESS
from tests.support.fake_upstream import FakeUpstream, Peer, Request, each
from tests.support.short_client import Connect
from tests.support.waiting import until


async def _three(peer: Peer, request: Request) -> None:
    await peer.start()
    for part in (b"one ", b"two ", b"three"):
        await peer.chunk(part)
    await peer.finish()


async def test_chunks_arrive_as_they_are_sent(connect: Connect) -> None:
    """Each chunk is sent only after the one before was read, so nothing on the way may hold one back."""
    read = asyncio.Semaphore(0)

    async def answer(peer: Peer, request: Request) -> None:
        await peer.start(headers={"X-Request-Id": "r"})
        for part in (b"one", b"two", b"three"):
            await peer.chunk(part)
            await read.acquire()
        await peer.finish()

    async with FakeUpstream(each(answer)) as upstream:
        client = connect(upstream)
        pieces = []
        async with await client.listen() as stream:
            assert stream.status == 200
            assert stream.header("x-request-id") == "r"
            async for piece in stream:
                pieces.append(piece)
                read.release()
        assert pieces == [b"one", b"two", b"three"]
        assert [piece async for piece in stream] == []
        assert len(client._pool.idle) == 1


async def test_a_late_reader_gets_one_chunk(connect: Connect) -> None:
    async with FakeUpstream(each(_three)) as upstream:
        client = connect(upstream)
        stream = await client.listen()
        connection = stream._connection
        assert connection is not None
        await until(lambda: connection.complete)
        assert [piece async for piece in stream] == [b"one two three"]


async def test_a_whole_response_may_be_streamed(connect: Connect) -> None:
    async def answer(peer: Peer, request: Request) -> None:
        await peer.respond(429, b'{"error":1}')

    async with FakeUpstream(each(answer)) as upstream:
        client = connect(upstream)
        for _ in range(2):
            async with await client.listen() as stream:
                assert stream.status == 429
                assert await stream.read(1000) == b'{"error":1}'
        assert upstream.connections == 1


async def test_an_empty_body_has_no_chunks(connect: Connect) -> None:
    async def answer(peer: Peer, request: Request) -> None:
        await peer.respond(body=b"")

    async with FakeUpstream(each(answer)) as upstream:
        client = connect(upstream)
        for _ in range(2):
            assert [piece async for piece in await client.listen()] == []
        assert upstream.connections == 1


async def test_read_is_bounded(connect: Connect) -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.start()
        await peer.chunk(b"123456")
        await peer.gone()

    async with FakeUpstream(serve) as upstream:
        with pytest.raises(BadResponse):
            await (await connect(upstream).listen()).read(5)
        await until(lambda: not upstream.open)


async def test_a_body_without_a_length_ends_with_its_connection(connect: Connect) -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.respond(body=b"until the end", length=False)

    async with FakeUpstream(serve) as upstream:
        assert b"".join([piece async for piece in await connect(upstream).listen()]) == b"until the end"


@pytest.mark.parametrize("cut", [Peer.close, Peer.reset])
async def test_a_stream_that_breaks_off_is_an_error_after_its_last_bytes(connect: Connect, cut: object) -> None:
    read = asyncio.Event()

    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.start()
        await peer.chunk(b"one")
        await read.wait()
        cut(peer)  # type: ignore[operator]

    async with FakeUpstream(serve) as upstream:
        stream = await connect(upstream).listen()
        assert await anext(stream) == b"one"
        read.set()
        with pytest.raises(TransportFailed) as failure:
            await anext(stream)
        assert failure.value.sent
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


async def test_garbage_in_the_middle_is_an_error(connect: Connect) -> None:
    read = asyncio.Event()

    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.start()
        await peer.chunk(b"one")
        await read.wait()
        await peer.send(b"zz\r\n")
        await peer.gone()

    async with FakeUpstream(serve) as upstream:
        stream = await connect(upstream).listen()
        assert await anext(stream) == b"one"
        read.set()
        with pytest.raises(BadResponse):
            await anext(stream)
        await until(lambda: not upstream.open)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
@pytest.mark.parametrize("size", [1, 7, 100_000])
async def test_a_compressed_stream_is_read(connect: Connect, coding: str, size: int) -> None:
    """Containarium#826, sub2api#2826: a proxy before the provider compresses what was asked for plain."""
    text = b"".join(b"data: %d\n\n" % number for number in range(200))
    encoded = COMPRESS[coding](text)

    async def answer(peer: Peer, request: Request) -> None:
        await peer.start(headers={"Content-Encoding": coding})
        for at in range(0, len(encoded), size):
            await peer.chunk(encoded[at : at + size])
        await peer.finish()

    async with FakeUpstream(each(answer)) as upstream:
        stream = await connect(upstream).listen()
        assert stream.status == 200
        assert b"".join([piece async for piece in stream]) == text
        assert (await connect(upstream).ask()).body == text


async def test_each_flushed_event_of_a_compressed_stream_arrives_at_once(connect: Connect) -> None:
    go_on = asyncio.Event()
    packer = zlib.compressobj(wbits=31)

    async def answer(peer: Peer, request: Request) -> None:
        await peer.start(headers={"Content-Encoding": "gzip"})
        await peer.chunk(packer.compress(b"one") + packer.flush(zlib.Z_SYNC_FLUSH))
        await go_on.wait()
        await peer.chunk(packer.compress(b"two") + packer.flush())
        await peer.finish()

    async with FakeUpstream(each(answer)) as upstream:
        stream = await connect(upstream).listen()
        assert await anext(stream) == b"one"
        go_on.set()
        assert b"".join([piece async for piece in stream]) == b"two"


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
async def test_a_small_chunk_does_not_become_a_huge_one(connect: Connect, coding: str) -> None:
    """A decompression bomb costs its reader no more memory than any other stream."""
    encoded = COMPRESS[coding](b"\0" * 20_000_000)

    async def answer(peer: Peer, request: Request) -> None:
        await peer.start(headers={"Content-Encoding": coding})
        await peer.chunk(encoded)
        await peer.finish()

    async with FakeUpstream(each(answer)) as upstream:
        sizes = [len(piece) async for piece in await connect(upstream).listen()]
        assert sum(sizes) == 20_000_000
        assert max(sizes) <= 1_000_000
        with pytest.raises(BadResponse):
            await (await connect(upstream).listen()).read(100_000)


@pytest.mark.parametrize(
    ("coding", "body"),
    [("gzip", b"plain"), ("br", b"plain"), ("zstd", b"plain"), ("gzip", COMPRESS["gzip"](b"a")[:-3])],
)
async def test_a_badly_compressed_stream_breaks(connect: Connect, coding: str, body: bytes) -> None:
    async def answer(peer: Peer, request: Request) -> None:
        await peer.start(headers={"Content-Encoding": coding})
        await peer.chunk(body)
        await peer.finish()

    async with FakeUpstream(each(answer)) as upstream:
        stream = await connect(upstream).listen()
        with pytest.raises(BadResponse):
            async for _ in stream:
                pass


async def test_a_stream_in_an_unknown_coding_is_refused(connect: Connect) -> None:
    async def answer(peer: Peer, request: Request) -> None:
        await peer.start(headers={"Content-Encoding": "compress"})
        await peer.gone()

    async with FakeUpstream(each(answer)) as upstream:
        with pytest.raises(BadResponse):
            await connect(upstream).listen()


@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_who_waits_for_a_chunk_can_be_woken_without_losing_one(connect: Connect, coding: str) -> None:
    go_on = asyncio.Event()
    encode = COMPRESS.get(coding, bytes)

    async def answer(peer: Peer, request: Request) -> None:
        await peer.start(headers={"Content-Encoding": coding})
        await go_on.wait()
        await peer.chunk(encode(b"one"))
        await peer.finish()

    async with FakeUpstream(each(answer)) as upstream:
        stream = await connect(upstream).listen()
        stream.wake()  # nobody waits: nothing happens
        for _ in range(2):
            waiting = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0)
            stream.wake()
            assert await waiting == b""
        go_on.set()
        assert b"".join([piece async for piece in stream]) == b"one"
        stream.wake()


async def test_closing_early_closes_the_socket_at_once(connect: Connect) -> None:
    async def answer(peer: Peer, request: Request) -> None:
        await peer.start()
        await peer.chunk(b"one")
        await peer.gone()

    async with FakeUpstream(each(answer)) as upstream:
        stream = await connect(upstream).listen()
        assert await anext(stream) == b"one"
        await stream.aclose()
        await stream.aclose()
        await until(lambda: not upstream.open)


@pytest.mark.parametrize("started", [False, True])
async def test_cancelling_the_reader_closes_the_socket_at_once(connect: Connect, started: bool) -> None:
    reached = asyncio.Event()

    async def answer(peer: Peer, request: Request) -> None:
        if started:
            await peer.start()
            await peer.chunk(b"one")
        reached.set()
        await peer.gone()

    async with FakeUpstream(each(answer)) as upstream:
        client = connect(upstream)
        got = asyncio.Event()

        async def read() -> None:
            async for _ in await client.listen():
                got.set()

        task = asyncio.ensure_future(read())
        await (got if started else reached).wait()
        await asyncio.sleep(0)
        task.cancel()
        await until(lambda: not upstream.open)
        assert task.cancelled()


async def test_a_forgotten_stream_gives_its_place_back(connect: Connect) -> None:
    async def answer(peer: Peer, request: Request) -> None:
        await peer.start()
        await peer.gone()

    async with FakeUpstream(each(answer)) as upstream:
        client = connect(upstream, max_connections=1)
        for _ in range(3):
            await client.listen()
            gc.collect()
        assert upstream.connections == 3


async def test_a_slow_reader_holds_the_server_back(connect: Connect) -> None:
    """Beyond the buffer we stop reading, so memory stays bounded however fast the provider is."""
    piece = b"x" * 65536
    written = 0

    async def answer(peer: Peer, request: Request) -> None:
        nonlocal written
        await peer.start()
        for _ in range(1000):
            await peer.chunk(piece)
            written += 1
        await peer.finish()

    async with FakeUpstream(each(answer)) as upstream:
        client = connect(upstream, timeouts=Timeouts(idle=0.05))
        stream = await client.listen()
        connection = stream._connection
        assert connection is not None
        before = -1
        while before != written or not connection._paused:
            before = written
            await asyncio.sleep(0.1)  # longer than the idle timeout: our own slowness must not be taken for theirs
        assert connection._buffered < 2 * MAX_BUFFERED_BYTES
        assert written < 1000
        received = [len(part) async for part in stream]
        assert sum(received) == 1000 * len(piece)
        assert len(client._pool.idle) == 1


async def test_a_stream_that_stalls_is_given_up(connect: Connect) -> None:
    async def answer(peer: Peer, request: Request) -> None:
        await peer.start()
        await peer.chunk(b"one")
        await peer.gone()

    async with FakeUpstream(each(answer)) as upstream:
        stream = await connect(upstream, timeouts=Timeouts(idle=0.03)).listen()
        assert await anext(stream) == b"one"
        with pytest.raises(UpstreamTimeout):
            await anext(stream)
        await until(lambda: not upstream.open)


async def test_a_stream_ends_with_the_callers_deadline(connect: Connect) -> None:
    async def answer(peer: Peer, request: Request) -> None:
        await peer.start()
        while upstream.open:
            await peer.chunk(b"drip")
            await asyncio.sleep(0.005)

    async with FakeUpstream(each(answer)) as upstream:
        stream = await connect(upstream).listen(deadline=time.monotonic() + 0.05)
        with pytest.raises(DeadlineExceeded) as failure:
            async for _ in stream:
                pass
        assert not isinstance(failure.value, UpstreamTimeout)


async def test_bytes_behind_a_stream_cost_the_connection(connect: Connect) -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.start()
        await peer.send(b"2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged")
        await peer.gone()

    async with FakeUpstream(serve) as upstream:
        client = connect(upstream)
        for number in range(2):
            assert [piece async for piece in await client.listen()] == [b"ok"]
            assert upstream.connections == number + 1
