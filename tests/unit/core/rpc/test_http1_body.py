"""One gRPC message out of the chunks of an HTTP body."""

import asyncio

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import PayloadTooLarge
from core.rpc.http1.body import Body
from core.rpc.http1.wire import Refused
from core.rpc.limits import UNREAD_BYTES

LIMIT = 1000


def frame(message: bytes, flag: int = 0) -> bytes:
    return bytes([flag]) + len(message).to_bytes(4, "big") + message


class Feed:
    """A body and what it asked of its connection."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.held = False
        self.body = Body(limit, self)

    def hold(self, held: bool) -> None:
        self.held = held

    def give(self, *chunks: bytes) -> "Feed":
        for chunk in chunks:
            self.body.feed(chunk)
        return self


async def whole(chunks: list[bytes], *, late: bool) -> bytes:
    """Return the body read by a call that begins before or after the chunks have come."""
    feed = Feed()
    reading = asyncio.ensure_future(feed.body.read())
    if late:
        reading.cancel()
        feed = Feed()
    await asyncio.sleep(0)
    feed.give(*chunks).body.end()
    return await (feed.body.read() if late else reading)


@given(st.binary(max_size=40), st.lists(st.integers(0, 45), max_size=8), st.booleans())
def test_chunks_of_any_size_are_one_message(message: bytes, cuts: list[int], late: bool) -> None:
    data = frame(message)
    ends = sorted(min(cut, len(data)) for cut in cuts)
    chunks = [data[begin:end] for begin, end in zip([0, *ends], [*ends, len(data)], strict=True)]
    assert asyncio.run(whole(chunks, late=late)) == message


@pytest.mark.parametrize(
    "chunks",
    [[], [b""], [b"\0\0\0\0"], [frame(b"ab")[:-1]], [frame(b"ab"), b"c"], [frame(b"a"), frame(b"b")]],
    ids=["nothing", "an empty piece", "half a frame", "half a message", "more than a message", "two messages"],
)
@pytest.mark.parametrize("late", [True, False])
async def test_anything_else_is_refused(chunks: list[bytes], late: bool) -> None:
    with pytest.raises(Refused) as caught:
        await whole(chunks, late=late)
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_compressed_message_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        await whole([frame(b"ab", flag=1)], late=True)
    assert caught.value.code is grpc.StatusCode.UNIMPLEMENTED


async def test_a_message_beyond_the_limit_is_refused_by_its_frame() -> None:
    """Before any of its content has come."""
    feed = Feed()
    feed.give(b"\0" + (LIMIT + 1).to_bytes(4, "big"))
    with pytest.raises(PayloadTooLarge):
        await feed.body.read()


async def test_more_than_the_message_is_refused_at_once() -> None:
    """A body that never ends must not be collected."""
    feed = Feed()
    reading = asyncio.ensure_future(feed.body.read())
    await asyncio.sleep(0)
    feed.give(frame(b"ab"), b"c")
    with pytest.raises(Refused):
        await reading


async def test_a_body_that_nobody_reads_is_held_back() -> None:
    """A call that waits for its turn must not have its message in memory meanwhile."""
    feed = Feed(limit=1 << 20).give(b"\0" + (1 << 20).to_bytes(4, "big"))
    assert not feed.held
    feed.give(b"x" * UNREAD_BYTES)
    assert feed.held
    reading = asyncio.ensure_future(feed.body.read())
    await asyncio.sleep(0)
    assert not feed.held
    feed.give(b"x" * ((1 << 20) - UNREAD_BYTES)).body.end()
    assert len(await reading) == 1 << 20


async def test_a_body_that_came_before_its_call_holds_nothing_back() -> None:
    """The connection stayed held where a large body was there before its call began: the next request on it hung."""
    feed = Feed(2 * UNREAD_BYTES).give(frame(b"x" * UNREAD_BYTES))
    assert feed.held
    feed.body.end()
    assert not feed.held
    assert feed.body.take() == b"x" * UNREAD_BYTES


async def test_a_dropped_body_lets_the_rest_come_and_keeps_none_of_it() -> None:
    feed = Feed(limit=1 << 20).give(b"x" * (UNREAD_BYTES + 1))
    feed.body.drop()
    assert not feed.held
    feed.give(b"x" * (1 << 20))
    assert not feed.held
    assert not feed.body._content


async def test_a_body_in_tiny_chunks_takes_no_more_than_its_bytes() -> None:
    """A list of chunks took forty times as much as the chunks."""
    feed = Feed(limit=1 << 20)
    reading = asyncio.ensure_future(feed.body.read())
    await asyncio.sleep(0)
    feed.give(*(bytes([byte]) for byte in frame(b"x" * 5000)))
    assert isinstance(feed.body._content, bytearray)
    feed.body.end()
    assert await reading == b"x" * 5000
