"""Canonical chunks as the events of a streamed message.

Where the provider spoke this format, its events go out as they came, for as long as they say what the chunks say. From
the first chunk that a step has changed, or made, or held back, the events are written anew from the chunks.
"""

from collections.abc import Callable, Mapping
from typing import Any

from core.errors import PorticoError
from services.inference.domain.codecs.anthropic import reasoning
from services.inference.domain.codecs.anthropic.answers import NATIVE, finish_reason
from services.inference.domain.codecs.errors import malformed
from services.inference.domain.frontends.anthropic.answers import reasoning_text, stop_of, text_of, usage_of
from services.inference.domain.json_values import NotJson, encode
from services.inference.domain.pipeline.answer import Answer, Chunk

ErrorBody = Callable[[PorticoError, str], dict[str, Any]]
"""Makes the body of an error for the request of this id."""

_TEXT, _THINKING, _TOOL, _OTHER = "text", "thinking", "tool_use", ""
_START = b'event: content_block_start\ndata: {"type":"content_block_start","index":%d,"content_block":%b}\n\n'
_DELTA = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":"%b":%b}}\n\n'
_STOP = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n'
_END = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_SAID, _THOUGHT = b'text_delta","text', b'thinking_delta","thinking'
_SIGNED, _CALLED = b'signature_delta","signature', b'input_json_delta","partial_json'


class MessageEvents:
    """Implements EventWriter."""

    def __init__(self, request_id: str, error_body: ErrorBody) -> None:
        self._request_id = request_id
        self._error_body = error_body
        self._verbatim = True
        """True if all that came so far went out as the provider sent it."""
        self._started = False
        self._ended = False
        """True if the event that tells the stop reason has gone out."""
        self._index = -1
        """Index of the last block."""
        self._open: str | None = None
        """The kind of the last block while it is open."""
        self._calls: dict[int, int] = {}
        """Indexes of the blocks of tool calls, by the number of the call."""
        self._stop: tuple[str, str | None] = ("end_turn", None)
        self._usage: Any = None
        self._head: Mapping[str, Any] = {}

    def write(self, chunks: list[Chunk]) -> bytes:
        out: list[bytes] = []
        try:
            for chunk in chunks:
                choices = chunk["choices"]
                if not choices:
                    self._usage = chunk.get("usage")
                elif not (self._verbatim and self._repeat(choices[0], out)):
                    self._verbatim = False
                    self._head = chunk
                    self._write(choices[0], out)
        except (NotJson, TypeError, KeyError, AttributeError):  # of other types than the formats have
            raise malformed() from None
        return b"".join(out)

    def end(self, answer: Answer) -> bytes:
        if answer.error is not None:
            body = self._error_body(answer.error, self._request_id)
            return b"event: error\ndata: %b\n\n" % encode(body)
        out: list[bytes] = []
        if not self._ended:
            self._begin(out)
            self._close(out)
            reason, sequence = self._stop
            delta = {"stop_reason": reason, "stop_sequence": sequence}
            out.append(_event({"type": "message_delta", "delta": delta, "usage": usage_of(self._usage)}))
        out.append(_END)
        return b"".join(out)

    def _repeat(self, choice: Mapping[str, Any], out: list[bytes]) -> bool:
        """Send the provider's event on. False where there is none, or the chunk says something else."""
        delta = choice["delta"]
        event = delta.get(NATIVE)
        if event is None:
            return False
        match event["type"]:
            case "content_block_delta":
                if event["index"] != self._index or self._open is None or not _same(event["delta"], delta):
                    return False
            case "content_block_start":
                block, index = event["content_block"], event["index"]
                if self._open is not None or index <= self._index or not _same_start(block, delta):
                    return False
                self._index, self._open = index, block["type"] if block["type"] in (_TEXT, _THINKING, _TOOL) else _OTHER
                if self._open == _TOOL:
                    self._calls[delta["tool_calls"][0]["index"]] = index
            case "content_block_stop":
                if event["index"] != self._index or self._open is None:
                    return False
                self._open = None
            case "message_start":
                self._started = True
            case "message_delta":
                said = event["delta"].get("stop_reason")
                if self._open is not None or (said is not None and choice["finish_reason"] != finish_reason(said)):
                    return False
                self._ended = said is not None
            case name if not name.isidentifier():
                return True  # nothing that could be an event
        out.append(_event(event))
        return True

    def _write(self, choice: Mapping[str, Any], out: list[bytes]) -> None:
        delta = choice["delta"]
        self._begin(out)
        if thought := reasoning_text(delta):
            self._enter(_THINKING, out)
            out.append(_DELTA % (self._index, _THOUGHT, encode(thought)))
        for detail in delta.get("reasoning_details") or ():
            self._detail(detail, out)
        for text in (delta.get("content"), delta.get("refusal")):
            if text and (said := text_of(text)):
                self._enter(_TEXT, out)
                out.append(_DELTA % (self._index, _SAID, encode(said)))
        for call in delta.get("tool_calls") or ():
            self._call(call, out)
        if choice.get("finish_reason") is not None:
            self._stop = stop_of(choice)

    def _begin(self, out: list[bytes]) -> None:
        if self._started:
            return
        self._started = True
        message: dict[str, Any] = {
            "id": self._head.get("id") or f"msg_{self._request_id}",
            "type": "message",
            "role": "assistant",
            "model": self._head.get("model") or "",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage_of(None),
        }
        out.append(_event({"type": "message_start", "message": message}))

    def _enter(self, kind: str, out: list[bytes]) -> None:
        """Go on in a block of this kind, or begin one."""
        if self._open != kind:
            empty = {"type": kind, kind: ""}
            self._begin_block(kind, {**empty, "signature": ""} if kind == _THINKING else empty, out)

    def _begin_block(self, kind: str, block: Mapping[str, Any], out: list[bytes]) -> None:
        self._close(out)
        self._index += 1
        self._open = kind
        out.append(_START % (self._index, encode(block)))

    def _close(self, out: list[bytes]) -> None:
        if self._open is not None:
            self._open = None
            out.append(_STOP % self._index)

    def _detail(self, detail: Any, out: list[bytes]) -> None:
        if not isinstance(detail, dict) or detail.get("format") != reasoning.FORMAT:
            return
        if detail["type"] == reasoning.ENCRYPTED:
            self._begin_block(_OTHER, {"type": "redacted_thinking", "data": detail["data"]}, out)
        else:
            self._enter(_THINKING, out)
            out.append(_DELTA % (self._index, _SIGNED, encode(detail["signature"])))
        self._close(out)

    def _call(self, call: Mapping[str, Any], out: list[bytes]) -> None:
        function, number = call.get("function") or {}, call["index"]
        if number not in self._calls:
            block: dict[str, Any] = {"type": _TOOL, "id": call.get("id"), "name": function.get("name"), "input": {}}
            self._begin_block(_TOOL, block, out)
            self._calls[number] = self._index
        if arguments := function.get("arguments"):
            out.append(_DELTA % (self._calls[number], _CALLED, encode(arguments)))


def _same(said: Mapping[str, Any], delta: Mapping[str, Any]) -> bool:
    """True if the provider's delta holds the very texts of the chunk's: a step that changes one makes another."""
    match said.get("type"):
        case "text_delta":
            return said["text"] is delta.get("content") or not said["text"]
        case "thinking_delta":
            return said["thinking"] is delta.get("reasoning_content") or not said["thinking"]
        case "input_json_delta":
            piece, calls = said["partial_json"], delta.get("tool_calls")
            return not piece or calls is None or calls[0]["function"]["arguments"] is piece
    return True


def _same_start(block: Mapping[str, Any], delta: Mapping[str, Any]) -> bool:
    match block.get("type"):
        case "text":
            return not block.get("text") or block["text"] is delta.get("content")
        case "thinking":
            return not block.get("thinking") or block["thinking"] is delta.get("reasoning_content")
        case "tool_use":
            return not block.get("input") and bool(delta.get("tool_calls"))
    return True


def _event(event: Mapping[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (event["type"].encode(), encode(event))
