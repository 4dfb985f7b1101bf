"""Slots and time for request messages that arrive."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from core.errors import RateLimited, RequestTimeout
from core.rpc import arrivals as module
from core.rpc.arrivals import Arrivals, Kind
from core.rpc.limits import MIB
from core.rpc.policy import Policy
from core.rpc.requests import Requests

LARGE = Kind(32 * MIB, 32 * MIB)
SMALL = Kind(MIB, MIB)
MESSAGE = StringValue(value="message").SerializeToString()


@dataclass
class Call:
    """All that is asked of one here."""

    caller: str
    transport: object


class Message:
    """One that comes when the test says so."""

    def __init__(self, arrivals: Arrivals, caller: str = "acme", kind: Kind = LARGE, *, timed: bool = True) -> None:
        self.reading = asyncio.Event()
        self.came = asyncio.Event()
        policy = Policy("/x.Y/Z", max_request_bytes=kind.max_bytes)
        requests: Any = Requests(policy, StringValue.FromString, arrivals, kind.arriving_bytes, streaming=not timed)
        self.call = asyncio.ensure_future(self._read(requests, caller))

    async def _read(self, requests: Any, caller: str) -> str:
        message = await requests.read(Call(caller, self))
        return str((message if isinstance(message, StringValue) else await anext(message)).value)

    async def read(self) -> bytes:
        self.reading.set()
        await self.came.wait()
        return MESSAGE


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_caller_has_as_many_slots_as_fit_into_its_memory() -> None:
    arrivals = Arrivals(memory=64 * MIB)
    messages = [Message(arrivals) for _ in range(5)]
    await settle()
    assert [each.reading.is_set() for each in messages] == [True, True, False, False, False]
    messages[0].came.set()
    await settle()
    assert [each.reading.is_set() for each in messages] == [True, True, True, False, False]
    for each in messages:
        each.came.set()
    assert await asyncio.gather(*(each.call for each in messages)) == ["message"] * 5
    assert arrivals.idle


async def test_neither_other_callers_nor_smaller_messages_wait_for_large_ones() -> None:
    arrivals = Arrivals(memory=32 * MIB)
    first, behind = Message(arrivals), Message(arrivals)
    other, small = Message(arrivals, "globex"), Message(arrivals, kind=SMALL)
    await settle()
    assert [each.reading.is_set() for each in (first, behind, other, small)] == [True, False, True, True]
    for each in (first, behind, other, small):
        each.came.set()
    await asyncio.gather(*(each.call for each in (first, behind, other, small)))
    assert arrivals.idle


async def test_not_more_than_so_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    arrivals = Arrivals(memory=32 * MIB)
    messages = [Message(arrivals) for _ in range(3)]
    await settle()
    with pytest.raises(RateLimited) as caught:
        await Message(arrivals).call
    assert caught.value.reason == "TOO_MANY_ARRIVING"
    for each in messages:
        each.came.set()
    await asyncio.gather(*(each.call for each in messages))
    assert arrivals.idle


async def test_a_message_larger_than_all_the_memory_still_has_a_slot() -> None:
    assert Arrivals(memory=MIB).slots(LARGE).count == 1


async def test_slots_count_by_what_may_come_and_not_by_what_may_be_sent() -> None:
    """gRPC has one limit for a server: it takes in 32 MiB also of a message that may have one."""
    assert Arrivals(memory=64 * MIB).slots(Kind(MIB, 32 * MIB)).count == 2


async def test_a_message_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SWEEP_SECONDS", 0.01)
    arrivals = Arrivals(memory=32 * MIB, seconds=0.05)
    messages = [Message(arrivals), Message(arrivals)]  # the second never gets a slot
    async with asyncio.timeout(10):
        for each in messages:
            with pytest.raises(RequestTimeout, match=r"0\.05 seconds") as caught:
                await each.call
            assert caught.value.reason == "REQUEST_TIMEOUT"
    assert messages[0].reading.is_set()
    assert arrivals.idle


async def test_the_time_ends_with_the_arrival(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of a call may take as long as it likes."""
    monkeypatch.setattr(module, "SWEEP_SECONDS", 0.01)
    arrivals = Arrivals(seconds=0.02)

    async def call() -> str:
        message = Message(arrivals)
        message.came.set()
        requests: Any = Requests(Policy("/x.Y/Z"), StringValue.FromString, arrivals, MIB, streaming=False)
        parsed = await requests.read(Call("acme", message))
        with pytest.raises(RequestTimeout):
            await Message(arrivals).call
        return str(parsed.value)

    assert await asyncio.create_task(call()) == "message"


async def test_a_stream_may_wait_for_ever_for_its_next_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SWEEP_SECONDS", 0.01)
    arrivals = Arrivals(seconds=0.02)
    stream, unary = Message(arrivals, timed=False), Message(arrivals)
    with pytest.raises(RequestTimeout):
        await unary.call
    stream.came.set()
    assert await stream.call == "message"


@pytest.mark.parametrize("holds", [True, False], ids=["that is read", "that waits"])
@pytest.mark.parametrize("steps", range(6))
async def test_a_cancelled_call_gives_its_slot_back(holds: bool, steps: int) -> None:
    """At whatever moment: also when the slot has just become its own."""
    arrivals = Arrivals(memory=32 * MIB)
    first, second, third = (Message(arrivals) for _ in range(3))
    await settle()
    gone = first if holds else second
    if not holds:
        first.came.set()
    for _ in range(steps):
        await asyncio.sleep(0)
    gone.call.cancel()
    for each in (first, second, third):
        each.came.set()
    outcomes = await asyncio.gather(first.call, second.call, third.call, return_exceptions=True)
    assert outcomes.count("message") >= 2
    assert arrivals.idle


async def test_a_call_that_is_late_and_cancelled_is_cancelled() -> None:
    arrivals = Arrivals(seconds=0.0)
    message = Message(arrivals)
    await message.reading.wait()
    arrivals.times._sweep(asyncio.get_running_loop())
    message.call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await message.call
    assert arrivals.idle
