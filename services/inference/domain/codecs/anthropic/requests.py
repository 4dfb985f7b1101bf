"""Canonical chat requests as requests of the Messages API."""

from collections.abc import Callable, Mapping
from typing import Any

from services.inference.domain.catalogue.drivers import ANTHROPIC
from services.inference.domain.codecs.anthropic.abilities import has_output_format, thinks_adaptively
from services.inference.domain.codecs.anthropic.content import unsupported, wrong
from services.inference.domain.codecs.anthropic.tools import called_tools, choice_of, tools_of
from services.inference.domain.codecs.anthropic.turns import Turns
from services.inference.domain.codecs.codec import TargetModel
from services.inference.domain.codecs.openai.shaping import shaped
from services.inference.domain.pipeline.exchange import Exchange
from services.inference.domain.pipeline.native import NativeRequest

Body = dict[str, Any]

DEFAULT_MAX_TOKENS = 16_384
"""Default where neither the request nor the model's defaults say: the API wants a number."""
JSON_TOOL = "json_answer"
"""The tool that a model must call where it is to answer in JSON and the API has no other way to ask for it."""

_LEAST_BUDGET = 1024
_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16_000, "xhigh": 24_000, "max": 32_000}
"""Tokens to think with, for models that take a budget."""
_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}
_TIERS = {"auto": "auto", "default": "standard_only"}

_OWN = frozenset(
    {"top_k", "thinking", "output_config", "cache_control", "container", "mcp_servers", "context_management"}
    | {"inference_geo", "speed", "diagnostics"}
)
"""Fields of the API that OpenAI's lacks, for callers that know what is behind the model."""
_SENT = frozenset(
    {"model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "stop", "temperature"}
    | {"top_p", "tools", "tool_choice", "parallel_tool_calls", "response_format", "reasoning_effort"}
    | {"user", "safety_identifier", "service_tier"}
)
"""Fields that are translated."""

_REFUSED: dict[str, Callable[[Any], bool]] = {
    "n": lambda value: value == 1,
    "logprobs": lambda value: not value,
    "top_logprobs": lambda value: not value,
    "logit_bias": lambda value: not value,
    "modalities": lambda value: value == ["text"],
    "audio": lambda value: not value,
    "functions": lambda value: not value,
    "function_call": lambda value: not value,
    "web_search_options": lambda value: value is None,
}
"""Fields without which the answer would be another, and which of their values say nothing. All others that the API
lacks are dropped."""

_CANONICAL = {
    "max_tokens": ("max_completion_tokens",),
    "stop_sequences": ("stop",),
    "temperature": ("temperature",),
    "top_p": ("top_p",),
    "tool_choice": ("tool_choice", "parallel_tool_calls"),
    "thinking": ("reasoning_effort", "tool_choice"),
    "output_config": ("response_format", "reasoning_effort"),
    "metadata": ("user",),
}
"""Fields of a request that came in this format, and where the canonical form has them."""
_REBUILT = frozenset({"model", "messages", "system", "tools", "stream"})


def request_of(exchange: Exchange, model: TargetModel) -> tuple[Body, tuple[str, ...]]:
    """The request for the model, and the fields that were left out. Raises InvalidInput for what cannot be left out."""
    canonical, dropped = shaped(exchange.request, model)
    if model.whole_with_tools and canonical.get("tools"):
        canonical["stream"] = False
    left = [*dropped, *_unknown(canonical, model)]
    turns = Turns(canonical["messages"])
    left += dict.fromkeys(turns.dropped)
    body: Body = {"model": canonical["model"], "max_tokens": _max_tokens(exchange.request, canonical)}
    if turns.system:
        body["system"] = turns.system
    body["messages"] = turns.turns
    native = exchange.native if speaks_native(exchange) else None
    _add_tools(body, canonical, turns if native is None else None)
    _add_sampling(body, canonical, left)
    if native is None:
        _add_format(body, canonical, model)
    if native is None or not native.body.keys() & {"thinking", "output_config"}:
        _add_thinking(body, canonical, turns, model, left)
    body |= {name: canonical[name] for name in _OWN if canonical.get(name) is not None}
    body |= {name: value for name, value in model.extra.items() if name not in _SENT}
    if native is not None:
        _restore(body, canonical, native, model)
    if canonical.get("stream"):
        body["stream"] = True
    return body, tuple(dict.fromkeys(left))


def speaks_native(exchange: Exchange) -> bool:
    """Return whether the caller speaks this format too."""
    return exchange.native is not None and exchange.native.format == ANTHROPIC


def wants_json_tool(exchange: Exchange, model: TargetModel) -> bool:
    """Return whether `request_of` makes the model answer through JSON_TOOL."""
    wanted = exchange.request.get("response_format") or dict(model.defaults).get("response_format") or {}
    if "response_format" in model.unsupported or not isinstance(wanted, dict) or speaks_native(exchange):
        return False
    kind = wanted.get("type")
    return kind == "json_object" or (kind == "json_schema" and not has_output_format(model.model_id))


def _unknown(canonical: Mapping[str, Any], model: TargetModel) -> list[str]:
    """Fields that the API lacks and that can be left out. Raises InvalidInput for one that cannot."""
    left = []
    for name, value in canonical.items():
        if name in _SENT or name in _OWN or name in model.extra or value is None:
            continue
        if (means_nothing := _REFUSED.get(name)) is None:
            left.append(name)
        elif not means_nothing(value):
            raise unsupported(name, "it has nothing like it")
    return left


def _max_tokens(request: Mapping[str, Any], canonical: Mapping[str, Any]) -> Any:
    """The caller's own number, whatever the model's default for the other of its two names."""
    for each in (request, canonical):
        for name in ("max_completion_tokens", "max_tokens"):
            if (value := each.get(name)) is not None and name in canonical:
                return value
    return DEFAULT_MAX_TOKENS


def _add_tools(body: Body, canonical: Mapping[str, Any], turns: Turns | None) -> None:
    """Add the tools and their choice; with `turns` also those that only the conversation shows."""
    if tools := tools_of(canonical.get("tools") or ()):
        choice, tools = choice_of(canonical, tools)
        body["tools"] = tools
        if choice is not None:
            body["tool_choice"] = choice
    elif turns is not None and turns.called:
        body["tools"] = called_tools(turns.called)
        body["tool_choice"] = {"type": "none"}


def _add_sampling(body: Body, canonical: Mapping[str, Any], left: list[str]) -> None:
    for name in ("temperature", "top_p"):
        if (value := canonical.get(name)) is not None:
            body[name] = value
    stop = canonical.get("stop")
    if stops := [stop] if isinstance(stop, str) else stop:
        body["stop_sequences"] = stops
    user = canonical.get("safety_identifier") or canonical.get("user")
    if user is not None:
        body["metadata"] = {"user_id": user}
    tier = canonical.get("service_tier")
    if isinstance(tier, str) and tier in _TIERS:
        body["service_tier"] = _TIERS[tier]
    elif tier is not None:
        left.append("service_tier")


def _add_format(body: Body, canonical: Mapping[str, Any], model: TargetModel) -> None:
    """Ask for the answer's form: through the API's own output format, else through a tool that must be called."""
    wanted = canonical.get("response_format")
    if wanted is None:
        return
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind == "text":
        return
    if kind not in ("json_object", "json_schema"):
        raise wrong("response_format.type", "must be text, json_object or json_schema")
    schema: Any = {"type": "object"}
    if kind == "json_schema":
        asked = wanted.get("json_schema")
        schema = asked.get("schema") if isinstance(asked, dict) else None
        if not isinstance(schema, dict):
            raise wrong("response_format.json_schema.schema", "must be a JSON schema")
        if has_output_format(model.model_id):
            body["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
            return
    if canonical.get("tools"):
        raise unsupported("response_format", "this model answers in JSON or calls tools, not both")
    said = "Call this tool with your answer."
    body["tools"] = [*body.get("tools", ()), {"name": JSON_TOOL, "description": said, "input_schema": schema}]
    body["tool_choice"] = {"type": "tool", "name": JSON_TOOL}


def _add_thinking(body: Body, canonical: Mapping[str, Any], turns: Turns, model: TargetModel, left: list[str]) -> None:
    """Ask for as much thinking as `reasoning_effort` says. It is left out where the API would refuse the request for
    it: beside a forced tool, with too few tokens, or within a call of tools that was begun without it."""
    effort = canonical.get("reasoning_effort")
    if effort is None or canonical.get("thinking") is not None:
        return
    adaptive = thinks_adaptively(model.model_id)
    if effort == "none":
        if adaptive:
            body["thinking"] = {"type": "disabled"}
        return
    if not isinstance(effort, str) or effort not in _BUDGETS:
        raise wrong("reasoning_effort", f"must be none or one of {', '.join(_BUDGETS)}")
    forced = body.get("tool_choice", {}).get("type") in ("any", "tool")
    if adaptive:
        body["output_config"] = {**body.get("output_config", {}), "effort": _EFFORTS[effort]}
        if not forced:
            body["thinking"] = {"type": "adaptive", "display": "summarized"}
        return
    most = body["max_tokens"]
    budget = min(_BUDGETS[effort], most // 2 if type(most) is int else 0)
    if forced or budget < _LEAST_BUDGET or turns.open_call_without_thinking():
        left.append("reasoning_effort")
    else:
        body["thinking"] = {"type": "enabled", "budget_tokens": budget}


def _restore(body: Body, canonical: Mapping[str, Any], native: NativeRequest, model: TargetModel) -> None:
    """Put back what the caller said in this very format, where no step and no setting of the model has changed it."""
    for name, value in native.body.items():
        if name in _REBUILT or name in model.unsupported or name in model.extra:
            continue
        sources = _CANONICAL.get(name, ())
        if all(canonical.get(source) == native.canonical.get(source) for source in sources):
            body[name] = value
