"""Whole responses, from a server that behaves and from many that do not."""

import asyncio
import time
import zlib
from functools import partial

import pytest

from core.errors import DeadlineExceeded, InvalidInput, Unavailable
from core.http.errors import BadResponse, ConnectionsBusy, TransportFailed, UpstreamTimeout
from core.http.headers import header_block, header_lines
from core.http.origin import Origin
from core.http.ports import Timeouts
from tests.support.compression import COMPRESS
from tests.support.fake_upstream import FakeUpstream, Peer, Request, Script, each
from tests.support.short_client import Connect
from tests.support.waiting import until

QUICK = Timeouts(pool=0.05, connect=5.0, first_byte=0.05, idle=0.05)


async def _ok(peer: Peer, request: Request) -> None:
    await peer.respond(body=b'{"ok":true}', headers={"X-Request-Id": "r-1", "Retry-After": "7"})


def _has_seen(upstream: FakeUpstream, requests: int) -> bool:
    return len(upstream.requests) >= requests


def _raw(*segments: bytes) -> Script:
    """Answer every request of a connection with these bytes, then close it."""

    async def serve(peer: Peer) -> None:
        if await peer.request():
            for segment in segments:
                await peer.send(segment)
                await asyncio.sleep(0)

    return serve


async def test_request_and_response_arrive_as_they_were_sent(connect: Connect) -> None:
    async with FakeUpstream(each(_ok)) as upstream:
        client = connect(upstream)
        block = header_block(client.origin, {"Authorization": "Bearer k"})
        extra = header_lines({"X-Trace": "t"})
        response = await client.post(b"/v1/a?b=%20c", block, b'{"x":1}', extra_headers=extra)

        [request] = upstream.requests
        assert (request.method, request.target, request.body) == ("POST", "/v1/a?b=%20c", b'{"x":1}')
        assert dict(request.headers) == {
            "host": f"127.0.0.1:{upstream.port}",
            "accept-encoding": "identity",
            "authorization": "Bearer k",
            "x-trace": "t",
            "content-length": "7",
        }
        assert (response.status, response.body) == (200, b'{"ok":true}')
        assert response.header("Retry-After") == "7"
        assert response.header("x-request-id") == "r-1"
        assert response.header("absent") is None


async def test_get_has_no_body(connect: Connect) -> None:
    async with FakeUpstream(each(_ok)) as upstream:
        client = connect(upstream)
        assert (await client.get(b"/v1/models", header_block(client.origin, {}))).status == 200
        assert upstream.requests[0].method == "GET"
        assert "content-length" not in upstream.requests[0].headers


async def test_connections_are_kept_and_shared(connect: Connect) -> None:
    async with FakeUpstream(each(_ok)) as upstream:
        client = connect(upstream)
        for _ in range(3):
            await client.ask()
        assert upstream.connections == 1
        await asyncio.gather(*(client.ask() for _ in range(5)))
        assert upstream.connections <= 5
        assert len(upstream.requests) == 8


async def test_a_large_body_goes_both_ways(connect: Connect) -> None:
    async def echo(peer: Peer, request: Request) -> None:
        await peer.respond(body=request.body)

    body = b"0123456789abcdef" * 500_000
    async with FakeUpstream(each(echo)) as upstream:
        client = connect(upstream)
        assert (await client.ask(body)).body == body
        assert (await client.ask()).body == b"{}"
        assert upstream.connections == 1


@pytest.mark.parametrize("status", [301, 307, 400, 404, 429, 500, 503])
async def test_any_status_is_returned_as_it_is(connect: Connect, status: int) -> None:
    async def answer(peer: Peer, request: Request) -> None:
        await peer.respond(status, headers={"Location": "/elsewhere", "Set-Cookie": "a=b"})

    async with FakeUpstream(each(answer)) as upstream:
        client = connect(upstream)
        assert (await client.ask()).status == status
        await client.ask()
        assert len(upstream.requests) == 2
        assert "cookie" not in upstream.requests[1].headers


OK_HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("segments", "body"),
    [
        ((OK_HEAD + b"Content-Length: 2\r\n\r\nok",), b"ok"),
        ((*(bytes([byte]) for byte in OK_HEAD + b"X-Empty:\r\nContent-Length: 2\r\n\r\nok"),), b"ok"),
        ((OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\no\r\n", b"1;x=y\r\nk\r\n0\r\nTrailer: t\r\n\r\n"), b"ok"),
        ((b"HTTP/1.1 100 Continue\r\n\r\n", OK_HEAD + b"Content-Length: 2\r\n\r\nok"), b"ok"),
        ((b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" + OK_HEAD + b"Content-Length: 2\r\n\r\nok",), b"ok"),
        ((b"HTTP/1.1 204 No Content\r\n\r\n",), b""),
        ((b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",), b""),
        ((OK_HEAD + b"\r\nuntil ", b"the end"), b"until the end"),
        ((b"HTTP/1.0 200 OK\r\n\r\nuntil the end",), b"until the end"),
        ((b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",), b"ok"),
        ((OK_HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\nok",), b"ok"),
    ],
)
async def test_every_way_to_frame_a_response(connect: Connect, segments: tuple[bytes, ...], body: bytes) -> None:
    async with FakeUpstream(_raw(*segments)) as upstream:
        assert (await connect(upstream).ask()).body == body


async def test_trailers_are_not_headers(connect: Connect) -> None:
    """They come too late to be trusted: what was decided by a header would change under the reader."""
    head = OK_HEAD + b"Transfer-Encoding: chunked\r\nContent-Type: text/plain\r\n\r\n"
    trailers = b"Content-Type: text/html\r\nContent-Encoding: gzip\r\n"
    async with FakeUpstream(_raw(head + b"2\r\nok\r\n0\r\n" + trailers + b"\r\n")) as upstream:
        response = await connect(upstream).ask()
        assert response.body == b"ok"
        assert response.header("content-type") == "text/plain"
        assert response.header("content-encoding") is None


@pytest.mark.parametrize(
    "segments",
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n",),
        (b"HTTP/1.1 2x0 OK\r\n\r\n",),
        (b"HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n",),
        (b"HTTP/1.1 999 High\r\nContent-Length: 0\r\n\r\n",),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",),
        (OK_HEAD + b"Bad Name: x\r\n\r\n",),
        (OK_HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok",),
        (OK_HEAD + b"Content-Length: -2\r\n\r\nok",),
        (OK_HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",),
        (OK_HEAD + b"Transfer-Encoding: gzip\r\n\r\nxx",),
        (OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\nnot a number\r\n",),
        (OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nokk\r\n",),
        (OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n",),
        (OK_HEAD + b"X-Long: " + b"x" * 70_000 + b"\r\nContent-Length: 2\r\n\r\nok",),
        (OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\no\r\n0\r\n", b"T: " + b"x" * 400_000),
        (*(b"HTTP/1.1 100 Continue\r\nX: " + b"x" * 1000 + b"\r\n\r\n" for _ in range(100)),),
    ],
    ids=lambda segments: repr(segments[0][:50]),
)
async def test_what_is_not_http_is_refused(connect: Connect, segments: tuple[bytes, ...]) -> None:
    async with FakeUpstream(_raw(*segments)) as upstream:
        with pytest.raises(BadResponse) as failure:
            await connect(upstream).ask()
        assert failure.value.reason == "UPSTREAM_BAD_RESPONSE"


@pytest.mark.parametrize(
    "segments",
    [
        (),
        (b"HTTP/1.1 200",),
        (OK_HEAD + b"Content-Length: 3\r\n\r\nok",),
        (OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",),
    ],
)
async def test_a_response_cut_short_is_an_error(connect: Connect, segments: tuple[bytes, ...]) -> None:
    async with FakeUpstream(_raw(*segments)) as upstream:
        with pytest.raises(TransportFailed) as failure:
            await connect(upstream).ask()
        assert failure.value.sent
        assert failure.value.reason == "UPSTREAM_UNREACHABLE"
        assert len(upstream.requests) == 1


async def test_a_reset_connection_is_an_error(connect: Connect) -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        peer.reset()

    async with FakeUpstream(serve) as upstream:
        with pytest.raises(TransportFailed) as failure:
            await connect(upstream).ask()
        assert failure.value.sent


async def test_nobody_listens(connect: Connect) -> None:
    async with FakeUpstream(each(_ok)) as upstream:
        client = connect(upstream)
    with pytest.raises(TransportFailed) as failure:
        await client.ask()
    assert not failure.value.sent
    assert "127.0.0.1" not in failure.value.message


async def test_unsolicited_bytes_cost_the_connection(connect: Connect) -> None:
    """Response smuggling: a second response that nobody asked for must not answer the next request."""
    forged = OK_HEAD + b"Content-Length: 6\r\n\r\nforged"
    sent, forge = asyncio.Event(), asyncio.Event()

    async def serve(peer: Peer) -> None:
        while await peer.request():
            await peer.respond(body=b"true")
            if peer.number == 0:
                await forge.wait()
                await peer.send(forged)
                sent.set()
                await peer.gone()

    async with FakeUpstream(serve) as upstream:
        client = connect(upstream)
        assert (await client.ask()).body == b"true"
        forge.set()
        await sent.wait()
        await until(lambda: not upstream.open)
        assert (await client.ask()).body == b"true"
        assert upstream.connections == 2


@pytest.mark.parametrize("excess", [OK_HEAD + b"Content-Length: 6\r\n\r\nforged", b"HTTP/1", b"garbage"])
async def test_bytes_behind_a_response_cost_the_connection(connect: Connect, excess: bytes) -> None:
    """The same, with both responses in one segment."""

    async def serve(peer: Peer) -> None:
        while await peer.request():
            await peer.send(OK_HEAD + b"Content-Length: 4\r\n\r\ntrue" + excess)
            await peer.gone()

    async with FakeUpstream(serve) as upstream:
        client = connect(upstream)
        assert (await client.ask()).body == b"true"
        assert (await client.ask()).body == b"true"
        assert upstream.connections == 2


async def test_a_response_before_the_request_was_read_costs_the_connection(connect: Connect) -> None:
    async def serve(peer: Peer) -> None:
        await peer.request(body=False)
        await peer.respond(413)
        await peer.gone()

    async with FakeUpstream(serve) as upstream:
        client = connect(upstream)
        assert (await client.ask(b"x" * 20_000_000)).status == 413
        await client.ask()
        assert upstream.connections == 2


@pytest.mark.parametrize("close", [Peer.close, Peer.reset])
async def test_a_connection_that_died_while_idle_is_not_used(connect: Connect, close: object) -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.respond()
        if peer.number == 0:
            close(peer)  # type: ignore[operator]

    async with FakeUpstream(serve) as upstream:
        client = connect(upstream)
        await client.ask()
        await until(lambda: not upstream.open)
        assert (await client.ask()).status == 200
        assert upstream.connections == 2


async def test_a_kept_connection_that_breaks_under_the_request_is_replaced_once(connect: Connect) -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.respond()
        if peer.number == 0:
            await peer.request()
            peer.reset()

    async with FakeUpstream(serve) as upstream:
        client = connect(upstream)
        await client.ask()
        assert (await client.ask()).status == 200
        assert [request.method for request in upstream.requests] == ["POST"] * 3
        assert upstream.connections == 2


async def test_a_fresh_connection_that_breaks_is_not_replaced(connect: Connect) -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        if peer.number == 0:
            await peer.respond()
            await peer.request()

    async with FakeUpstream(serve) as upstream:
        client = connect(upstream)
        await client.ask()
        with pytest.raises(TransportFailed):
            await client.ask()  # the kept connection breaks, and so does the new one
        assert upstream.connections == 2


async def test_a_request_is_repeated_once_at_most(connect: Connect) -> None:
    """With a full pool, the second connection may be a kept one as well, and break as well."""

    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.respond()
        await peer.request()
        peer.reset()

    async with FakeUpstream(serve) as upstream:
        client = connect(upstream, max_connections=1)
        await client.ask()
        unlucky, lucky = asyncio.ensure_future(client.ask()), asyncio.ensure_future(client.ask())
        assert (await lucky).status == 200
        with pytest.raises(TransportFailed):
            await unlucky
        assert upstream.connections == 2


async def test_no_second_request_once_an_answer_has_begun(connect: Connect) -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.respond()
        await peer.request()
        await peer.send(b"HTTP/1.1 200")

    async with FakeUpstream(serve) as upstream:
        client = connect(upstream)
        await client.ask()
        with pytest.raises(TransportFailed):
            await client.ask()
        assert len(upstream.requests) == 2


async def test_idle_connections_expire(connect: Connect) -> None:
    async with FakeUpstream(each(_ok)) as upstream:
        client = connect(upstream, idle_seconds=0.02)
        await client.ask()
        await until(lambda: not upstream.open)
        await client.ask()
        assert upstream.connections == 2


async def test_the_server_says_how_long_it_keeps_a_connection(connect: Connect) -> None:
    async def answer(peer: Peer, request: Request) -> None:
        await peer.respond(headers={"Keep-Alive": "timeout=1, max=100"})

    async with FakeUpstream(each(answer)) as upstream:
        await connect(upstream).ask()
        await until(lambda: not upstream.open)


async def test_a_silent_server_is_given_up(connect: Connect) -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nX-")  # a drip of headers is no answer either
        await peer.gone()

    async with FakeUpstream(serve) as upstream:
        with pytest.raises(UpstreamTimeout) as failure:
            await connect(upstream, timeouts=QUICK).ask()
        assert failure.value.sent
        await until(lambda: not upstream.open)


async def test_a_server_that_stops_in_the_body_is_given_up(connect: Connect) -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK_HEAD + b"Content-Length: 9\r\n\r\nok")
        await peer.gone()

    async with FakeUpstream(serve) as upstream:
        with pytest.raises(UpstreamTimeout):
            await connect(upstream, timeouts=QUICK).ask()


async def test_the_callers_deadline_is_not_the_providers_fault(connect: Connect) -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.gone()

    async with FakeUpstream(serve) as upstream:
        client = connect(upstream)
        with pytest.raises(DeadlineExceeded) as failure:
            await client.ask(deadline=time.monotonic() + 0.02)
        assert not isinstance(failure.value, UpstreamTimeout)
        with pytest.raises(DeadlineExceeded):
            await client.ask(deadline=time.monotonic() - 1)


async def test_cancelling_the_caller_closes_the_socket(connect: Connect) -> None:
    closed = asyncio.Event()

    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.gone()
        closed.set()

    async with FakeUpstream(serve) as upstream:
        client = connect(upstream)
        task = asyncio.ensure_future(client.ask())
        await until(lambda: upstream.requests)
        task.cancel()
        await asyncio.wait_for(closed.wait(), 5)
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_callers_wait_their_turn(connect: Connect) -> None:
    async def answer(peer: Peer, request: Request) -> None:
        await peer.respond(body=request.body)

    async with FakeUpstream(each(answer)) as upstream:
        client = connect(upstream, max_connections=2)
        bodies = [b"%d" % n for n in range(20)]
        answers = await asyncio.gather(*(client.ask(body) for body in bodies))
        assert [answer.body for answer in answers] == bodies
        assert upstream.connections == 2
        assert sorted(request.body for request in upstream.requests) == sorted(bodies)


async def test_a_turn_that_does_not_come(connect: Connect) -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.gone()

    async with FakeUpstream(serve) as upstream:
        client = connect(upstream, max_connections=1)
        first = asyncio.ensure_future(client.ask())
        await until(lambda: upstream.requests)
        with pytest.raises(ConnectionsBusy):
            await client.ask(timeouts=QUICK)
        first.cancel()


async def test_a_freed_place_goes_to_who_waits(connect: Connect) -> None:
    """Also when the connection before it broke, was cancelled, or could not be reused; and no place is ever lost."""

    async def answer(peer: Peer, request: Request) -> None:
        if request.body == b"break":
            peer.reset()
        elif request.body == b"hang":
            await peer.gone()
        else:
            await peer.respond(headers={"Connection": "close"} if request.body == b"close" else {})

    async with FakeUpstream(each(answer)) as upstream:
        client = connect(upstream, max_connections=1)
        for count, trouble in enumerate((b"break", b"close", b"hang")):
            troubled = asyncio.ensure_future(client.ask(trouble))
            await until(partial(_has_seen, upstream, 2 * count + 1))
            cancelled, waiting = asyncio.ensure_future(client.ask()), asyncio.ensure_future(client.ask())
            await asyncio.sleep(0)
            cancelled.cancel()
            if trouble == b"hang":
                troubled.cancel()
            assert (await waiting).status == 200
            await asyncio.wait([troubled, cancelled])
            troubled.cancelled() or troubled.exception()
        assert client._pool._slots == len(client._pool._open) == 1


@pytest.mark.parametrize("chunked", [True, False])
async def test_a_body_beyond_the_limit_is_refused(connect: Connect, chunked: bool) -> None:
    async def answer(peer: Peer, request: Request) -> None:
        if chunked:
            await peer.start()
            for _ in range(50):
                await peer.chunk(b"x" * 100)
            await peer.gone()
        else:
            await peer.respond(body=b"x" * 1001)

    async with FakeUpstream(each(answer)) as upstream:
        with pytest.raises(BadResponse):
            await connect(upstream, max_response_bytes=1000).ask()


@pytest.mark.parametrize(
    ("coding", "encoded"),
    [
        ("gzip", COMPRESS["gzip"](b"plain")),
        ("deflate", zlib.compress(b"plain")),
        ("br", COMPRESS["br"](b"plain")),
        ("zstd", COMPRESS["zstd"](b"plain")),
        ("gzip", COMPRESS["gzip"](b"pl") + COMPRESS["gzip"](b"ain") + b"\0\0"),
        ("zstd", COMPRESS["zstd"](b"pl") + COMPRESS["zstd"](b"ain")),
        ("identity", b"plain"),
        ("gzip", b""),
    ],
)
async def test_a_compressed_answer_is_read(connect: Connect, coding: str, encoded: bytes) -> None:
    """Containarium#826: no Accept-Encoding allows any coding, and some servers then choose one."""

    async def answer(peer: Peer, request: Request) -> None:
        await peer.respond(body=encoded, headers={"Content-Encoding": coding})

    async with FakeUpstream(each(answer)) as upstream:
        client = connect(upstream)
        assert (await client.ask()).body == (b"plain" if encoded else b"")
        assert upstream.requests[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("coding", "encoded"),
    [
        ("compress", b"plain"),
        ("gzip, br", b"plain"),
        ("gzip", b"plain"),
        ("br", b"plain"),
        ("zstd", b"plain"),
        ("gzip", COMPRESS["gzip"](b"plain" * 100)[:-9]),
        ("br", COMPRESS["br"](b"plain" * 100)[:-1]),
        ("zstd", COMPRESS["zstd"](b"plain" * 100)[:-1]),
        ("gzip", COMPRESS["gzip"](b"\0" * 10_000_000)),  # a bomb, as the next three
        ("gzip", COMPRESS["gzip"](b"\0" * 60_000) * 2),
        ("br", COMPRESS["br"](b"\0" * 10_000_000)),
        ("zstd", COMPRESS["zstd"](b"\0" * 10_000_000)),
    ],
)
async def test_a_badly_compressed_answer_is_refused(connect: Connect, coding: str, encoded: bytes) -> None:
    async def answer(peer: Peer, request: Request) -> None:
        await peer.respond(body=encoded, headers={"Content-Encoding": coding})

    async with FakeUpstream(each(answer)) as upstream:
        with pytest.raises(BadResponse):
            await connect(upstream, max_response_bytes=100_000).ask()


async def test_close_lets_exchanges_end_and_refuses_new_ones(connect: Connect) -> None:
    go = asyncio.Event()

    async def answer(peer: Peer, request: Request) -> None:
        await go.wait()
        await peer.respond()

    async with FakeUpstream(each(answer)) as upstream:
        client = connect(upstream)
        under_way = asyncio.ensure_future(client.ask())
        await until(lambda: upstream.requests)
        closing = asyncio.ensure_future(client.close())
        await asyncio.sleep(0)
        with pytest.raises(Unavailable):
            await client.ask()
        assert not closing.done()
        go.set()
        assert (await under_way).status == 200
        await asyncio.wait_for(closing, 5)


async def test_cancelling_close_breaks_exchanges_off(connect: Connect) -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.gone()

    async with FakeUpstream(serve) as upstream:
        client = connect(upstream)
        under_way = asyncio.ensure_future(client.ask())
        await until(lambda: upstream.requests)
        closing = asyncio.ensure_future(client.close())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(TransportFailed):
            await asyncio.wait_for(under_way, 5)


@pytest.mark.parametrize("target", [b"v1", b"/a b", b"/a\r\nX: y", b"/\xc3\xa9"])
async def test_a_target_cannot_carry_a_header(connect: Connect, target: bytes) -> None:
    async with FakeUpstream(each(_ok)) as upstream:
        with pytest.raises(InvalidInput):
            await connect(upstream).post(target, b"", b"")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("A b", "x"),
        ("A", "x\r\nB: y"),
        ("A", "x\n"),
        ("A", " x"),
        ("A", "\u2713"),
        ("Host", "x"),
        ("content-length", "3"),
    ],
)
def test_a_header_that_could_be_read_as_another_is_refused(name: str, value: str) -> None:
    with pytest.raises(InvalidInput) as failure:
        header_block(Origin("https", "example.com", 443), {name: value})
    assert value not in failure.value.message
