"""Whole answers of the Messages API as canonical completions."""

import time
from collections.abc import Mapping
from typing import Any

from services.inference.domain.codecs.anthropic import reasoning
from services.inference.domain.codecs.anthropic.requests import JSON_TOOL
from services.inference.domain.codecs.anthropic.token_counts import read_usage, usage_object
from services.inference.domain.codecs.codec import Decoded
from services.inference.domain.codecs.error_reports import report_of
from services.inference.domain.codecs.errors import malformed, reported
from services.inference.domain.codecs.scrubbing import Scrub
from services.inference.domain.json_values import UNREADABLE, NotJson, decode, decode_leniently, encode
from services.inference.domain.usage.tokens import TokenUsage, estimated

NATIVE = "anthropic"
"""The field of canonical answers that holds what this format alone has, for callers that speak it."""

FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


def finish_reason(said: object, *, json_tool: bool = False) -> str:
    """OpenAI's finish reason; a word that is new here passes as it is."""
    if json_tool and said == "tool_use":
        return "stop"
    return FINISH_REASONS.get(said, said) if isinstance(said, str) and said else "stop"


def read_message(data: bytes, scrub: Scrub) -> dict[str, Any]:
    """The API's message. Raises Refusal where it is an error, UpstreamFailed for what is neither."""
    try:
        message = decode(data)
    except UNREADABLE:
        message = _leniently(data)
    content = message.get("content") if type(message) is dict else None
    if type(message) is not dict or message.get("type") == "error" or type(content) is not list:
        report = report_of(message)
        raise malformed() if report is None else reported(report, scrub)
    if not all(type(block) is dict for block in content):
        raise malformed()
    return message


def completion_of(
    message: dict[str, Any], model: str, read: int, *, json_tool: bool = False, native: bool = False
) -> Decoded:
    """The canonical completion, with the public key `model`. `read` is an estimate of the tokens read, for an answer
    that does not count; with `native` the message goes along."""
    said = message_of(message["content"], json_tool=json_tool)
    reason = finish_reason(message.get("stop_reason"), json_tool=json_tool)
    choice = {"index": 0, "message": said, "logprobs": None, "finish_reason": reason}
    if isinstance(stop := message.get("stop_sequence"), str):
        choice["stop_reason"] = stop
    usage, counts = _usage(message, said, read)
    id = message.get("id")
    body = {
        "id": id if isinstance(id, str) else "",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [choice],
        "usage": counts,
    }
    if native:
        body[NATIVE] = {**message, "model": model}
    return Decoded(body, usage, reason)


def message_of(content: list[Any], *, json_tool: bool = False) -> dict[str, Any]:
    """The canonical message of an answer's blocks. Blocks of server tools are not in it: the caller has asked for none
    in a format that has them. Raises UpstreamFailed."""
    texts = [_text(block) for block in content if block.get("type") == "text"]
    calls = [block for block in content if block.get("type") == "tool_use"]
    if json_tool:
        texts += [_arguments(call) for call in calls if call.get("name") == JSON_TOOL]
        calls = [call for call in calls if call.get("name") != JSON_TOOL]
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "".join(texts) if texts or not calls else None,
        "refusal": None,
    }
    thought, details = reasoning.details_of(content)
    if thought:
        message["reasoning_content"] = thought
    if details:
        message["reasoning_details"] = details
    if calls:
        message["tool_calls"] = [
            {
                "id": call.get("id") or "",
                "type": "function",
                "function": {"name": call.get("name") or "", "arguments": _arguments(call)},
            }
            for call in calls
        ]
    return message


def _usage(message: Mapping[str, Any], said: Mapping[str, Any], read: int) -> tuple[TokenUsage, dict[str, Any]]:
    counts = message.get("usage")
    counts = counts if isinstance(counts, dict) else {}
    usage = read_usage(counts) or estimated(read, len(encode(said)))
    return usage, usage_object(usage)


def _text(block: Mapping[str, Any]) -> str:
    text = block.get("text")
    if type(text) is not str:
        raise malformed()
    return text


def _arguments(call: Mapping[str, Any]) -> str:
    try:
        return encode(call.get("input") or {}).decode()
    except NotJson:
        raise malformed() from None


def _leniently(data: bytes) -> Any:
    try:
        return decode_leniently(data)
    except NotJson:
        raise malformed() from None
