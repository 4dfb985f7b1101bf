"""Chats that name a prompt, on every frontend."""

from typing import Any

import grpc
import pytest

from core.tenancy import Project, Tenant
from portico.inference.v1 import inference_service_pb2
from services.inference.domain.prompts.prompts import NewPrompt, PromptChanges, Prompts
from tests.support import fake_anthropic
from tests.support import fake_provider as fake
from tests.support.fake_anthropic import FakeAnthropic
from tests.support.fake_provider import FakeProvider
from tests.support.inference_harness import Caller, Harness, field_of, reason_of, refused

USER = {"role": "user", "content": "Hi"}
PROJECT = Project(Tenant("acme"), "p1")
ADA = {"name": "Ada"}
SYSTEM = {"role": "system", "content": "Be kind to Ada."}


@pytest.fixture
async def prompts(harness: Harness, caller: Caller) -> Prompts:
    """With the prompt `kind` of two versions in the caller's project; prod serves the first."""
    made = harness.domain.prompts
    first = await made.create(PROJECT, NewPrompt("Kind", "Be kind to {{name}}.", key="kind"), by="me")
    await made.update(PROJECT, "kind", PromptChanges(template="Be <very> kind to {{name}}."), by="me")
    await made.deploy(PROJECT, "kind", "promote", "prod", first.current.id, "", by="me")
    return made


@pytest.mark.usefixtures("prompts")
@pytest.mark.parametrize(
    ("use", "text"),
    [
        ({"id": "kind", "variables": {"name": '"A" & <b>'}}, 'Be <very> kind to "A" & <b>.'),
        ({"id": "kind", "version": "1", "variables": {"name": "Ada"}}, "Be kind to Ada."),
        ({"id": "kind", "version": 2, "variables": {}}, "Be <very> kind to ."),
        ({"id": "kind", "environment": "prod", "variables": {"name": "Ada"}}, "Be kind to Ada."),
        ({"id": "kind", "version": None, "environment": None, "variables": None}, "Be <very> kind to ."),
    ],
)
async def test_the_prompt_becomes_the_first_message(
    caller: Caller, provider: FakeProvider, use: dict[str, Any], text: str
) -> None:
    await caller.chat(prompt=use, temperature=0.5)
    provider.behaviour = fake.streams(["a"])
    await caller.stream(prompt=use)
    for body in provider.bodies:
        assert body["messages"] == [{"role": "system", "content": text}, USER]
        assert "prompt" not in body
    assert provider.bodies[0]["temperature"] == 0.5


@pytest.mark.usefixtures("prompts")
@pytest.mark.parametrize("messages", [{}, {"messages": None}, {"messages": []}], ids=["none", "null", "empty"])
async def test_without_messages_the_prompt_is_the_users(
    caller: Caller, provider: FakeProvider, messages: dict[str, Any]
) -> None:
    await caller.post_chat({"model": "m", "prompt": {"id": "kind", "version": "1"}, **messages})
    assert provider.bodies[0]["messages"] == [{"role": "user", "content": "Be kind to ."}]


@pytest.mark.usefixtures("prompts")
async def test_typed_callers_name_one_too(caller: Caller, provider: FakeProvider) -> None:
    request = inference_service_pb2.ChatRequest(model="m", messages=[USER], prompt={"id": "kind", "version": 1})
    request.prompt.variables.update({"name": "Ada"})
    await caller.harness.typed.Chat(request, metadata=caller.metadata)
    request.ClearField("messages")
    provider.behaviour = fake.streams(["a"])
    stream = caller.harness.typed.ChatStream(
        inference_service_pb2.ChatStreamRequest(chat=request), metadata=caller.metadata
    )
    assert [message async for message in stream]
    assert [body["messages"] for body in provider.bodies] == [
        [SYSTEM, USER],
        [{"role": "user", "content": SYSTEM["content"]}],
    ]
    assert not any("prompt" in body for body in provider.bodies)


@pytest.mark.usefixtures("prompts")
@pytest.mark.parametrize("stream", [False, True])
async def test_callers_of_the_messages_api_name_one_too(caller: Caller, provider: FakeProvider, stream: bool) -> None:
    provider.behaviour = fake.streams(["a"]) if stream else fake.answers("a")
    ask = {"model": "m", "max_tokens": 9, "stream": stream, "prompt": {"id": "kind", "version": "1", "variables": ADA}}
    await caller.post_messages({**ask, "system": "Be short.", "messages": [USER]})
    await caller.post_messages(ask)
    with_system, alone = provider.bodies
    assert with_system["messages"] == [SYSTEM, {"role": "system", "content": "Be short."}, USER]
    assert alone["messages"] == [{"role": "user", "content": SYSTEM["content"]}]
    assert not any("prompt" in body for body in provider.bodies)
    assert "x-portico-dropped-params" not in caller.headers


@pytest.mark.usefixtures("prompts")
async def test_models_of_anthropics_format(caller: Caller) -> None:
    """The codec puts back what a caller of its own format has said, but no prompt."""
    use = {"id": "kind", "version": "1", "variables": ADA}
    async with FakeAnthropic() as claude:
        await caller.provider(claude.url, key="claude", driver="anthropic", credentials={"apiKey": fake_anthropic.KEY})
        await caller.model(key="c", provider_key="claude", model_id=fake_anthropic.MODEL)
        ask = {"model": "c", "max_tokens": 9, "top_k": 3, "system": "Be short.", "messages": [USER], "prompt": use}
        await caller.post_messages(ask)
        await caller.chat(model="c", prompt=use)
        await caller.post_messages({"model": "c", "max_tokens": 9, "prompt": use})
        native, openai, alone = claude.bodies
    assert [block["text"] for block in native["system"]] == [SYSTEM["content"], "Be short."]
    assert (native["messages"], native["top_k"]) == ([USER], 3)
    assert SYSTEM["content"] in str(openai["system"])
    assert SYSTEM["content"] in str(alone["messages"])
    assert not any("prompt" in body for body in (native, openai, alone))


@pytest.mark.usefixtures("prompts")
async def test_the_tokens_of_a_prompt_are_counted(caller: Caller) -> None:
    without = await caller.count_message_tokens({"model": "m", "messages": [USER]})
    use = {"id": "kind", "variables": {"name": "x" * 4000}}
    assert await caller.count_message_tokens({"model": "m", "messages": [USER], "prompt": use}) > without + 500


async def test_a_prompt_of_null_is_none(caller: Caller, provider: FakeProvider) -> None:
    await caller.chat(prompt=None)
    await caller.post_messages({"model": "m", "max_tokens": 9, "messages": [USER], "prompt": None})
    assert [body["messages"] for body in provider.bodies] == [[USER], [USER]]
    assert not any("prompt" in body for body in provider.bodies)


@pytest.mark.usefixtures("prompts")
@pytest.mark.parametrize(
    ("use", "field", "reason"),
    [
        ("kind", "prompt", "INVALID_INPUT"),
        ([], "prompt", "INVALID_INPUT"),
        ({}, "prompt.id", "INVALID_INPUT"),
        ({"id": 1}, "prompt.id", "INVALID_INPUT"),
        ({"id": "none"}, "prompt.id", "PROMPT_NOT_FOUND"),
        ({"id": "kind", "version": "3"}, "prompt.version", "VERSION_NOT_FOUND"),
        ({"id": "kind", "version": "x"}, "prompt.version", "INVALID_INPUT"),
        ({"id": "kind", "version": "9" * 5000}, "prompt.version", "INVALID_INPUT"),
        ({"id": "kind", "version": 2**40}, "prompt.version", "INVALID_INPUT"),
        ({"id": "kind", "version": True}, "prompt.version", "INVALID_INPUT"),
        ({"id": "kind", "version": 0}, "prompt.version", "INVALID_INPUT"),
        ({"id": "kind", "version": 1.5}, "prompt.version", "INVALID_INPUT"),
        ({"id": "kind", "environment": "moon"}, "prompt.environment", "INVALID_INPUT"),
        ({"id": "kind", "environment": 1}, "prompt.environment", "INVALID_INPUT"),
        ({"id": "kind", "environment": "dev"}, "prompt.environment", "NOT_DEPLOYED"),
        ({"id": "kind", "variables": "Ada"}, "prompt.variables", "INVALID_INPUT"),
        ({"id": "kind", "variables": {"name": "x" * 2**20}}, "prompt.variables", "PROMPT_TOO_LONG"),
        ({"id": "kind", "data": {}}, "prompt.data", "INVALID_INPUT"),
    ],
)
async def test_a_prompt_that_cannot_be_used_is_refused(
    caller: Caller, provider: FakeProvider, use: Any, field: str, reason: str
) -> None:
    for _ in range(2):  # an error is not kept
        error = await refused(caller.chat(prompt=use))
        assert (field_of(error) or field, reason_of(error)) == (field, reason)
        assert error.code() in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND)
    assert provider.asked == 0


async def test_a_prompt_that_renders_to_nothing(caller: Caller, prompts: Prompts, provider: FakeProvider) -> None:
    await prompts.create(PROJECT, NewPrompt("Empty", " {{name}} ", key="empty"), by="me")
    await caller.chat(prompt={"id": "empty"})
    assert provider.bodies[0]["messages"] == [USER]
    error = await refused(caller.post_chat({"model": "m", "prompt": {"id": "empty"}}))
    assert (field_of(error), reason_of(error)) == ("prompt.variables", "EMPTY_PROMPT")


@pytest.mark.usefixtures("prompts")
async def test_others_have_no_such_prompt(harness: Harness, provider: FakeProvider) -> None:
    elsewhere: list[dict[str, Any]] = [{"tenant": "globex"}, {"project": "p2"}]
    for claims in elsewhere:
        other = harness.caller(**claims)
        await other.provider(provider.url)
        await other.model()
        assert reason_of(await refused(other.chat(prompt={"id": "kind"}))) == "PROMPT_NOT_FOUND"


@pytest.mark.usefixtures("prompts")
async def test_it_needs_a_scope(harness: Harness) -> None:
    """A model may be asked to repeat its prompt."""
    error = await refused(harness.caller(scopes=["inference:write"]).chat(prompt={"id": "kind"}))
    assert (error.code(), reason_of(error)) == (grpc.StatusCode.PERMISSION_DENIED, "MISSING_SCOPE")
    await harness.caller(scopes=["inference:write", "prompts:read"]).chat(prompt={"id": "kind"})


async def test_the_next_chat_follows_a_change(caller: Caller, prompts: Prompts, provider: FakeProvider) -> None:
    """Compiled templates are kept, and dropped on change."""
    pool = caller.harness.domain.compiled_prompts
    current, prod = {"id": "kind"}, {"id": "kind", "environment": "prod"}

    async def texts() -> list[str]:
        provider.bodies.clear()
        for use in (current, prod):
            await caller.chat(prompt=use)
        return [body["messages"][0]["content"] for body in provider.bodies]

    before = len(pool)
    assert await texts() == ["Be <very> kind to .", "Be kind to ."]
    assert await texts() == ["Be <very> kind to .", "Be kind to ."]
    assert len(pool) == before + 2
    changed = await prompts.update(PROJECT, "kind", PromptChanges(template="new"), by="me")
    assert len(pool) == 0
    assert await texts() == ["new", "Be kind to ."]
    await prompts.deploy(PROJECT, "kind", "plan", "prod", changed.current.id, "", by="me")
    assert await texts() == ["new", "Be kind to ."]
    await prompts.deploy(PROJECT, "kind", "activate", "prod", "", "", by="me")
    assert await texts() == ["new", "new"]
    await prompts.deploy(PROJECT, "kind", "rollback", "prod", "", "", by="me")
    assert await texts() == ["new", "Be kind to ."]
    await prompts.delete(PROJECT, "kind")
    assert reason_of(await refused(caller.chat(prompt=current))) == "PROMPT_NOT_FOUND"
