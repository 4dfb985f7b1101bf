"""Streams of the Messages API as canonical chunks."""

import time
from collections.abc import Iterable
from typing import Any

from core.errors import UpstreamFailed
from services.inference.domain.codecs.anthropic import reasoning
from services.inference.domain.codecs.anthropic.answers import NATIVE, finish_reason
from services.inference.domain.codecs.anthropic.requests import JSON_TOOL
from services.inference.domain.codecs.anthropic.token_counts import merged, read_usage, usage_object
from services.inference.domain.codecs.error_reports import report_from, report_of, text_report
from services.inference.domain.codecs.errors import malformed, reported
from services.inference.domain.codecs.events import ErrorData
from services.inference.domain.codecs.reading import EventReader
from services.inference.domain.codecs.scrubbing import Scrub
from services.inference.domain.json_values import UNREADABLE, NotJson, decode, decode_leniently, encode
from services.inference.domain.usage import tokens
from services.inference.domain.usage.tokens import TokenUsage

Chunk = dict[str, Any]
Event = dict[str, Any]
Delta = dict[str, Any]


class _Block:
    """The content block that is open."""

    __slots__ = ("call", "kind", "length", "signature", "told")

    def __init__(self, kind: object, call: int = -1) -> None:
        self.kind = kind
        self.call = call
        """The number of the tool call; -1: none."""
        self.told = False
        """True if any of a call's arguments have gone out."""
        self.length = 0
        self.signature = ""


class MessageStream(EventReader):
    """Implements ChunkReader. With `native` every event gives a chunk that carries it too."""

    def __init__(
        self,
        model: str,
        scrub: Scrub,
        *,
        with_usage: bool,
        max_event_bytes: int,
        json_tool: bool = False,
        native: bool = False,
    ) -> None:
        super().__init__(max_event_bytes)
        self.finish_reason = ""
        self._scrub = scrub
        self._json_tool = json_tool
        self._native = native
        self._held: list[Chunk] | None = []
        self._counts: dict[str, Any] = {}
        self._blocks: dict[int, _Block] = {}
        self._calls = 0
        self._details = 0
        self._head: Chunk = {
            "id": "",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": model,
        }
        if with_usage:
            self._head["usage"] = None

    @property
    def usage(self) -> TokenUsage | None:
        usage = read_usage(self._counts)
        if usage is None or self.finish_reason:
            return usage
        said = tokens.estimate(self.characters)  # broken off: only the tokens read have been counted
        return usage._replace(output=max(said, usage.output), estimated=True)

    def usage_chunk(self, usage: TokenUsage) -> Chunk:
        return {**self._head, "choices": [], "usage": usage_object(usage)}

    def _take(self, payloads: Iterable[bytes], chunks: list[Chunk]) -> None:
        for payload in payloads:
            if self.done:
                return
            event = self._event(payload)
            if (read := _READERS.get(event["type"])) is None:
                self._other(event, chunks)
                continue
            delta = read(self, event)
            if delta is not None or (self._native and event["type"] not in _SILENT):
                self._give_out(self._chunk(delta or {}, event), event["type"], chunks)

    def _close(self, chunks: list[Chunk]) -> None:
        if not self.finish_reason:
            raise UpstreamFailed("The provider ended the answer halfway.", reason="UPSTREAM_TRUNCATED")
        self.done = True

    def _give_out(self, chunk: Chunk, kind: str, chunks: list[Chunk]) -> None:
        """Give a chunk out, but the first ones together with the first that says something: until then another
        provider can be asked."""
        if kind in _OPENING and self._held is not None:
            self._held.append(chunk)
            return
        if self._held is not None:
            chunks += self._held
            self._held = None
        chunks.append(chunk)

    def _event(self, payload: bytes) -> Event:
        try:
            event = decode(payload)
        except UNREADABLE:
            event = self._leniently(payload)
        if type(event) is not dict or type(event.get("type")) is not str or type(payload) is ErrorData:
            report = report_from(event) if type(payload) is ErrorData else report_of(event)
            raise malformed() if report is None else reported(report, self._scrub)
        return event

    def _leniently(self, payload: bytes) -> Any:
        try:
            return decode_leniently(payload)
        except NotJson:
            if type(payload) is ErrorData:
                raise reported(text_report(payload.decode(errors="replace")), self._scrub) from None
            raise malformed() from None

    def _chunk(self, delta: Delta, event: Event) -> Chunk:
        choice: dict[str, Any] = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
        if event["type"] == "message_delta":
            choice["finish_reason"] = self.finish_reason
            if isinstance(stop := event["delta"].get("stop_sequence"), str):
                choice["stop_reason"] = stop
        if self._native:
            delta[NATIVE] = event
        return {**self._head, "choices": [choice]}

    def _other(self, event: Event, chunks: list[Chunk]) -> None:
        """An error, or an event that is new here, which only callers of the same format can use."""
        if event["type"] == "error" or event.get("error"):
            raise reported(report_from(event), self._scrub)
        if self._native:
            chunks.append(self._chunk({}, event))

    def _message_start(self, event: Event) -> Delta | None:
        message = event.get("message")
        if type(message) is not dict:
            raise malformed()
        if type(id := message.get("id")) is str:
            self._head["id"] = id
        message["model"] = self._head["model"]
        self._counts = merged(self._counts, message.get("usage"))
        return {"role": "assistant", "content": ""}

    def _block_start(self, event: Event) -> Delta | None:
        content = event.get("content_block")
        if type(content) is not dict:
            raise malformed()
        kind = content.get("type")
        block = self._blocks[_index(event)] = _Block(kind)
        match kind:
            case "text":
                return self._text(content.get("text"))
            case "thinking":
                return self._thought(block, content.get("thinking"))
            case "redacted_thinking":
                self._details += 1
                return {"reasoning_details": [reasoning.encrypted(content.get("data"), self._details - 1)]}
            case "tool_use":
                return self._call(block, content)
        return None

    def _call(self, block: _Block, content: Event) -> Delta | None:
        name, given = content.get("name"), content.get("input")
        arguments = _written(given) if given else ""
        if self._json_tool and name == JSON_TOOL:
            block.kind = JSON_TOOL
            return self._text(arguments)
        block.call = self._calls
        block.told = bool(arguments)
        self._calls += 1
        function = {"name": name, "arguments": arguments}
        self.characters += len(arguments) + (len(name) if type(name) is str else 0)
        return {
            "tool_calls": [{"index": block.call, "id": content.get("id"), "type": "function", "function": function}]
        }

    def _block_delta(self, event: Event) -> Delta | None:
        delta = event.get("delta")
        if type(delta) is not dict or (block := self._blocks.get(_index(event))) is None:
            raise malformed()
        match delta.get("type"):
            case "text_delta":
                return self._text(delta.get("text"))
            case "input_json_delta":
                return self._arguments(block, delta.get("partial_json"))
            case "thinking_delta":
                return self._thought(block, delta.get("thinking"))
            case "signature_delta" if type(signature := delta.get("signature")) is str:
                block.signature += signature
        return None

    def _text(self, text: object) -> Delta | None:
        if type(text) is not str:
            raise malformed()
        self.characters += len(text)
        return {"content": text} if text else None

    def _thought(self, block: _Block, thought: object) -> Delta | None:
        if type(thought) is not str or not thought:
            return None
        self.characters += len(thought)
        block.length += len(thought)
        return {"reasoning_content": thought}

    def _arguments(self, block: _Block, piece: object) -> Delta | None:
        if type(piece) is not str:
            raise malformed()
        if not piece:
            return None
        if block.kind is JSON_TOOL:
            return self._text(piece)
        if block.call < 0:
            return None
        block.told = True
        self.characters += len(piece)
        return {"tool_calls": [{"index": block.call, "function": {"arguments": piece}}]}

    def _block_stop(self, event: Event) -> Delta | None:
        block = self._blocks.get(_index(event))
        if block is None:
            return None
        if block.signature:
            detail = reasoning.signed(block.signature, block.length, self._details)
            self._details += 1
            return {"reasoning_details": [detail]}
        if block.call >= 0 and not block.told:
            return {"tool_calls": [{"index": block.call, "function": {"arguments": "{}"}}]}
        return None

    def _message_delta(self, event: Event) -> Delta | None:
        delta = event.get("delta")
        if type(delta) is not dict:
            raise malformed()
        self._counts = merged(self._counts, event.get("usage"))
        said = delta.get("stop_reason")
        if said is None:
            return None
        self.finish_reason = finish_reason(said, json_tool=self._json_tool)
        return {}

    def _message_stop(self, event: Event) -> Delta | None:
        if not self._head["id"]:
            raise malformed()
        self.done = True
        self.finish_reason = self.finish_reason or "stop"
        return None

    def _ping(self, event: Event) -> Delta | None:
        return None


_READERS = {
    "message_start": MessageStream._message_start,
    "content_block_start": MessageStream._block_start,
    "content_block_delta": MessageStream._block_delta,
    "content_block_stop": MessageStream._block_stop,
    "message_delta": MessageStream._message_delta,
    "message_stop": MessageStream._message_stop,
    "ping": MessageStream._ping,
}
_OPENING = frozenset({"message_start", "content_block_start"})
_SILENT = frozenset({"ping", "message_stop"})


def _index(event: Event) -> int:
    index = event.get("index")
    if type(index) is not int:
        raise malformed()
    return index


def _written(value: Any) -> str:
    try:
        return encode(value).decode()
    except NotJson:
        raise malformed() from None
