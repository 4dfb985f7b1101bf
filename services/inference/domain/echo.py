"""The echo driver: a provider within the process, for trying Portico without a key.

It speaks OpenAI's wire format like any other provider. It answers with the last user message, word by word when
streamed; the same request always gets the same answer. A token is a word with the space before it, and every message
takes `MESSAGE_TOKENS` more.

    tools            a call of the function that `tool_choice` names, or of the first one where it says "required";
                     arguments are made from the function's schema
    response_format  json_object: {"echo": text}; json_schema: an instance of the schema
    max_tokens       (and max_completion_tokens) cuts the answer, finish reason "length"
    n, stop, stream_options.include_usage, dimensions as OpenAI documents them
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from hashlib import blake2b
from math import sqrt
from types import TracebackType
from typing import Any, Self

import orjson

from core.http.ports import Response, Timeouts

MESSAGE_TOKENS = 3
DEFAULT_DIMENSIONS = 256
MAX_DIMENSIONS = 4096
MAX_CHOICES = 16
SILENT = "Hello from Portico. Send a user message and it comes back."

_WORD = re.compile(r"\s*\S+|\s+$")
_FEATURE = re.compile(r"\w+")
_MAX_DEPTH = 8
_PLACES = 4
_HEADERS: Mapping[bytes, bytes] = {b"content-type": b"application/json"}
_SAMPLES: dict[str, Any] = {"string": "", "number": 0.0, "integer": 0, "boolean": False, "null": None}


class Refused(Exception):
    """A request that the API would refuse with 400."""

    def __init__(self, message: str, param: str) -> None:
        super().__init__(message)
        self.body = {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": None}}


class EchoUpstream:
    """Implements `core.http.ports.Upstream`. `delay` is the seconds before an answer and each streamed word."""

    def __init__(self, delay: float = 0.0) -> None:
        self._delay = delay

    async def post(
        self,
        target: bytes,
        headers: bytes,
        body: bytes,
        *,
        extra_headers: bytes = b"",
        timeouts: Timeouts | None = None,
        deadline: float | None = None,
    ) -> Response:
        if self._delay:
            await asyncio.sleep(self._delay)
        try:
            answer = answer_to(target, orjson.loads(body))
        except Refused as refused:
            return Response(400, _HEADERS, orjson.dumps(refused.body))
        return Response(200, _HEADERS, orjson.dumps(answer))

    async def get(
        self,
        target: bytes,
        headers: bytes,
        *,
        extra_headers: bytes = b"",
        timeouts: Timeouts | None = None,
        deadline: float | None = None,
    ) -> Response:
        return Response(404, _HEADERS, b"{}")

    async def stream(
        self,
        target: bytes,
        headers: bytes,
        body: bytes,
        *,
        extra_headers: bytes = b"",
        timeouts: Timeouts | None = None,
        deadline: float | None = None,
    ) -> "EchoStream":
        request = orjson.loads(body)
        try:
            completion = chat(request)
        except Refused as refused:
            return EchoStream(400, [orjson.dumps(refused.body)], 0.0)
        options = request.get("stream_options") or {}
        return EchoStream(200, frames_of(completion, with_usage=bool(options.get("include_usage"))), self._delay)

    async def close(self) -> None:
        """Nothing is open."""


class EchoStream:
    """Implements `core.http.ports.Stream`."""

    def __init__(self, status: int, pieces: Sequence[bytes], delay: float) -> None:
        self.status = status
        self._pieces = pieces
        self._delay = delay

    @property
    def headers(self) -> Mapping[bytes, bytes]:
        return _HEADERS

    def header(self, name: str) -> str | None:
        return None

    def wake(self) -> None:
        """Its pauses are short."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            if self._delay:
                await asyncio.sleep(self._delay)
            yield piece

    async def read(self, limit: int) -> bytes:
        return b"".join(self._pieces)

    async def aclose(self) -> None:
        self._pieces = ()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def answer_to(target: bytes, request: Mapping[str, Any]) -> dict[str, Any]:
    """Raises Refused."""
    return embeddings(request) if target.endswith(b"/embeddings") else chat(request)


def words(text: str) -> list[str]:
    """The text's tokens; joined, they are the text again."""
    return _WORD.findall(text)


def chat(request: Mapping[str, Any]) -> dict[str, Any]:
    """A chat completion. Raises Refused."""
    messages = [each for each in request["messages"] if isinstance(each, dict)]
    said = [_text(each.get("content")) for each in messages if each.get("role") == "user"]
    count = request.get("n") or 1
    if type(count) is not int or not 1 <= count <= MAX_CHOICES:
        raise Refused(f"n must be 1 to {MAX_CHOICES}.", "n")
    message, reason, written = _message(request, said[-1] if said else SILENT)
    read = sum(MESSAGE_TOKENS + len(words(_text(each.get("content")))) for each in messages)
    choices = [{"index": at, "message": message, "logprobs": None, "finish_reason": reason} for at in range(count)]
    return {
        "id": f"chatcmpl-{_digest(orjson.dumps(messages)).hex()}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": request.get("model"),
        "choices": choices,
        "usage": _usage(read, written * count),
    }


def frames_of(completion: Mapping[str, Any], *, with_usage: bool) -> list[bytes]:
    """The completion as OpenAI streams it: a piece for each word."""
    head = {key: completion[key] for key in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
    deltas: list[tuple[int, dict[str, Any], str | None]] = []
    for choice in completion["choices"]:
        at, message = choice["index"], choice["message"]
        deltas.append((at, {"role": "assistant", "content": ""}, None))
        deltas += [(at, {"content": word}, None) for word in words(message["content"] or "")]
        deltas += [(at, {"tool_calls": [{"index": 0, **call}]}, None) for call in message.get("tool_calls", ())]
        deltas.append((at, {}, choice["finish_reason"]))
    frames: list[dict[str, Any]] = [
        {**head, "choices": [{"index": at, "delta": delta, "logprobs": None, "finish_reason": reason}]}
        for at, delta, reason in deltas
    ]
    if with_usage:
        frames.append({**head, "choices": [], "usage": completion["usage"]})
    return [b"data: %s\n\n" % orjson.dumps(frame) for frame in frames] + [b"data: [DONE]\n\n"]


def embeddings(request: Mapping[str, Any]) -> dict[str, Any]:
    """Unit vectors of hashed words: texts that share words are near each other. Raises Refused."""
    dimensions = request.get("dimensions") or DEFAULT_DIMENSIONS
    if type(dimensions) is not int or not 1 <= dimensions <= MAX_DIMENSIONS:
        raise Refused(f"dimensions must be 1 to {MAX_DIMENSIONS}.", "dimensions")
    given = request["input"]
    inputs = given if isinstance(given, list) and not isinstance(given[0], int) else [given]
    texts = [each if isinstance(each, str) else " ".join(map(str, each)) for each in inputs]
    data = [
        {"object": "embedding", "index": at, "embedding": vector(text, dimensions)} for at, text in enumerate(texts)
    ]
    read = sum(len(words(text)) for text in texts)
    usage = {"prompt_tokens": read, "total_tokens": read}
    return {"object": "list", "data": data, "model": request.get("model"), "usage": usage}


def vector(text: str, dimensions: int) -> list[float]:
    """Of length 1. Every word adds or takes 1 at `_PLACES` places that its hash gives."""
    values = [0.0] * dimensions
    for word in _FEATURE.findall(text.lower()) or [text]:
        number = int.from_bytes(_digest(word.encode()), "big")
        for _ in range(_PLACES):
            values[(number >> 1) % dimensions] += 1.0 if number & 1 else -1.0
            number >>= 24
    length = sqrt(sum(value * value for value in values))
    if not length:  # words that cancelled each other out
        return [1.0, *values[1:]]
    return [value / length for value in values]


def _message(request: Mapping[str, Any], text: str) -> tuple[dict[str, Any], str, int]:
    """The answer's message, its finish reason and its tokens."""
    function = _forced_function(request)
    if function is not None:
        arguments = orjson.dumps(sample(function.get("parameters") or {})).decode()
        name = str(function.get("name"))
        call_id = f"call_{_digest(name.encode()).hex()}"
        call = {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
        message = {"role": "assistant", "content": None, "refusal": None, "tool_calls": [call]}
        return message, "tool_calls", 1 + len(words(arguments))
    content, reason = _cut(request, _formatted(request, text))
    return {"role": "assistant", "content": content, "refusal": None}, reason, len(words(content))


def _forced_function(request: Mapping[str, Any]) -> Mapping[str, Any] | None:
    choice, tools = request.get("tool_choice"), request.get("tools")
    offered = [each.get("function") for each in tools if isinstance(each, dict)] if isinstance(tools, list) else []
    functions: list[dict[str, Any]] = [each for each in offered if isinstance(each, dict)]
    if choice == "required" and functions:
        return functions[0]
    if not isinstance(choice, dict):
        return None
    wanted = choice.get("function")
    name = wanted.get("name") if isinstance(wanted, dict) else None
    for function in functions:
        if function.get("name") == name:
            return function
    raise Refused("tool_choice names a function that is not among the tools.", "tool_choice")


def _formatted(request: Mapping[str, Any], text: str) -> str:
    wanted = request.get("response_format")
    if not isinstance(wanted, dict):
        return text
    if wanted.get("type") == "json_object":
        return orjson.dumps({"echo": text}).decode()
    if wanted.get("type") == "json_schema":
        schema = wanted.get("json_schema")
        return orjson.dumps(sample((schema.get("schema") if isinstance(schema, dict) else None) or {})).decode()
    return text


def _cut(request: Mapping[str, Any], text: str) -> tuple[str, str]:
    """The text up to its stop or its length limit, and the finish reason."""
    stops = request.get("stop")
    for stop in [stops] if isinstance(stops, str) else stops if isinstance(stops, list) else []:
        if isinstance(stop, str) and stop:
            text = text.partition(stop)[0]
    limit = request.get("max_completion_tokens") or request.get("max_tokens")
    pieces = words(text)
    if type(limit) is int and 0 < limit < len(pieces):
        return "".join(pieces[:limit]), "length"
    return text, "stop"


def sample(schema: Any, depth: int = 0) -> Any:
    """The plainest value that fits a JSON schema's types."""
    if not isinstance(schema, dict) or depth > _MAX_DEPTH:
        return {}
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return schema["enum"][0]
    kind = schema.get("type", "object")
    kind = kind[0] if isinstance(kind, list) and kind else kind
    if kind == "array":
        return []
    if isinstance(kind, str) and kind in _SAMPLES:
        return _SAMPLES[kind]
    properties, required = schema.get("properties"), schema.get("required")
    if not isinstance(properties, dict) or not isinstance(required, list):
        return {}
    return {name: sample(properties.get(name), depth + 1) for name in required if isinstance(name, str)}


def _text(content: object) -> str:
    """The text of a message, whatever form it has."""
    if isinstance(content, str):
        return content
    parts = [part.get("text") for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    return " ".join(part for part in parts if isinstance(part, str))


def _usage(read: int, written: int) -> dict[str, Any]:
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=12).digest()
