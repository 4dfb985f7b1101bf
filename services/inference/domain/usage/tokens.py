"""Token counts of a call, and estimates of them from characters."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from services.inference.domain.json_values import NotJson, encode

CHARACTERS_PER_TOKEN = 4
MAX_TOKENS = 2**31 - 1
_DEEPEST = 16
_BESIDE_MESSAGES = ("tools", "functions", "response_format")
"""Fields of a chat request that models read as text, in JSON."""
_UNREAD = frozenset({"role", "type", "id", "index", "tool_call_id", "annotations", "reasoning_details", "signature"})
"""Fields of messages that are not their text, or are it once more."""
_MEDIA = frozenset({"image_url", "input_audio", "audio", "file", "video_url", "data", "url", "encrypted_content"})
"""Parts of contents whose tokens have nothing to do with their length."""


class TokenUsage(NamedTuple):
    """Tokens of one call. Cached ones, and those that the cache took, are part of the input, reasoning ones part of the
    output."""

    input: int = 0
    output: int = 0
    cached_input: int = 0
    reasoning: int = 0
    estimated: bool = False
    cache_write: int = 0
    searches: float = 0.0
    """Searches that a rerank provider bills instead of tokens."""

    @property
    def total(self) -> int:
        return self.input + self.output


NO_USAGE = TokenUsage()


def estimate(characters: int) -> int:
    return math.ceil(characters / CHARACTERS_PER_TOKEN)


def estimated(read: int, written: int) -> TokenUsage:
    """The estimated tokens of so many characters."""
    return TokenUsage(estimate(read), estimate(written), estimated=True)


def request_characters(request: Mapping[str, Any]) -> int:
    """Characters of what a chat request lets the model read: messages, tools and the schema of the answer."""
    count = message_characters(request.get("messages") or ())
    for name in _BESIDE_MESSAGES:
        if value := request.get(name):
            count += _json_characters(value)
    return count


def message_characters(messages: Iterable[Any]) -> int:
    """Characters of the messages' texts and tool calls, in whatever form the content is; images and other media are not
    counted."""
    return sum(_message_characters(message) for message in messages if isinstance(message, dict))


def text_characters(value: object, depth: int = 0) -> int:
    """Characters of all texts in a content: a text, or parts of any reasonable depth, media left out."""
    if isinstance(value, str):
        return len(value)
    if depth > _DEEPEST:
        return 0
    if isinstance(value, list):
        return sum(text_characters(part, depth + 1) for part in value)
    if isinstance(value, dict):
        texts = (part for name, part in value.items() if name not in _UNREAD and name not in _MEDIA)
        return sum(text_characters(part, depth + 1) for part in texts)
    return 0


def call_characters(call: object) -> int:
    """Characters of a tool call, or of a delta of one: the function's name and arguments."""
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        return 0
    return sum(len(text) for text in (function.get("name"), function.get("arguments")) if isinstance(text, str))


def chunk_characters(chunk: Mapping[str, Any]) -> int:
    """Characters of the texts and tool calls of a chunk."""
    return message_characters(choice.get("delta") for choice in chunk.get("choices") or ())


def input_characters(inputs: object) -> int:
    """Characters of an embedding call's texts. A token counts as `CHARACTERS_PER_TOKEN` of them."""
    if isinstance(inputs, str):
        return len(inputs)
    if isinstance(inputs, list):
        return sum(CHARACTERS_PER_TOKEN if isinstance(each, int) else input_characters(each) for each in inputs)
    return 0


def _message_characters(message: Mapping[str, Any]) -> int:
    calls = message.get("tool_calls")
    count = sum(map(call_characters, calls)) if isinstance(calls, list) else 0
    return count + sum(
        text_characters(part)
        for name, part in message.items()
        if name not in _UNREAD and name not in _MEDIA and name != "tool_calls"
    )


def _json_characters(value: object) -> int:
    try:
        return len(encode(value))
    except NotJson:
        return 0
