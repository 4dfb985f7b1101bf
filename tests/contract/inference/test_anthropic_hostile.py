"""Requests and answers in which any value is something else: refused as what they are, never an error of ours."""

import copy
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import orjson
import pytest

from core.errors import InvalidInput, UpstreamFailed
from services.inference.domain.codecs.anthropic.chat import AnthropicChat
from services.inference.domain.codecs.codec import TargetModel
from services.inference.domain.codecs.errors import Refusal
from services.inference.domain.frontends.anthropic.frontend import AnthropicFrontend
from services.inference.domain.frontends.anthropic.requests import read_request
from services.inference.domain.pipeline.answer import WholeAnswer
from services.inference.domain.pipeline.requests import check_chat
from services.inference.domain.usage.tokens import NO_USAGE
from tests.support import fake_anthropic as fake
from tests.support.exchanges import OLD, SONNET, exchange, target
from tests.unit.services.inference.test_anthropic_answers import TALK
from tests.unit.services.inference.test_anthropic_frontend import CHAT

CODEC = AnthropicChat(max_event_bytes=2**20)
FRONTEND = AnthropicFrontend(lambda error, id: {})
ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    2**70,
    1.5,
    "",
    "x",
    "text",
    [],
    [1],
    [[]],
    {},
    {"type": []},
    {"type": "text"},
    [None],
]
ASKED: dict[str, Any] = {
    "model": "m",
    "messages": [
        {"role": "system", "content": [{"type": "text", "text": "S"}], "cache_control": {"type": "ephemeral"}},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Hi"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
                {"type": "file", "file": {"filename": "f", "file_data": "data:application/pdf;base64,AA=="}},
            ],
        },
        {
            "role": "assistant",
            "content": "A",
            "reasoning_content": "T",
            "reasoning_details": [{"type": "reasoning.text", "signature": "s", "format": "anthropic-claude-v1"}],
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": "R"},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": True}}],
    "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"function": {"name": "f"}}]}},
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
    "reasoning_effort": "low",
    "max_tokens": 5000,
    "stop": ["X"],
    "service_tier": "auto",
    "parallel_tool_calls": False,
    "n": 1,
    "user": "u",
}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all values within a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield (*path, key)
        yield from places(each, (*path, key))


def changed(value: Any, rng: random.Random) -> Any:
    """The value with one or two of those within it replaced or removed."""
    made = copy.deepcopy(value)
    for _ in range(rng.randint(1, 2)):
        path = rng.choice(list(places(made)))
        holder = made
        for key in path[:-1]:
            holder = holder[key]
        if rng.random() < 0.2:
            del holder[path[-1]]
        else:
            holder[path[-1]] = copy.deepcopy(rng.choice(ODD))
    return made


def names_its_field(work: Callable[[], None]) -> bool:
    """Return whether the work is done, or refused with the name of a field."""
    try:
        work()
    except InvalidInput as error:
        return bool(error.field)
    return True


def _translate(body: dict[str, Any]) -> None:
    native = read_request(body)
    check_chat(native.canonical)
    CODEC.encode(exchange(native.canonical, native), target())
    CODEC.encode(exchange(native.canonical), target())


def _encode(body: dict[str, Any], model: TargetModel) -> None:
    check_chat(body)
    CODEC.encode(exchange(body), model)


@pytest.mark.parametrize("seed", range(8))
def test_messages_requests(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(400):
        body = changed(CHAT, rng)
        assert names_its_field(partial(_translate, body)), body


@pytest.mark.parametrize("seed", range(8))
def test_canonical_requests(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(400):
        body = changed(ASKED, rng)
        model = target(rng.choice([SONNET, OLD]))
        assert names_its_field(partial(_encode, body, model)), body


@pytest.mark.parametrize("seed", range(8))
async def test_answers(seed: int) -> None:
    rng = random.Random(seed)
    native = await FRONTEND.read(orjson.dumps({**CHAT, "stream": False}))
    callers = [exchange(ASKED), exchange(native.canonical, native)]
    for _ in range(200):
        message = changed(TALK, rng)
        for caller in callers:
            with suppress(UpstreamFailed, Refusal):
                body = CODEC.whole(_json(message), caller, target()).body
                FRONTEND.whole(caller, body, WholeAnswer([body], NO_USAGE))


@pytest.mark.parametrize("seed", range(8))
async def test_streams(seed: int) -> None:
    rng = random.Random(seed)
    native = await FRONTEND.read(orjson.dumps(CHAT))
    events = [orjson.loads(event.partition(b"\ndata: ")[2]) for event in fake.events(TALK)]
    for _ in range(200):
        broken = changed(events, rng)
        if rng.random() < 0.3:
            rng.shuffle(broken)
        data = b"".join(b"data: %b\n\n" % _json(event) for event in broken)
        for caller in (exchange({**ASKED, "stream": True}), exchange(native.canonical, native)):
            reader = CODEC.stream(caller, target())
            writer = FRONTEND.events(caller)
            chunks = reader.feed(data)
            chunks += [] if reader.done or reader.error else reader.end()
            assert reader.usage is None or reader.usage.total >= 0
            with suppress(UpstreamFailed):
                writer.write([*chunks, reader.usage_chunk(NO_USAGE)])
            writer.end(WholeAnswer([], NO_USAGE))


def _json(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:  # integers beyond 64 bits
        return orjson.dumps(None)
