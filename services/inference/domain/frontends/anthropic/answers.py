"""Canonical completions as messages of the Messages API."""

from collections.abc import Mapping
from typing import Any

from services.inference.domain.codecs.anthropic import reasoning
from services.inference.domain.codecs.anthropic.answers import NATIVE, finish_reason, message_of
from services.inference.domain.codecs.errors import malformed
from services.inference.domain.json_values import UNREADABLE, decode

Message = dict[str, Any]
Block = dict[str, Any]

STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
_REASONING = ("reasoning_content", "reasoning")
"""DeepSeek's name for it, and vLLM's."""


def message_from(completion: Mapping[str, Any]) -> Message:
    """The message of a canonical completion: the provider's own where it spoke this format and no step has changed what
    it said. Raises UpstreamFailed for an answer whose parts have other types than OpenAI's."""
    choice = completion["choices"][0]
    native = completion.get(NATIVE)
    if isinstance(native, dict) and _is_unchanged(choice, native):
        return native
    said = choice["message"]
    reason, sequence = stop_of(choice)
    return {
        "id": completion.get("id") or "",
        "type": "message",
        "role": "assistant",
        "model": completion["model"],
        "content": blocks_of(said, cut_off=choice.get("finish_reason") == "length"),
        "stop_reason": reason,
        "stop_sequence": sequence,
        "usage": usage_of(completion.get("usage")),
    }


def stop_of(choice: Mapping[str, Any]) -> tuple[str, str | None]:
    """Stop reason and stop sequence of a choice that has ended. vLLM tells the sequence as `stop_reason`."""
    reason, sequence = choice.get("finish_reason"), choice.get("stop_reason")
    if reason == "stop" and isinstance(sequence, str) and sequence:
        return "stop_sequence", sequence
    return STOP_REASONS.get(reason, "end_turn") if isinstance(reason, str) else "end_turn", None


def usage_of(usage: Any) -> dict[str, Any]:
    """The API's `usage` of OpenAI's: tokens that a cache had or took are not among its input tokens."""
    usage = usage if isinstance(usage, dict) else {}
    details = usage.get("prompt_tokens_details") or {}
    cached, taken = _count(details.get("cached_tokens")), _count(details.get("cache_write_tokens"))
    counts = {
        "input_tokens": max(0, _count(usage.get("prompt_tokens")) - cached - taken),
        "cache_creation_input_tokens": taken,
        "cache_read_input_tokens": cached,
        "output_tokens": _count(usage.get("completion_tokens")),
    }
    thought = _count((usage.get("completion_tokens_details") or {}).get("reasoning_tokens"))
    return {**counts, "output_tokens_details": {"thinking_tokens": thought}} if thought else counts


def blocks_of(said: Mapping[str, Any], *, cut_off: bool) -> list[Block]:
    """The content blocks of a canonical message."""
    blocks = list(reasoning.blocks(said))
    thought = reasoning_text(said)
    if thought and not any(block["type"] == "thinking" for block in blocks):
        blocks.insert(0, {"type": "thinking", "thinking": thought, "signature": ""})
    texts = (text_of(said.get("content")), text_of(said.get("refusal")))
    blocks += [{"type": "text", "text": text} for text in texts if text]
    calls = said.get("tool_calls") or ()
    blocks += [_call(call, cut_off=cut_off) for call in calls if isinstance(call, dict)]
    return blocks


def reasoning_text(said: Mapping[str, Any]) -> str:
    """The reasoning of a message or delta, by either of its names."""
    return next((text for name in _REASONING if isinstance(text := said.get(name), str) and text), "")


def text_of(content: Any) -> str:
    """The text of a canonical content, which Mistral and others give in parts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = (part.get("text") if isinstance(part, dict) else part for part in content)
    return "".join(text for text in texts if isinstance(text, str))


def _call(call: Mapping[str, Any], *, cut_off: bool) -> Block:
    function = call.get("function")
    if not isinstance(function, dict):
        raise malformed()
    try:
        given = decode(function.get("arguments") or "{}")
    except UNREADABLE:
        given = None
    if not isinstance(given, dict):
        if not cut_off:
            raise malformed()
        given = {}
    return {"type": "tool_use", "id": call.get("id"), "name": function.get("name"), "input": given}


def _is_unchanged(choice: Mapping[str, Any], native: Mapping[str, Any]) -> bool:
    """Return whether the choice still says what the provider's message does."""
    reason = finish_reason(native.get("stop_reason"))
    return bool(choice["message"] == message_of(native["content"]) and choice.get("finish_reason") == reason)


def _count(value: object) -> int:
    return value if type(value) is int and value > 0 else 0
