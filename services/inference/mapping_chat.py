"""The typed chat and embedding messages, as OpenAI's JSON and back."""

from collections.abc import Iterable, Mapping
from typing import Any

from core.errors import InvalidInput
from core.fields import count
from core.rpc.values import json_of, struct_of
from portico.inference.v1 import inference_service_pb2 as pb
from services.inference.domain.codecs.errors import malformed
from services.inference.domain.codecs.openai.embeddings import truncated, vectors
from services.inference.domain.pipeline.answer import Chunk
from services.inference.domain.pipeline.exchange import Body
from services.inference.domain.pipeline.requests import MAX_INPUTS, MAX_MESSAGES, MAX_PARTS, MAX_STOPS, MAX_TOOLS
from services.inference.domain.usage.tokens import TokenUsage
from services.inference.mapping import usage_message

_PLAIN = ("temperature", "top_p", "max_completion_tokens", "n", "seed")
_CHOICES = ("auto", "none", "required")
_REASONING = ("reasoning_content", "reasoning")
"""DeepSeek's name for it, and vLLM's."""


def chat_body(request: pb.ChatRequest) -> Body:
    """OpenAI's chat request of a typed one. Raises InvalidInput where `extra` repeats a field, or a list holds too many
    entries."""
    count("messages", request.messages, MAX_MESSAGES)
    count("messages.parts", range(sum(len(each.parts) for each in request.messages)), MAX_PARTS)
    count("tools", request.tools, MAX_TOOLS)
    count("stop", request.stop, MAX_STOPS)
    body: Body = {"model": request.model, "messages": [_message(each) for each in request.messages]}
    body |= {name: getattr(request, name) for name in _PLAIN if request.HasField(name)}
    if request.stop:
        body["stop"] = list(request.stop)
    if request.tools:
        body["tools"] = [_tool(each) for each in request.tools]
    if choice := request.tool_choice:
        named = {"type": "function", "function": {"name": choice}}
        body["tool_choice"] = choice if choice in _CHOICES else named
    if request.HasField("response_format"):
        body["response_format"] = json_of(request.response_format, "response_format")
    if request.HasField("prompt"):
        body["prompt"] = _prompt(request.prompt)
    if request.HasField("memory"):
        body["memory"] = _memory(request.memory)
    extra = json_of(request.extra, "extra")
    if repeated := sorted(
        extra.keys() & {field.name for field in request.DESCRIPTOR.fields} | extra.keys() & {"stream"}
    ):
        raise InvalidInput(f"extra must not set {repeated[0]}.", field=f"extra.{repeated[0]}")
    return body | extra


def chat_response(body: Chunk, usage: TokenUsage) -> pb.ChatResponse:
    """The typed message of OpenAI's completion. Raises UpstreamFailed for an answer whose parts have other types than
    OpenAI's."""
    with _Typed():
        return pb.ChatResponse(
            id=body.get("id") or "",
            model=body["model"],
            created=body.get("created") or 0,
            choices=[_choice(each) for each in body["choices"]],
            usage=usage_message(usage),
        )


def stream_response(chunks: Iterable[Chunk]) -> pb.ChatStreamResponse:
    """Chunks that came together, as one message. Raises UpstreamFailed as `chat_response` does."""
    response = pb.ChatStreamResponse()
    with _Typed():
        for chunk in chunks:
            response.id, response.model, response.created = chunk["id"], chunk["model"], chunk["created"]
            response.deltas.extend(_delta(choice) for choice in chunk["choices"])
    return response


def usage_response(last: pb.ChatStreamResponse, usage: TokenUsage) -> pb.ChatStreamResponse:
    """The last message of a stream."""
    return pb.ChatStreamResponse(id=last.id, model=last.model, created=last.created, usage=usage_message(usage))


def embedding_body(request: pb.EmbedRequest) -> Body:
    """OpenAI's embedding request of a typed one. Raises InvalidInput for too many inputs."""
    count("inputs", request.inputs, MAX_INPUTS)
    body: Body = {"model": request.model, "input": list(request.inputs)}
    if request.HasField("dimensions"):
        body["dimensions"] = request.dimensions
    return body


def embed_response(answer: Chunk, usage: TokenUsage) -> pb.EmbedResponse:
    return pb.EmbedResponse(
        model=answer["model"],
        embeddings=[pb.Embedding(values=each.numbers()) for each in vectors(answer)],
        truncated=truncated(answer),
        usage=usage_message(usage),
    )


class _Typed:
    """Turns values that protobuf refuses into errors of the provider."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, TypeError | ValueError | AttributeError | KeyError | OverflowError | RecursionError):
            raise malformed() from None


def _prompt(use: pb.PromptUse) -> dict[str, Any]:
    body: dict[str, Any] = {"id": use.id, "environment": use.environment}
    if use.HasField("version"):
        body["version"] = use.version
    return {**body, "variables": json_of(use.variables, "prompt.variables")}


def _memory(use: pb.MemoryUse) -> dict[str, Any]:
    """The block with the fields that are set."""
    names = ("storeKey", "scope", "scopeId", "topK", "maxTokens")
    values = (use.store_key, use.scope, use.scope_id, use.top_k, use.max_tokens)
    body: dict[str, Any] = {name: value for name, value in zip(names, values, strict=True) if value}
    for name, field in (("minScore", "min_score"), ("recall", "recall"), ("store", "store")):
        if use.HasField(field):
            body[name] = getattr(use, field)
    return {**body, "tags": list(use.tags)} if use.tags else body


def _message(message: pb.ChatMessage) -> dict[str, Any]:
    content: Any = [_part(each) for each in message.parts] if message.parts else message.content
    if message.tool_calls and not content:
        content = None
    body: dict[str, Any] = {"role": message.role, "content": content}
    for name in ("name", "tool_call_id", "refusal", "reasoning_content"):
        if value := getattr(message, name):
            body[name] = value
    if message.tool_calls:
        body["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    return body


def _part(part: pb.ContentPart) -> dict[str, Any]:
    match part.WhichOneof("part"):
        case "text":
            return {"type": "text", "text": part.text}
        case "image_url":
            image = part.image_url
            return {"type": "image_url", "image_url": {"url": image.url, **_given(detail=image.detail)}}
        case "other":
            return json_of(part.other, "messages.parts.other")
        case _:
            raise InvalidInput("A part must hold text, image_url or other.", field="messages.parts")


def _tool(tool: pb.Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name, **_given(description=tool.description)}
    if tool.HasField("parameters"):
        function["parameters"] = json_of(tool.parameters, "tools.parameters")
    if tool.HasField("strict"):
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _choice(choice: Mapping[str, Any]) -> pb.ChatChoice:
    message = choice.get("message") or {}
    logprobs = choice.get("logprobs")
    return pb.ChatChoice(
        index=choice.get("index") or 0,
        message=pb.ChatMessage(
            role=message.get("role") or "assistant",
            tool_calls=_calls(message.get("tool_calls")),
            **_texts(message),
        ),
        finish_reason=choice.get("finish_reason") or "",
        logprobs=struct_of(logprobs) if logprobs else None,
    )


def _delta(choice: Mapping[str, Any]) -> pb.ChatDelta:
    delta, logprobs = choice["delta"], choice.get("logprobs")
    return pb.ChatDelta(
        index=choice["index"],
        role=delta.get("role") or "",
        finish_reason=choice.get("finish_reason") or "",
        tool_calls=_calls(delta.get("tool_calls")),
        logprobs=struct_of(logprobs) if logprobs else None,
        **_texts(delta),
    )


def _texts(message: Mapping[str, Any]) -> dict[str, Any]:
    """Content, reasoning and refusal of a message or delta. A content in parts is its texts."""
    content = message.get("content") or ""
    reasoning = next((text for name in _REASONING if isinstance(text := message.get(name), str) and text), "")
    if isinstance(content, list):
        thought = "".join(_part_text(part.get("thinking")) for part in content if isinstance(part, dict))
        content, reasoning = _part_text(content), reasoning or thought
    return {"content": content, "reasoning_content": reasoning, "refusal": message.get("refusal") or ""}


def _part_text(parts: object) -> str:
    """The texts of a list of parts."""
    if not isinstance(parts, list):
        return parts if isinstance(parts, str) else ""
    texts = (part.get("text") if isinstance(part, dict) else part for part in parts)
    return "".join(text for text in texts if isinstance(text, str))


def _calls(calls: Any) -> list[pb.ToolCall]:
    return [_call(at, each) for at, each in enumerate(calls or ())]


def _call(at: int, call: Mapping[str, Any]) -> pb.ToolCall:
    function = call.get("function") or {}
    return pb.ToolCall(
        id=call.get("id") or "",
        name=function.get("name") or "",
        arguments=function.get("arguments") or "",
        index=call.get("index", at),
    )


def _given(**fields: str) -> dict[str, str]:
    return {name: value for name, value in fields.items() if value}
