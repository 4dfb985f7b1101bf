"""Requests of the Messages API as canonical chat requests."""

from collections.abc import Mapping
from typing import Any

from core.fields import count
from services.inference.domain.catalogue.drivers import ANTHROPIC
from services.inference.domain.frontends.anthropic.fields import listed, optional, text, word, wrong
from services.inference.domain.frontends.anthropic.messages import Conversation
from services.inference.domain.memory.uses import FIELD as MEMORY
from services.inference.domain.pipeline.native import Native, NativeRequest
from services.inference.domain.pipeline.requests import MAX_MESSAGES, MAX_STOPS, MAX_TOOLS, PROMPT, REQUEST_ID

Body = dict[str, Any]

_TRANSLATED = frozenset(
    {"model", "messages", "max_tokens", "system", "stop_sequences", "stream", "temperature", "top_p", "tools"}
    | {"tool_choice", "metadata", "thinking", "output_config"}
)
_EXCLUSIVE = frozenset({"container", "mcp_servers"})
"""Fields that only this format has and that decide what the answer is. All other unknown ones are hints."""
_PORTICOS = (PROMPT, MEMORY, REQUEST_ID)
"""Portico's own fields, which are the same in every format and go no further."""
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
_EFFORTS = {"low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
_LONGEST_USER = 64
"""Characters: OpenAI refuses longer ids."""


def read_request(body: Body, *, counting: bool = False) -> NativeRequest:
    """The request with its canonical form. `counting`: it is to be counted only, and needs no `max_tokens`. Raises
    InvalidInput, with the field's name in this format."""
    _check(body, counting=counting)
    own = {name: body[name] for name in _PORTICOS if name in body}
    if own:
        body = {name: value for name, value in body.items() if name not in own}
    talk = Conversation(body.get("system"), body.get("messages") or ())
    canonical: Body = {"model": body["model"], "messages": talk.messages, **own}
    exclusive, hints = list(talk.exclusive), list(talk.hints)
    if (most := body.get("max_tokens")) is not None:
        canonical["max_completion_tokens"] = most
    for name, other in (("temperature", "temperature"), ("top_p", "top_p"), ("stop_sequences", "stop")):
        if (value := body.get(name)) not in (None, []):
            canonical[other] = value
    _add_tools(canonical, body, exclusive)
    _add_user(canonical, body, hints)
    _add_output(canonical, body, hints)
    if body.get("stream"):
        canonical |= {"stream": True, "stream_options": {"include_usage": True}}
    for name, value in body.items():
        if name not in _TRANSLATED and value is not None:
            (exclusive if name in _EXCLUSIVE else hints).append(name)
    return NativeRequest(ANTHROPIC, body, canonical, tuple(exclusive), tuple(dict.fromkeys(hints)))


def _check(body: Body, *, counting: bool) -> None:
    model, most = body.get("model"), body.get("max_tokens")
    if not isinstance(model, str) or not model.strip():
        raise wrong("model", "must be the key of a model")
    if not (counting and most is None) and (type(most) is not int or most < 1):
        raise wrong("max_tokens", "must be a positive integer")
    messages = body.get("messages")
    if not isinstance(messages, list | None) or (not messages and body.get(PROMPT) is None):
        raise wrong("messages", "must be a list of at least one message")
    count("messages", messages or (), MAX_MESSAGES)
    count("tools", listed(body, "tools"), MAX_TOOLS)
    count("stop_sequences", listed(body, "stop_sequences"), MAX_STOPS)
    if not isinstance(body.get("stream"), bool | None):
        raise wrong("stream", "must be true or false")
    for name in ("tool_choice", "metadata", "thinking", "output_config"):
        optional(body, name, dict, "an object")


def _add_tools(canonical: Body, body: Mapping[str, Any], exclusive: list[str]) -> None:
    tools = []
    for at, tool in enumerate(listed(body, "tools")):
        field = f"tools.{at}"
        if not isinstance(tool, dict):
            raise wrong(field, "must be an object")
        if tool.get("type") not in (None, "custom"):
            exclusive.append(field)
        tools.append(Native.of(_tool(tool, field), tool))
    if tools:
        canonical["tools"] = tools
    choice = body.get("tool_choice")
    if not choice or not tools:
        return
    kind = word(choice, "type")
    if kind == "tool":
        canonical["tool_choice"] = {"type": "function", "function": {"name": text(choice, "name", "tool_choice")}}
    elif kind in _CHOICES:
        canonical["tool_choice"] = _CHOICES[kind]
    else:
        raise wrong("tool_choice.type", "must be auto, any, tool or none")
    if choice.get("disable_parallel_tool_use"):
        canonical["parallel_tool_calls"] = False


def _tool(tool: Mapping[str, Any], field: str) -> Body:
    function: Body = {"name": text(tool, "name", field)}
    for name, other in (("description", "description"), ("input_schema", "parameters"), ("strict", "strict")):
        if (value := tool.get(name)) is not None:
            function[other] = value
    return {"type": "function", "function": function}


def _add_user(canonical: Body, body: Mapping[str, Any], hints: list[str]) -> None:
    metadata = body.get("metadata") or {}
    user = metadata.get("user_id")
    if isinstance(user, str) and 0 < len(user) <= _LONGEST_USER:
        canonical["user"] = user
    elif user is not None:
        hints.append("metadata.user_id")


def _add_output(canonical: Body, body: Mapping[str, Any], hints: list[str]) -> None:
    """The form of the answer, and the effort to think with: what the thinking's budget comes near to, else the effort
    that is asked for."""
    config, thinking = body.get("output_config") or {}, body.get("thinking") or {}
    form = config.get("format")
    if form is not None:
        if not isinstance(form, dict) or form.get("type") != "json_schema" or not isinstance(form.get("schema"), dict):
            raise wrong("output_config.format", "must be of the type json_schema and have a schema")
        named = {"name": "answer", "schema": form["schema"], "strict": True}
        canonical["response_format"] = {"type": "json_schema", "json_schema": named}
    budget = thinking.get("budget_tokens")
    if thinking.get("type") == "enabled":
        if type(budget) is not int:
            raise wrong("thinking.budget_tokens", "must be an integer")
        canonical["reasoning_effort"] = "low" if budget < 4096 else "medium" if budget < 16_384 else "high"
    elif config.get("effort") is not None:
        effort = word(config, "effort")
        if effort not in _EFFORTS:
            raise wrong("output_config.effort", f"must be one of {', '.join(_EFFORTS)}")
        if thinking.get("type") != "disabled":
            canonical["reasoning_effort"] = _EFFORTS[effort]
    elif thinking:
        hints.append("thinking")
