"""A provider that speaks OpenAI's wire format on loopback, and does what a test says: slow, broken, hostile.

async with FakeProvider(streams(["Hel", "lo"])) as provider:
    ... provider.url, provider.bodies, await provider.disconnected.wait()
"""

import asyncio
import base64
import json
import struct
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Self

from tests.support.fake_upstream import FakeUpstream, Peer, Request, each

MODEL = "upstream-model"
USAGE = {
    "prompt_tokens": 11,
    "completion_tokens": 7,
    "total_tokens": 18,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
DONE = b"data: [DONE]\n\n"

Behaviour = Callable[["FakeProvider", Peer, dict[str, Any]], Awaitable[None]]
"""Answer to one request, whose body is the last argument."""


class FakeProvider:
    """Counts what it is asked. `behaviour` may be replaced at any time."""

    def __init__(self, behaviour: Behaviour | None = None) -> None:
        self.behaviour = behaviour or answers("Hello!")
        self.bodies: list[dict[str, Any]] = []
        self.disconnected = asyncio.Event()
        """A client closed its connection before it had its answer."""
        self.begun = asyncio.Event()
        """A request has arrived."""
        self._server = FakeUpstream(each(self._handle))

    @property
    def url(self) -> str:
        return f"{self._server.url}/v1"

    @property
    def asked(self) -> int:
        return len(self.bodies)

    @property
    def requests(self) -> list[Request]:
        return self._server.requests

    @property
    def connections(self) -> int:
        return self._server.connections

    async def __aenter__(self) -> Self:
        await self._server.__aenter__()
        return self

    async def __aexit__(self, *details: object) -> None:
        await self._server.__aexit__(*details)

    async def _handle(self, peer: Peer, request: Request) -> None:
        body = json.loads(request.body)
        self.bodies.append(body)
        self.begun.set()
        await self.behaviour(self, peer, body)


def completion(text: str = "Hello!", **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": text, "refusal": None}
    return {
        "id": "chatcmpl-upstream",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": MODEL,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": USAGE,
        **more,
    }


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    body = {
        "id": "chatcmpl-upstream",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": MODEL,
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}],
        **more,
    }
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def answers(text: str = "Hello!", **more: Any) -> Behaviour:
    """A whole completion, or the words of it one by one where a stream is asked for."""

    async def behave(provider: FakeProvider, peer: Peer, body: dict[str, Any]) -> None:
        if body.get("stream"):
            await streams(text.split(" "))(provider, peer, body)
        else:
            await peer.respond(body=json.dumps(completion(text, **more)).encode())

    return behave


def streams(words: Sequence[str], *, finish: str | None = "stop", done: bool = True) -> Behaviour:
    """A stream of one chunk a word, and the usage where it is asked for."""

    async def behave(provider: FakeProvider, peer: Peer, body: dict[str, Any]) -> None:
        await peer.start()
        await peer.chunk(chunk({"role": "assistant", "content": ""}))
        for word in words:
            await peer.chunk(chunk({"content": word}))
        if finish:
            await peer.chunk(chunk({}, finish))
        if (body.get("stream_options") or {}).get("include_usage"):
            await peer.chunk(chunk({}, choices=[], usage=USAGE))
        if done:
            await peer.chunk(DONE)
        await peer.finish()

    return behave


def sends(*pieces: bytes, end: str = "finish", status: int = 200, headers: dict[str, str] | None = None) -> Behaviour:
    """A stream of these very bytes; `end`: finish, reset, or hang until the client goes."""

    async def behave(provider: FakeProvider, peer: Peer, body: dict[str, Any]) -> None:
        await peer.start(status, headers)
        for piece in pieces:
            await peer.chunk(piece)
        if end == "finish":
            await peer.finish()
        elif end == "reset":
            await asyncio.sleep(0.02)  # lets what was sent arrive: RST discards what the receiver has not read
            peer.reset()
        else:
            await peer.gone()
            provider.disconnected.set()

    return behave


def refuses(status: int, body: bytes | None = None, headers: dict[str, str] | None = None) -> Behaviour:
    """An error answer, OpenAI's error body unless told otherwise."""
    error = {"error": {"message": f"provider says {status}", "type": "t", "param": "temperature", "code": "bad_value"}}

    async def behave(provider: FakeProvider, peer: Peer, request: dict[str, Any]) -> None:
        await peer.respond(status, json.dumps(error).encode() if body is None else body, headers)

    return behave


def hangs() -> Behaviour:
    """Never answers; notices when the client gives up."""

    async def behave(provider: FakeProvider, peer: Peer, body: dict[str, Any]) -> None:
        await peer.gone()
        provider.disconnected.set()

    return behave


def responds(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Behaviour:
    """These very bytes as a whole answer."""

    async def behave(provider: FakeProvider, peer: Peer, request: dict[str, Any]) -> None:
        await peer.respond(status, body, headers)

    return behave


def resets() -> Behaviour:
    """Breaks the connection without a word."""

    async def behave(provider: FakeProvider, peer: Peer, body: dict[str, Any]) -> None:
        peer.reset()

    return behave


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """One behaviour a request; the last one for all that follow."""
    left = list(behaviours)

    async def behave(provider: FakeProvider, peer: Peer, body: dict[str, Any]) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(provider, peer, body)

    return behave


def embeds(*, as_base64: bool | None = None, usage: bool = True) -> Behaviour:
    """Vectors [n, 0.5]; `as_base64` None: as asked, else in that form whatever was asked."""

    async def behave(provider: FakeProvider, peer: Peer, body: dict[str, Any]) -> None:
        inputs = body["input"] if isinstance(body["input"], list) else [body["input"]]
        encoded = body.get("encoding_format") == "base64" if as_base64 is None else as_base64
        data = []
        for at in range(len(inputs)):
            vector = [float(at), 0.5]
            value = base64.b64encode(struct.pack("<2f", *vector)).decode() if encoded else vector
            data.append({"object": "embedding", "index": at, "embedding": value})
        answer: dict[str, Any] = {"object": "list", "data": data, "model": MODEL}
        if usage:
            answer["usage"] = {"prompt_tokens": 5, "total_tokens": 5}
        await peer.respond(body=json.dumps(answer).encode())

    return behave
