"""The content of a span as sections: messages, tool calls and results, definitions of tools. Pure.

Made when somebody looks at an event, from the attributes that were kept: so a convention that is understood later is
understood for what was stored before, too.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from services.tracing.domain.otlp.spans import Attributes

Section = dict[str, Any]

REDACTED = "__REDACTED__"
"""The mark of OpenInference in place of a content that it must not send."""
_INDEXED = re.compile(r"(?P<at>\d+)\.(?P<rest>.+)")
_INPUT, _OUTPUT = "input", "output"


def sections(attributes: Attributes, events: Iterable[Mapping[str, Any]]) -> list[Section]:
    """All sections that the attributes and events of a span tell of, by the first convention that it follows; none
    where it follows none."""
    own = _json(attributes.get("cognipeer.sections"))
    if isinstance(own, list) and own:
        return [each for each in own if isinstance(each, dict)]
    found = (
        _openinference(attributes)
        or _gen_ai(attributes)
        or _gen_ai_events(events)
        or _indexed_prompts(attributes)
        or _tool(attributes)
        or _plain(attributes)
    )
    return [*found, *_documents(attributes), *_tool_menu(attributes), *_response_format(attributes)]


def _message(role: str, content: Any, label: str, **more: Any) -> list[Section]:
    text = content if isinstance(content, str) else _text_of_parts(content)
    if not text or text == REDACTED:
        return []
    return [{"kind": "message", "label": label, "role": role, "content": text, **more}]


def _call(id: Any, name: Any, arguments: Any) -> Section:
    section = {"kind": "tool_call", "tool": name or "", "arguments": _json(arguments)}
    return {**section, "id": id} if id else section


def _result(id: Any, name: Any, result: Any) -> Section:
    section = {"kind": "tool_result", "result": _json(result)}
    return {**section, **({"id": id} if id else {}), **({"tool": name} if name else {})}


def _text_of_parts(content: Any) -> str:
    """The text of a content in parts; of parts that are none, their JSON."""
    if content is None:
        return ""
    if isinstance(content, list):
        texts = [each.get("text", each.get("content")) if isinstance(each, dict) else each for each in content]
        plain = [text for text in texts if isinstance(text, str)]
        if len(plain) == len(texts):
            return "\n".join(plain)
    return orjson.dumps(content).decode()


def _json(value: Any) -> Any:
    """The value of a JSON text; anything else, and what is no JSON, as it is."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    return value


def _tree(attributes: Attributes, prefix: str) -> list[dict[str, Any]]:
    """Attributes such as `prefix.0.name` as a list of objects, in order of their numbers."""
    items: dict[int, dict[str, Any]] = {}
    for name, value in attributes.items():
        if name.startswith(prefix) and (found := _INDEXED.fullmatch(name, len(prefix))):
            items.setdefault(int(found["at"]), {})[found["rest"]] = value
    return [items[at] for at in sorted(items)]


def _openinference(attributes: Attributes) -> list[Section]:
    """llm.input_messages.N.message.* and llm.output_messages.N.message.*, with tool calls nested."""
    found: list[Section] = []
    for label, prefix in ((_INPUT, "llm.input_messages."), (_OUTPUT, "llm.output_messages.")):
        for each in _tree(attributes, prefix):
            message = {name.removeprefix("message."): value for name, value in each.items()}
            role = str(message.get("role", ""))
            content = message.get("content")
            if content is None:
                parts = _tree(message, "contents.")
                texts = [part.get("message_content.text") for part in parts]
                content = "\n".join(text for text in texts if isinstance(text, str))
            if role == "tool" or message.get("tool_call_id"):
                found.append(_result(message.get("tool_call_id"), message.get("name"), content))
            else:
                found += _message(role, content, label)
            for call in _tree(message, "tool_calls."):
                function = "tool_call.function."
                arguments = call.get(f"{function}arguments")
                found.append(_call(call.get("tool_call.id"), call.get(f"{function}name"), arguments))
    return found


def _gen_ai(attributes: Attributes) -> list[Section]:
    """gen_ai.system_instructions, gen_ai.input.messages and gen_ai.output.messages, as JSON or as structures."""
    found: list[Section] = []
    instructions = _json(attributes.get("gen_ai.system_instructions"))
    if instructions:
        found += _message("system", instructions, _INPUT)
    for label, name in ((_INPUT, "gen_ai.input.messages"), (_OUTPUT, "gen_ai.output.messages")):
        messages = _json(attributes.get(name))
        for message in messages if isinstance(messages, list) else []:
            if isinstance(message, dict):
                found += _parts(message, label)
    return found


def _parts(message: Mapping[str, Any], label: str) -> list[Section]:
    role, parts = str(message.get("role", "")), _json(message.get("parts", message.get("content")))
    if not isinstance(parts, list):
        return _message(role, parts, label)
    found: list[Section] = []
    for part in parts:
        if not isinstance(part, dict):
            found += _message(role, part, label)
            continue
        match part.get("type"):
            case "tool_call":
                found.append(_call(part.get("id"), part.get("name"), part.get("arguments")))
            case "tool_call_response":
                result = part.get("response", part.get("result"))
                found.append(_result(part.get("id"), part.get("name"), result))
            case "reasoning" | "refusal" as type_:
                found += _message(role, part.get("content"), label, type=type_)
            case _:
                found += _message(role, part.get("content", part.get("text")), label)
    return found


def _gen_ai_events(events: Iterable[Mapping[str, Any]]) -> list[Section]:
    """Messages as events of the span, as earlier versions of the conventions have them."""
    found: list[Section] = []
    for event in events:
        name, attributes = str(event.get("name", "")), event.get("attributes") or {}
        if name == "gen_ai.client.inference.operation.details":
            found += _gen_ai(attributes)
        elif name == "gen_ai.choice":
            message = _json(attributes.get("message"))
            message = message if isinstance(message, dict) else attributes
            found += _chat_message({"role": "assistant", **message}, _OUTPUT)
        elif name.startswith("gen_ai.") and name.endswith(".message"):
            role = name.removeprefix("gen_ai.").removesuffix(".message")
            found += _chat_message({"role": role, **attributes}, _INPUT)
        elif name in ("gen_ai.content.prompt", "gen_ai.content.completion"):
            label = _INPUT if name.endswith("prompt") else _OUTPUT
            text = attributes.get("gen_ai.prompt", attributes.get("gen_ai.completion"))
            found += _message("user" if label == _INPUT else "assistant", text, label)
    return found


def _chat_message(message: Mapping[str, Any], label: str) -> list[Section]:
    """A message in OpenAI's shape."""
    role = str(message.get("role", ""))
    if role == "tool":
        return [_result(message.get("id") or message.get("tool_call_id"), message.get("name"), message.get("content"))]
    found = _message(role, _json(message.get("content")), label)
    calls = _json(message.get("tool_calls"))
    for call in calls if isinstance(calls, list) else []:
        function = call.get("function", {}) if isinstance(call, dict) else {}
        if isinstance(function, dict) and function:
            found.append(_call(call.get("id"), function.get("name"), function.get("arguments")))
    return found


def _indexed_prompts(attributes: Attributes) -> list[Section]:
    """gen_ai.prompt.N.* and gen_ai.completion.N.*, which Traceloop's instrumentations wrote."""
    found: list[Section] = []
    for label, prefix in ((_INPUT, "gen_ai.prompt."), (_OUTPUT, "gen_ai.completion.")):
        for message in _tree(attributes, prefix):
            role = str(message.get("role", "user" if label == _INPUT else "assistant"))
            if role == "tool" or message.get("tool_call_id"):
                found.append(_result(message.get("tool_call_id"), message.get("name"), message.get("content")))
            else:
                found += _message(role, _json(message.get("content")), label)
            for call in _tree(message, "tool_calls."):
                found.append(_call(call.get("id"), call.get("name"), call.get("arguments")))
    return found


_TOOL_INPUTS = (
    "gen_ai.tool.call.arguments", "tool.parameters", "input.value", "traceloop.entity.input", "input",
)  # fmt: skip
_TOOL_OUTPUTS = ("gen_ai.tool.call.result", "output.value", "traceloop.entity.output", "output")
_TOOL_MARKS = ("gen_ai.tool.name", "tool.name", "cognipeer.tool.execution_id")


def _tool(attributes: Attributes) -> list[Section]:
    """The call of a tool, with what it was given and what it gave."""
    kinds = (attributes.get("openinference.span.kind"), attributes.get("traceloop.span.kind"))
    name = next((attributes[mark] for mark in _TOOL_MARKS[:2] if attributes.get(mark)), "")
    if not name and not any(str(kind).lower() == "tool" for kind in kinds):
        return []
    name = name or attributes.get("traceloop.entity.name", "")
    id = attributes.get("gen_ai.tool.call.id", attributes.get("cognipeer.tool.execution_id"))
    given, gave = _first(attributes, _TOOL_INPUTS), _first(attributes, _TOOL_OUTPUTS)
    found = [_call(id, name, given)] if given is not None or gave is not None else []
    return [*found, _result(id, name, gave)] if gave is not None else found


def _plain(attributes: Attributes) -> list[Section]:
    """Input and output of whatever a span frames."""
    names = (("user", _INPUT, ("input", "input.value", "traceloop.entity.input", "gen_ai.prompt")),)
    outputs = (("assistant", _OUTPUT, ("output", "output.value", "traceloop.entity.output", "gen_ai.completion")),)
    found: list[Section] = []
    for role, label, of in (*names, *outputs):
        found += _message(role, _first(attributes, of), label)
    return found


def _documents(attributes: Attributes) -> list[Section]:
    """The documents that a retrieval found."""
    items = [
        {name.removeprefix("document."): value for name, value in each.items()}
        for each in _tree(attributes, "retrieval.documents.") or _tree(attributes, "reranker.output_documents.")
    ]
    return [{"kind": "data", "label": "documents", "items": items}] if items else []


def _tool_menu(attributes: Attributes) -> list[Section]:
    """The tools that a model was offered."""
    tools: list[Any] = [_json(each.get("tool.json_schema")) for each in _tree(attributes, "llm.tools.")]
    for prefix in ("llm.request.functions.", "gen_ai.request.functions."):
        tools = tools or [
            {name: _json(each[name]) for name in ("name", "description", "parameters") if name in each}
            for each in _tree(attributes, prefix)
        ]
    if not tools:
        given = _json(_first(attributes, ("gen_ai.tool.definitions", "gen_ai.request.tools", "llm.request.tools")))
        tools = given if isinstance(given, list) else []
    bare = [each.get("function", each) for each in tools if isinstance(each, dict)]
    return [{"kind": "tool_definitions", "tools": bare}] if bare else []


def _response_format(attributes: Attributes) -> list[Section]:
    formats = ("cognipeer.response_format", "gen_ai.request.response_format", "llm.request.response_format")
    given = _json(_first(attributes, formats))
    if given is None:
        parameters = _json(attributes.get("llm.invocation_parameters"))
        given = parameters.get("response_format") if isinstance(parameters, dict) else None
    if given is None and attributes.get("gen_ai.output.type") == "json":
        schema = _json(_first(attributes, ("gen_ai.request.structured_output_schema",)))
        given = {"type": "json", **({"schema": schema} if schema is not None else {})}
    return [] if given is None else [{"kind": "response_format", "format": given}]


def _first(attributes: Attributes, names: Iterable[str]) -> Any:
    return next((attributes[name] for name in names if attributes.get(name) not in (None, "", REDACTED)), None)
