"""Attacks on inference."""

import json
from collections.abc import Iterator
from functools import cache, partial
from typing import Any

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.struct_pb2 import Struct

from portico.inference.v1 import inference_service_pb2 as chat_pb
from portico.inference.v1 import model_service_pb2 as model_pb
from portico.inference.v1 import openai_service_pb2 as openai_pb
from portico.inference.v1 import provider_service_pb2 as provider_pb
from tests.load.attacks.attack import MIB, Attack
from tests.load.attacks.calls import Call, call, calling
from tests.load.attacks.raw_grpc import REFLECTION, by_http1, hang, send
from tests.support.http2_client import frame
from tests.support.large_requests import json_list, json_object, members

_MODELS = 300
_CREATE_MODEL = "inference.v1.ModelService/CreateModel"


def chat(messages: bytes = b'[{"role":"user","content":"hi"}]', **fields: bytes) -> Call:
    given = {"model": b'"echo"', "messages": messages, **fields}
    body = b"{" + b",".join(b'"%b":%b' % (name.encode(), value) for name, value in given.items()) + b"}"
    request = openai_pb.CreateChatCompletionRequest(body=HttpBody(content_type="application/json", data=body))
    return call("inference.v1.OpenAIService/CreateChatCompletion", request)


def said(text: bytes) -> bytes:
    return b'[{"role":"user","content":"%b"}]' % text


def embed(body: bytes) -> Call:
    request = openai_pb.CreateEmbeddingRequest(body=HttpBody(content_type="application/json", data=body))
    return call("inference.v1.OpenAIService/CreateEmbedding", request)


def typed_chat(count: int, **more: Any) -> Call:
    request = chat_pb.ChatRequest(model="echo", **more)
    return call("inference.v1.InferenceService/Chat", request, chat_pb.ChatRequest(messages=[{}]), count)


def model(**more: Any) -> Call:
    fields = {"name": "m", "category": "llm", "provider_key": "echo", "model_id": "m"}
    return call(_CREATE_MODEL, model_pb.CreateModelRequest(**{**fields, **more}))


def model_of_many_names() -> Call:
    settings = model_pb.ModelSettings(unsupported_params=[""])
    return model(settings=model_pb.ModelSettings.FromString(settings.SerializeToString() * (15 * MIB)))


def deep_schema() -> bytes:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(4):
        schema = {"type": "object", "required": ["a"] * 30, "properties": {"a": schema}}
    return json.dumps({"type": "json_schema", "json_schema": {"schema": schema}}).encode()


def large_models() -> Iterator[Call]:
    """For pages of them."""
    dense = Struct()
    dense.update({"a": [1] * 8000})
    settings = model_pb.ModelSettings(extra_body=dense, request_defaults=dense)
    for number in range(_MODELS):
        yield model(key=f"dense-{number}", metadata=dense, settings=settings)


CHAT = "/portico.inference.v1.InferenceService/Chat"
OPENAI_CHAT = "/portico.inference.v1.OpenAIService/CreateChatCompletion"


@cache
def empty_messages() -> bytes:
    """A typed chat of 16 MiB."""
    return frame(b"\x12\x00" * (8 * MIB))


@cache
def empty_attachments() -> bytes:
    """A chat as the edge sends it, with 16 MiB of empty extensions of its body."""
    return b"\x0a\x80\x80\x80\x08" + b"\x1a\x00" * (8 * MIB)


@cache
def unfinished() -> bytes:
    return frame(bytes(31 * MIB), size=32 * MIB)


LARGE = [
    *(
        Attack("inference", f"empty messages {how} the scope{by}", strike, workers=12, known=True)
        for how, who in (("without", "stranger"), ("with", "insider"))
        for by, strike in (
            ("", send(CHAT, "inference", empty_messages, who=who)),
            (", by HTTP/1.1", by_http1(OPENAI_CHAT, "inference_http1", empty_attachments, who=who)),
        )
    ),
    Attack("inference", "31 MiB to reflection", send(REFLECTION, "inference", lambda: frame(bytes(31 * MIB))), 12),
]
"""Large requests, which end by themselves."""
UNFINISHED = [
    Attack("inference", "31 of 32 MiB", send(CHAT, "inference", unfinished, who="insider", hold=8), 12, known=True),
]
"""Requests that never end."""
_inference = partial(calling, "inference")

ATTACKS = [
    *LARGE,
    *UNFINISHED,
    Attack(
        "inference",
        "chats that wait",
        hang(CHAT, "inference", lambda: unfinished()[:65_000], 400, who="insider"),
        workers=8,
    ),
    _inference(
        "echo: 16 Ki words, n 16, streamed",
        lambda: chat(said(b"word " * 16384), n=b"16", stream=b"true"),
        known=True,
    ),
    _inference("echo: 2 Mi words, streamed", lambda: chat(said(b"w " * (2 * MIB)), stream=b"true")),
    _inference("echo: 64 Ki words, streamed", lambda: chat(said(b"w " * 65_500), stream=b"true")),
    _inference(
        "echo: embeddings 2048 x 4096",
        lambda: embed(b'{"model":"echo-embedding","dimensions":4096,"input":%b}' % json_list(b'"a b"', 2048)),
        known=True,
    ),
    _inference(
        "echo: embeddings 2048 x 256",
        lambda: embed(b'{"model":"echo-embedding","input":%b}' % json_list(b'"a b"', 2048)),
    ),
    _inference(
        "echo: embedding of 16 Mi words",
        lambda: embed(b'{"model":"echo-embedding","input":"%b"}' % (b"a," * (8 * MIB))),
    ),
    _inference("echo: 64 Ki stops in 1 MiB", lambda: chat(said(b"ab" * (MIB // 2)), stop=json_list(b'"ac"', 65536))),
    _inference("echo: a schema that requires one member 30 times", lambda: chat(response_format=deep_schema())),
    _inference(
        "chat: 2 million messages (25 MiB)",
        lambda: chat(json_list(b'{"role":"u"}', 2_000_000)),
        known=True,
    ),
    _inference("chat: 10,000 messages", lambda: chat(json_list(b'{"role":"user","content":"hi"}', 10_000))),
    _inference("chat: 1.5 million members (24 MiB)", lambda: chat(metadata=json_object(1_500_000))),
    _inference("chat: 10 million empty lists (29 MiB)", lambda: chat(metadata=json_list(b"[]", 10_000_000))),
    _inference("chat: 15 million brackets deep", lambda: chat(metadata=b"[" * (15 * MIB) + b"]" * (15 * MIB))),
    _inference("chat: one text of 30 MiB", lambda: chat(said(b"x" * (30 * MIB)))),
    _inference("chat: one text of 30 MiB of escapes", lambda: chat(said(b"\\n" * (15 * MIB)))),
    _inference(
        "embeddings: 7 million tokens",
        lambda: embed(b'{"model":"echo-embedding","input":%b}' % json_list(b"123", 7_000_000)),
    ),
    _inference("typed chat: 15 million empty messages", lambda: typed_chat(15 * MIB)),
    _inference("typed chat: 60,000 empty messages (118 KiB)", lambda: typed_chat(60_000)),
    _inference("typed chat: 1.5 million extra members", lambda: typed_chat(1, extra=members(1_500_000))),
    _inference(
        "typed embed: 15 million empty inputs",
        lambda: call(
            "inference.v1.InferenceService/Embed",
            chat_pb.EmbedRequest(model="echo-embedding"),
            chat_pb.EmbedRequest(inputs=[""]),
            15 * MIB,
        ),
    ),
    _inference("model: 12 MiB of metadata", lambda: model(metadata=members(850_000))),
    _inference(
        "model: 12 MiB of extraBody",
        lambda: model(settings=model_pb.ModelSettings(extra_body=members(850_000))),
    ),
    _inference("model: 15 million unsupportedParams", model_of_many_names),
    _inference("model: a name of 30 MiB", lambda: model(name="é" * (15 * MIB))),
    _inference(
        "provider: 12 MiB of settings",
        lambda: call(
            "inference.v1.ProviderService/CreateProvider",
            provider_pb.CreateProviderRequest(driver="echo", label="x", settings=members(850_000)),
        ),
    ),
    _inference(
        "models: pages of 300 with 48 KiB of numbers each",
        lambda: call("inference.v1.ModelService/ListModels", model_pb.ListModelsRequest(page_size=1000)),
        records=True,
    ),
]
