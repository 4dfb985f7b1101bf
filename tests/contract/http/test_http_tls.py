"""TLS: the name is verified, the address is the checked one, and no failure gets past."""

import asyncio
from pathlib import Path

import pytest

from core.errors import DeadlineExceeded
from core.http.errors import TransportFailed, UpstreamTimeout
from core.http.guard import OutboundGuard
from core.http.ports import Timeouts
from tests.support.fake_upstream import FakeUpstream, Peer, Request, each
from tests.support.short_client import ShortClient
from tests.support.tls import Authority, make_authority
from tests.support.waiting import until


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("tls"))


async def _localhost(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


def _client(upstream: FakeUpstream, host: str, ca_file: Path | None) -> ShortClient:
    guard = OutboundGuard(["127.0.0.1"], lookup=_localhost)
    return ShortClient(f"https://{host}:{upstream.port}", guard, ca_file=ca_file)


async def _ok(peer: Peer, request: Request) -> None:
    await peer.respond(body=b"x" * 300_000)


@pytest.mark.parametrize("host", ["api.test", "api.test.", "127.0.0.1"])
async def test_requests_go_through(authority: Authority, host: str) -> None:
    asked: list[str] = []
    authority.server.sni_callback = lambda _, name, __: asked.append(name)
    async with FakeUpstream(each(_ok), tls=authority.server) as upstream:
        client = _client(upstream, host, authority.ca_file)
        for _ in range(3):
            assert len((await client.ask()).body) == 300_000
        assert upstream.connections == 1
        assert upstream.requests[0].headers["host"] == f"{host}:{upstream.port}"
        assert asked == ["api.test" if host != "127.0.0.1" else None]
        await client.close()


async def test_streams_are_read_and_broken_off(authority: Authority) -> None:
    async def answer(peer: Peer, request: Request) -> None:
        await peer.start()
        await peer.chunk(b"one")
        await peer.gone()

    async with FakeUpstream(each(answer), tls=authority.server) as upstream:
        client = _client(upstream, "api.test", authority.ca_file)
        async with await client.listen() as stream:
            assert await anext(stream) == b"one"
        await until(lambda: not upstream.open)
        await client.close()


@pytest.mark.parametrize(("host", "trusted"), [("other.test", True), ("api.test", False)])
async def test_a_certificate_that_proves_nothing_is_refused(authority: Authority, host: str, trusted: bool) -> None:
    async with FakeUpstream(each(_ok), tls=authority.server) as upstream:
        client = _client(upstream, host, authority.ca_file if trusted else None)
        with pytest.raises(TransportFailed) as failure:
            await client.ask()
        assert not failure.value.sent
        assert "certificate" in failure.value.message
        assert "test" not in failure.value.message
        assert not upstream.requests
        await client.close()


async def test_a_server_without_tls_is_refused(authority: Authority) -> None:
    async def serve(peer: Peer) -> None:
        await peer.send(b"220 mail.test ESMTP\r\n")
        await peer.gone()

    async with FakeUpstream(serve) as upstream:
        client = _client(upstream, "api.test", authority.ca_file)
        with pytest.raises(TransportFailed):
            await client.ask()
        await client.close()


async def test_a_handshake_that_never_ends(authority: Authority) -> None:
    async with FakeUpstream(Peer.gone) as upstream:
        client = _client(upstream, "api.test", authority.ca_file)
        with pytest.raises(UpstreamTimeout) as failure:
            await client.ask(timeouts=Timeouts(connect=0.05))
        assert not failure.value.sent
        with pytest.raises(DeadlineExceeded) as late:
            await client.ask(deadline=asyncio.get_running_loop().time() + 0.05)
        assert not isinstance(late.value, UpstreamTimeout)
        await asyncio.wait_for(client.close(), 5)
