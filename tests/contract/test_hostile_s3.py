"""An S3 server that a tenant runs against us: endless, bloated, deep, misleading answers, on real sockets."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager

import pytest

from core.errors import NotFound, Unavailable, UpstreamFailed
from core.http.guard import OutboundGuard
from core.tenancy import Project, Tenant
from services.rag.adapters import s3
from services.rag.adapters.s3 import PART_BYTES, S3Store
from services.rag.ports import BucketLocation
from tests.support.fake_upstream import FakeUpstream, Peer, Request, each

MIB = 1024 * 1024
LOCATION = BucketLocation(Project(Tenant("red"), "p"), "bkt_1")
SECRET = "s3cr3t-of-the-tenant"
ENDLESS = 64 * MIB
TAKEN = 24 * MIB
"""Bytes that a server can send before it notices that nobody reads: the buffers of two sockets."""

Behaviour = Callable[[Peer, Request], Awaitable[None]]


class HostileS3(FakeUpstream):
    """Answers as `behaviour` says, or, where that is not `asked`, like a server with an object of five bytes."""

    def __init__(self, behaviour: Behaviour, asked: str = "") -> None:
        super().__init__(each(self._answer))
        self.behaviour = behaviour
        self._asked = asked

    async def _answer(self, peer: Peer, request: Request) -> None:
        if self._asked in f"{request.method} {request.target}":
            await self.behaviour(peer, request)
        elif request.method == "HEAD":
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        elif request.method == "POST":
            await whole(200, b"<R><UploadId>u</UploadId></R>")(peer, request)
        else:
            await whole(200, b"", {"ETag": '"x"'})(peer, request)

    def store(self, guard: OutboundGuard | None = None, host: str = "127.0.0.1") -> S3Store:
        settings = {"bucket": "bucket", "endpoint": f"http://{host}:{self.port}"}
        given = s3.options({"accessKeyId": "AKIDTENANT", "secretAccessKey": SECRET}, settings)
        return S3Store(given, guard or OutboundGuard(["127.0.0.1"]))


@asynccontextmanager
async def attacked(behaviour: Behaviour, asked: str = "") -> AsyncIterator[tuple[HostileS3, S3Store]]:
    async with HostileS3(behaviour, asked) as server:
        store = server.store()
        try:
            yield server, store
        finally:
            await store.close()


def whole(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> Behaviour:
    async def behave(peer: Peer, request: Request) -> None:
        await peer.respond(status, body if request.method != "HEAD" else b"", headers)

    return behave


def raw(answer: bytes) -> Behaviour:
    async def behave(peer: Peer, request: Request) -> None:
        await peer.send(answer)

    return behave


class Endless:
    """Sends `head`, then `chunk` again and again, and counts what the other side took."""

    def __init__(self, head: bytes, chunk: bytes) -> None:
        self.sent = 0
        self._head = head
        self._chunk = chunk * (MIB // len(chunk))

    async def __call__(self, peer: Peer, request: Request) -> None:
        await peer.send(self._head)
        while self.sent < ENDLESS and not peer.closing:
            await peer.send(self._chunk)
            self.sent += len(self._chunk)
        peer.close()


ERROR = b"HTTP/1.1 403 No\r\nContent-Type: application/xml\r\n"
ENDLESS_ANSWERS = {
    "body of an error": (ERROR + b"Content-Length: 200000000\r\n\r\n", b"x"),
    "elements of an error": (ERROR + b"Content-Length: 200000000\r\n\r\n<Error>", b"<a/>"),
    "body until the end": (ERROR + b"\r\n", b"x"),
    "list of uploads": (b"HTTP/1.1 200 OK\r\n\r\n<ListMultipartUploadsResult>", b"<Upload/>"),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X-Y: %s\r\n" % (b"y" * 1000)),
    "one header": (b"HTTP/1.1 200 OK\r\nX-Y: ", b"y"),
    "interim answers": (b"", b"HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n"),
    "trailers": (ERROR + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n", b"X-Y: %s\r\n" % (b"y" * 1000)),
    "extensions of a chunk": (ERROR + b"Transfer-Encoding: chunked\r\n\r\n1;x=", b"y"),
    "extensions of chunks": (
        ERROR + b"Transfer-Encoding: chunked\r\n\r\n",
        b"1;x=%s\r\na\r\n" % (b"y" * 10_000),
    ),
}


@pytest.mark.parametrize("name", ENDLESS_ANSWERS)
async def test_an_answer_without_end_is_not_read_to_its_end(name: str) -> None:
    """An error of 200 MiB was held in memory four times over, and one of empty elements stopped the loop for a
    minute."""
    endless = Endless(*ENDLESS_ANSWERS[name])
    async with attacked(endless) as (_, store), asyncio.timeout(60):
        with pytest.raises((Unavailable, UpstreamFailed)):
            await store.delete(LOCATION, "a")
    assert endless.sent <= TAKEN


async def test_an_object_without_end_is_read_as_far_as_it_was_asked_for() -> None:
    endless = Endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x")
    async with (
        attacked(endless) as (_, store),
        asyncio.timeout(60),
        aclosing(store.get(LOCATION, "a", 0, 300_000)) as chunks,
    ):
        assert sum([len(chunk) async for chunk in chunks]) == 300_000
    assert endless.sent <= TAKEN


NESTED = b"<a>" * 3000 + b"</a>" * 3000
ENTITIES = b"".join(b"<!ENTITY a%d '%s'>" % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 8))
MALFORMED: dict[str, tuple[str, Behaviour]] = {
    "an upload without id": ("POST", whole(200, b"<InitiateMultipartUploadResult/>")),
    "a part without tag": ("PUT", whole(200, b"")),
    "an object without size": ("HEAD", raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")),
    "a list of uploads without keys": ("uploads", whole(200, b"<R><Upload><UploadId>u</UploadId></Upload></R>")),
    "no text": ("GET", whole(200, b"\xff\xfe\xfd")),
    "UTF-16": ("GET", whole(200, "<!DOCTYPE x><R/>".encode("utf-16"))),
    "half of an element": ("GET", whole(200, b"<R><Upload>")),
    "nested": ("GET", whole(200, NESTED)),
    "a date of nonsense": ("GET", whole(200, b"<R><Upload><Initiated>soon</Initiated></Upload></R>")),
    "a compressed error": ("GET", whole(403, b"\x1f\x8b\x08" + b"\0" * 100, {"Content-Encoding": "gzip"})),
    "an unknown status": ("GET", whole(999, b"")),
    "a redirect": (
        "GET",
        whole(301, b"<Error><Code>PermanentRedirect</Code></Error>", {"Location": "http://10.0.0.1"}),
    ),
    "another region": (
        "GET",
        whole(301, b"<Error><Code>PermanentRedirect</Code></Error>", {"x-amz-bucket-region": "x.evil.example/"}),
    ),
    "an error within a success": ("POST", whole(200, b"<Error><Code>InternalError</Code></Error>")),
}


@pytest.mark.parametrize("name", MALFORMED)
async def test_an_answer_that_cannot_be_read_is_the_servers_fault(name: str) -> None:
    """A missing field and deep nesting were internal errors of ours."""
    asked, behaviour = MALFORMED[name]
    outcomes: list[object] = []
    async with attacked(behaviour, asked) as (_, store), asyncio.timeout(60):
        for call in (store.delete(LOCATION, "a"), store.size(LOCATION, "a"), store.put(LOCATION, "a", _two_parts())):
            try:
                outcomes.append(await call)
            except (Unavailable, UpstreamFailed, NotFound) as error:
                outcomes.append(error)
    assert any(isinstance(each, UpstreamFailed | Unavailable) for each in outcomes)


async def _two_parts() -> AsyncIterator[bytes]:
    yield bytes(PART_BYTES)
    yield b"x"


async def test_declarations_in_an_error_are_not_read() -> None:
    """Four hundred bytes of entities took the loop most of a second."""
    body = b'<!DOCTYPE x [<!ENTITY code "NoSuchKey">]><Error><Code>&code;</Code></Error>'
    async with attacked(whole(403, body)) as (_, store):
        with pytest.raises(UpstreamFailed):
            await anext(store.get(LOCATION, "a"))
    bomb = b"<!DOCTYPE x [<!ENTITY a0 'lol'>%s]><R><Key>&a7;</Key></R>" % ENTITIES
    async with attacked(whole(200, bomb)) as (_, store):
        with pytest.raises(UpstreamFailed):
            await store.delete(LOCATION, "a")


async def test_nothing_that_the_server_says_is_passed_on(capfd: pytest.CaptureFixture[str]) -> None:
    said = (
        b"<Error><Code>Evil.Code 10.0.0.5</Code><Message>AKIDTENANT at db.internal</Message><HostId>h</HostId></Error>"
    )
    async with attacked(whole(403, said, {"x-amz-request-id": "db.internal"})) as (_, store):
        with pytest.raises(UpstreamFailed) as refused:
            await store.check()
    out, err = capfd.readouterr()
    for text in (refused.value.message, refused.value.reason, out, err):
        assert not any(word in text for word in ("10.0.0.5", "db.internal", "AKIDTENANT", SECRET))


async def test_every_connection_is_looked_up_and_checked_anew() -> None:
    """DNS rebinding: a name that is public when the provider is made, and ours when it is called."""
    addresses = ["127.0.0.1"]

    async def lookup(host: str, port: int) -> list[str]:
        return list(addresses)

    async def close(peer: Peer, request: Request) -> None:
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n")
        peer.close()

    async with HostileS3(close) as server:
        store = server.store(OutboundGuard(["127.0.0.1"], lookup=lookup), "s3.example.com")
        assert await store.size(LOCATION, "a") == 5
        assert server.requests[-1].headers["host"] == f"s3.example.com:{server.port}"
        addresses[:] = ["127.0.0.2"]
        with pytest.raises(Unavailable):
            await store.size(LOCATION, "a")
        assert server.connections == 1
        await store.close()


async def test_other_stores_serve_while_one_is_attacked() -> None:
    """The attack goes on for as long as the others call; none of them waits for its end."""

    async def drip(peer: Peer, request: Request) -> None:
        await peer.send(ERROR + b"Content-Length: 100000\r\n\r\n")
        while not peer.closing:
            await peer.send(b"<a/>")
            await asyncio.sleep(0)

    async with attacked(drip) as (_, store), HostileS3(whole(200, b""), "nothing") as fine, asyncio.timeout(60):
        attacks = [asyncio.create_task(_endlessly(store)) for _ in range(20)]
        other = fine.store()
        assert [await other.size(LOCATION, f"{n}") for n in range(50)] == [5] * 50
        assert not any(each.done() for each in attacks)
        for each_ in attacks:
            each_.cancel()
        await asyncio.gather(*attacks, return_exceptions=True)
        await other.close()


async def _endlessly(store: S3Store) -> None:
    while True:
        try:
            await store.delete(LOCATION, "a")
        except (Unavailable, UpstreamFailed):
            continue


def listing(keys: int) -> bytes:
    return b"<R>%s</R>" % b"".join(b"<Contents><Key>k%d</Key></Contents>" % key for key in range(keys))


async def test_a_list_without_end_does_not_hold_the_removal_of_a_project(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server lists removed objects again, for ever."""
    monkeypatch.setattr(s3, "CLEAR_SECONDS", 3.0)
    async with attacked(whole(200, listing(1)), "GET") as (server, store), asyncio.timeout(60):
        await store.check()  # the client is there now
        with pytest.raises(Unavailable):
            await store.clear(LOCATION.scope)
    assert any(request.method == "DELETE" for request in server.requests)


async def test_a_list_of_more_than_was_asked_for_is_not_read() -> None:
    async with attacked(whole(200, listing(1000)), "GET") as (server, store), asyncio.timeout(60):
        with pytest.raises(UpstreamFailed):
            await store.clear(LOCATION.scope)
    assert not any(request.method == "DELETE" for request in server.requests)
