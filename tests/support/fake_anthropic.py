"""A provider that speaks Anthropic's Messages API on loopback, as documented, and does what a test says.

async with FakeAnthropic(says("Hello!")) as provider:
    ... provider.url, provider.bodies, provider.requests

Requests are checked as the API checks them: key, version, paths, unknown and missing fields, the order of turns.
"""

import asyncio
import json
from collections.abc import Iterable, Mapping
from typing import Any

from tests.support import anthropic_rules
from tests.support.fake_provider import Behaviour, FakeProvider
from tests.support.fake_upstream import Peer, Request

MODEL = "claude-sonnet-4-6"
KEY = "sk-ant-marker-0123456789abcdef"
USAGE: dict[str, Any] = {
    "input_tokens": 25,
    "cache_creation_input_tokens": 100,
    "cache_read_input_tokens": 875,
    "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 0},
    "output_tokens": 15,
    "service_tier": "standard",
}
HEADERS = {
    "request-id": "req_011CSHoEeqs5C35K2UUqR7Fy",
    "anthropic-organization-id": "7c5f0d5c-0000-4000-8000-000000000000",
    "anthropic-ratelimit-requests-limit": "1000",
    "anthropic-ratelimit-requests-remaining": "999",
    "anthropic-ratelimit-requests-reset": "2026-01-01T00:00:00Z",
}
ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
Block = dict[str, Any]


class FakeAnthropic(FakeProvider):
    """As FakeProvider, with the base URL as the official SDK takes it."""

    def __init__(self, behaviour: Behaviour | None = None) -> None:
        super().__init__(behaviour or says("Hello!"))
        self.counts: list[dict[str, Any]] = []
        """The requests to count tokens; 42 is the answer."""

    @property
    def url(self) -> str:
        return self._server.url

    async def _handle(self, peer: Peer, request: Request) -> None:
        body = json.loads(request.body)
        problem = anthropic_rules.problem_of(request, body, KEY)
        if problem is not None:
            await refuses(*problem)(self, peer, body)
        elif request.target.partition("?")[0] == anthropic_rules.COUNT:
            self.counts.append(body)
            await peer.respond(body=b'{"input_tokens":42}', headers=HEADERS)
        else:
            self.bodies.append(body)
            self.begun.set()
            await self.behaviour(self, peer, body)


def text(said: str, **more: Any) -> Block:
    return {"type": "text", "text": said, **more}


def thinking(thought: str, signature: str = "EqQBCgIYAhIM1gbcDa9GJwZA2b3h") -> Block:
    return {"type": "thinking", "thinking": thought, "signature": signature}


def redacted(data: str = "EmwKAhgBEgy3va3pzix") -> Block:
    return {"type": "redacted_thinking", "data": data}


def tool_use(id: str, name: str, **input: Any) -> Block:
    return {"type": "tool_use", "id": id, "name": name, "input": input}


def message(*blocks: Block, stop: str = "end_turn", usage: Mapping[str, Any] = USAGE, **more: Any) -> dict[str, Any]:
    """A whole message; tool use is its own reason to stop."""
    calls = any(block["type"] == "tool_use" for block in blocks)
    return {
        "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": list(blocks),
        "stop_reason": "tool_use" if calls and stop == "end_turn" else stop,
        "stop_sequence": None,
        "usage": dict(usage),
        **more,
    }


def event(name: str, **fields: Any) -> bytes:
    """One event. The API pads the data with blanks now and then."""
    data = json.dumps({"type": name, **fields}, separators=(",", ":"), ensure_ascii=False)
    return f"event: {name}\ndata: {data[:-1]}{' ' * (len(data) % 3)}}}\n\n".encode()


PING = event("ping")


def events(whole: Mapping[str, Any]) -> list[bytes]:
    """The stream of a message, an event each."""
    opening = {**whole, "content": [], "stop_reason": None, "stop_sequence": None}
    opening["usage"] = {**whole["usage"], "output_tokens": 1}
    found = [event("message_start", message=opening)]
    for index, block in enumerate(whole["content"]):
        found += _block_events(index, block)
        if index == 0:
            found.insert(2, PING)
    delta = {"stop_reason": whole["stop_reason"], "stop_sequence": whole["stop_sequence"]}
    found.append(event("message_delta", delta=delta, usage={"output_tokens": whole["usage"]["output_tokens"]}))
    return [*found, event("message_stop")]


def _block_events(index: int, block: Block) -> list[bytes]:
    start, deltas = dict(block), list[dict[str, Any]]()
    match block["type"]:
        case "text":
            start["text"] = ""
            if cited := block.get("citations"):
                start["citations"] = []
                deltas += [{"type": "citations_delta", "citation": each} for each in cited]
            deltas += [{"type": "text_delta", "text": piece} for piece in _pieces(block["text"])]
        case "thinking":
            start |= {"thinking": "", "signature": ""}
            deltas += [{"type": "thinking_delta", "thinking": piece} for piece in _pieces(block["thinking"])]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        case "tool_use" | "server_tool_use":
            start["input"] = {}
            written = json.dumps(block["input"]) if block["input"] else ""
            deltas += [{"type": "input_json_delta", "partial_json": piece} for piece in ("", *_pieces(written))]
    return [
        event("content_block_start", index=index, content_block=start),
        *(event("content_block_delta", index=index, delta=delta) for delta in deltas),
        event("content_block_stop", index=index),
    ]


def _pieces(value: str) -> list[str]:
    return [value[at : at + 7] for at in range(0, len(value), 7)]


def speaks(*blocks: Block, **more: Any) -> Behaviour:
    """The message of these blocks, whole or as a stream, as it is asked for."""
    return sends_message(message(*blocks, **more))


def says(said: str) -> Behaviour:
    return speaks(text(said))


def sends_message(whole: Mapping[str, Any]) -> Behaviour:
    async def behave(provider: FakeProvider, peer: Peer, body: dict[str, Any]) -> None:
        if body.get("stream"):
            await stream_of(events(whole))(provider, peer, body)
        else:
            await peer.respond(body=json.dumps(whole).encode(), headers=HEADERS)

    return behave


def stream_of(pieces: Iterable[bytes], *, end: str = "finish", pause: float = 0.0) -> Behaviour:
    """A stream of these events, `pause` seconds apart; `end`: finish, reset, or hang until the client goes."""

    async def behave(provider: FakeProvider, peer: Peer, body: dict[str, Any]) -> None:
        await peer.start(headers={**HEADERS, "Content-Type": "text/event-stream; charset=utf-8"})
        for piece in pieces:
            await peer.chunk(piece)
            await asyncio.sleep(pause)
        if end == "finish":
            await peer.finish()
        elif end == "reset":
            await asyncio.sleep(0.02)  # lets what was sent arrive: RST discards what the receiver has not read
            peer.reset()
        else:
            await peer.gone()
            provider.disconnected.set()

    return behave


def error_body(status: int, said: str) -> dict[str, Any]:
    error = {"type": ERROR_TYPES.get(status, "api_error"), "message": said}
    return {"type": "error", "error": error, "request_id": HEADERS["request-id"]}


def refuses(status: int, said: str = "", headers: Mapping[str, str] | None = None) -> Behaviour:
    """An error answer."""
    content = json.dumps(error_body(status, said or f"provider says {status}")).encode()

    async def behave(provider: FakeProvider, peer: Peer, body: dict[str, Any]) -> None:
        await peer.respond(status, content, {**HEADERS, **(headers or {})})

    return behave


def breaks_off(*blocks: Block, status: int = 529, said: str = "Overloaded") -> Behaviour:
    """A stream that an error ends after these blocks."""
    begun = events(message(*blocks))[:-2]
    return stream_of([*begun, event("error", error=error_body(status, said)["error"])])
