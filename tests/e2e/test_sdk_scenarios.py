"""Images, structured output, thinking, errors, broken streams and retries with the SDKs of TypeScript and LangChain,
each over models of both formats."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.inference.formats import PNG, Answer, anthropic_behaviour, openai_behaviour
from tests.e2e.test_formats import CLAUDE, GPT, add_model
from tests.support import fake_anthropic, fake_provider, node
from tests.support.cluster import Rest, Tenant
from tests.support.fake_anthropic import FakeAnthropic
from tests.support.fake_provider import Behaviour, FakeProvider
from tests.support.fake_upstream import Peer

LANGCHAIN = Path(__file__).parent / "python" / "langchain_scenarios.py"
CITY = {"city": "Rome"}
DONE = Answer(text="Sun in Rome.")
THOUGHT = Answer(text="Sun in Rome.", thought="Hm, Rome.")
THOUGHTS = [["Hm, Rome.", "Sun in Rome."]] * 2
REFUSED: dict[str, dict[str, list[Any]]] = {
    "anthropic": {
        "400": [400, "invalid_request_error"],
        "401": [502, "api_error"],
        "429": [429, "rate_limit_error"],
        "529": [503, "overloaded_error"],
    },
    "openai": {
        "400": [400],
        "401": [502, "provider_rejected_credentials"],
        "429": [429, "rate_limit_exceeded"],
        "529": [503, "provider_unavailable"],
    },
}


def forced_tool(body: dict[str, Any]) -> str:
    """The tool that a request insists on, as SDKs do where they take a tool's arguments for structured output."""
    choice = body.get("tool_choice")
    if not isinstance(choice, dict):
        return ""
    return str(choice.get("name") or choice.get("function", {}).get("name", ""))


def as_asked(make: Any, refuses: Any, breaks: Behaviour) -> Behaviour:
    """Does what the question says."""
    failed: set[str] = set()

    async def behave(provider: FakeProvider, peer: Peer, body: dict[str, Any]) -> None:
        question = json.dumps(body["messages"][-1])
        if "Which city" in question:
            assert PNG in question
            tool = forced_tool(body)
            called = Answer(text="", calls=(("call_1", CITY),), finish="tool_calls", tool=tool)
            await make(called if tool else Answer(text=json.dumps(CITY)))(provider, peer, body)
        elif "Think" in question:
            await make(THOUGHT)(provider, peer, body)
        elif "Break" in question:
            await breaks(provider, peer, body)
        elif "Refuse" in question:
            (status,) = (each for each in (400, 401, 429, 529) if f"Refuse {each}" in question)
            await refuses(status)(provider, peer, body)
        else:
            works = question in failed
            failed.add(question)
            await (make(DONE) if works else refuses(529))(provider, peer, body)

    return behave


@pytest.fixture
async def gpt(rest: Rest, tenant: Tenant) -> AsyncIterator[FakeProvider]:
    breaks = fake_provider.sends(fake_provider.chunk({"content": "Half"}), end="reset")
    async with FakeProvider(as_asked(openai_behaviour, fake_provider.refuses, breaks)) as running:
        await add_model(rest, tenant, GPT, "openai-compatible", running.url, "sk-x")
        yield running


@pytest.fixture
async def claude(rest: Rest, tenant: Tenant) -> AsyncIterator[FakeAnthropic]:
    breaks = fake_anthropic.breaks_off(fake_anthropic.text("Half"))
    async with FakeAnthropic(as_asked(anthropic_behaviour, fake_anthropic.refuses, breaks)) as running:
        await add_model(rest, tenant, CLAUDE, "anthropic", running.url, fake_anthropic.KEY)
        yield running


@pytest.mark.parametrize("model", [GPT, CLAUDE])
async def test_sdks_of_typescript(
    rest: Rest, tenant: Tenant, gpt: FakeProvider, claude: FakeAnthropic, model: str
) -> None:
    """The official SDKs and the two providers of the Vercel AI SDK."""
    node.install()
    env = {"PORTICO_URL": rest.url, "PORTICO_TOKEN": tenant.session, "PORTICO_MODEL": model, "PORTICO_PNG": PNG}
    answers = await asyncio.to_thread(node.run, "scenarios.mjs", env)
    common = {"image": CITY, "broken": {"text": "Half", "failed": True}, "again": "Sun in Rome."}
    answers["openai"]["refused"]["400"].pop()  # the provider's own code, where it has one
    for name in ("anthropic", "openai"):
        assert answers[name] == {**common, "thinking": THOUGHTS, "refused": REFUSED[name]}
        statuses = {asked: [status, True] for asked, (status, *_) in REFUSED[name].items()}
        # OpenAI's provider of the AI SDK has no field for reasoning.
        thinking = THOUGHTS if name == "anthropic" else [[None, "Sun in Rome."]] * 2
        assert answers[f"vercel {name}"] == {**common, "thinking": thinking, "refused": statuses}


async def test_langchain(rest: Rest, tenant: Tenant, gpt: FakeProvider, claude: FakeAnthropic) -> None:
    """ChatOpenAI and ChatAnthropic."""
    env = {"PORTICO_URL": rest.url, "PORTICO_TOKEN": tenant.session, "PORTICO_MODELS": f"{GPT},{CLAUDE}"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, LANGCHAIN),
        env={**os.environ, **env, "PORTICO_PNG": PNG},
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0
    common = {"image": CITY, "broken": {"text": "Half", "failed": True}, "again": "Sun in Rome."}
    for answers in json.loads(printed).values():
        for name in ("openai", "anthropic"):
            statuses = {asked: status for asked, (status, *_) in REFUSED[name].items()}
            # ChatOpenAI has no field for reasoning.
            thinking = THOUGHTS if name == "anthropic" else [["", "Sun in Rome."]] * 2
            assert answers[name] == {**common, "thinking": thinking, "refused": statuses}
