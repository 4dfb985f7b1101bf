"""Every caller format against every provider format: what is asked, what the provider answers, what the caller reads.

All frontends ask the same question in their own terms, and both providers give the same answer in theirs; `Read` is
what the caller got, whatever its format.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
import orjson

from portico.inference.v1 import inference_service_pb2
from tests.support import fake_anthropic, fake_provider
from tests.support.fake_provider import Behaviour, FakeProvider
from tests.support.fake_upstream import Peer
from tests.support.inference_harness import Caller, frames_of

FRONTENDS = ("openai", "anthropic", "typed")
CODECS = ("openai", "anthropic")
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
PNG = "iVBORw0KGgo="
_CALLS = (("call_1", {"city": "Rome"}), ("call_2", {"city": "Oslo"}))


@dataclass(frozen=True)
class Read:
    """The answer as a caller read it."""

    text: str = ""
    thought: str = ""
    calls: tuple[tuple[str, str, str], ...] = ()
    """Id, name and arguments."""
    finish: str = ""
    usage: tuple[int, int, int] = (0, 0, 0)
    """Tokens read, written, and of those read the cached."""
    error: str = ""
    """The gRPC status of a refusal, or `in the stream`."""


@dataclass(frozen=True)
class Answer:
    """The answer of a provider, in no format."""

    text: str = "Hello there!"
    thought: str = ""
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()
    finish: str = "stop"
    tool: str = "weather"
    """The tool that is called."""


ANSWERS: Mapping[str, Answer] = {
    "tools": Answer(text="", calls=_CALLS[:1], finish="tool_calls"),
    "parallel tools": Answer(text="Both.", calls=_CALLS, finish="tool_calls"),
    "JSON schema": Answer(text='{"city":"Rome"}'),
    "thinking": Answer(thought="Let me think."),
    "length": Answer(finish="length"),
}


# -- what the providers answer


def openai_behaviour(answer: Answer) -> Behaviour:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text or None}
    if answer.thought:
        message["reasoning_content"] = answer.thought
    calls: list[Any] = [
        {"id": id, "type": "function", "function": {"name": answer.tool, "arguments": json.dumps(given)}}
        for id, given in answer.calls
    ]
    if calls:
        message["tool_calls"] = calls
    choice = {"index": 0, "message": message, "finish_reason": answer.finish}
    whole = {**fake_provider.completion(), "choices": [choice]}
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": piece} for piece in _pieces(answer.thought)]
    deltas += [{"content": piece} for piece in _pieces(answer.text)]
    for at, call in enumerate(calls):
        function = call["function"]
        deltas.append({"tool_calls": [{**call, "index": at, "function": {**function, "arguments": ""}}]})
        deltas += [
            {"tool_calls": [{"index": at, "function": {"arguments": piece}}]}
            for piece in _pieces(function["arguments"])
        ]
    chunks = [*map(fake_provider.chunk, deltas), fake_provider.chunk({}, answer.finish)]
    chunks.append(fake_provider.chunk({}, choices=[], usage=fake_provider.USAGE))
    streamed = fake_provider.sends(*chunks, fake_provider.DONE)

    async def behave(provider: FakeProvider, peer: Peer, body: dict[str, Any]) -> None:
        if body.get("stream"):
            await streamed(provider, peer, body)
        else:
            await fake_provider.responds(json.dumps(whole).encode())(provider, peer, body)

    return behave


def anthropic_behaviour(answer: Answer) -> Behaviour:
    blocks = [fake_anthropic.thinking(answer.thought)] if answer.thought else []
    if answer.text:
        blocks.append(fake_anthropic.text(answer.text))
    blocks += [fake_anthropic.tool_use(id, answer.tool, **given) for id, given in answer.calls]
    stop = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}[answer.finish]
    usage = {"input_tokens": 7, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 0, "output_tokens": 7}
    return fake_anthropic.speaks(*blocks, stop=stop, usage=usage)


def _pieces(text: str) -> list[str]:
    return [text[at : at + 5] for at in range(0, len(text), 5)]


# -- what the callers ask


@dataclass(frozen=True)
class Asked:
    """A question in no format: the fields of OpenAI's request are those that need translation."""

    parts: tuple[str, ...] = ("text",)
    more: Mapping[str, Any] = field(default_factory=dict)
    """Fields of OpenAI's chat request."""
    messages: Mapping[str, Any] = field(default_factory=dict)
    """The same for the Messages API."""


_TOOL = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}
_FORM = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True}}
_TOOLS = Asked(more={"tools": [_TOOL]}, messages={"tools": [{"name": "weather", "input_schema": SCHEMA}]})
QUESTIONS: Mapping[str, Asked] = {
    "tools": _TOOLS,
    "parallel tools": _TOOLS,
    "image": Asked(parts=("text", "image")),
    "JSON schema": Asked(
        more={"response_format": _FORM},
        messages={"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
    ),
    "thinking": Asked(
        more={"reasoning_effort": "high"},
        messages={"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
    ),
    "stop": Asked(more={"stop": ["END"]}, messages={"stop_sequences": ["END"]}),
}


def openai_request(asked: Asked, **more: Any) -> dict[str, Any]:
    parts: list[Any] = [{"type": "text", "text": "Hi"}]
    if "image" in asked.parts:
        parts.append({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}})
    content = parts if len(parts) > 1 else "Hi"
    return {"model": "m", "messages": [{"role": "user", "content": content}], **asked.more, **more}


def anthropic_request(asked: Asked, **more: Any) -> dict[str, Any]:
    parts: list[Any] = [{"type": "text", "text": "Hi"}]
    if "image" in asked.parts:
        parts.append({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}})
    body = {"model": "m", "max_tokens": 1000, "messages": [{"role": "user", "content": parts}]}
    return {**body, **asked.messages, **more}


def typed_request(asked: Asked) -> inference_service_pb2.ChatRequest:
    request = inference_service_pb2.ChatRequest(model="m")
    message = request.messages.add(role="user")
    message.parts.add(text="Hi")
    if "image" in asked.parts:
        message.parts.add(image_url={"url": f"data:image/png;base64,{PNG}"})
    for tool in asked.more.get("tools", ()):
        request.tools.add(name=tool["function"]["name"]).parameters.update(tool["function"]["parameters"])
    if form := asked.more.get("response_format"):
        request.response_format.update(form)
    request.stop.extend(asked.more.get("stop", ()))
    if effort := asked.more.get("reasoning_effort"):
        request.extra.update({"reasoning_effort": effort})
    return request


# -- what the callers read


async def ask(caller: Caller, frontend: str, asked: Asked, *, stream: bool) -> Read:
    """The question, by a caller of this format, and what it reads."""
    ways = {"openai": _ask_openai, "anthropic": _ask_anthropic, "typed": _ask_typed}
    try:
        return await ways[frontend](caller, asked, stream)
    except grpc.aio.AioRpcError as error:
        return Read(error=error.code().name)


async def _ask_openai(caller: Caller, asked: Asked, stream: bool) -> Read:
    if not stream:
        (message,) = await caller.post_chat(openai_request(asked))
        body = orjson.loads(message.data)
        return _read_openai([body["choices"][0]["message"]], body["choices"][0]["finish_reason"], body["usage"])
    frames = frames_of(
        await caller.post_chat(openai_request(asked, stream=True, stream_options={"include_usage": True}))
    )
    if "error" in frames[-1]:
        return Read(error="in the stream")
    choices = [choice for frame in frames for choice in frame["choices"]]
    finish = "".join(choice["finish_reason"] or "" for choice in choices)
    return _read_openai([choice["delta"] for choice in choices], finish, frames[-1]["usage"])


def _read_openai(said: list[dict[str, Any]], finish: str, usage: dict[str, Any]) -> Read:
    calls: dict[int, list[str]] = {}
    for each in said:
        for at, call in enumerate(each.get("tool_calls") or ()):
            known = calls.setdefault(call.get("index", at), ["", "", ""])
            function = call["function"]
            for place, value in enumerate((call.get("id"), function.get("name"), function.get("arguments"))):
                known[place] += value or ""
    return Read(
        "".join(each.get("content") or "" for each in said),
        "".join(each.get("reasoning_content") or "" for each in said),
        tuple((id, name, _same(arguments)) for id, name, arguments in calls.values()),
        finish,
        (usage["prompt_tokens"], usage["completion_tokens"], usage["prompt_tokens_details"]["cached_tokens"]),
    )


async def _ask_anthropic(caller: Caller, asked: Asked, stream: bool) -> Read:
    messages = await caller.post_messages(anthropic_request(asked, stream=stream))
    data = b"".join(message.data for message in messages)
    if not stream:
        body = orjson.loads(data)
        return _read_blocks(body["content"], body["stop_reason"], body["usage"])
    events = [orjson.loads(frame.partition(b"\ndata: ")[2]) for frame in data.split(b"\n\n")[:-1]]
    if events[-1]["type"] == "error":
        return Read(error="in the stream")
    assert events[-1]["type"] == "message_stop"
    blocks: list[dict[str, Any]] = []
    for event in events:
        if event["type"] == "content_block_start":
            blocks.append({**event["content_block"], "json": ""})
        elif event["type"] == "content_block_delta":
            for name, value in event["delta"].items():
                place = "json" if name == "partial_json" else name
                if name != "type":
                    blocks[event["index"]][place] += value
    for block in blocks:
        if block["type"] == "tool_use":
            block["input"] = json.loads(block["json"] or "{}")
    (last,) = [event for event in events if event["type"] == "message_delta"]
    return _read_blocks(blocks, last["delta"]["stop_reason"], {**events[0]["message"]["usage"], **last["usage"]})


def _read_blocks(blocks: list[dict[str, Any]], stop: str, usage: dict[str, int]) -> Read:
    cached = usage["cache_read_input_tokens"]
    read = usage["input_tokens"] + cached + usage["cache_creation_input_tokens"]
    finish = {"end_turn": "stop", "max_tokens": "length", "tool_use": "tool_calls"}[stop]
    return Read(
        "".join(block["text"] for block in blocks if block["type"] == "text"),
        "".join(block["thinking"] for block in blocks if block["type"] == "thinking"),
        tuple(
            (block["id"], block["name"], _same(json.dumps(block["input"])))
            for block in blocks
            if block["type"] == "tool_use"
        ),
        finish,
        (read, usage["output_tokens"], cached),
    )


async def _ask_typed(caller: Caller, asked: Asked, stream: bool) -> Read:
    typed, request = caller.harness.typed, typed_request(asked)
    if not stream:
        answer = await typed.Chat(request, metadata=caller.metadata)
        choice = answer.choices[0]
        return _read_typed([choice.message], choice.finish_reason, answer.usage)
    call = typed.ChatStream(inference_service_pb2.ChatStreamRequest(chat=request), metadata=caller.metadata)
    said, finish, usage, begun = [], "", None, False
    try:
        async for each in call:
            begun = begun or bool(each.deltas)
            said += each.deltas
            finish += "".join(delta.finish_reason for delta in each.deltas)
            usage = each.usage
    except grpc.aio.AioRpcError:
        if begun:
            return Read(error="in the stream")
        raise
    return _read_typed(said, finish, usage)


def _read_typed(said: list[Any], finish: str, usage: Any) -> Read:
    calls: dict[int, list[str]] = {}
    for each in said:
        for call in each.tool_calls:
            known = calls.setdefault(call.index, ["", "", ""])
            for place, value in enumerate((call.id, call.name, call.arguments)):
                known[place] += value
    return Read(
        "".join(each.content for each in said),
        "".join(each.reasoning_content for each in said),
        tuple((id, name, _same(arguments)) for id, name, arguments in calls.values()),
        finish,
        (usage.input_tokens, usage.output_tokens, usage.cached_input_tokens),
    )


def _same(arguments: str) -> str:
    return json.dumps(json.loads(arguments))
