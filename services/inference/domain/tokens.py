"""Token counts: as providers report them, and estimates where they report none."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

CHARACTERS_PER_TOKEN = 4
_MAX_TOKENS = 2**31 - 1


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens of one call. Cached ones are part of the input, reasoning ones part of the output."""

    input: int = 0
    output: int = 0
    cached_input: int = 0
    reasoning: int = 0
    estimated: bool = False

    @property
    def total(self) -> int:
        return self.input + self.output


NO_USAGE = TokenUsage()


def reported(usage: object) -> TokenUsage | None:
    """What a provider's `usage` object says; None where it says nothing usable."""
    if not isinstance(usage, dict) or type(usage.get("prompt_tokens")) not in (int, float):
        return None
    read, written = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    details, output_details = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else usage.get("cached_tokens")
    reasoning = output_details.get("reasoning_tokens") if isinstance(output_details, dict) else None
    return TokenUsage(read, written, min(read, _count(cached)), min(written, _count(reasoning)))


def estimate(characters: int) -> int:
    return math.ceil(characters / CHARACTERS_PER_TOKEN)


def message_characters(messages: Iterable[Any]) -> int:
    """Characters of the messages' texts and tool calls; images and other parts are not counted."""
    return sum(_message_characters(message) for message in messages if isinstance(message, dict))


def input_characters(inputs: object) -> int:
    """Characters of an embedding call's texts. A token counts as `CHARACTERS_PER_TOKEN` of them."""
    if isinstance(inputs, str):
        return len(inputs)
    if isinstance(inputs, list):
        return sum(CHARACTERS_PER_TOKEN if isinstance(each, int) else input_characters(each) for each in inputs)
    return 0


def as_openai(usage: TokenUsage) -> dict[str, Any]:
    """OpenAI's `usage` object."""
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.total,
        "prompt_tokens_details": {"cached_tokens": usage.cached_input},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }


def _message_characters(message: Mapping[str, Any]) -> int:
    content = message.get("content")
    count = len(content) if isinstance(content, str) else 0
    if isinstance(content, list):
        texts = (part.get("text") for part in content if isinstance(part, dict))
        count = sum(len(text) for text in texts if isinstance(text, str))
    calls = message.get("tool_calls")
    return count + (sum(map(call_characters, calls)) if isinstance(calls, list) else 0)


def call_characters(call: object) -> int:
    """Characters of a tool call, or of a piece of one: the function's name and arguments."""
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        return 0
    return sum(len(text) for text in (function.get("name"), function.get("arguments")) if isinstance(text, str))


def _count(value: object) -> int:
    """A provider's number as a count: whatever is not one is 0."""
    if type(value) is int:
        return min(max(value, 0), _MAX_TOKENS)
    if type(value) is float and math.isfinite(value):
        return min(max(int(value), 0), _MAX_TOKENS)
    return 0
