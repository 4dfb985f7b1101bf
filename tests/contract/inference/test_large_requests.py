"""Requests that are cheap to send and dear to read: refused with the name of what is too large."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import orjson
import pytest
from google.protobuf.struct_pb2 import Struct

from core import offload
from portico.inference.v1 import inference_service_pb2 as typed_pb
from portico.inference.v1 import model_service_pb2 as model_pb
from portico.inference.v1 import provider_service_pb2 as provider_pb
from portico.inference.v1 import usage_service_pb2 as usage_pb
from tests.support import fake_provider as fake
from tests.support.fake_provider import FakeProvider
from tests.support.inference_harness import Caller, Harness, field_of, reason_of, refused
from tests.support.large_requests import json_list, json_object, members, repeated

MIB = 1024 * 1024

USER = b'{"role":"user","content":"x"}'


def chat_body(**fields: bytes) -> bytes:
    given = {"model": b'"m"', "messages": b"[" + USER + b"]", **fields}
    return b"{" + b",".join(b'"%b":%b' % (name.encode(), value) for name, value in given.items()) + b"}"


def parts(count: int) -> bytes:
    return b'[{"role":"user","content":%b}]' % json_list(b'{"type":"text"}', count)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (chat_body(messages=json_list(b'{"role":"u"}', 300_000)), "body"),
        (chat_body(messages=json_list(USER, 10_001)), "messages"),
        (chat_body(messages=parts(10_001)), "messages[0].content"),
        (chat_body(messages=b"[%b,%b]" % (parts(6_000)[1:-1], parts(6_000)[1:-1])), "messages[1].content"),
        (chat_body(tools=json_list(b"{}", 1_025)), "tools"),
        (chat_body(stop=json_list(b'"x"', 257)), "stop"),
        (chat_body(metadata=json_object(200_000)), "body"),
        (chat_body(metadata=json_list(b"[]", 200_000)), "body"),
        (chat_body(metadata=json_list(b"1", 600_000)), "body"),
        (chat_body(metadata=b"[" * 500_000 + b"]" * 500_000), "body"),
    ],
    ids=["values", "messages", "parts", "parts of all", "tools", "stop", "members", "lists", "numbers", "depth"],
)
async def test_a_chat_of_too_many_values_is_refused(
    caller: Caller, provider: FakeProvider, body: bytes, field: str
) -> None:
    """Two million messages took 1.3 GiB, and three seconds in which nobody was served."""
    error = await refused(caller.post_chat(body))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert field_of(error) == field
    assert provider.asked == 0


@pytest.mark.parametrize(
    "body",
    [
        chat_body(messages=json_list(USER, 10_000)),
        chat_body(messages=parts(10_000)),
        chat_body(messages=b'[{"role":"user","content":"%b"}]' % (b'\\"[{,:' * MIB)),
        chat_body(logit_bias=json_object(50_000)),
    ],
    ids=["messages", "parts", "text", "members"],
)
async def test_a_chat_of_many_values_is_answered(caller: Caller, provider: FakeProvider, body: bytes) -> None:
    await caller.post_chat(body)
    sent = orjson.loads(body)
    assert provider.bodies[0] == {**sent, "model": "upstream-model"}


async def test_too_many_tokens_to_embed_are_refused(caller: Caller) -> None:
    error = await refused(caller.post_embeddings(b'{"model":"m","input":%b}' % json_list(b"1", 600_000)))
    assert field_of(error) == "body"


def message(**fields: Any) -> typed_pb.ChatRequest:
    return typed_pb.ChatRequest(**{"model": "m", "messages": [typed_pb.ChatMessage(role="user")], **fields})


def messages(one: typed_pb.ChatMessage, count: int) -> typed_pb.ChatRequest:
    return typed_pb.ChatRequest(model="m", messages=[one] * count)


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (messages(typed_pb.ChatMessage(role="user"), 10_001), "messages"),
        (
            messages(typed_pb.ChatMessage(role="user", parts=[typed_pb.ContentPart(text="x")] * 101), 100),
            "messages.parts",
        ),
        (message(tools=[typed_pb.Tool()] * 1_025), "tools"),
        (message(stop=["x"] * 257), "stop"),
        (message(extra=members(300_000)), ""),
        (repeated(message(), 600_000), ""),
    ],
    ids=["messages", "parts", "tools", "stop", "extra", "fields"],
)
async def test_a_typed_chat_of_too_many_values_is_refused(
    caller: Caller, provider: FakeProvider, request_: typed_pb.ChatRequest, field: str
) -> None:
    error = await refused(caller.harness.typed.Chat(request_, metadata=caller.metadata))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert field_of(error) == field
    assert provider.asked == 0


async def test_a_large_typed_chat_is_answered(caller: Caller, provider: FakeProvider) -> None:
    request = message(extra=members(30_000))
    await caller.harness.typed.Chat(request, metadata=caller.metadata)
    assert len(provider.bodies[0]) == 30_000 + 2


async def test_a_typed_embedding_of_too_many_inputs_is_refused(caller: Caller) -> None:
    request = typed_pb.EmbedRequest(model="m", inputs=["x"] * 2_049)
    assert field_of(await refused(caller.harness.typed.Embed(request, metadata=caller.metadata))) == "inputs"


def new_model(**fields: Any) -> model_pb.CreateModelRequest:
    given = {"name": "M", "category": "llm", "provider_key": "p", "model_id": "m"}
    return model_pb.CreateModelRequest(**{**given, **fields})


def new_provider(**fields: Any) -> provider_pb.CreateProviderRequest:
    return provider_pb.CreateProviderRequest(**{"driver": "echo", "label": "E", **fields})


Send = Callable[[Harness, Any], Awaitable[Any]]
MANAGE: dict[str, tuple[Send, str]] = {
    "model's metadata": (
        lambda w, m: w.models.CreateModel(new_model(metadata=members(20_000)), metadata=m),
        "metadata",
    ),
    "model's changed metadata": (
        lambda w, m: w.models.UpdateModel(model_pb.UpdateModelRequest(id="m", metadata=members(20_000)), metadata=m),
        "metadata",
    ),
    "extraBody": (
        lambda w, m: w.models.CreateModel(
            new_model(settings=model_pb.ModelSettings(extra_body=members(20_000))), metadata=m
        ),
        "settings.extraBody",
    ),
    "requestDefaults": (
        lambda w, m: w.models.CreateModel(
            new_model(settings=model_pb.ModelSettings(request_defaults=members(20_000))), metadata=m
        ),
        "settings.requestDefaults",
    ),
    "unsupportedParams": (
        lambda w, m: w.models.CreateModel(
            new_model(settings=model_pb.ModelSettings(unsupported_params=["x"] * 100_000)), metadata=m
        ),
        "settings.unsupportedParams",
    ),
    "provider's metadata": (
        lambda w, m: w.providers.CreateProvider(new_provider(metadata=members(20_000)), metadata=m),
        "metadata",
    ),
    "provider's settings": (
        lambda w, m: w.providers.CreateProvider(new_provider(settings=members(60_000, digits=6)), metadata=m),
        "settings",
    ),
    "provider's credentials": (
        lambda w, m: w.providers.CreateProvider(
            new_provider(credentials={f"{number}": "x" for number in range(10_000)}), metadata=m
        ),
        "credentials",
    ),
    "groupBy": (
        lambda w, m: w.usage.GetUsage(usage_pb.GetUsageRequest(group_by="," * (MIB // 2)), metadata=m),
        "groupBy",
    ),
}


@pytest.mark.parametrize("name", MANAGE)
async def test_a_record_that_is_too_large_is_refused_by_field(
    caller: Caller, harness: Harness, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """12 MiB of metadata were converted for seconds before their size was looked at."""
    monkeypatch.setattr("core.fields.small_json", None)
    send, field = MANAGE[name]
    error = await refused(send(harness, caller.metadata))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert field_of(error) == field


async def test_usage_of_years_is_refused(caller: Caller) -> None:
    request = usage_pb.GetUsageRequest()
    getattr(request, "from").seconds = 1_600_000_000
    assert field_of(await refused(caller.harness.usage.GetUsage(request, metadata=caller.metadata))) == "from"


async def test_totals_are_over_everything_where_rows_are_not(
    caller: Caller, harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were added up from the rows, of which there are at most 10,000."""
    monkeypatch.setattr("core.storage.sqlite.MAX_TOTALS", 2)
    monkeypatch.setattr("services.inference.domain.usage.reports.MAX_TOTALS", 2)
    for key in ("a", "b", "c"):
        await caller.model(key=key)
        await caller.chat(model=key)
    await caller.records(3)
    answer = await harness.usage.GetUsage(usage_pb.GetUsageRequest(), metadata=caller.metadata)
    assert len(answer.rows) == 2
    assert [total.requests for total in answer.totals] == [3]


async def test_large_models_come_in_short_pages(caller: Caller, harness: Harness) -> None:
    """A page of them took a minute, and was too large to send."""
    long = Struct()
    long.update({"a": "x" * 16_000})
    settings = model_pb.ModelSettings(extra_body=long, request_defaults=long)
    for number in range(60):
        await caller.model(key=f"m{number}", metadata=long, settings=settings)
    found: list[str] = []
    token = ""
    pages = 0
    while not pages or token:
        request = model_pb.ListModelsRequest(page_size=1000, page_token=token)
        page = await harness.models.ListModels(request, metadata=caller.metadata)
        found, token, pages = [*found, *(model.key for model in page.models)], page.next_page_token, pages + 1
    assert sorted(found) == sorted(["m", *(f"m{number}" for number in range(60))])
    assert pages > 1


async def test_an_answer_that_grows_too_large_is_refused(
    caller: Caller, provider: FakeProvider, monkeypatch: Any
) -> None:
    """Base64 is a quarter of the numbers that the client asked for: they were too many to send, a 500."""
    monkeypatch.setattr("services.inference.domain.codecs.openai.embeddings.MAX_ANSWER_BYTES", 50)
    provider.behaviour = fake.embeds(as_base64=True)
    await caller.model(key="e", category="embedding")
    error = await refused(caller.post_embeddings({"model": "e", "input": ["a", "b"]}))
    assert (reason_of(error), field_of(error)) == ("ANSWER_TOO_LARGE", "input")


@asynccontextmanager
async def busy_worker() -> AsyncIterator[Callable[[], None]]:
    """The thread for large bodies has something to do until it is told to go on."""
    event = threading.Event()
    work = offload._WORKER.submit(event.wait, 30)
    try:
        yield event.set
    finally:
        event.set()
        await asyncio.wrap_future(work)


class TestOthersGoOn:
    """Large bodies are read by a thread: while it is busy, other tenants' plain chats are answered."""

    @pytest.fixture
    async def other(self, harness: Harness, provider: FakeProvider) -> Caller:
        made = harness.caller(tenant="globex")
        await made.provider(provider.url)
        await made.model()
        return made

    async def test_while_a_large_body_is_read(self, caller: Caller, other: Caller) -> None:
        async with busy_worker() as go_on:
            large = asyncio.create_task(caller.chat("x" * MIB))
            for number in range(20):
                assert (await other.chat(f"{number}"))["choices"]
            assert not large.done()
            go_on()
        assert (await large)["choices"]

    async def test_while_large_bodies_of_a_tenant_wait(self, caller: Caller, other: Caller) -> None:
        """Another tenant's large body is read after one of them, not after all."""
        ended: list[str] = []

        async def chat(who: Caller, name: str) -> None:
            await who.chat("x" * MIB)
            ended.append(name)

        async with busy_worker() as go_on:
            tasks = [asyncio.create_task(chat(caller, f"a{number}")) for number in range(6)]
            await other.chat()
            tasks.append(asyncio.create_task(chat(other, "b")))
            await other.chat()
            go_on()
        await asyncio.gather(*tasks)
        assert ended.index("b") < 5
