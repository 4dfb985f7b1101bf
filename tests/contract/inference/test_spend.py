"""Spend reports and overviews: figures, filters, and who may see them."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest

from core.errors import Unavailable
from core.storage.journal import Segment
from portico.inference.v1 import model_service_pb2, spend_service_pb2
from services.inference.domain.usage.metering import Meter
from tests.support.fake_provider import FakeProvider
from tests.support.inference_harness import Caller, Harness, field_of, inference, refused

pytestmark = pytest.mark.each_store


async def report(caller: Caller, **request: Any) -> Any:
    await caller.harness.flush()
    message = spend_service_pb2.GetSpendReportRequest(**request)
    return await caller.harness.spend.GetSpendReport(message, metadata=caller.metadata)


async def overview(caller: Caller, **request: Any) -> Any:
    await caller.harness.flush()
    message = spend_service_pb2.GetUsageOverviewRequest(**request)
    return await caller.harness.spend.GetUsageOverview(message, metadata=caller.metadata)


class TestReport:
    async def test_it_is_the_sum_of_the_records(self, caller: Caller) -> None:
        await caller.model(key="euro", pricing=model_service_pb2.ModelPricing(currency="EUR", output_token_per_1m=1.0))
        for _ in range(3):
            await caller.chat()
        await caller.stream()
        await caller.chat(model="euro")
        await refused(caller.chat(model="nope"))
        records = await caller.records(6)
        found = await report(caller)
        assert (found.object, found.group_by, found.currency) == ("spend.report", "day", "USD")
        dollars = [each for each in records if each.currency == "USD"]
        assert found.total_calls == len(dollars) == 5
        assert round(found.total_cost * 1e9) == sum(round(each.cost * 1e9) for each in dollars)
        assert found.total_tokens == sum(each.usage.total_tokens for each in dollars)
        assert found.total_tokens == found.total_input_tokens + found.total_output_tokens
        models = {(each.model_key, each.currency): each for each in found.by_model}
        assert set(models) == {("m", "USD"), ("euro", "EUR"), ("nope", "USD")}
        m, nope = models["m", "USD"], models["nope", "USD"]
        assert (m.model_name, m.category, m.provider_key, m.calls) == ("M", "llm", "p", 4)
        assert not nope.HasField("model_name")
        assert not nope.HasField("provider_key")
        assert [each.currency for each in found.other_currencies] == ["EUR"]
        assert (await report(caller, currency="eur")).total_calls == 1
        (period,) = found.timeseries
        assert (period.calls, period.cost) == (5, found.total_cost)
        assert period.period == time.strftime("%Y-%m-%d", time.gmtime(records[0].created_at.seconds))

    @pytest.mark.parametrize(("group_by", "length"), [("hour", 20), ("day", 10), ("month", 7)])
    async def test_periods(self, caller: Caller, group_by: str, length: int) -> None:
        await caller.chat()
        found = await report(caller, group_by=group_by)
        assert [len(each.period) for each in found.timeseries] == [length]

    async def test_by_agent_tag_user_and_token(self, caller: Caller) -> None:
        """Budgets and bills are by whom and what for, not by model alone."""
        await caller.chat(metadata={"team": "red", "agent": "planner"})
        await caller.stream(metadata={"team": "blue", "agent": "planner", "retries": 2})
        await caller.chat()
        teams = (await report(caller, group_by_entity="metadata.team")).by_entity
        assert {each.entity: each.calls for each in teams} == {"red": 1, "blue": 1}
        agents = (await report(caller, group_by_entity="agent")).by_entity
        assert {each.entity: each.calls for each in agents} == {"planner": 2, "": 1}
        assert [each.entity for each in (await report(caller, group_by_entity="metadata.retries")).by_entity] == ["2"]
        for entity in ("user", "api_key"):
            (only,) = (await report(caller, group_by_entity=entity)).by_entity
            assert only.calls == 3
        assert (await report(caller, agent="planner")).total_calls == 2
        assert (await report(caller, token_id="another")).total_calls == 0

    async def test_nothing_is_a_report_too(self, harness: Harness) -> None:
        found = await report(harness.caller())
        assert (found.total_calls, found.total_cost, found.currency) == (0, 0, "USD")
        assert not found.by_model
        assert not found.timeseries

    @pytest.mark.parametrize(
        ("request_", "field"),
        [
            ({"from": "soon"}, "from"),
            ({"to": "2026-02-30"}, "to"),
            ({"from": "2026-11-02", "to": "2026-11-01"}, "from"),
            ({"group_by": "week"}, "group_by"),
            ({"group_by": "hour", "from": "2026-01-01", "to": "2026-03-01"}, "group_by"),
            ({"group_by_entity": "model"}, "group_by_entity"),
            ({"group_by_entity": "metadata."}, "group_by_entity"),
            ({"group_by_entity": "metadata.team", "agent": "a"}, "group_by_entity"),
            ({"currency": "dollars"}, "currency"),
        ],
    )
    async def test_a_bad_field_is_named(self, caller: Caller, request_: dict[str, str], field: str) -> None:
        error = await refused(report(caller, **request_))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert field_of(error) == field


class TestOverview:
    async def test_its_figures_are_those_of_the_records(self, caller: Caller, provider: FakeProvider) -> None:
        for _ in range(3):
            await caller.chat(metadata={"team": "red", "agent": "planner"})
        await refused(caller.chat(model="nope"))
        records = await caller.records(4)
        found = await overview(caller)
        assert (found.totals.requests, found.totals.errors, found.totals.cancelled) == (4, 1, 0)
        assert found.totals.error_rate == 0.25
        assert found.totals.total_tokens == sum(each.usage.total_tokens for each in records)
        assert {each.currency: round(each.cost * 1e9) for each in found.totals.costs} == {
            "USD": sum(round(each.cost * 1e9) for each in records)
        }
        assert [(each.key, each.requests, each.error_rate) for each in found.models] == [("m", 3, 0), ("nope", 1, 1)]
        slowest = max(each.latency_ms for each in records if each.status == "success")
        assert found.models[0].latency.p99_ms == pytest.approx(slowest, rel=0.06)
        assert 0 < found.totals.latency.p50_ms <= found.totals.latency.p95_ms <= found.totals.latency.p99_ms
        assert not found.models[1].HasField("latency")
        assert [(each.key, each.requests) for each in found.agents] == [("planner", 3)]
        assert {each.key for each in found.tags} == {"team=red", "agent=planner"}
        assert [each.requests for each in found.timeseries] == [4]
        assert found.group_by == "hour"
        assert found.timeseries[0].key.endswith(":00:00Z")
        assert (await overview(caller, model="m", top=1)).totals.requests == 3

    @pytest.mark.parametrize(("request_", "field"), [({"top": 101}, "top"), ({"from": "x"}, "from")])
    async def test_a_bad_field_is_named(self, caller: Caller, request_: dict[str, Any], field: str) -> None:
        assert field_of(await refused(overview(caller, **request_))) == field


class TestWho:
    async def test_projects_and_tenants_see_their_own(self, harness: Harness, caller: Caller) -> None:
        """One model key and one tag in two projects and two tenants."""
        expected: dict[str, int] = defaultdict(int)
        others = {"p2": harness.caller(project="p2"), "alien": harness.caller(tenant="globex")}
        for name, other in others.items():
            await other.provider()
            await other.model()
            expected[name] = 2 + len(expected)
        await caller.chat(metadata={"team": "red"})
        for name, other in others.items():
            for _ in range(expected[name]):
                await other.chat(metadata={"team": "red"})
        for one, count in ((caller, 1), (others["p2"], 2), (others["alien"], 3)):
            found = await report(one, group_by_entity="metadata.team")
            assert (found.total_calls, found.by_entity[0].calls) == (count, count)
            figures = await overview(one)
            assert (figures.totals.requests, figures.tags[0].requests, len(figures.tokens)) == (count, count, 1)
        administrator = harness.caller(kind="session")
        assert (await report(administrator, all_projects=True)).total_calls == 3
        assert (await overview(administrator, all_projects=True)).totals.requests == 3

    async def test_all_projects_need_an_administrator(self, harness: Harness, caller: Caller) -> None:
        reader = harness.caller(kind="session", scopes=["usage:read"])
        for one in (caller, reader):
            for call in (report(one, all_projects=True), overview(one, all_projects=True)):
                assert (await refused(call)).code() is grpc.StatusCode.PERMISSION_DENIED

    async def test_the_scope_is_needed(self, harness: Harness) -> None:
        stranger = harness.caller(scopes=["models:write"])
        for call in (report(stranger), overview(stranger)):
            assert (await refused(call)).code() is grpc.StatusCode.PERMISSION_DENIED


class TestDurability:
    async def test_a_call_is_in_the_journal_before_its_answer_is_whole(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Records were in memory for half a second after the answer, and a kill lost them."""

        async def away(*arguments: Any) -> None:
            raise Unavailable("The store is away.")

        data = tmp_path / "data"
        with monkeypatch.context() as patched:
            patched.setattr(Meter, "_insert", away)
            async with inference(data) as harness:
                caller = harness.caller()
                await caller.provider()
                await caller.model()
                body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
                asked: list[Callable[[], Awaitable[Any]]] = [
                    caller.chat,
                    caller.stream,
                    partial(caller.post_messages, body),
                    partial(caller.chat, model="nope"),
                ]
                for number, call in enumerate(asked, 1):
                    await asyncio.gather(call(), return_exceptions=True)
                    journals = [Segment(path, -1) for path in (data / "journal").iterdir()]
                    assert sum(len(list(each.payloads())) for each in journals) == number
        async with inference(data) as harness:
            await harness.caller().records(4)
        assert list((data / "journal").iterdir()) == []

    @pytest.mark.parametrize("sync", ["true", "false"])
    async def test_each_call_has_one_record(self, tmp_path: Path, sync: str) -> None:
        async with inference(tmp_path / "data", PORTICO_USAGE_SYNC=sync) as harness:
            caller = harness.caller()
            await caller.provider()
            await caller.model()
            for _ in range(3):
                await caller.chat()
                await caller.stream()
                await caller.post_messages(
                    {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
                )
                await refused(caller.chat(model="nope"))
            assert len({each.id for each in await caller.records(12)}) == 12
        assert list((tmp_path / "data" / "journal").iterdir()) == []
