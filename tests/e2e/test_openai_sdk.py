"""The official OpenAI SDK, unchanged but for base URL and key."""

import base64
import secrets
import struct
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.support.cluster import Cluster

BASES = ["/v1", "/api/client/v1"]
HELLO: Any = [{"role": "user", "content": "Hello, Portico!"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture(params=BASES)
def client(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[OpenAI]:
    with OpenAI(base_url=cluster.url + request.param, api_key=cluster.dev_token, max_retries=0) as made:
        yield made


def test_chat(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="echo", messages=HELLO)
    assert answer.object == "chat.completion"
    assert answer.model == "echo"
    assert answer.choices[0].message.role == "assistant"
    assert "Hello, Portico!" in (answer.choices[0].message.content or "")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0


def test_chat_streams_with_usage(client: OpenAI) -> None:
    stream = client.chat.completions.create(
        model="echo", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert len({chunk.id for chunk in chunks}) == 1
    assert {chunk.model for chunk in chunks} == {"echo"}
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert "Hello, Portico!" in text
    assert [c.finish_reason for chunk in chunks for c in chunk.choices if c.finish_reason] == ["stop"]
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0


def test_a_chat_names_a_prompt(client: OpenAI) -> None:
    """In `prompt`, as in OpenAI's Responses API; the provider sees messages alone."""
    key = f"sdk-{secrets.token_hex(4)}"
    client.post("/prompts", cast_to=object, body={"key": key, "name": "P", "template": "Greet {{name}} & <co>!"})
    prompt = {"prompt": {"id": key, "version": "1", "variables": {"name": '"Ada"'}}}
    whole = client.chat.completions.create(model="echo", messages=[], extra_body=prompt)
    assert 'Greet "Ada" & <co>!' in (whole.choices[0].message.content or "")
    stream = client.chat.completions.create(model="echo", messages=[], stream=True, extra_body=prompt)
    text = "".join(choice.delta.content or "" for chunk in stream for choice in chunk.choices)
    assert text == whole.choices[0].message.content
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="echo", messages=HELLO, extra_body={"prompt": {"id": "none"}})
    assert (caught.value.code, caught.value.param) == ("prompt_not_found", "prompt.id")


def test_a_stream_without_usage_has_none(client: OpenAI) -> None:
    chunks = list(client.chat.completions.create(model="echo", messages=HELLO, stream=True))
    assert all(chunk.usage is None for chunk in chunks)
    assert all(chunk.choices for chunk in chunks)


def test_several_choices(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="echo", messages=HELLO, n=3)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]


@pytest.mark.parametrize("stream", [False, True])
def test_tools(client: OpenAI, stream: bool) -> None:
    asked: Any = {
        "model": "echo",
        "messages": HELLO,
        "tools": [WEATHER],
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
        "stream": stream,
    }
    answer: Any = client.chat.completions.create(**asked)
    if stream:
        chunks = list(answer)
        calls = [call for chunk in chunks for choice in chunk.choices for call in choice.delta.tool_calls or []]
        assert calls[0].function.name == "weather"
        assert [c.finish_reason for chunk in chunks for c in chunk.choices if c.finish_reason] == ["tool_calls"]
    else:
        assert answer.choices[0].message.tool_calls[0].function.name == "weather"
        assert answer.choices[0].finish_reason == "tool_calls"


def test_images_pass(client: OpenAI) -> None:
    pixel = "data:image/png;base64," + base64.b64encode(b"\x89PNG" + b"\0" * 100_000).decode()
    parts: Any = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": pixel}}]
    answer = client.chat.completions.create(model="echo", messages=[{"role": "user", "content": parts}])
    assert "What is this?" in (answer.choices[0].message.content or "")


@pytest.mark.parametrize("given", ["one text", ["two", "texts"], [1, 2, 3], [[1, 2], [3]]])
def test_embeddings_of_every_kind_of_input(client: OpenAI, given: Any) -> None:
    answer = client.embeddings.create(model="echo-embedding", input=given, encoding_format="float")
    several = isinstance(given, list) and not isinstance(given[0], int)
    assert len(answer.data) == (len(given) if several else 1)
    assert answer.model == "echo-embedding"
    assert answer.usage.prompt_tokens > 0


def test_embeddings_in_base64_are_the_same_numbers(client: OpenAI) -> None:
    floats = client.embeddings.create(model="echo-embedding", input="x", encoding_format="float", dimensions=64)
    coded = client.embeddings.create(model="echo-embedding", input="x", encoding_format="base64", dimensions=64)
    text: Any = coded.data[0].embedding
    numbers = struct.unpack("<64f", base64.b64decode(text))
    assert numbers == pytest.approx(floats.data[0].embedding)
    default = client.embeddings.create(model="echo-embedding", input="x", dimensions=64)
    assert default.data[0].embedding == pytest.approx(floats.data[0].embedding)


def test_models(client: OpenAI) -> None:
    assert {"echo", "echo-embedding"} <= {model.id for model in client.models.list()}
    assert client.models.retrieve("echo").id == "echo"


def test_errors_are_the_sdks_own(client: OpenAI, cluster: Cluster) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(model="no-such-model", messages=HELLO)
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="m" * 5000, messages=HELLO)
    with pytest.raises(openai.BadRequestError) as wrong:
        client.chat.completions.create(model="echo-embedding", messages=HELLO)
    assert wrong.value.param == "model"
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="ptc_nonsense").models.list()


async def test_the_async_client(cluster: Cluster) -> None:
    async with AsyncOpenAI(base_url=f"{cluster.url}/v1", api_key=cluster.dev_token, max_retries=0) as client:
        answer = await client.chat.completions.create(model="echo", messages=HELLO)
        assert "Hello" in (answer.choices[0].message.content or "")
        stream = await client.chat.completions.create(model="echo", messages=HELLO, stream=True)
        text = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
        assert "Hello, Portico!" in "".join(text)
        vectors = await client.embeddings.create(model="echo-embedding", input=["a", "b"])
        assert len(vectors.data) == 2
