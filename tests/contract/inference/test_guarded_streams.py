"""Guarded streams on every frontend: thousands of them, with planted PII cut at random places."""

import json
import random
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from google.protobuf.json_format import MessageToDict

from core.tenancy import Project, Tenant
from services.inference import mapping_chat
from services.inference.domain.frontends.anthropic.frontend import AnthropicFrontend
from services.inference.domain.frontends.openai import OpenAIFrontend
from services.inference.domain.guardrails.answers import GuardedStream
from services.inference.domain.guardrails.findings import BLOCK, REDACT
from services.inference.domain.guardrails.guards import Guard
from services.inference.domain.guardrails.pii import CATEGORIES, PiiCheck
from services.inference.domain.guardrails.records import PRESET, Guardrail
from services.inference.domain.pipeline.answer import Answer, Chunk
from services.inference.domain.usage.calls import SUCCESS
from tests.unit.services.inference.guardrails.test_hold_back import filler, pieces_of
from tests.unit.services.inference.guardrails.test_pii import SAMPLES
from tests.unit.services.inference.guardrails.test_streams import chunk, tool

STREAMS = 5_000
EXCHANGE: Any = SimpleNamespace(request_id="r")
"""All that the writers of events look at."""
PROJECT = Project(Tenant("acme"), "p")
VALUES = [each for name, samples in SAMPLES.items() if name != "swift" for each in samples]


class Stream(Answer):
    """A provider's stream of these chunks, one or some at a time."""

    def __init__(self, chunks: list[Chunk], random_: random.Random) -> None:
        super().__init__()
        self._left = chunks
        self._random = random_

    async def next(self) -> list[Chunk]:
        count = self._random.randrange(1, 4)
        found, self._left = self._left[:count], self._left[count:]
        if not self._left:
            self._end(SUCCESS)
        return found


def said(random_: random.Random) -> tuple[str, list[Chunk]]:
    """A value, and a stream that says it: in the answer, in the reasoning or to a tool."""
    value = random_.choice(VALUES)
    text = f"{filler(random_, random_.randrange(12))} {value} {filler(random_, random_.randrange(12))}"
    chunks = [chunk({"role": "assistant", "content": ""})]
    match random_.choice(["content", "reasoning_content", "tool"]):
        case "tool":
            call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}
            chunks.append(chunk({"tool_calls": [call]}))
            arguments = json.dumps({"a": text}, ensure_ascii=random_.random() < 0.5)
            chunks += [chunk(tool(piece)) for piece in pieces_of(arguments, random_)]
            chunks.append(chunk({}, finish="tool_calls"))
        case name:
            chunks += [chunk({name: piece}) for piece in pieces_of(text, random_)]
            chunks += [chunk({"content": "Done."})] if name != "content" else []
            chunks.append(chunk({}, finish="stop"))
    return value, chunks


def guard(action: str) -> Guard:
    record = Guardrail(id="g", key="g", name="G", type=PRESET, action=action)
    return Guard(record, [PiiCheck(CATEGORIES.values(), action)], ())


FRONTENDS: dict[str, Any] = {
    "openai": OpenAIFrontend(lambda error, id: {"error": {"message": error.message, **error.details}}),
    "anthropic": AnthropicFrontend(lambda error, id: {"type": "error", "error": {"message": error.message}}),
    "typed": None,
}


@pytest.mark.parametrize("action", [REDACT, BLOCK])
@pytest.mark.parametrize("name", FRONTENDS)
async def test_planted_pii_never_leaves(name: str, action: str) -> None:
    """5,000 streams over the six cases. What a client reads is put together from its texts, however they were cut."""
    random_ = random.Random(f"{name} {action}")
    compiled, frontend = guard(action), FRONTENDS[name]
    for _ in range(STREAMS // 6 + 1):
        value, chunks = said(random_)
        inner = Stream(chunks, random_)
        answer = GuardedStream(inner, compiled, None, PROJECT)  # type: ignore[arg-type]  # it has no judge
        sent: list[Any] = []
        events = frontend.events(EXCHANGE) if frontend is not None else None
        while not answer.ended:
            came = await answer.next()
            if events is None:
                sent.append(MessageToDict(mapping_chat.stream_response(came)))
            else:
                sent += read(events.write(came))
        if events is not None:
            sent += read(events.end(answer))
        assert value not in json.dumps(sent, ensure_ascii=False), (value, chunks, sent)
        assert value not in joined(sent), (value, chunks, sent)
        assert (answer.error is not None) == (action == BLOCK)


def read(data: bytes) -> list[Any]:
    """The JSON of server-sent events."""
    lines = [line[6:] for line in data.split(b"\n") if line.startswith(b"data: {")]
    return [orjson.loads(line) for line in lines]


def joined(sent: list[Any]) -> str:
    """All texts that a client puts together, of either format."""
    parts: dict[str, str] = {}

    def walk(value: Any, place: str) -> None:
        if isinstance(value, dict):
            for name, each in value.items():
                walk(each, f"{place}.{name}")
        elif isinstance(value, list):
            for each in value:
                walk(each, place)
        elif isinstance(value, str):
            parts[place] = parts.get(place, "") + value

    for each in sent:
        walk(each, str(each.get("index", "")))
    return "\n".join(parts.values())
