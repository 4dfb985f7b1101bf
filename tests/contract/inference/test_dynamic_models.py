"""Dynamic models: rules, or a model that is asked, choose who answers."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict

from portico.inference.v1 import model_service_pb2 as pb
from tests.support import fake_provider as fake
from tests.support.fake_provider import FakeProvider
from tests.support.inference_harness import Caller, Harness, field_of, reason_of, refused, text_of

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}


@pytest.fixture
async def providers() -> AsyncIterator[dict[str, FakeProvider]]:
    async with AsyncExitStack() as stack:
        yield {
            name: await stack.enter_async_context(FakeProvider(fake.answers(name)))
            for name in ("small", "large", "judge")
        }


@pytest.fixture
async def caller(harness: Harness, providers: dict[str, FakeProvider]) -> Caller:
    made = harness.caller()
    for name, each in providers.items():
        await made.provider(each.url, key=name)
        await made.model(key=name, provider_key=name)
    return made


async def dynamic(caller: Caller, key: str = "m", **settings: Any) -> pb.Model:
    filled = {"defaultModelKey": "small", **settings}
    body = {"key": key, "name": "Any", "settings": {"dynamic": filled}}
    request = ParseDict(body, pb.CreateDynamicModelRequest())
    made: pb.Model = (await caller.harness.models.CreateDynamicModel(request, metadata=caller.metadata)).model
    return made


def rule(signal: str, operator: str, value: float | str | None = None, label: str = "r") -> dict[str, Any]:
    condition = {"signal": signal, "operator": operator} | ({} if value is None else {"value": value})
    return {"label": label, "conditions": [condition], "targetModelKey": "large"}


def said(answer: dict[str, Any]) -> str:
    return str(answer["choices"][0]["message"]["content"])


@pytest.mark.parametrize(
    ("given", "request_fields", "matches"),
    [
        (rule("messageCount", "gt", 1), {}, False),
        (rule("messageCount", "lte", 1), {}, True),
        (rule("lastUserLength", "eq", 2), {}, True),
        (rule("lastUserLength", "neq", 2), {}, False),
        (rule("inputTokensEst", "gte", 1), {}, True),
        (rule("inputTokensEst", "gt", 100), {}, False),
        (rule("hasTools", "isTrue"), {"tools": [{"type": "function", "function": {"name": "f"}}]}, True),
        (rule("hasTools", "isTrue"), {}, False),
        (rule("hasResponseFormat", "isTrue"), {"response_format": {"type": "json_object"}}, True),
        (rule("hasResponseFormat", "isFalse"), {"response_format": {"type": "text"}}, True),
        (rule("hasImages", "isTrue"), {"messages": [{"role": "user", "content": [IMAGE]}]}, True),
        (rule("keyword", "contains", "bye, HI"), {}, True),
        (rule("keyword", "contains", "bye"), {}, False),
        (rule("keyword", "eq", "hi"), {}, True),
        (rule("keyword", "matches", "^h[i]$"), {}, True),
        (rule("keyword", "matches", r"\d{3}"), {}, False),
        (rule("estimatedCostUsd", "gt", 0), {}, False),
    ],
)
async def test_rules_look_at_signals(
    caller: Caller, given: dict[str, Any], request_fields: dict[str, Any], matches: bool
) -> None:
    await dynamic(caller, rules=[given])
    assert said(await caller.chat(**request_fields)) == ("large" if matches else "small")


async def test_the_first_rule_that_holds_chooses_and_the_record_says_so(
    caller: Caller, providers: dict[str, FakeProvider]
) -> None:
    first = rule("messageCount", "gt", 5, label="long")
    second = rule("keyword", "contains", "hi", label="greeting; polite")
    await dynamic(caller, rules=[first, second])
    answer = await caller.chat()
    assert (said(answer), answer["model"]) == ("large", "large")
    assert str(caller.headers["x-portico-route"]).endswith("model=large; decision=rule; label=greeting%3B polite")
    (record,) = await caller.records(1)
    assert (record.model, record.provider_key) == ("m", "large")
    (choice,) = record.decision.dynamic
    assert (choice.router_key, choice.decision, choice.chosen_model_key) == ("m", "rule", "large")
    assert choice.label == "greeting; polite"
    assert text_of(await caller.stream()) == "large"


async def test_any_or_all_conditions(caller: Caller) -> None:
    conditions = [
        {"signal": "messageCount", "operator": "eq", "value": 1},
        {"signal": "hasTools", "operator": "isTrue"},
    ]
    both = {"label": "x", "conditions": conditions, "targetModelKey": "large"}
    await dynamic(caller, "all", rules=[both])
    await dynamic(caller, "any", rules=[{**both, "matchType": "any"}])
    assert said(await caller.chat(model="all")) == "small"
    assert said(await caller.chat(model="any")) == "large"


async def test_the_fallback_answers_where_the_chosen_model_fails(
    caller: Caller, providers: dict[str, FakeProvider]
) -> None:
    providers["small"].behaviour = fake.refuses(500)
    await dynamic(caller, fallbackModelKey="large")
    assert said(await caller.chat()) == "large"
    (record,) = await caller.records(1)
    assert [each.decision for each in record.decision.dynamic] == ["default", "fallback"]
    assert record.attempts == 4  # three at the chosen one, which has used the budget up, and one at the fallback


async def test_a_clients_own_mistake_does_not_fall_back(caller: Caller, providers: dict[str, FakeProvider]) -> None:
    providers["small"].behaviour = fake.refuses(400)
    await dynamic(caller, fallbackModelKey="large")
    await refused(caller.chat())
    assert providers["large"].asked == 0


async def test_a_chosen_model_that_was_deleted_falls_back(caller: Caller) -> None:
    await dynamic(caller, fallbackModelKey="large")
    await caller.harness.models.DeleteModel(pb.DeleteModelRequest(id="small"), metadata=caller.metadata)
    assert said(await caller.chat()) == "large"


DECIDER: dict[str, Any] = {
    "modelKey": "judge",
    "labels": [{"label": "Hard", "targetModelKey": "large", "description": "?"}],
}
ASKING: dict[str, Any] = {"strategy": "model-based", "decider": DECIDER}


class TestDeciders:
    @pytest.mark.parametrize(
        ("answer", "chosen"), [("Hard", "large"), (' "hard". ', "large"), ("Hardly", "small"), ("", "small")]
    )
    async def test_a_decider_answers_with_a_label(
        self, caller: Caller, providers: dict[str, FakeProvider], answer: str, chosen: str
    ) -> None:
        providers["judge"].behaviour = fake.answers(answer)
        await dynamic(caller, **ASKING)
        assert said(await caller.chat("A question")) == chosen
        system, user = providers["judge"].bodies[0]["messages"]
        assert "- Hard: ?" in system["content"]
        assert user == {"role": "user", "content": "A question"}
        records = {record.model: record for record in await caller.records(2)}
        assert records["judge"].status == "success"  # metered as a call of its own
        (choice,) = records["m"].decision.dynamic
        assert choice.decision == ("model" if chosen == "large" else "default")
        assert choice.decider_latency_ms > 0

    async def test_a_decider_that_fails_leaves_the_default(
        self, caller: Caller, providers: dict[str, FakeProvider]
    ) -> None:
        providers["judge"].behaviour = fake.refuses(500)
        await dynamic(caller, **ASKING)
        assert said(await caller.chat()) == "small"
        assert providers["judge"].asked == 1  # it has no retries

    async def test_a_dynamic_model_is_no_decider(self, caller: Caller, providers: dict[str, FakeProvider]) -> None:
        await dynamic(caller, "other", **ASKING)
        await dynamic(caller, **{**ASKING, "decider": {**DECIDER, "modelKey": "other"}})
        assert said(await caller.chat()) == "small"


async def test_dynamic_models_may_choose_dynamic_ones_three_deep(caller: Caller) -> None:
    for depth in range(1, 5):
        await dynamic(caller, f"d{depth}", defaultModelKey=f"d{depth - 1}" if depth > 1 else "small")
    assert said(await caller.chat(model="d3")) == "small"
    assert reason_of(await refused(caller.chat(model="d4"))) == "DYNAMIC_MODEL_TOO_DEEP"


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"defaultModelKey": "no"}, "settings.dynamic.defaultModelKey"),
        ({"defaultModelKey": "m"}, "settings.dynamic.defaultModelKey"),
        ({"strategy": "lucky"}, "settings.dynamic.strategy"),
        ({"strategy": "model-based"}, "settings.dynamic.decider"),
        ({"rules": [rule("weather", "eq", 1)]}, "settings.dynamic.rules[0].conditions[0].signal"),
        ({"rules": [rule("hasTools", "gt", 1)]}, "settings.dynamic.rules[0].conditions[0].operator"),
        ({"rules": [rule("keyword", "matches", "(?=x)")]}, "settings.dynamic.rules[0].conditions[0].value"),
        ({"rules": [rule("messageCount", "gt", "x")]}, "settings.dynamic.rules[0].conditions[0].value"),
        ({"rules": [{**rule("messageCount", "gt", 1), "conditions": []}]}, "settings.dynamic.rules[0].conditions"),
        (
            {"rules": [{**rule("messageCount", "gt", 1), "targetModelKey": "no"}]},
            "settings.dynamic.rules[0].targetModelKey",
        ),
    ],
)
async def test_bad_settings_are_refused(caller: Caller, settings: dict[str, Any], field: str) -> None:
    assert field_of(await refused(dynamic(caller, **settings))) == field


async def test_it_is_listed_and_changed_as_a_model(caller: Caller) -> None:
    made = await dynamic(caller, rules=[rule("keyword", "contains", "x")])
    assert (made.category, made.provider_key, made.settings.dynamic.rules[0].conditions[0].value.string_value) == (
        "llm", "", "x",
    )  # fmt: skip
    listed = await caller.harness.models.ListModels(pb.ListModelsRequest(), metadata=caller.metadata)
    assert "m" in [each.id for each in listed.data]
    large = ParseDict({"dynamic": {"defaultModelKey": "large"}}, pb.ModelSettings())
    changed = pb.UpdateModelRequest(id="m", settings=large)
    await caller.harness.models.UpdateModel(changed, metadata=caller.metadata)
    assert said(await caller.chat()) == "large"
    for wrong in ({"settings": pb.ModelSettings()}, {"model_id": "x"}, {"provider_key": "small"}):
        request = pb.UpdateModelRequest(id="m", **wrong)
        await refused(caller.harness.models.UpdateModel(request, metadata=caller.metadata))
