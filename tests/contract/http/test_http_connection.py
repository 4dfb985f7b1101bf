"""States between two callbacks of the loop: a connection whose transport and owner the test plays."""

import asyncio
import random

import pytest

from core.errors import PorticoError
from core.http.connection import ClientConnection
from core.http.errors import UpstreamTimeout
from core.http.ports import Timeouts

RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Transport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.aborted = False

    def write(self, data: object) -> None:
        assert isinstance(data, bytes)
        self.written.append(data)

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        self.aborted = True


class Pool:
    def __init__(self) -> None:
        self.events: list[str] = []

    def watch(self, deadline: float) -> None: ...

    def release(self, connection: ClientConnection) -> None:
        self.events.append("release")

    def forget(self, connection: ClientConnection) -> None:
        self.events.append("forget")


def _connection() -> tuple[ClientConnection, Transport, Pool]:
    pool, transport = Pool(), Transport()
    connection = ClientConnection(pool, asyncio.get_running_loop(), 1000)
    connection.connection_made(transport)
    return connection, transport, pool


async def test_giving_up_too_late_spares_the_next_exchange() -> None:
    """A caller that is cancelled when its answer is already there must not break what the connection does by then."""
    connection, transport, _ = _connection()
    first = connection.send(b"1", Timeouts(), None)
    connection.data_received(RESPONSE)
    second = connection.send(b"2", Timeouts(), None)
    connection.give_up(first)
    assert not transport.aborted
    connection.data_received(RESPONSE)
    assert (await second).body == b"ok"


async def test_giving_up_in_time_closes() -> None:
    connection, transport, pool = _connection()
    connection.give_up(connection.send(b"1", Timeouts(), None))
    assert transport.aborted
    connection.connection_lost(None)
    assert pool.events == ["forget"]


async def test_an_idle_connection_is_closed_with_its_peers_half() -> None:
    """Between EOF and connection_lost the loop runs other callbacks, and one might send a request."""
    connection, transport, pool = _connection()
    connection.send(b"1", Timeouts(), None)
    connection.data_received(RESPONSE)
    connection.eof_received()
    assert pool.events == ["release", "forget"]
    assert transport.aborted


async def test_stale_is_only_a_kept_connection_without_an_answer() -> None:
    connection, _, _ = _connection()
    connection.send(b"1", Timeouts(), None).add_done_callback(asyncio.Future.exception)
    connection.connection_lost(ConnectionResetError())
    assert not connection.stale

    connection, _, _ = _connection()
    connection.send(b"1", Timeouts(), None)
    connection.data_received(RESPONSE)
    connection.send(b"2", Timeouts(), None).add_done_callback(asyncio.Future.exception)
    connection.connection_lost(ConnectionResetError())
    assert connection.stale


@pytest.mark.parametrize("cut", range(1, len(RESPONSE)))
async def test_a_response_may_be_cut_anywhere(cut: int) -> None:
    connection, _, _ = _connection()
    waiter = connection.send(b"1", Timeouts(), None)
    connection.data_received(RESPONSE[:cut])
    assert not waiter.done()
    connection.data_received(RESPONSE[cut:])
    response = await waiter
    assert (response.status, response.body, response.header("content-length")) == (200, b"ok", "2")


async def test_no_bytes_whatever_escape_as_an_exception() -> None:
    """The loop would log it, drop the connection and leave the caller waiting."""
    whole = (
        RESPONSE,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n3;a=b\r\nabc\r\n0\r\nT: x\r\n\r\n",
        b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.0 200 OK\r\nContent-Encoding: gzip\r\n\r\nabc",
    )
    dice = random.Random(7)
    answered = failed = 0
    for _ in range(5000):
        data = bytearray(dice.choice(whole))
        for _ in range(dice.randrange(4)):
            data[dice.randrange(len(data))] = dice.choice(b"\0\r\n :;0159aHT\xff")
        cut = dice.randrange(len(data))
        connection, transport, pool = _connection()
        waiter = connection.send(b"1", Timeouts(), None, streaming=dice.random() < 0.5)
        for part in (bytes(data[:cut]), bytes(data[cut:])):
            if not transport.aborted:
                connection.data_received(part)
        connection.connection_lost(None)
        assert waiter.done()
        assert pool.events[-1] == "forget"
        if (error := waiter.exception()) is None:
            answered += 1
        else:
            assert isinstance(error, PorticoError)
            failed += 1
    assert answered > 500
    assert failed > 500


async def test_a_body_without_a_length_does_not_end_well_when_we_close() -> None:
    """Our own closing looks like the server's to connection_lost: it must not make a timed-out stream a whole one."""
    connection, _, _ = _connection()
    head = connection.send(b"1", Timeouts(), None, streaming=True)
    connection.data_received(b"HTTP/1.1 200 OK\r\n\r\nhalf")
    assert (await head).status == 200
    connection.expire()
    connection.connection_lost(None)
    assert connection.take() == b"half"
    assert not connection.drained
    with pytest.raises(UpstreamTimeout):
        connection.take()
