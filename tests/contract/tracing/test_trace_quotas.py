"""Quotas of traces."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from portico.tracing.v1 import session_service_pb2 as pb
from services.tracing.app import serve
from services.tracing.settings import Settings
from tests.contract.test_tracing_service import Harness, refusal
from tests.support import serving
from tests.support.policies import set_policy
from tests.support.serving import connect
from tests.support.tokens import Signer


@pytest.fixture
async def harness(tmp_path: Path, signer: Signer) -> AsyncIterator[Harness]:
    async with (
        serving.served("tracing", Settings, serve, tmp_path, signer) as running,
        connect(running.port) as channel,
    ):
        yield Harness(running, channel, signer, tmp_path)


def session(events: int, **more: Any) -> dict[str, Any]:
    return {"sessionId": "s", "events": [{"id": f"e{at}", "type": "tool_call"} for at in range(events)], **more}


async def test_a_request_may_hold_so_many_events_of_a_session(harness: Harness) -> None:
    await set_policy(harness.running.platform, {"perRequest.maxEventsPerSession": 2})
    client = harness.client()
    assert (await refusal(client.json("IngestSession", session(3))))[::2] == (400, "events")
    await client.json("IngestSession", session(2))


async def test_events_over_time(harness: Harness) -> None:
    await set_policy(harness.running.platform, {"rateLimit.traces.perDay": 3}, domain="tracing")
    client = harness.client()
    await client.json("IngestSession", session(2))
    assert (await refusal(client.json("IngestSession", session(2))))[0] == 429
    await client.json("IngestSession", session(1))


async def test_sessions_are_kept_no_longer_than_the_limit(harness: Harness) -> None:
    await set_policy(harness.running.platform, {"quotas.maxTracingRetentionDays": 7})
    client = harness.client(kind="session")
    for days in (0, 8):
        change = pb.UpdateTracingSettingsRequest(retention_days=days)
        assert (await refusal(client.call("UpdateTracingSettings", change)))[2] == "retentionDays"
    kept = await client.call("UpdateTracingSettings", pb.UpdateTracingSettingsRequest(retention_days=7))
    assert kept.settings.retention_days == 7
