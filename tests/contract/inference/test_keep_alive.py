"""Streams whose provider has nothing to say for long: the client hears that they are alive."""

import asyncio
import gc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import orjson
import pytest

from services.inference.domain.routing.streams import KeepAlive
from tests.support import fake_provider as fake
from tests.support.fake_provider import FakeProvider
from tests.support.inference_harness import Caller, frames_of, inference, reason_of, refused, text_of

BODY = orjson.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": True})
COMMENT = b": keep-alive\n\n"


class Silent:
    """A provider that sends its head and comments, and goes on when it is told to."""

    def __init__(self, *then: bytes, before: bytes = b"", comments: bool = True) -> None:
        self.go_on = asyncio.Event()
        self._then = then
        self._before = before
        self._comments = comments

    async def __call__(self, provider: FakeProvider, peer: Any, body: Any) -> None:
        await peer.start()
        if self._before:
            await peer.chunk(self._before)
        while not self.go_on.is_set():
            if self._comments:
                await peer.chunk(b": PROCESSING\n\n")
            try:
                await asyncio.wait_for(self.go_on.wait(), 0.02)
            except TimeoutError:
                continue
        for piece in self._then:
            await peer.chunk(piece)
        await peer.finish()


async def rest_of(call: Any) -> list[Any]:
    """The messages to the end, without comments."""
    messages = []
    while (message := await call.read()) is not grpc.aio.EOF:
        messages.append(message)
    return [message for message in messages if message.data != COMMENT]


@pytest.fixture
async def caller(tmp_path: Path, provider: FakeProvider) -> AsyncIterator[Caller]:
    async with inference(tmp_path / "data", PORTICO_STREAM_KEEP_ALIVE_SECONDS="0.15") as harness:
        made = harness.caller()
        await made.provider(provider.url)
        await made.model()
        yield made
        watched = [each for each in gc.get_objects() if isinstance(each, KeepAlive)]
        assert watched
        assert not any(each._streams for each in watched)


@pytest.mark.parametrize("comments", [True, False], ids=["comments", "nothing at all"])
async def test_the_client_gets_the_head_and_then_comments(
    caller: Caller, provider: FakeProvider, comments: bool
) -> None:
    """bifrost#5010: while a provider sent only comments the client got no byte, and balancers cut it off."""
    provider.behaviour = silent = Silent(fake.chunk({"content": "a"}, "stop"), fake.DONE, comments=comments)
    call = caller.open_chat(BODY)
    async with asyncio.timeout(10):
        for _ in range(3):
            assert (await call.read()).data == COMMENT
        silent.go_on.set()
        rest = await rest_of(call)
    assert {message.content_type for message in rest} == {"text/event-stream"}
    assert text_of(frames_of(rest)) == "a"
    (record,) = await caller.records(1)
    assert (record.status, record.streamed) == ("success", True)
    assert provider.asked == 1


async def test_silence_after_a_chunk_is_ended_too(caller: Caller, provider: FakeProvider) -> None:
    provider.behaviour = silent = Silent(
        fake.chunk({"content": "b"}, "stop"), fake.DONE, before=fake.chunk({"content": "a"})
    )
    call = caller.open_chat(BODY)
    async with asyncio.timeout(10):
        messages = [await call.read(), await call.read(), await call.read()]
        silent.go_on.set()
        messages += await rest_of(call)
    assert [message.data == COMMENT for message in messages[:3]] == [False, True, True]
    assert text_of(frames_of([message for message in messages if message.data != COMMENT])) == "ab"


@pytest.mark.parametrize(
    "then", [b'data: {"error":{"code":429,"message":"slow down"}}\n\n', b'{"error":{"code":429,"message":"slow down"}}']
)
async def test_an_error_after_the_head_is_a_frame(caller: Caller, provider: FakeProvider, then: bytes) -> None:
    provider.behaviour = silent = Silent(then, comments=False)
    call = caller.open_chat(BODY)
    async with asyncio.timeout(10):
        assert (await call.read()).data == COMMENT
        silent.go_on.set()
        rest = await rest_of(call)
    (frame,) = frames_of(rest)
    assert (frame["error"]["code"], frame["error"]["message"]) == ("rate_limit_exceeded", "slow down")
    (record,) = await caller.records(1)
    assert (record.status, record.error_reason) == ("error", "RATE_LIMIT_EXCEEDED")


async def test_a_whole_answer_after_the_head_is_a_chunk(caller: Caller, provider: FakeProvider) -> None:
    provider.behaviour = silent = Silent(orjson.dumps(fake.completion("Hello!")), comments=False)
    call = caller.open_chat(BODY)
    async with asyncio.timeout(10):
        assert (await call.read()).data == COMMENT
        silent.go_on.set()
        rest = await rest_of(call)
    frames = frames_of(rest)
    assert text_of(frames) == "Hello!"
    (record,) = await caller.records(1)
    assert record.usage.output_tokens == 7


async def test_until_the_providers_head_there_is_none_of_ours(caller: Caller, provider: FakeProvider) -> None:
    """Its status is what ours depends on."""
    waited = asyncio.Event()

    async def behave(provider: FakeProvider, peer: Any, body: Any) -> None:
        await asyncio.sleep(0.5)  # more than three comments' time
        waited.set()
        await peer.respond(400, b'{"error":{"message":"why"}}')

    provider.behaviour = behave
    error = await refused(caller.open_chat(BODY).read())
    assert waited.is_set()
    assert reason_of(error) == "INVALID_INPUT"


async def test_a_client_that_leaves_while_nothing_comes_closes_the_providers_connection(
    caller: Caller, provider: FakeProvider
) -> None:
    provider.behaviour = fake.sends(b": PROCESSING\n\n", end="hang")
    call = caller.open_chat(BODY)
    async with asyncio.timeout(10):
        assert (await call.read()).data == COMMENT
        call.cancel()
        await provider.disconnected.wait()
    async with asyncio.timeout(10):
        while True:
            await caller.harness.flush()
            try:
                (record,) = await caller.records(1)
                break
            except AssertionError:
                await asyncio.sleep(0.01)
    assert record.status == "cancelled"
