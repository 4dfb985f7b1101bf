"""Canonical tools, and the choice of them, in the terms of the Messages API."""

from collections.abc import Iterable, Mapping
from typing import Any

from services.inference.domain.codecs.anthropic.content import unsupported, wrong
from services.inference.domain.pipeline.native import native_of

_CHOICES = {"auto": "auto", "none": "none", "required": "any"}
_ANYTHING: dict[str, Any] = {"type": "object", "properties": {}}
Tool = dict[str, Any]


def tools_of(tools: Iterable[Any]) -> list[Tool]:
    """The API's tools. Raises InvalidInput for one that is no function."""
    return [_tool(each, f"tools[{at}]") for at, each in enumerate(tools)]


def called_tools(names: Iterable[str]) -> list[Tool]:
    """Tools for a conversation that has calls of them and a request that names none: the API wants to know them."""
    return [{"name": name, "input_schema": _ANYTHING} for name in dict.fromkeys(names)]


def choice_of(request: Mapping[str, Any], tools: list[Tool]) -> tuple[dict[str, Any] | None, list[Tool]]:
    """The API's `tool_choice`, None for its default, and the tools that may be chosen. Raises InvalidInput."""
    choice, made = request.get("tool_choice"), dict[str, Any]()
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        allowed = choice.get("allowed_tools", choice)
        named = allowed.get("tools") if isinstance(allowed, dict) else None
        if not isinstance(named, list):
            raise wrong("tool_choice.allowed_tools.tools", "must be a list of functions")
        names = [_name(each) for each in named]
        tools = [tool for tool in tools if tool.get("name") in names]
        choice = allowed.get("mode")
    if isinstance(choice, dict):
        name = _name(choice)
        if choice.get("type") != "function" or not isinstance(name, str):
            raise unsupported("tool_choice", "only functions can be chosen")
        made = {"type": "tool", "name": name}
    elif choice is not None:
        if not isinstance(choice, str) or choice not in _CHOICES:
            raise wrong("tool_choice", "must be auto, none, required or a function")
        made = {"type": _CHOICES[choice]}
    if request.get("parallel_tool_calls") is False and made.get("type") != "none":
        made = {"type": "auto", **made, "disable_parallel_tool_use": True}
    return made or None, tools


def _tool(tool: Any, field: str) -> Tool:
    if (native := native_of(tool)) is not None:
        return native
    function = tool.get("function") if isinstance(tool, dict) else None
    if not isinstance(function, dict) or tool.get("type", "function") != "function":
        raise unsupported(field, "only functions are tools there")
    if not isinstance(name := function.get("name"), str):
        raise wrong(f"{field}.function.name", "must be a string")
    made: Tool = {"name": name, "input_schema": _schema(function.get("parameters"), f"{field}.function.parameters")}
    if description := function.get("description"):
        made["description"] = description
    if function.get("strict"):
        made["strict"] = True
    if mark := tool.get("cache_control") or function.get("cache_control"):
        made["cache_control"] = mark
    return made


def _schema(parameters: Any, field: str) -> dict[str, Any]:
    if parameters is None:
        return _ANYTHING
    if not isinstance(parameters, dict):
        raise wrong(field, "must be a JSON schema")
    return parameters if "type" in parameters else {**parameters, "type": "object"}


def _name(choice: Any) -> Any:
    function = choice.get("function") if isinstance(choice, dict) else None
    return function.get("name") if isinstance(function, dict) else None
