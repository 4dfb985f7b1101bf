"""Token counts of the Messages API. Its `input_tokens` are those that the cache neither had nor took."""

from collections.abc import Mapping
from typing import Any

from services.inference.domain.codecs.openai.token_counts import as_openai
from services.inference.domain.usage.tokens import MAX_TOKENS, TokenUsage


def read_usage(usage: Mapping[str, Any]) -> TokenUsage | None:
    """The token counts of a report; None where it has none."""
    cached = _count(usage.get("cache_read_input_tokens"))
    taken = _count(usage.get("cache_creation_input_tokens"))
    read = _count(usage.get("input_tokens")) + cached + taken
    written = _count(usage.get("output_tokens"))
    if not read and not written:
        return None
    details = usage.get("output_tokens_details")
    thought = _count(details.get("thinking_tokens")) if isinstance(details, dict) else 0
    return TokenUsage(read, written, cached, min(thought, written), cache_write=taken)


def usage_object(counted: TokenUsage) -> dict[str, Any]:
    """OpenAI's `usage` object, with the tokens that the cache took beside those that it had."""
    made = as_openai(counted)
    if counted.cache_write:
        made["prompt_tokens_details"]["cache_write_tokens"] = counted.cache_write
    return made


def merged(old: Mapping[str, Any], new: object) -> dict[str, Any]:
    """The report of a stream after another has come: counts are totals, and what a later one does not say stays."""
    if not isinstance(new, dict):
        return dict(old)
    return {**old, **{name: value for name, value in new.items() if value is not None}}


def _count(value: object) -> int:
    return value if type(value) is int and 0 < value < MAX_TOKENS else 0
