"""The echo driver: a provider within the process, for trying Portico without a key.

It speaks OpenAI's wire format like any other provider. It answers with the last user message, word by word when
streamed; the same request always gets the same answer. A token is a word with the space before it, and every message
takes `MESSAGE_TOKENS` more.

    tools            a call of the function that `tool_choice` names, or of the first one where it says "required";
                     arguments are made from the function's schema
    response_format  json_object: {"echo": text}; json_schema: an instance of the schema
    max_tokens       (and max_completion_tokens) cuts the answer, finish reason "length"
    n, stop, stream_options.include_usage, dimensions as OpenAI documents them

What a request may make it do is bounded. `echo_upstream` makes a provider of it.
"""

import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from itertools import islice
from math import sqrt
from operator import mul
from typing import Any

from services.inference.domain.json_values import encode

MESSAGE_TOKENS = 3
DEFAULT_DIMENSIONS = 256
MAX_DIMENSIONS = 4096
MAX_CHOICES = 16
MAX_STOPS = 16
MAX_WORDS_READ = 262_144
"""Most words of all messages of a request together."""
MAX_WORDS_WRITTEN = 65_536
"""Most words of all `n` choices of an answer together."""
MAX_CHARACTERS_WRITTEN = 16 * 1024 * 1024
"""Most characters of all `n` choices of an answer together."""
MAX_CHARACTERS_EMBEDDED = 262_144
"""Most characters of all inputs of a request together."""
MAX_NUMBERS = 524_288
"""Most numbers of all vectors of an answer: as many as the most inputs have at the default number of dimensions."""
SILENT = "Hello from Portico. Send a user message and it comes back."

_WORD = re.compile(r"\s*\S+|\s+$")
_FEATURE = re.compile(r"\w+")
_MAX_DEPTH = 8
_PLACES = 4
_SAMPLES: dict[str, Any] = {"string": "", "number": 0.0, "integer": 0, "boolean": False, "null": None}


class Refused(Exception):
    """A request that the API would refuse with 400."""

    def __init__(self, message: str, param: str) -> None:
        super().__init__(message)
        self.body = {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": None}}


def answered(target: bytes, request: Mapping[str, Any]) -> bytes:
    """The answer to a request, as JSON. Raises Refused."""
    for ending, answer in ((b"/embeddings", embeddings), (b"/rerank", ranking)):
        if target.endswith(ending):
            return encode(answer(request))
    return encode(chat(request))


def words(text: str) -> list[str]:
    """The text's tokens; joined, they are the text again."""
    return _WORD.findall(text)


def word_count(text: str, at_most: int) -> int:
    """As many as `words` gives, found without making them; more than `at_most` where there are more."""
    return len(text.split(None, at_most)) + (text[-1:].isspace() or 0)


def chat(request: Mapping[str, Any]) -> dict[str, Any]:
    """A chat completion. Raises Refused."""
    messages = [each for each in request["messages"] if isinstance(each, dict)]
    said = [_text(each.get("content")) for each in messages if each.get("role") == "user"]
    count = request.get("n") or 1
    if type(count) is not int or not 1 <= count <= MAX_CHOICES:
        raise Refused(f"n must be 1 to {MAX_CHOICES}.", "n")
    read = _read(messages)
    message, reason, written = _message(request, said[-1] if said else SILENT, count)
    choices = [{"index": at, "message": message, "logprobs": None, "finish_reason": reason} for at in range(count)]
    return {
        "id": f"chatcmpl-{_digest(encode(messages)).hex()}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": request.get("model"),
        "choices": choices,
        "usage": _usage(read, written * count),
    }


def _read(messages: list[dict[str, Any]]) -> int:
    """The tokens of a request's messages. Raises Refused."""
    read = 0
    for message in messages:
        read += word_count(_text(message.get("content")), MAX_WORDS_READ)
        if read > MAX_WORDS_READ:
            raise Refused(f"The echo driver reads at most {MAX_WORDS_READ} words.", "messages")
    return read + MESSAGE_TOKENS * len(messages)


def frames_of(completion: Mapping[str, Any], *, with_usage: bool) -> Iterator[bytes]:
    """The completion as OpenAI streams it: a chunk for each word."""
    head = {key: completion[key] for key in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
    for choice in completion["choices"]:
        for delta, reason in _deltas(choice):
            part = {"index": choice["index"], "delta": delta, "logprobs": None, "finish_reason": reason}
            yield _frame({**head, "choices": [part]})
    if with_usage:
        yield _frame({**head, "choices": [], "usage": completion["usage"]})
    yield b"data: [DONE]\n\n"


def _deltas(choice: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], str | None]]:
    """The deltas of a choice, and its finish reason."""
    message = choice["message"]
    yield {"role": "assistant", "content": ""}, None
    for word in _WORD.finditer(message["content"] or ""):
        yield {"content": word[0]}, None
    for call in message.get("tool_calls", ()):
        yield {"tool_calls": [{"index": 0, **call}]}, None
    yield {}, choice["finish_reason"]


def _frame(chunk: Mapping[str, Any]) -> bytes:
    return b"data: %s\n\n" % encode(chunk)


def embeddings(request: Mapping[str, Any]) -> dict[str, Any]:
    """Unit vectors of hashed words: texts that share words are near each other. Raises Refused."""
    dimensions = request.get("dimensions") or DEFAULT_DIMENSIONS
    if type(dimensions) is not int or not 1 <= dimensions <= MAX_DIMENSIONS:
        raise Refused(f"dimensions must be 1 to {MAX_DIMENSIONS}.", "dimensions")
    given = request["input"]
    inputs = given if isinstance(given, list) and not isinstance(given[0], int) else [given]
    if len(inputs) * dimensions > MAX_NUMBERS:
        raise Refused(f"The echo driver makes at most {MAX_NUMBERS} numbers: inputs times dimensions.", "input")
    texts = [each if isinstance(each, str) else " ".join(map(str, each)) for each in inputs]
    if sum(map(len, texts)) > MAX_CHARACTERS_EMBEDDED:
        raise Refused(f"The echo driver embeds at most {MAX_CHARACTERS_EMBEDDED} characters at once.", "input")
    data = [
        {"object": "embedding", "index": at, "embedding": vector(text, dimensions)} for at, text in enumerate(texts)
    ]
    read = sum(len(words(text)) for text in texts)
    usage = {"prompt_tokens": read, "total_tokens": read}
    return {"object": "list", "data": data, "model": request.get("model"), "usage": usage}


def ranking(request: Mapping[str, Any]) -> dict[str, Any]:
    """Scores of documents: the cosine of their embeddings and the query's. Raises Refused."""
    texts = [request["query"], *request["documents"]]
    if sum(map(len, texts)) > MAX_CHARACTERS_EMBEDDED:
        raise Refused(f"The echo driver ranks at most {MAX_CHARACTERS_EMBEDDED} characters at once.", "documents")
    query, *documents = (vector(text, DEFAULT_DIMENSIONS) for text in texts)
    scores = [sum(map(mul, query, document)) for document in documents]
    results = [{"index": at, "relevance_score": min(1.0, max(0.0, score))} for at, score in enumerate(scores)]
    read = sum(len(words(text)) for text in texts)
    return {"model": request.get("model"), "results": results, "usage": {"total_tokens": read}}


def vector(text: str, dimensions: int) -> list[float]:
    """The embedding of a text, of length 1. Every word adds or takes 1 at `_PLACES` places that its hash gives."""
    sums: Counter[int] = Counter()
    for word in _FEATURE.findall(text.lower()) or [text]:
        number = int.from_bytes(_digest(word.encode()), "big")
        for _ in range(_PLACES):
            sums[(number >> 1) % dimensions] += 1 if number & 1 else -1
            number >>= 24
    values = [0.0] * dimensions
    length = sqrt(sum(value * value for value in sums.values()))
    if not length:  # words that cancelled each other out
        return [1.0, *values[1:]]
    for position, value in sums.items():
        values[position] = value / length
    return values


def _message(request: Mapping[str, Any], text: str, count: int) -> tuple[dict[str, Any], str, int]:
    """The message of each of `count` choices, its finish reason and its tokens. Raises Refused."""
    function = _forced_function(request)
    if function is not None:
        arguments = encode(sample(function.get("parameters") or {})).decode()
        written = _written(arguments, count)
        name = str(function.get("name"))
        call_id = f"call_{_digest(name.encode()).hex()}"
        call = {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
        message = {"role": "assistant", "content": None, "refusal": None, "tool_calls": [call]}
        return message, "tool_calls", 1 + written
    content, reason = _cut(request, _formatted(request, text))
    return {"role": "assistant", "content": content, "refusal": None}, reason, _written(content, count)


def _written(text: str, count: int) -> int:
    """The tokens of a text that `count` choices say. Raises Refused."""
    if len(text) * count > MAX_CHARACTERS_WRITTEN:
        raise Refused(f"The echo driver answers with at most {MAX_CHARACTERS_WRITTEN} characters, n times.", "messages")
    written = word_count(text, MAX_WORDS_WRITTEN)
    if written * count > MAX_WORDS_WRITTEN:
        raise Refused(f"The echo driver answers with at most {MAX_WORDS_WRITTEN} words, n times.", "messages")
    return written


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
        return encode({"echo": text}).decode()
    if wanted.get("type") == "json_schema":
        schema = wanted.get("json_schema")
        return encode(sample((schema.get("schema") if isinstance(schema, dict) else None) or {})).decode()
    return text


def _cut(request: Mapping[str, Any], text: str) -> tuple[str, str]:
    """The text up to its stop or its length limit, and the finish reason."""
    stops = request.get("stop")
    stops = [stops] if isinstance(stops, str) else stops if isinstance(stops, list) else []
    if len(stops) > MAX_STOPS:
        raise Refused(f"The echo driver takes at most {MAX_STOPS} stops.", "stop")
    for stop in stops:
        if isinstance(stop, str) and stop:
            text = text.partition(stop)[0]
    limit = request.get("max_completion_tokens") or request.get("max_tokens")
    if type(limit) is int and 0 < limit < word_count(text, min(limit, MAX_WORDS_READ)):
        return "".join(word[0] for word in islice(_WORD.finditer(text), limit)), "length"
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
    names = dict.fromkeys(name for name in required if isinstance(name, str))  # once each, however often it is named
    return {name: sample(properties.get(name), depth + 1) for name in names}


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
