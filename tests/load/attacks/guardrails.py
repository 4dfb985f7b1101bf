"""Attacks on inference with what tenants write for their guardrails and prompts: patterns, word lists, templates."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import grpc
from google.protobuf.struct_pb2 import Struct

from portico.inference.v1 import guardrail_service_pb2 as pb
from portico.inference.v1 import prompt_service_pb2 as prompt_pb
from tests.load.attacks.attack import Attack, Strike, Target, WarmUp
from tests.load.attacks.calls import ANY_SIZE, AT_A_TIME, Call, call

_GUARDRAILS = "inference.v1.GuardrailService"
_PROMPTS = "inference.v1.PromptService"
_LISTS = [f"large-{number}" for number in range(5)]
_TEXT = 1_000_000
_DEPTH = 32


def struct(**values: Any) -> Struct:
    made = Struct()
    made.update(values)
    return made


def guardrail(key: str, **word_filter: Any) -> Call:
    policy = struct(wordFilter={"enabled": True, **word_filter}, pii={"enabled": True})
    request = pb.CreateGuardrailRequest(key=key, name=key, type="preset", action="redact", policy=policy)
    return call(f"{_GUARDRAILS}/CreateGuardrail", request)


def evaluate(key: str, text: str) -> Call:
    return call(f"{_GUARDRAILS}/EvaluateGuardrail", pb.EvaluateGuardrailRequest(guardrail_key=key, text=text))


def patterns() -> list[str]:
    """Patterns whose automata have a state for each of very many sets of places: RE2 falls back on slow ways."""
    return [
        pattern.format(number)
        for number in range(17)
        for pattern in ("[ab]*a[ab]{{40}}c{}", "(?:.*a){{15}}z{}", "(?:a?){{60}}a{{60}}q{}")
    ][:50]


def letters(count: int) -> str:
    return "".join(random.Random(1).choices("ab ", k=count))


def words(number: int) -> list[str]:
    """A list of 20,000 words, 2 MB in all."""
    return [f"{number}w{at:05}" + "x" * 90 for at in range(20_000)]


def lists() -> Sequence[Call]:
    made = [pb.CreateWordListRequest(key=key, name=key, words=words(at)) for at, key in enumerate(_LISTS)]
    return [*(call(f"{_GUARDRAILS}/CreateWordList", each) for each in made), guardrail("lists", customListKeys=_LISTS)]


def changed_list() -> Call:
    """All lists are compiled anew after it."""
    return call(f"{_GUARDRAILS}/UpdateWordList", pb.UpdateWordListRequest(key=_LISTS[0], words=words(9)))


def deep_template() -> Call:
    sections = [f"s{level}" for level in range(_DEPTH)]
    inside = "{{missing.a.b}}" * 300
    template = "".join(f"{{{{#{name}}}}}" for name in sections) + inside
    template += "".join(f"{{{{/{name}}}}}" for name in reversed(sections))
    return call(f"{_PROMPTS}/CreatePrompt", prompt_pb.CreatePromptRequest(key="deep", name="deep", template=template))


def rendered() -> Call:
    data = struct(**{f"s{level}": [1, 2] if level < 2 else True for level in range(_DEPTH)})
    return call(f"{_PROMPTS}/RenderPrompt", prompt_pb.RenderPromptRequest(key="deep", data=data))


def made_first(calls: Callable[[], Sequence[Call]]) -> WarmUp:
    """Make what the attack uses, and use it once."""

    async def warm_up(target: Target) -> None:
        async with channel_of(target) as channel:
            for each in calls():
                await each.send(channel, target.insider)

    return warm_up


def in_turn(calls: Callable[[], Sequence[Call]]) -> Strike:
    """Several callers that send these calls over and over."""

    async def strike(target: Target, seen: Counter[str]) -> None:
        made = calls()

        async def repeat(channel: grpc.aio.Channel) -> None:
            while True:
                for each in made:
                    try:
                        await each.send(channel, target.insider)
                        seen["OK"] += 1
                    except grpc.aio.AioRpcError as error:
                        seen[f"{error.code().name} {(error.details() or '')[:60]}"] += 1

        async with channel_of(target) as channel:
            await asyncio.gather(*(repeat(channel) for _ in range(AT_A_TIME)))

    return strike


def channel_of(target: Target) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(f"127.0.0.1:{target.ports['inference']}", options=ANY_SIZE)


ATTACKS = [
    Attack(
        "inference",
        "guardrails: 50 adversarial patterns over 1 MB",
        in_turn(lambda: [evaluate("patterns", letters(_TEXT))]),
        workers=1,
        known=True,
        warm_up=made_first(lambda: [guardrail("patterns", regexes=patterns())]),
    ),
    Attack(
        "inference",
        "guardrails: 5 word lists of 2 MB, changed again and again",
        in_turn(lambda: [changed_list(), evaluate("lists", " ".join(words(1)[:1000]))]),
        workers=1,
        known=True,
        warm_up=made_first(lambda: [*lists(), evaluate("lists", "x")]),
    ),
    Attack(
        "inference",
        "prompts: a template of 32 sections inside each other",
        in_turn(lambda: [rendered()]),
        workers=1,
        known=True,
        warm_up=made_first(lambda: [deep_template(), rendered()]),
    ),
]
