"""A provider's stream of chat chunks, made into the one that clients get.

Providers differ: roles, finish reasons, usage and `[DONE]` may be missing, ids may change. What leaves here is always:
the role first, one id, the public model key, a finish reason for every choice, and the usage apart from the chunks.
Re-writing a parsed chunk costs 1.7 microseconds where splicing bytes costs 1.0, so every chunk is parsed: it is also
the proof that a client gets JSON.
"""

import time
from collections.abc import Mapping
from secrets import token_hex
from typing import Any

import orjson

from core.errors import PorticoError, UpstreamFailed
from services.inference.domain import tokens
from services.inference.domain.errors import Scrub, stream_error
from services.inference.domain.events import EventSplitter
from services.inference.domain.tokens import TokenUsage

Chunk = dict[str, Any]

_DONE = b"[DONE]"


class ChunkStream:
    """Feed it the provider's bytes; it gives out chunks. `error` is set where the stream broke."""

    def __init__(self, model: str, scrub: Scrub) -> None:
        """`model` is the public key; `scrub` takes secrets out of the provider's error messages."""
        self.done = False
        self.error: PorticoError | None = None
        self.characters = 0
        """Of the answer so far, to estimate tokens with."""
        self._model = model
        self._scrub = scrub
        self._events = EventSplitter()
        self._head: Chunk | None = None
        self._reasons: dict[int, str | None] = {}
        self._with_tools: set[int] = set()
        self._usage: Any = None

    @property
    def finish_reason(self) -> str:
        """Of the first choice; empty while it is open."""
        return self._reasons.get(0) or ""

    @property
    def usage(self) -> TokenUsage | None:
        """What the provider reported so far."""
        return tokens.reported(self._usage)

    def feed(self, data: bytes) -> list[Chunk]:
        """The chunks that `data` completes. Sets `done` or `error` when there will be no more."""
        chunks: list[Chunk] = []
        try:
            self._take(self._events.feed(data), chunks)
        except PorticoError as error:
            self.error = error
        return chunks

    def end(self) -> list[Chunk]:
        """The provider closed the stream. Without `[DONE]` and without a finish reason, that is an error."""
        chunks: list[Chunk] = []
        try:
            self._take(self._events.end(), chunks)
            if not self.done:
                if not self._reasons or None in self._reasons.values():
                    raise UpstreamFailed("The provider ended the answer halfway.", reason="UPSTREAM_TRUNCATED")
                self._finish(chunks)
        except PorticoError as error:
            self.error = error
        return chunks

    def usage_chunk(self, usage: TokenUsage) -> Chunk:
        """The chunk that carries nothing but the usage: the provider's own object where there is one."""
        known = self._usage if self.usage is not None else tokens.as_openai(usage)
        return {**self._frame(), "choices": [], "usage": {"total_tokens": usage.total, **known}}

    def _take(self, payloads: Any, chunks: list[Chunk]) -> None:
        for payload in payloads:
            if self.done:
                return
            if payload == _DONE:
                self._finish(chunks)
            elif payload:
                chunk = self._chunk(payload)
                if chunk is not None:
                    chunks.append(chunk)

    def _chunk(self, payload: bytes) -> Chunk | None:
        try:
            chunk = orjson.loads(payload)
        except orjson.JSONDecodeError:
            raise _malformed() from None
        if type(chunk) is not dict:
            raise _malformed()
        if chunk.get("error"):
            raise stream_error(chunk["error"], self._scrub)
        usage = chunk.pop("usage", None)
        if usage is not None:
            self._usage = usage
        choices = chunk.get("choices")
        if not choices:  # the usage, or notes on the prompt: no part of the answer
            return None
        if type(choices) is not list:
            raise _malformed()
        chunk.update(self._head or self._begin(chunk))
        for choice in choices:
            self._choice(choice)
        return chunk

    def _choice(self, choice: Any) -> None:
        if type(choice) is not dict:
            raise _malformed()
        index, delta = choice.get("index"), choice.get("delta")
        if type(index) is not int:
            index = choice["index"] = 0
        if type(delta) is not dict:
            delta = choice["delta"] = {}
        if index not in self._reasons:
            self._reasons[index] = None
            if not delta.get("role"):
                choice["delta"] = delta = {**delta, "role": "assistant"}
        for name, part in delta.items():
            if type(part) is str and name != "role":
                self.characters += len(part)
            elif name == "tool_calls" and part and type(part) is list:
                self._with_tools.add(index)
                self.characters += sum(map(tokens.call_characters, part))
        reason = choice.get("finish_reason")
        if reason:
            self._reasons[index] = str(reason)

    def _begin(self, first: Mapping[str, Any]) -> Chunk:
        id, created = first.get("id"), first.get("created")
        self._head = {
            "id": id if isinstance(id, str) and id else f"chatcmpl-{token_hex(12)}",
            "object": "chat.completion.chunk",
            "created": created if type(created) is int and created > 0 else int(time.time()),
            "model": self._model,
        }
        return self._head

    def _frame(self) -> Chunk:
        return self._head or self._begin({})

    def _finish(self, chunks: list[Chunk]) -> None:
        """Gives every choice that the provider left open its end."""
        self.done = True
        if not self._reasons:
            self._reasons[0] = None
            opening = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
            chunks.append({**self._frame(), "choices": [opening]})
        for index, reason in self._reasons.items():
            if reason is None:
                self._reasons[index] = "tool_calls" if index in self._with_tools else "stop"
                closing = {"index": index, "delta": {}, "finish_reason": self._reasons[index]}
                chunks.append({**self._frame(), "choices": [closing]})


def chunks_of(completion: Mapping[str, Any], model: str) -> list[Chunk]:
    """A whole answer as a stream of two chunks: everything said, and the end of every choice."""
    choices = [choice for choice in completion.get("choices") or () if isinstance(choice, dict)]
    head = {
        "id": completion.get("id"),
        "object": "chat.completion.chunk",
        "created": completion.get("created"),
        "model": model,
    }
    said = [
        {"index": choice.get("index", 0), "delta": _delta(choice.get("message")), "finish_reason": None}
        for choice in choices
    ]
    ends = [
        {"index": choice.get("index", 0), "delta": {}, "finish_reason": choice.get("finish_reason") or "stop"}
        for choice in choices
    ]
    return [{**head, "choices": said}, {**head, "choices": ends}]


def _delta(message: Any) -> dict[str, Any]:
    delta: dict[str, Any] = {"role": "assistant", **message} if isinstance(message, dict) else {"role": "assistant"}
    calls = delta.get("tool_calls")
    if isinstance(calls, list):
        delta["tool_calls"] = [{"index": at, **call} for at, call in enumerate(calls) if isinstance(call, dict)]
    return delta


def _malformed() -> UpstreamFailed:
    return UpstreamFailed("The provider sent something that is not a chat chunk.", reason="UPSTREAM_MALFORMED")
