"""Inference servers that are polled, beside a stand-in that makes its metrics as vLLM does."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from core.storage.ports import Order
from core.tenancy import Project, Tenant
from portico.tracing.v1 import monitoring_service_pb2 as pb
from services.tracing.domain.monitoring.records import METRICS, SERVERS
from tests.support.auth_service import Refused
from tests.support.fake_vllm import FakeVllm, fake_vllm
from tests.support.monitoring_harness import QUICK, Client, Harness, tracing_service
from tests.support.tokens import Signer

C = grpc.StatusCode
ACME = Project(Tenant("acme"), "p1")


@pytest.fixture
async def harness(tmp_path: Path, signer: Signer) -> AsyncIterator[Harness]:
    async with tracing_service(tmp_path, signer) as made:
        yield made


@pytest.fixture
def client(harness: Harness) -> Client:
    return harness.client()


@pytest.fixture
async def vllm() -> AsyncIterator[FakeVllm]:
    async with fake_vllm() as server:
        yield server


async def refusal(awaitable: object) -> Refused:
    with pytest.raises(Refused) as caught:
        await awaitable  # type: ignore[misc]
    return caught.value


async def paused(client: Client, vllm: FakeVllm, **fields: object) -> pb.InferenceServer:
    """A server that is polled on demand alone."""
    return await client.add_server(vllm.url, **{"status": "disabled", **fields})


async def test_throughput_is_the_growth_between_two_polls(client: Client, vllm: FakeVllm) -> None:
    server = await paused(client, vllm)
    vllm.engine().generate(requests=10, tokens=100_000)
    first = await client.poll(server.key)
    assert first.up == 1
    assert not first.HasField("generation_tokens_throughput")
    begun = first.timestamp.ToMicroseconds()
    await asyncio.sleep(0.5)
    vllm.engine().generate(requests=3, tokens=1_000)
    second = await client.poll(server.key)
    seconds = (second.timestamp.ToMicroseconds() - begun) / 1e6
    assert second.interval_seconds == pytest.approx(seconds, rel=0.01)
    assert second.generation_tokens_throughput == pytest.approx(1_000 / seconds, rel=0.05)
    assert list(second.running_models) == ["llama"]


async def test_a_server_is_polled_on_its_schedule(tmp_path: Path, signer: Signer, vllm: FakeVllm) -> None:
    async with tracing_service(tmp_path, signer, **QUICK) as harness:
        client = harness.client()
        server = await client.add_server(vllm.url, poll_interval_seconds=1, api_key="key-of-gpu-1")
        async with asyncio.timeout(20):
            while len(rows := await client.history(server.key)) < 3:
                await asyncio.sleep(0.05)
        assert vllm.authorization == "Bearer key-of-gpu-1"
        times = [row.timestamp.ToMicroseconds() / 1e6 for row in rows]
        assert all(newer - older >= 0.9 for newer, older in itertools.pairwise(times))
        assert (await client.server(server.key)).health == "up"


async def test_two_replicas_poll_a_server_once(tmp_path: Path, signer: Signer, vllm: FakeVllm) -> None:
    async with (
        tracing_service(tmp_path, signer, **QUICK) as one,
        tracing_service(tmp_path, signer, **QUICK),
    ):
        client = one.client()
        server = await client.add_server(vllm.url, poll_interval_seconds=1)
        async with asyncio.timeout(20):
            while len(rows := await client.history(server.key)) < 3:
                await asyncio.sleep(0.05)
        assert len(rows) <= vllm.requests <= len(rows) + 1  # one may be under way


async def test_polls_go_on_after_a_restart(tmp_path: Path, signer: Signer, vllm: FakeVllm) -> None:
    async with tracing_service(tmp_path, signer, **QUICK) as harness:
        server = await harness.client().add_server(vllm.url, poll_interval_seconds=1)
    known = vllm.requests
    async with tracing_service(tmp_path, signer, **QUICK) as harness:
        async with asyncio.timeout(30):
            while vllm.requests == known:
                await asyncio.sleep(0.05)
        assert (await harness.client().server(server.key)).key == server.key


async def test_a_server_that_does_not_answer_is_down_and_up_again(client: Client) -> None:
    async with fake_vllm() as server:
        port = server.port
        added = await paused(client, server)
        assert (await client.poll(added.key)).up == 1
    down = await client.poll(added.key)
    assert (down.up, down.HasField("num_requests_running")) == (0, False)
    found = await client.server(added.key)
    assert (found.health, found.latest.up) == ("down", 0)
    assert "127.0.0.1" not in found.last_error
    async with fake_vllm(port) as server:
        server.engine().generate(requests=1, tokens=500)
        up = await client.poll(added.key)
        assert (up.up, up.generation_tokens_throughput > 0) == (1, True)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 200),
        (b"<html>Not found</html>", 200),
        (b"node_load1 0.5\nprocess_start_time_seconds 1\n", 200),
        (b"\xff\xfe\x00" * 1000, 200),
        (b"denied", 401),
        (b"", 500),
        (b"vllm:num_requests_running 1\n" * 400_000, 200),
    ],
)
async def test_an_answer_that_is_no_metrics_page_is_down(
    client: Client, vllm: FakeVllm, body: bytes, status: int
) -> None:
    server = await paused(client, vllm)
    vllm.body, vllm.status = body, status
    row = await client.poll(server.key)
    assert (row.up, bool(row.error)) == (0, True)


async def test_a_page_full_of_traps_does_not_hold_up_the_others(client: Client, vllm: FakeVllm) -> None:
    server = await paused(client, vllm)
    line = 'vllm:num_requests_running{a="' + '\\"' * 1900 + '"} 1\n'
    vllm.body = line.encode() * 1500
    polling = asyncio.create_task(client.poll(server.key))
    longest = 0.0
    while not polling.done():
        begun = time.monotonic()
        await client.server(server.key)
        longest = max(longest, time.monotonic() - begun)
    assert longest < 10.0


async def test_private_addresses_are_refused(tmp_path: Path, signer: Signer, vllm: FakeVllm) -> None:
    async with tracing_service(tmp_path, signer, PORTICO_OUTBOUND_ALLOWED_HOSTS="") as harness:
        refused = await refusal(harness.client().add_server(vllm.url))
        assert (refused.code, refused.field) == (C.INVALID_ARGUMENT, "baseUrl")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": ""}, "name"),
        ({"type": "triton"}, "type"),
        ({"base_url": "ftp://127.0.0.1"}, "baseUrl"),
        ({"base_url": "http://user@127.0.0.1"}, "baseUrl"),
        ({"poll_interval_seconds": 5}, "pollIntervalSeconds"),
        ({"poll_interval_seconds": 3601}, "pollIntervalSeconds"),
        ({"status": "errored"}, "status"),
        ({"key": "Bad Key"}, "key"),
        ({"api_key": "a\r\nX: y"}, "apiKey"),
    ],
)
async def test_bad_values_are_refused_by_name(client: Client, fields: dict[str, Any], field: str) -> None:
    url = fields.pop("base_url", "http://127.0.0.1:1")
    refused = await refusal(client.add_server(url, **fields))
    assert (refused.code, refused.field) == (C.INVALID_ARGUMENT, field)


async def test_a_changed_url_wants_the_api_key_again(client: Client, vllm: FakeVllm) -> None:
    """The old key must not be sent to another server."""
    server = await paused(client, vllm, api_key="secret-key")
    assert server.has_api_key
    change = pb.UpdateInferenceServerRequest(key=server.key, base_url="http://127.0.0.1:2")
    refused = await refusal(client.call(client.monitoring.UpdateInferenceServer, change))
    assert (refused.code, refused.field) == (C.INVALID_ARGUMENT, "apiKey")
    change.api_key = ""
    assert not (await client.call(client.monitoring.UpdateInferenceServer, change)).server.has_api_key


async def test_the_api_key_is_sealed_in_the_store(client: Client, harness: Harness, vllm: FakeVllm) -> None:
    await paused(client, vllm, api_key="secret-key")
    documents = (await harness.running.platform.store.find(ACME, SERVERS)).items
    assert "secret-key" not in repr(documents)


async def test_projects_and_tenants_do_not_see_each_others_servers(harness: Harness, vllm: FakeVllm) -> None:
    server = await paused(harness.client(), vllm)
    for other in (harness.client(project="p2"), harness.client("globex")):
        assert (await refusal(other.server(server.key))).code is C.NOT_FOUND
        assert (await refusal(other.server(server.id))).code is C.NOT_FOUND
        assert (await refusal(other.history(server.key))).code is C.NOT_FOUND
        listed = await other.call(other.monitoring.ListInferenceServers, pb.ListInferenceServersRequest())
        assert not listed.servers


async def test_a_deleted_server_takes_its_history_with_it(client: Client, harness: Harness, vllm: FakeVllm) -> None:
    server = await paused(client, vllm)
    await client.poll(server.key)
    request = pb.DeleteInferenceServerRequest(key=server.key)
    assert (await client.call(client.monitoring.DeleteInferenceServer, request)).success
    assert (await refusal(client.server(server.key))).code is C.NOT_FOUND
    assert await harness.running.platform.store.count(ACME, METRICS) == 0


async def test_history_is_kept_for_a_time_and_read_by_span_and_page(
    tmp_path: Path, signer: Signer, vllm: FakeVllm
) -> None:
    retention = {"PORTICO_MONITORING_RETENTION_DAYS": "1"}
    async with tracing_service(tmp_path, signer, **retention) as harness:
        client = harness.client()
        server = await paused(client, vllm)
        rows = [await client.poll(server.key) for _ in range(3)]
        assert [row.timestamp for row in await client.history(server.key)] == [row.timestamp for row in rows[::-1]]
        assert len(await client.history(server.key, limit=2)) == 2
        since = pb.ListInferenceMetricsRequest(key=server.key, to=rows[2].timestamp)
        getattr(since, "from").CopyFrom(rows[1].timestamp)
        found = await client.call(client.monitoring.ListInferenceMetrics, since)
        assert [row.timestamp for row in found.metrics] == [rows[1].timestamp]
        (document, *_) = (await harness.running.platform.store.find(ACME, METRICS, order=Order("at"))).items
        assert document["expiresAt"] - document["at"] == pytest.approx(86_400.0)


async def test_the_dashboard_sums_what_is_up(client: Client, vllm: FakeVllm) -> None:
    vllm.engine().set(running=2, waiting=3)
    one = await paused(client, vllm)
    two = await paused(client, vllm)
    dead = await client.add_server("http://127.0.0.1:1", status="disabled")
    for server in (one, two, dead):
        await client.poll(server.key)
    answer = await client.call(client.monitoring.GetInferenceDashboard, pb.GetInferenceDashboardRequest())
    totals = answer.totals
    assert (totals.servers, totals.up, totals.down) == (3, 2, 1)
    assert (totals.num_requests_running, totals.num_requests_waiting) == (4.0, 6.0)


async def test_reading_needs_one_scope_and_writing_another(harness: Harness, vllm: FakeVllm) -> None:
    reader = harness.client(scopes=["alerts:read"])
    await reader.call(reader.monitoring.ListInferenceServers, pb.ListInferenceServersRequest())
    assert (await refusal(reader.add_server(vllm.url))).code is C.PERMISSION_DENIED
