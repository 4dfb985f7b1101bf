"""Metrics of alert rules from real services: usage and guardrails of inference, and the administrators of auth."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core import context
from core.context import RequestContext
from core.rpc.client import ServiceClient
from core.tenancy import Project, Tenant
from services.tracing.adapters.neighbours import GuardrailMetrics, TenantAdministrators, UsageMetrics
from services.tracing.adapters.rag_metrics import RagMetrics
from tests.support.auth_service import auth_service
from tests.support.fake_provider import FakeProvider
from tests.support.inference_harness import Caller, Harness, inference, refused
from tests.support.policies import set_policy
from tests.support.retrieval_client import RetrievalClient, neighbours, served
from tests.support.serving import connect
from tests.support.tokens import Signer

ACME = Project(Tenant("acme"), "p1")


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[Harness]:
    async with inference(tmp_path / "data") as running:
        yield running


@pytest.fixture
async def caller(harness: Harness) -> AsyncIterator[Caller]:
    async with FakeProvider() as provider:
        made = harness.caller()
        await made.provider(provider.url)
        await made.model()
        yield made


@pytest.fixture
async def client(harness: Harness, caller: Caller) -> AsyncIterator[ServiceClient]:
    """A client that calls as the caller does."""
    context.bind(RequestContext("req-1", token=caller.token))
    made = ServiceClient("inference", f"127.0.0.1:{harness.running.port}")
    yield made
    await made.close()


async def test_usage_of_models_in_the_window(harness: Harness, caller: Caller, client: ServiceClient) -> None:
    source, start = UsageMetrics(client), time.time()

    async def measure(metric: str, model: str = "", start: float = start) -> float | None:
        scope = {"modelKey": model} if model else {}
        return await source.measure(ACME, metric, scope, start, time.time() + 1)

    context.bind(RequestContext("req-1", token=caller.token))
    assert await measure("error_rate") is None
    assert await measure("total_requests") is None
    assert await measure("spend") == 0.0
    for _ in range(3):
        await caller.chat()
    await refused(caller.chat(model="nope"))
    records = await caller.records(4)
    assert await measure("total_requests") == 4.0
    assert await measure("error_rate") == 25.0
    assert await measure("error_rate", "m") == 0.0
    assert await measure("error_rate", "other") is None
    latencies = [each.latency_ms for each in records]
    assert await measure("avg_latency_ms") == pytest.approx(sum(latencies) / 4, rel=1e-3)
    assert await measure("p95_latency_ms", "m") == max(each.latency_ms for each in records if each.status == "success")
    assert await measure("total_cost") == pytest.approx(sum(each.cost for each in records))
    assert await measure("p95_latency_ms", start=time.time() + 0.5) is None


async def test_evaluations_of_guardrails_in_the_window(caller: Caller, client: ServiceClient) -> None:
    context.bind(RequestContext("req-1", token=caller.token))
    source, start = GuardrailMetrics(client), time.time() - 1
    assert await source.measure(ACME, "guardrail_fail_rate", {"guardrailKey": "none"}, start, time.time() + 1) is None
    assert await source.measure(ACME, "guardrail_total_evaluations", {}, start, time.time() + 1) is None
    await caller.guardrail({"pii": {"enabled": True, "categories": {"email": True}}})
    await caller.model(key="guarded", input_guardrail_key="g")
    await caller.chat("hello", model="guarded")
    await refused(caller.chat("write to john@example.com", model="guarded"))
    await caller.evaluations()
    end = time.time() + 1
    assert await source.measure(ACME, "guardrail_total_evaluations", {}, start, end) == 2.0
    assert await source.measure(ACME, "guardrail_fail_rate", {"guardrailKey": "g"}, start, end) == 50.0


async def test_the_active_owners_and_admins_of_the_tenant(tmp_path: Path) -> None:
    async with auth_service(tmp_path / "auth") as auth:
        owner = await auth.register("acme")
        await auth.join(owner, "admin@acme.example.com", "admin")
        await auth.join(owner, "user@acme.example.com", "user")
        context.bind(RequestContext("req-1", token=owner.token))
        client = ServiceClient("auth", f"127.0.0.1:{auth.running.port}")
        found = await TenantAdministrators(client)(ACME)
        await client.close()
    assert sorted(found) == ["admin@acme.example.com", "owner@acme.example.com"]


async def test_queries_and_failed_documents_of_knowledge_modules(tmp_path: Path, signer: Signer) -> None:
    async with served(tmp_path / "rag", signer, neighbours()) as running, connect(running.port) as channel:
        caller = RetrievalClient(channel, signer.token())
        client = ServiceClient("rag", f"127.0.0.1:{running.port}")
        context.bind(RequestContext("req-1", token=signer.token()))
        source, start = RagMetrics(client), time.time() - 1

        async def measure(metric: str, key: str = "") -> float | None:
            scope = {"ragModuleKey": key} if key else {}
            return await source.measure(ACME, metric, scope, start, time.time() + 1)

        assert await measure("rag_total_queries") is None
        assert await measure("rag_failed_documents", "none") is None
        await caller.create()
        await caller.ingest(fileName="a.md", content="the fee is ten euros", wait=True)
        await caller.query("fee")
        await caller.query("euros")
        async with asyncio.timeout(20):
            while await measure("rag_total_queries", "kb") != 2.0:
                await asyncio.sleep(0.05)
        assert (await measure("rag_avg_latency_ms") or 0.0) > 0.0
        assert await measure("rag_failed_documents") == 0.0
        await client.close()


async def test_how_much_of_a_budget_is_used(harness: Harness, caller: Caller, client: ServiceClient) -> None:
    context.bind(RequestContext("req-1", token=caller.token))
    source = UsageMetrics(client)

    async def measure() -> float | None:
        return await source.measure(ACME, "budget_used", {}, time.time() - 1, time.time())

    assert await measure() is None
    await set_policy(harness.running.platform, {"budget.dailySpendLimit": 100_000}, domain="llm")
    assert await measure() == 0.0
    await caller.model(key="dear", name="Dear", pricing={"currency": "USD", "input_token_per_1m": 1_000_000})
    await caller.chat(model="dear")
    cost = (await caller.records(1))[0].cost
    assert cost
    assert await measure() == pytest.approx(100 * cost / 1000)
