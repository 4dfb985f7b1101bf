"""The matrix of caller formats and provider formats: every cell works, or is refused clearly."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.contract.inference import formats
from tests.contract.inference.formats import ANSWERS, CODECS, FRONTENDS, QUESTIONS, Answer, Asked, Read
from tests.support import fake_anthropic, fake_provider
from tests.support.fake_anthropic import FakeAnthropic
from tests.support.fake_provider import Behaviour, FakeProvider
from tests.support.inference_harness import Caller, inference

WORKS = "works"
FEATURES = ("text", "tools", "parallel tools", "image", "JSON schema", "thinking", "stop", "length")
FAILURES: Mapping[str, tuple[str, str]] = {
    "400": ("INVALID_ARGUMENT", "400 to the caller"),
    "401": ("UNAVAILABLE", "502: the provider's key is not the caller's"),
    "429": ("RESOURCE_EXHAUSTED", "429, with Retry-After"),
    "529": ("UNAVAILABLE", "tried again, then 503"),
    "error at once": ("UNAVAILABLE", "tried again, then 503"),
    "error later": ("in the stream", "an error in the stream's own form"),
    "cut off": ("in the stream", "an error in the stream's own form"),
}
"""Outcomes for callers where the provider fails: gRPC's status, and in words."""
PAGE = Path(__file__).parents[3] / "docs" / "formats.md"

_OVERLOADED = {"type": "overloaded_error", "message": "Overloaded"}
_BEGUN = fake_anthropic.events(fake_anthropic.message(fake_anthropic.text("Hello there!")))


@pytest.fixture(params=CODECS)
async def codec(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def provider(codec: str) -> AsyncIterator[FakeProvider]:
    async with FakeAnthropic() if codec == "anthropic" else FakeProvider() as running:
        yield running


@pytest.fixture
async def caller(tmp_path: Path, codec: str, provider: FakeProvider) -> AsyncIterator[Caller]:
    """Of a project with the model `m` at the provider. Circuits never open: each question stands for itself."""
    async with inference(tmp_path / "data", PORTICO_PROVIDER_BREAKER_THRESHOLD="100000") as harness:
        made = harness.caller()
        more = {"driver": "anthropic", "credentials": {"apiKey": fake_anthropic.KEY}} if codec == "anthropic" else {}
        await made.provider(provider.url, **more)
        await made.model(model_id=fake_anthropic.MODEL)
        yield made


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("frontend", FRONTENDS)
async def test_every_feature(caller: Caller, provider: FakeProvider, codec: str, frontend: str, stream: bool) -> None:
    for feature in FEATURES:
        answer, asked = ANSWERS.get(feature, Answer()), QUESTIONS.get(feature, Asked())
        make = formats.anthropic_behaviour if codec == "anthropic" else formats.openai_behaviour
        provider.behaviour = make(answer)
        read = await formats.ask(caller, frontend, asked, stream=stream)
        told = (11, 7, 4)
        calls = tuple((id, "weather", json.dumps(given)) for id, given in answer.calls)
        assert read == Read(answer.text, answer.thought, calls, answer.finish, told), feature
        assert_sent(codec, provider.bodies[-1], feature, stream=stream)


def assert_sent(codec: str, body: dict[str, Any], feature: str, *, stream: bool) -> None:
    """The provider was asked what the caller asked, in the provider's own terms."""
    anthropic = codec == "anthropic"
    assert bool(body.get("stream")) is stream
    (message,) = body["messages"]
    match feature:
        case "tools" | "parallel tools":
            (tool,) = body["tools"]
            assert (tool["input_schema"] if anthropic else tool["function"]["parameters"]) == formats.SCHEMA
        case "image" if anthropic:
            source = {"type": "base64", "media_type": "image/png", "data": formats.PNG}
            assert message["content"][1] == {"type": "image", "source": source}
        case "image":
            url = f"data:image/png;base64,{formats.PNG}"
            assert message["content"][1] == {"type": "image_url", "image_url": {"url": url}}
        case "JSON schema" if anthropic:
            assert body["output_config"]["format"]["schema"] == formats.SCHEMA
        case "JSON schema":
            assert body["response_format"]["json_schema"]["schema"] == formats.SCHEMA
        case "thinking" if anthropic:
            assert body["thinking"]["type"] == "adaptive"
            assert body["output_config"]["effort"] == "high"
        case "thinking":
            assert body["reasoning_effort"] == "high"
        case "stop":
            assert body["stop_sequences" if anthropic else "stop"] == ["END"]


def failure(codec: str, kind: str) -> Behaviour:
    """A provider of the format that fails in this way."""
    begun = b"".join(_BEGUN[:5]) if codec == "anthropic" else fake_provider.chunk({"content": "Hello"})
    match kind:
        case "error at once" if codec == "anthropic":
            return fake_provider.sends(_BEGUN[0], fake_anthropic.event("error", error=_OVERLOADED))
        case "error at once":
            return fake_provider.sends(b"data: " + json.dumps({"error": _OVERLOADED}).encode() + b"\n\n")
        case "error later":
            last = fake_anthropic.event("error", error=_OVERLOADED)
            return fake_provider.sends(begun, last if codec == "anthropic" else b'data: {"error":{"message":"no"}}\n\n')
        case "cut off":
            return fake_provider.sends(begun, end="reset")
    headers = {"Retry-After": "0"} if kind == "429" else None
    if codec == "anthropic":
        return fake_anthropic.refuses(int(kind), headers=headers)
    return fake_provider.refuses(int(kind), headers=headers)


@pytest.mark.parametrize("frontend", FRONTENDS)
async def test_every_failure(caller: Caller, provider: FakeProvider, codec: str, frontend: str) -> None:
    for stream in (False, True):
        for kind, (expected, _) in FAILURES.items():
            if not stream and not kind.isdecimal():
                continue
            provider.behaviour = failure(codec, kind)
            before = provider.asked
            read = await formats.ask(caller, frontend, Asked(), stream=stream)
            assert read == Read(error=expected), (kind, stream)
            tries = 3 if kind in ("429", "529", "error at once") else 1
            assert provider.asked - before == tries, (kind, stream)


@pytest.mark.parametrize("frontend", FRONTENDS)
async def test_a_caller_that_goes_away(caller: Caller, provider: FakeProvider, codec: str, frontend: str) -> None:
    begun = _BEGUN[:4] if codec == "anthropic" else [fake_provider.chunk({"content": "Hello"})]
    provider.behaviour = fake_provider.sends(*begun, end="hang")
    asking = asyncio.ensure_future(formats.ask(caller, frontend, Asked(), stream=True))
    await provider.begun.wait()
    asking.cancel()
    await asyncio.wait_for(provider.disconnected.wait(), 30)
    (record,) = await caller.records(1)
    assert record.status == "cancelled"


def table() -> str:
    """The matrix as the page shows it."""
    names = {"openai": "OpenAI", "anthropic": "Anthropic", "typed": "gRPC"}
    pairs = [(frontend, codec) for frontend in FRONTENDS for codec in CODECS]
    head = "| | " + " | ".join(f"{names[frontend]} to {names[codec]}" for frontend, codec in pairs) + " |"
    lines = [head, "|---" * (len(pairs) + 1) + "|"]
    lines += [f"| {feature} | " + " | ".join([WORKS] * len(pairs)) + " |" for feature in FEATURES]
    lines += [f"| provider: {kind} | " + " | ".join([said] * len(pairs)) + " |" for kind, (_, said) in FAILURES.items()]
    lines.append("| caller goes away | " + " | ".join(["the provider's call ends, metered"] * len(pairs)) + " |")
    return "\n".join(lines)


def test_the_page_shows_the_matrix() -> None:
    assert table() in PAGE.read_text()
