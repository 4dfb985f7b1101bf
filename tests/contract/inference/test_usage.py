"""Usage: totals, who may see them, and what is written at the end."""

from pathlib import Path

import grpc
import pytest

from portico.inference.v1 import model_service_pb2, usage_service_pb2
from tests.support.fake_provider import FakeProvider
from tests.support.inference_harness import Caller, Harness, field_of, inference, refused

pytestmark = pytest.mark.each_store


class TestUsage:
    async def test_totals_are_the_sums_of_the_records(
        self, harness: Harness, caller: Caller, provider: FakeProvider
    ) -> None:
        await caller.model(key="euro", pricing=model_service_pb2.ModelPricing(currency="EUR", output_token_per_1m=1.0))
        await caller.chat()
        await caller.stream()
        await caller.chat(model="euro")
        await refused(caller.chat(model="nope"))
        records = await caller.records(4)
        request = usage_service_pb2.GetUsageRequest(group_by="model,status")
        usage = await harness.usage.GetUsage(request, metadata=caller.metadata)
        rows = {(row.group["model"], row.group["status"]): row for row in usage.rows}
        assert rows["m", "success"].requests == 2
        assert rows["m", "success"].total_tokens == 36
        assert rows["nope", "error"].errors == 1
        totals = {row.currency: row for row in usage.totals}
        for currency, row in totals.items():
            mine = [each for each in records if each.currency == currency]
            assert row.requests == len(mine)
            assert row.cost == pytest.approx(sum(each.cost for each in mine), abs=1e-12)
            assert row.input_tokens == sum(each.usage.input_tokens for each in mine)
            assert row.mean_latency_ms == pytest.approx(sum(each.latency_ms for each in mine) / len(mine))
        assert set(totals) == {"USD", "EUR"}

    async def test_a_status_that_no_call_has_is_refused(self, harness: Harness, caller: Caller) -> None:
        """It answered an empty list."""
        for status in ("success", "error", "cancelled"):
            request = usage_service_pb2.ListUsageRecordsRequest(status=status)
            await harness.usage.ListUsageRecords(request, metadata=caller.metadata)
        request = usage_service_pb2.ListUsageRecordsRequest(status="odd")
        error = await refused(harness.usage.ListUsageRecords(request, metadata=caller.metadata))
        assert (error.code(), field_of(error)) == (grpc.StatusCode.INVALID_ARGUMENT, "status")

    async def test_all_projects_need_an_administrator(self, harness: Harness, caller: Caller) -> None:
        await caller.chat()
        other = harness.caller(project="p2")
        await other.provider()
        await other.model()
        await other.chat()
        await harness.flush()
        request = usage_service_pb2.GetUsageRequest(all_projects=True, group_by="project")
        reader = harness.caller(scopes=["usage:read"])
        error = await refused(harness.usage.GetUsage(request, metadata=reader.metadata))
        assert error.code() is grpc.StatusCode.PERMISSION_DENIED
        administrator = harness.caller(kind="session")
        usage = await harness.usage.GetUsage(request, metadata=administrator.metadata)
        assert {row.group["project"]: row.requests for row in usage.rows} == {"p1": 1, "p2": 1}
        records = usage_service_pb2.ListUsageRecordsRequest(all_projects=True)
        listed = await harness.usage.ListUsageRecords(records, metadata=administrator.metadata)
        assert {each.project_id for each in listed.records} == {"p1", "p2"}

    async def test_an_api_token_sees_the_usage_of_its_own_project_alone(self, harness: Harness, caller: Caller) -> None:
        """A token bound to one project saw what was used in all of them."""
        records = usage_service_pb2.ListUsageRecordsRequest(all_projects=True)
        error = await refused(harness.usage.ListUsageRecords(records, metadata=caller.metadata))
        assert error.code() is grpc.StatusCode.PERMISSION_DENIED

    @pytest.mark.parametrize(("group", "field"), [("nope", "groupBy"), ("model;drop", "groupBy")])
    async def test_an_unknown_group_is_refused(self, caller: Caller, group: str, field: str) -> None:
        request = usage_service_pb2.GetUsageRequest(group_by=group)
        error = await refused(caller.harness.usage.GetUsage(request, metadata=caller.metadata))
        assert field_of(error) == field

    async def test_what_is_not_written_yet_is_written_at_the_end(self, tmp_path: Path) -> None:
        async with inference(tmp_path / "data") as harness:
            caller = harness.caller()
            await caller.provider()
            await caller.model()
            for _ in range(20):
                await caller.chat()
        async with inference(tmp_path / "data") as harness:
            await harness.caller().records(20)
