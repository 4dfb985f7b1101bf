"""Token counts as providers report them, in OpenAI's dialect and the others.

OpenAI, vLLM         prompt_tokens, completion_tokens, prompt_tokens_details.cached_tokens,
                     completion_tokens_details.reasoning_tokens
DeepSeek             prompt_cache_hit_tokens
Moonshot             cached_tokens; the report in `choices[0].usage`
Groq                 the report in `x_groq.usage`
xAI, Gemini          completion_tokens without the reasoning, total_tokens with it
Responses, Anthropic input_tokens, output_tokens
"""

import math
from collections.abc import Mapping
from typing import Any

from services.inference.domain.usage.tokens import MAX_TOKENS, TokenUsage


def read_usage(usage: object, *, generates: bool = True) -> TokenUsage | None:
    """The token counts of a report; None where it has none that can be used. A total beyond input and output is output
    that was paid for and not counted elsewhere; of a call that does not generate anything (`generates` False) it is the
    input."""
    if type(usage) is not dict:
        return None
    read = _count(usage.get("prompt_tokens") or usage.get("input_tokens"))
    written = _count(usage.get("completion_tokens") or usage.get("output_tokens"))
    total = _count(usage.get("total_tokens"))
    if not generates:
        read, written = max(read, total), 0
    if not read and not written:
        return None
    if not read:
        read = max(0, total - written)
    elif generates and total > read + written:
        written = total - read
    details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
    cached = details.get("cached_tokens") if type(details) is dict else None
    cached = _count(cached or usage.get("cached_tokens") or usage.get("prompt_cache_hit_tokens"))
    details = usage.get("completion_tokens_details") or usage.get("output_tokens_details")
    reasoning = details.get("reasoning_tokens") if type(details) is dict else None
    reasoning = _count(reasoning or usage.get("reasoning_tokens"))
    return TokenUsage(read, written, cached if cached < read else read, reasoning if reasoning < written else written)


def report_beside(chunk: Mapping[str, Any], choice: Mapping[str, Any]) -> object:
    """The report of a stream's last chunk that does not stand in the chunk's `usage`."""
    return choice.get("usage") or (groq.get("usage") if isinstance(groq := chunk.get("x_groq"), dict) else None)


def merged(old: dict[str, Any] | None, new: object) -> dict[str, Any] | None:
    """The report after another has come: what the later one leaves empty stays as it was."""
    if type(new) is not dict or not new:
        return old
    if old is None:
        return new
    return {**old, **{name: value for name, value in new.items() if not _is_empty(value)}}


def as_openai(usage: TokenUsage) -> dict[str, Any]:
    """OpenAI's `usage` object."""
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.total,
        "prompt_tokens_details": {"cached_tokens": usage.cached_input},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }


def _is_empty(value: object) -> bool:
    return not any(value.values()) if isinstance(value, dict) else not value


def _count(value: object) -> int:
    """A provider's number, or the text of one, as a count: whatever is not one is 0."""
    if not value:
        return 0
    if type(value) is int and 0 < value < MAX_TOKENS:  # nearly always
        return value
    if type(value) is str and len(value) <= 20:
        try:
            value = float(value)
        except ValueError:
            return 0
    if type(value) is int or (type(value) is float and math.isfinite(value)):
        return min(max(int(value), 0), MAX_TOKENS)
    return 0
