"""The checks of Anthropic's Messages API on a request, as far as its documentation states them."""

import re
from collections.abc import Mapping
from typing import Any

from tests.support.fake_upstream import Request

MESSAGES, COUNT = "/v1/messages", "/v1/messages/count_tokens"
_FIELDS = frozenset(
    (
        *("model", "messages", "max_tokens", "system", "stop_sequences", "stream", "temperature", "top_p", "top_k"),
        *("tools", "tool_choice", "thinking", "metadata", "output_config", "cache_control", "container", "speed"),
        *("service_tier", "inference_geo", "diagnostics", "mcp_servers", "context_management"),
    )
)
_BLOCKS = {
    "user": {"text", "image", "document", "tool_result", "search_result", "container_upload"},
    "assistant": {
        "text",
        "thinking",
        "redacted_thinking",
        "tool_use",
        "server_tool_use",
        "web_search_tool_result",
        "container_upload",
    },
    "system": {"text"},
}
_TOOL_ID = re.compile(r"[a-zA-Z0-9_-]+")
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_LEAST_BUDGET = 1024


class _Wrong(Exception):
    """A refusal, with the API's message."""


def problem_of(request: Request, body: Mapping[str, Any], key: str) -> tuple[int, str] | None:
    """The status and message of the refusal; None for a request that the API takes."""
    path = request.target.partition("?")[0]
    if path not in (MESSAGES, COUNT):
        return 404, "Not found"
    if request.headers.get("x-api-key") != key:
        return 401, f"invalid x-api-key {request.headers.get('x-api-key')}"
    if request.headers.get("anthropic-version") != "2023-06-01":
        return 400, "anthropic-version: header is required"
    try:
        _check(body, counting=path == COUNT)
    except _Wrong as wrong:
        return 400, str(wrong)
    return None


def _check(body: Mapping[str, Any], *, counting: bool) -> None:
    for name in body:
        _require(name in _FIELDS, f"{name}: Extra inputs are not permitted")
    for name in ("model", "messages") if counting else ("model", "messages", "max_tokens"):
        _require(name in body, f"{name}: Field required")
    _require(counting or type(body["max_tokens"]) is int, "max_tokens: Input should be a valid integer")
    _require(not isinstance(body.get("temperature"), float) or body["temperature"] <= 1, "temperature: range: 0..1")
    _system(body.get("system"))
    _messages(body["messages"])
    for at, tool in enumerate(body.get("tools") or ()):
        _tool(at, tool)
    _thinking(body)


def _system(system: Any) -> None:
    if isinstance(system, list):
        for at, block in enumerate(system):
            _require(block["type"] == "text" and block["text"].strip(), f"system.{at}: text blocks must be non-empty")


def _messages(messages: list[dict[str, Any]]) -> None:
    _require(messages, "messages: at least one message is required")
    _require(messages[0]["role"] != "assistant", "messages: first message must use the user role")
    open_calls: set[str] = set()
    for at, message in enumerate(messages):
        where, role, content = f"messages.{at}", message.get("role"), message.get("content")
        _require(set(message) == {"role", "content"}, f"{where}: Extra inputs are not permitted")
        _require(role in _BLOCKS, f"{where}.role: Input should be 'user' or 'assistant'")
        _require(content, f"{where}: all messages must have non-empty content")
        blocks = content if isinstance(content, list) else [{"type": "text", "text": content}]
        for index, block in enumerate(blocks):
            _block(f"{where}.content.{index}", str(role), block)
        given = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        _require(
            open_calls == set(given) and len(given) == len(open_calls),
            f"{where}: `tool_use` ids were found without `tool_result` blocks after: {open_calls ^ {*given}}",
        )
        first = [block["type"] == "tool_result" for block in blocks]
        _require(first == sorted(first, reverse=True), f"{where}: tool_result blocks must come first")
        open_calls = {str(block["id"]) for block in blocks if block["type"] == "tool_use"}
    _require(not open_calls, f"messages.{len(messages) - 1}: `tool_use` without `tool_result`")


def _block(where: str, role: str, block: Mapping[str, Any]) -> None:
    kind = block.get("type")
    _require(kind in _BLOCKS[role], f"{where}: Input tag '{kind}' found using 'type' does not match any of the tags")
    match kind:
        case "text":
            _require(set(block) <= {"type", "text", "cache_control", "citations"}, f"{where}.text: Extra inputs")
            _require(block["text"].strip(), f"{where}: text content blocks must contain non-whitespace text")
        case "image":
            _source(where, block["source"], {"base64", "url", "file"})
        case "document":
            _source(where, block["source"], {"base64", "url", "file", "text", "content"})
        case "tool_use":
            _require(_TOOL_ID.fullmatch(block["id"]), f"{where}.id: String should match pattern")
            _require(isinstance(block["input"], dict), f"{where}.input: Input should be a valid dictionary")
        case "tool_result":
            _require(
                set(block) <= {"type", "tool_use_id", "content", "is_error", "cache_control"}, f"{where}: Extra inputs"
            )
        case "thinking":
            _require(block["signature"], f"{where}: Invalid `signature` in `thinking` block")


def _source(where: str, source: Mapping[str, Any], kinds: set[str]) -> None:
    _require(source.get("type") in kinds, f"{where}.source: Input tag '{source.get('type')}' is not one of {kinds}")
    if source["type"] == "base64":
        _require(set(source) == {"type", "media_type", "data"}, f"{where}.source.base64: Field required or extra")


def _tool(at: int, tool: Mapping[str, Any]) -> None:
    _require(_TOOL_NAME.fullmatch(tool["name"]), f"tools.{at}.name: String should match pattern")
    if tool.get("type") in (None, "custom"):
        _require(tool.get("input_schema", {}).get("type") == "object", f"tools.{at}.input_schema.type: Field required")


def _thinking(body: Mapping[str, Any]) -> None:
    thinking = body.get("thinking") or {}
    choice = (body.get("tool_choice") or {}).get("type")
    if thinking.get("type") == "enabled":
        budget = thinking["budget_tokens"]
        _require(budget >= _LEAST_BUDGET, "thinking.enabled.budget_tokens: should be greater than or equal to 1024")
        _require(budget < body.get("max_tokens", budget + 1), "`max_tokens` must be greater than `budget_tokens`")
    if thinking.get("type") in ("enabled", "adaptive"):
        _require(choice not in ("any", "tool"), "Thinking may not be enabled when tool_choice forces tool use.")


def _require(fulfilled: Any, message: str) -> None:
    if not fulfilled:
        raise _Wrong(message)
