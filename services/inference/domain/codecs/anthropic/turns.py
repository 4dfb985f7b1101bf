"""Canonical messages as the system prompt and the turns of the Messages API.

System messages go to the front, whatever stood before them: the API has one system prompt. Tool results belong to the
user's turn, at its beginning. Neighbours of one role become one turn.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from services.inference.domain.codecs.anthropic import reasoning
from services.inference.domain.codecs.anthropic.content import Block, blocks_of, texts_of, unsupported, wrong
from services.inference.domain.json_values import UNREADABLE, decode
from services.inference.domain.pipeline.native import native_of

_NOT_OF_IDS = re.compile(r"[^a-zA-Z0-9_-]")


class Turns:
    """The messages, taken over one by one. Raises InvalidInput for what the API cannot take."""

    def __init__(self, messages: Sequence[Mapping[str, Any]]) -> None:
        self.system: list[Block] = []
        self.turns: list[dict[str, Any]] = []
        self.called: list[str] = []
        """Names of the tools that the assistant has called."""
        self.dropped: list[str] = []
        for at, message in enumerate(messages):
            self._add(message, f"messages[{at}]")

    def open_call_without_thinking(self) -> bool:
        """Return whether the last of the assistant's turns calls tools and does not begin with its thinking."""
        last = next((turn["content"] for turn in reversed(self.turns) if turn["role"] == "assistant"), None)
        if not isinstance(last, list) or not any(block.get("type") == "tool_use" for block in last):
            return False
        return last[0].get("type") not in ("thinking", "redacted_thinking")

    def _add(self, message: Mapping[str, Any], field: str) -> None:
        role = message["role"]
        native = native_of(message)
        if native is not None and role != "tool":
            self._add_native(message, native)
            return
        content = message.get("content")
        if message.get("name") and role != "tool":
            self.dropped.append("messages.name")
        match role:
            case "system" | "developer":
                self.system += _marked(texts_of(content, f"{field}.content"), message)
            case "user":
                self._extend("user", _marked(blocks_of(content, f"{field}.content"), message) or content)
            case "assistant":
                self._extend("assistant", _marked(self._said(message, field), message) or content)
            case "tool":
                self._extend("user", [self._result(message, field) if native is None else native])
            case _:
                raise unsupported(f"{field}.role", f"it has no role {role:.64}")

    def _add_native(self, message: Mapping[str, Any], native: Any) -> None:
        """Add what the caller sent in this format: a message, or else the system prompt."""
        if message["role"] == "system" and not (isinstance(native, dict) and "role" in native):
            self.system += _as_blocks(native)
        elif native["role"] == "user" and self.turns and self.turns[-1]["role"] == "user":
            self._extend("user", _as_blocks(native["content"]))  # the rest of a turn that began with tools' results
        else:
            self.turns.append(native)
            self.called += [each["function"]["name"] for each in message.get("tool_calls") or ()]

    def _extend(self, role: str, content: Any) -> None:
        """Add blocks to the turn of the role. Content without any is left for the API to judge."""
        if not isinstance(content, list):
            self.turns.append({"role": role, "content": content or ""})
            return
        last = self.turns[-1] if self.turns else None
        if last is not None and last["role"] == role:
            self.turns[-1] = {**last, "content": [*_as_blocks(last["content"]), *content]}
        else:
            self.turns.append({"role": role, "content": content})

    def _said(self, message: Mapping[str, Any], field: str) -> list[Block]:
        if message.get("audio") is not None:
            raise unsupported(f"{field}.audio", "it does not know audio")
        if message.get("function_call"):
            raise unsupported(f"{field}.function_call", "send tool_calls instead")
        blocks = [*reasoning.blocks(message), *texts_of(message.get("content"), f"{field}.content")]
        if isinstance(refusal := message.get("refusal"), str):
            blocks += blocks_of(refusal, field)
        calls = message.get("tool_calls") or ()
        if not isinstance(calls, list | tuple):
            raise wrong(f"{field}.tool_calls", "must be a list")
        return blocks + [self._call(call, f"{field}.tool_calls[{at}]") for at, call in enumerate(calls)]

    def _call(self, call: Any, field: str) -> Block:
        if (native := native_of(call)) is not None:
            self.called.append(native["name"])
            return native
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(call.get("id"), str):
            raise unsupported(field, "a call needs an id and a function")
        name = function.get("name")
        if not isinstance(name, str):
            raise wrong(f"{field}.function.name", "must be a string")
        self.called.append(name)
        arguments = _object(function.get("arguments"), f"{field}.function.arguments")
        return {"type": "tool_use", "id": tool_id(call["id"]), "name": name, "input": arguments}

    def _result(self, message: Mapping[str, Any], field: str) -> Block:
        id = message.get("tool_call_id")
        if not isinstance(id, str):
            raise wrong(f"{field}.tool_call_id", "must be the id of a tool call")
        block: Block = {"type": "tool_result", "tool_use_id": tool_id(id)}
        content = message.get("content")
        if found := content if isinstance(content, str) else blocks_of(content, f"{field}.content"):
            block["content"] = found
        if mark := message.get("cache_control"):
            block["cache_control"] = mark
        return block


def tool_id(id: str) -> str:
    """The id with those characters only that the API takes, the same for a call and its result."""
    return _NOT_OF_IDS.sub("_", id) or "_"


def _marked(blocks: list[Block], message: Mapping[str, Any]) -> list[Block]:
    """The blocks with the message's own `cache_control` at the last one."""
    if blocks and (mark := message.get("cache_control")):
        blocks[-1] = {**blocks[-1], "cache_control": mark}
    return blocks


def _as_blocks(content: Any) -> list[Block]:
    if isinstance(content, list):
        return content
    return [{"type": "text", "text": content}] if content else []


def _object(arguments: Any, field: str) -> Any:
    if isinstance(arguments, dict):
        return arguments
    try:
        value = decode(arguments) if isinstance(arguments, str) and arguments.strip() else {}
    except UNREADABLE:
        value = None
    if not isinstance(value, dict):
        raise wrong(field, "must be a JSON object")
    return value
