"""Answers without end, whole and streamed, and answers to HEAD."""

import asyncio

import pytest

from core.http.errors import BadResponse, UpstreamTimeout
from core.http.headers import header_block
from core.http.ports import Timeouts
from tests.support.fake_upstream import FakeUpstream, Peer, Request, each
from tests.support.short_client import Connect, ShortClient
from tests.support.waiting import until

MIB = 1024 * 1024
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
EXTENDED = b"1;x=%s\r\na\r\n" % (b"y" * 20_000)

ENDLESS = {
    "headers": (OK, b"X-Y: %s\r\n" % (b"y" * 1000)),
    "one header": (OK + b"X-Y: ", b"y"),
    "interim answers": (b"", b"HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n"),
    "extensions of a chunk": (CHUNKED + b"1;x=", b"y"),
    "extensions of chunks": (CHUNKED, EXTENDED),
    "trailers": (CHUNKED + b"2\r\nok\r\n0\r\n", b"X-Y: %s\r\n" % (b"y" * 1000)),
}


class Forever:
    def __init__(self, head: bytes, piece: bytes) -> None:
        self.sent = 0
        self._head = head
        self._piece = piece * max(1, 256 * 1024 // len(piece))

    async def __call__(self, peer: Peer) -> None:
        await peer.request()
        await peer.send(self._head)
        while self.sent < 64 * MIB and not peer.closing:
            await peer.send(self._piece)
            self.sent += len(self._piece)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("name", ENDLESS)
async def test_what_is_not_body_ends_the_exchange(connect: Connect, name: str, streamed: bool) -> None:
    """Chunks of one byte with long extensions went on for ever: each byte of the body made up for all before it."""
    forever = Forever(*ENDLESS[name])
    async with FakeUpstream(forever) as upstream, asyncio.timeout(60):
        client = connect(upstream)
        with pytest.raises(BadResponse):
            await (_streamed(client) if streamed else client.ask())
    assert forever.sent < 24 * MIB


async def _streamed(client: ShortClient) -> None:
    async for _ in await client.listen():
        pass


async def test_chunks_of_one_byte_are_no_attack(connect: Connect) -> None:
    async def answer(peer: Peer, request: Request) -> None:
        await peer.start()
        await peer.send(b"1;a=b\r\nx\r\n" * 50_000)
        await peer.finish()

    async with FakeUpstream(each(answer)) as upstream:
        assert (await connect(upstream).ask()).body == b"x" * 50_000


async def _drip(peer: Peer, request: Request) -> None:
    await peer.start()
    while not peer.closing:
        await peer.chunk(b"a")
        await asyncio.sleep(0.001)


async def test_a_whole_answer_that_trickles_is_given_up(connect: Connect) -> None:
    """Between two bytes it never was silent for long."""
    async with FakeUpstream(each(_drip)) as upstream:
        with pytest.raises(UpstreamTimeout):
            await asyncio.wait_for(connect(upstream, timeouts=Timeouts(body=0.05)).ask(), 20)
        await until(lambda: not upstream.open)


async def test_the_text_of_an_error_that_trickles_is_given_up(connect: Connect) -> None:
    async with FakeUpstream(each(_drip)) as upstream:
        with pytest.raises(UpstreamTimeout):
            await asyncio.wait_for((await connect(upstream).listen()).read(10**9, seconds=0.05), 20)
        await until(lambda: not upstream.open)


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_answer_to_head_has_no_body(connect: Connect, streamed: bool) -> None:
    async def answer(peer: Peer, request: Request) -> None:
        if request.method == "HEAD":
            await peer.send(OK + b"Content-Length: 1000000\r\nX-Y: z\r\n\r\n")
        else:
            await peer.respond(body=b"next")

    async with FakeUpstream(each(answer)) as upstream:
        client = connect(upstream)
        headers = header_block(client.origin, {})
        for _ in range(3):
            if streamed:
                head = await client.stream(b"/", headers, b"", method=b"HEAD")
                assert [piece async for piece in head] == []
                assert head.header("content-length") == "1000000"
            else:
                answered = await client.request(b"HEAD", b"/", headers)
                assert (answered.header("x-y"), answered.body) == ("z", b"")
            assert (await client.ask()).body == b"next"
        assert upstream.connections == 1
        assert "content-length" not in upstream.requests[0].headers


@pytest.mark.parametrize("head", [b"Content-Length: 3\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"])
async def test_a_body_that_answers_head_is_not_taken_for_the_next_answer(connect: Connect, head: bytes) -> None:
    async def serve(peer: Peer) -> None:
        request = await peer.request()
        assert request is not None
        await (peer.send(OK + head) if request.method == "HEAD" else peer.respond(body=b"mine"))
        await peer.gone()

    async with FakeUpstream(serve) as upstream:
        client = connect(upstream)
        answered = await client.request(b"HEAD", b"/", header_block(client.origin, {}))
        assert (answered.status, answered.body) == (200, b"")
        assert (await client.ask()).body == b"mine"
        assert upstream.connections == 2
