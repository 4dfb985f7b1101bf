"""SDKs of either format, unchanged, over models of either: whole, streamed, tools over turns, images, schemas,
thinking, errors, retries."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI
from pydantic import BaseModel

from tests.contract.inference.formats import PNG, Answer, anthropic_behaviour, openai_behaviour
from tests.support import fake_anthropic, fake_provider, node
from tests.support.cluster import Rest, Tenant
from tests.support.fake_anthropic import FakeAnthropic
from tests.support.fake_provider import Behaviour, FakeProvider
from tests.support.fake_upstream import Peer

LANGCHAIN = Path(__file__).parent / "python" / "langchain_chats.py"
CLAUDE, GPT = "claude", "gpt"
ASK: Any = [{"role": "user", "content": "Weather in Rome?"}]
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CALLED = Answer(text="Let me look.", thought="Hm, Rome.", calls=(("call_1", {"city": "Rome"}),), finish="tool_calls")
DONE = Answer(text="Sun in Rome.")


class City(BaseModel):
    city: str


def agent(make: Any) -> Behaviour:
    """Calls the tool `weather`, and once it has the result, says it."""

    async def behave(provider: FakeProvider, peer: Peer, body: dict[str, Any]) -> None:
        last = body["messages"][-1]
        content = last["content"] if isinstance(last["content"], list) else []
        has_result = last["role"] == "tool" or any(part.get("type") == "tool_result" for part in content)
        await make(DONE if has_result else CALLED)(provider, peer, body)

    return behave


@pytest.fixture
async def gpt(rest: Rest, tenant: Tenant) -> AsyncIterator[FakeProvider]:
    """The provider of the OpenAI-type model `gpt`."""
    async with FakeProvider(agent(openai_behaviour)) as running:
        await add_model(rest, tenant, GPT, "openai-compatible", running.url, "sk-x")
        yield running


@pytest.fixture
async def claude(rest: Rest, tenant: Tenant) -> AsyncIterator[FakeAnthropic]:
    """The provider of the Anthropic-type model `claude`."""
    async with FakeAnthropic(agent(anthropic_behaviour)) as running:
        await add_model(rest, tenant, CLAUDE, "anthropic", running.url, fake_anthropic.KEY)
        yield running


async def add_model(rest: Rest, tenant: Tenant, key: str, driver: str, url: str, secret: str) -> None:
    provider = {"key": f"{key}-p", "driver": driver, "label": key, "credentials": {"apiKey": secret}}
    await rest.ok("POST", "/v1/models/providers", {**provider, "settings": {"baseUrl": url}}, token=tenant.session)
    model = {"key": key, "name": key, "category": "llm", "providerKey": f"{key}-p", "modelId": fake_anthropic.MODEL}
    await rest.ok("POST", "/v1/models", model, token=tenant.session)


@pytest.fixture
async def messages(rest: Rest, tenant: Tenant) -> AsyncIterator[AsyncAnthropic]:
    async with AsyncAnthropic(base_url=rest.url, api_key=tenant.session, max_retries=0) as made:
        yield made


@pytest.fixture
async def chats(rest: Rest, tenant: Tenant) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{rest.url}/v1", api_key=tenant.session, max_retries=0) as made:
        yield made


class TestAnthropicSdk:
    """Over both types of models: what a client written for Anthropic's API meets."""

    @pytest.fixture(params=[GPT, CLAUDE])
    def model(self, request: pytest.FixtureRequest, gpt: FakeProvider, claude: FakeAnthropic) -> str:
        return str(request.param)

    @pytest.fixture
    def provider(self, model: str, gpt: FakeProvider, claude: FakeAnthropic) -> FakeProvider:
        return claude if model == CLAUDE else gpt

    async def test_tools_over_turns_with_thinking(
        self, messages: AsyncAnthropic, model: str, provider: FakeProvider
    ) -> None:
        tools: Any = [{"name": "weather", "description": "By city", "input_schema": SCHEMA}]
        more: Any = {"model": model, "max_tokens": 4000, "tools": tools, "thinking": {"type": "adaptive"}}
        asked = await messages.messages.create(messages=ASK, **more)
        assert [block.type for block in asked.content] == ["thinking", "text", "tool_use"]
        assert asked.stop_reason == "tool_use"
        assert asked.usage.cache_read_input_tokens == 4
        call: Any = asked.content[-1]
        assert call.input == {"city": "Rome"}
        talk: Any = [*ASK, asked.to_param()]
        talk.append({"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "sun"}]})
        async with messages.messages.stream(messages=talk, **more) as stream:
            said = "".join([text async for text in stream.text_stream])
            final = await stream.get_final_message()
        assert said == "Sun in Rome."
        assert final.stop_reason == "end_turn"
        assert (final.usage.input_tokens, final.usage.output_tokens) == (7, 7)
        thought = json.dumps(provider.bodies[-1]["messages"][1])
        assert "Hm, Rome." in thought, "the provider has its own thinking back"

    async def test_a_streamed_tool_call(self, messages: AsyncAnthropic, model: str) -> None:
        tools: Any = [{"name": "weather", "input_schema": SCHEMA}]
        async with messages.messages.stream(model=model, max_tokens=100, messages=ASK, tools=tools) as stream:
            final = await stream.get_final_message()
        assert [block.type for block in final.content] == ["thinking", "text", "tool_use"]
        call: Any = final.content[-1]
        assert call.input == {"city": "Rome"}

    async def test_images_and_structured_output(
        self, messages: AsyncAnthropic, model: str, provider: FakeProvider
    ) -> None:
        make = anthropic_behaviour if model == CLAUDE else openai_behaviour
        provider.behaviour = make(Answer(text='{"city":"Rome"}'))
        image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
        content: Any = [image, {"type": "text", "text": "Which city?"}]
        parsed = await messages.messages.parse(
            model=model, max_tokens=100, messages=[{"role": "user", "content": content}], output_format=City
        )
        assert parsed.parsed_output == City(city="Rome")
        assert PNG in json.dumps(provider.bodies[-1])

    async def test_counting(self, messages: AsyncAnthropic, model: str) -> None:
        counted = await messages.messages.count_tokens(model=model, messages=ASK)
        assert counted.input_tokens == (42 if model == CLAUDE else 4)

    async def test_errors_are_its_own(self, messages: AsyncAnthropic, model: str, provider: FakeProvider) -> None:
        refuses = fake_anthropic.refuses if model == CLAUDE else fake_provider.refuses
        for status, kind, type in (
            (400, anthropic.BadRequestError, "invalid_request_error"),
            (401, anthropic.InternalServerError, "api_error"),
            (429, anthropic.RateLimitError, "rate_limit_error"),
            (529, anthropic.InternalServerError, "overloaded_error"),
        ):
            provider.behaviour = refuses(status)
            with pytest.raises(kind) as caught:
                await messages.messages.create(model=model, max_tokens=9, messages=ASK)
            body: Any = caught.value.body
            assert body["type"] == "error"
            assert body["error"]["type"] == type
            assert caught.value.request_id == body["request_id"]

    async def test_an_error_within_a_stream(self, messages: AsyncAnthropic, model: str, provider: FakeProvider) -> None:
        provider.behaviour = (
            fake_anthropic.breaks_off(fake_anthropic.text("Half"))
            if model == CLAUDE
            else fake_provider.sends(fake_provider.chunk({"content": "Half"}), end="reset")
        )
        stream = await messages.messages.create(model=model, max_tokens=9, messages=ASK, stream=True)
        events: list[Any] = []
        with pytest.raises(anthropic.APIStatusError):
            await _collect(stream, events)
        assert "".join(event.delta.text for event in events if event.type == "content_block_delta") == "Half"

    async def test_it_tries_again_what_failed(
        self, rest: Rest, tenant: Tenant, model: str, provider: FakeProvider
    ) -> None:
        refuses = fake_anthropic.refuses if model == CLAUDE else fake_provider.refuses
        make = anthropic_behaviour if model == CLAUDE else openai_behaviour
        provider.behaviour = fake_provider.in_turn(refuses(529), make(DONE))
        async with AsyncAnthropic(base_url=rest.url, api_key=tenant.session) as client:
            said = await client.messages.create(model=model, max_tokens=9, messages=ASK)
        assert [block.type for block in said.content] == ["text"]
        assert provider.asked == 2

    async def test_bad_requests_name_the_field(self, messages: AsyncAnthropic, model: str) -> None:
        wrong: Any = [{"role": "x", "content": "x"}]
        with pytest.raises(anthropic.BadRequestError, match=r"messages\.0\.role"):
            await messages.messages.create(model=model, max_tokens=9, messages=wrong)
        with pytest.raises(anthropic.NotFoundError):
            await messages.messages.create(model="no-such-model", max_tokens=9, messages=ASK)


async def _collect(stream: Any, events: list[Any]) -> None:
    async for event in stream:
        events.append(event)  # noqa: PERF401 - what came before the error counts


async def test_server_tools_are_refused_where_the_provider_has_none(
    messages: AsyncAnthropic, gpt: FakeProvider
) -> None:
    tools: Any = [{"type": "web_search_20250305", "name": "web_search"}]
    with pytest.raises(anthropic.BadRequestError, match=r"tools\.0"):
        await messages.messages.create(model=GPT, max_tokens=9, messages=ASK, tools=tools)
    assert gpt.asked == 0


async def test_a_token_is_needed(rest: Rest) -> None:
    async with AsyncAnthropic(base_url=rest.url, api_key="ptc_nonsense", max_retries=0) as client:
        with pytest.raises(anthropic.AuthenticationError) as caught:
            await client.messages.create(model=GPT, max_tokens=9, messages=ASK)
    body: Any = caught.value.body
    assert (body["type"], body["error"]["type"]) == ("error", "authentication_error")
    assert caught.value.request_id == body["request_id"]


async def test_betas_and_unknown_fields_reach_a_provider_of_the_format(
    messages: AsyncAnthropic, claude: FakeAnthropic
) -> None:
    await messages.beta.messages.create(
        model=CLAUDE,
        max_tokens=9,
        messages=ASK,
        betas=["context-management-2025-06-27"],
        context_management={"edits": [{"type": "clear_tool_uses_20250919"}]},
    )
    assert claude.bodies[-1]["context_management"] == {"edits": [{"type": "clear_tool_uses_20250919"}]}
    assert claude.requests[-1].headers["anthropic-beta"] == "context-management-2025-06-27"


class TestOpenAISdk:
    """Over a model of Anthropic's format: what a client written for OpenAI's API meets."""

    async def test_tools_over_turns_with_thinking(self, chats: AsyncOpenAI, claude: FakeAnthropic) -> None:
        tools: Any = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]
        more: Any = {"model": CLAUDE, "tools": tools, "reasoning_effort": "high"}
        asked = await chats.chat.completions.create(messages=ASK, **more)
        message: Any = asked.choices[0].message
        assert asked.choices[0].finish_reason == "tool_calls"
        assert message.content == "Let me look."
        assert message.reasoning_content == "Hm, Rome."
        assert json.loads(message.tool_calls[0].function.arguments) == {"city": "Rome"}
        talk: Any = [*ASK, message.model_dump(), {"role": "tool", "tool_call_id": "call_1", "content": "sun"}]
        stream = await chats.chat.completions.create(
            messages=talk, stream=True, stream_options={"include_usage": True}, **more
        )
        chunks: Any = [chunk async for chunk in stream]
        assert "".join(each.choices[0].delta.content or "" for each in chunks if each.choices) == "Sun in Rome."
        assert chunks[-1].usage.prompt_tokens_details.cached_tokens == 4
        sent = claude.bodies[-1]["messages"][1]["content"]
        assert sent[0] == fake_anthropic.thinking("Hm, Rome.")

    async def test_parse_and_images(self, chats: AsyncOpenAI, claude: FakeAnthropic) -> None:
        claude.behaviour = anthropic_behaviour(Answer(text='{"city":"Rome"}'))
        image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
        content: Any = [image, {"type": "text", "text": "Which city?"}]
        parsed = await chats.chat.completions.parse(
            model=CLAUDE, messages=[{"role": "user", "content": content}], response_format=City
        )
        assert parsed.choices[0].message.parsed == City(city="Rome")

    async def test_errors_and_retries(self, chats: AsyncOpenAI, claude: FakeAnthropic) -> None:
        for status, said, kind, code in (
            (400, "prompt is too long: 9 tokens > 8 maximum", openai.BadRequestError, "context_length_exceeded"),
            (401, "invalid x-api-key", openai.InternalServerError, "provider_rejected_credentials"),
            (429, "slow down", openai.RateLimitError, "rate_limit_exceeded"),
            (529, "Overloaded", openai.InternalServerError, "provider_unavailable"),
        ):
            claude.behaviour = fake_anthropic.refuses(status, said)
            with pytest.raises(kind) as caught:
                await chats.chat.completions.create(model=CLAUDE, messages=ASK)
            assert caught.value.code == code
        claude.behaviour = fake_provider.in_turn(fake_anthropic.refuses(529), anthropic_behaviour(DONE))
        answer = await chats.chat.completions.create(model=CLAUDE, messages=ASK)
        assert answer.choices[0].message.content == "Sun in Rome."

    async def test_dropped_and_refused_parameters(self, chats: AsyncOpenAI, claude: FakeAnthropic) -> None:
        raw = await chats.chat.completions.with_raw_response.create(model=CLAUDE, messages=ASK, seed=1)
        assert raw.headers["x-portico-dropped-params"] == "seed"
        with pytest.raises(openai.BadRequestError) as caught:
            await chats.chat.completions.create(model=CLAUDE, messages=ASK, n=2)
        assert caught.value.param == "n"


async def test_langchain(rest: Rest, tenant: Tenant, gpt: FakeProvider, claude: FakeAnthropic) -> None:
    """ChatOpenAI and ChatAnthropic, each over both types of models."""
    env = {"PORTICO_URL": rest.url, "PORTICO_TOKEN": tenant.session, "PORTICO_MODELS": f"{GPT},{CLAUDE}"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, LANGCHAIN, env={**os.environ, **env}, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0
    expected = {"call": {"city": "Rome"}, "read": 11, "text": "Sun in Rome."}
    assert json.loads(printed) == {model: {"openai": expected, "anthropic": expected} for model in (GPT, CLAUDE)}


async def test_sdks_of_typescript(rest: Rest, tenant: Tenant, gpt: FakeProvider, claude: FakeAnthropic) -> None:
    """Anthropic's, OpenAI's, and the two providers of the Vercel AI SDK, each over both types of models."""
    node.install()
    env = {"PORTICO_URL": rest.url, "PORTICO_TOKEN": tenant.session}
    for model in (GPT, CLAUDE):
        answers = await asyncio.to_thread(node.run, "formats.mjs", {**env, "PORTICO_MODEL": model})
        assert not [each["failed"] for each in answers.values() if "failed" in each]
        for name in ("anthropic", "openai"):
            assert answers[name]["call"] == {"city": "Rome"}
            assert answers[name]["text"] == "Sun in Rome."
        assert answers["anthropic"]["stop"] == "tool_use"
        refused = answers["anthropic"]["refused"]
        assert (refused["status"], refused["type"]) == (404, "not_found_error")
        assert refused["id"]
        for name in ("vercel anthropic", "vercel openai"):
            assert answers[name]["text"] == "Sun in Rome."
            assert answers[name]["steps"] == 2
            assert answers[name]["streamed"].endswith("Sun in Rome.")
