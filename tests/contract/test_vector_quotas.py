"""Quotas of vectors: per request, over time, and of what there is."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.api.httpbody_pb2 import HttpBody

from core.quotas.plans import Plan
from portico.vector.v1 import index_service_pb2 as index_pb
from portico.vector.v1 import point_service_pb2 as point_pb
from tests.contract.test_vector_service import Harness, refusal
from tests.support.policies import set_plan, set_policy
from tests.support.serving import connect
from tests.support.tokens import Signer
from tests.support.vector_client import Client, point, served

CODE = grpc.StatusCode


@pytest.fixture
async def harness(tmp_path: Path, signer: Signer) -> AsyncIterator[Harness]:
    async with served(tmp_path, signer) as running, connect(running.port) as channel:
        yield Harness(running, channel, signer, tmp_path)


def body(*ids: str) -> HttpBody:
    points = ",".join(f'{{"id": "{id}", "values": [1, 0, 0]}}' for id in ids)
    return HttpBody(content_type="application/json", data=f'{{"vectors": [{points}]}}'.encode())


async def limit(harness: Harness, limits: dict[str, int], **values: Any) -> None:
    await set_policy(harness.running.platform, limits, **values)


async def write(client: Client, *ids: str, index_id: str = "docs") -> int:
    return await client.upsert(*(point(id, 1, 0, 0) for id in ids), index_id=index_id)


async def test_a_request_may_use_so_much(harness: Harness) -> None:
    client = harness.client()
    await client.index()
    limits = {"maxVectorsPerUpsert": 2, "maxQueryResults": 5, "maxDimensions": 3}
    await limit(harness, {f"perRequest.{name}": value for name, value in limits.items()})
    code, error = await refusal(write(client, "a", "b", "c"))
    assert (code, error["param"]) == (CODE.INVALID_ARGUMENT, "vectors")
    assert await write(client, "a", "b") == 2
    query = point_pb.QueryRequest(provider_key="default", index_id="docs", vector=[1, 0, 0], top_k=6)
    code, error = await refusal(client.points.Query(query))
    assert (code, error["param"]) == (CODE.INVALID_ARGUMENT, "topK")
    code, error = await refusal(client.index("large", 4))
    assert (code, error["param"]) == (CODE.INVALID_ARGUMENT, "dimension")


async def test_requests_are_counted_for_the_tenant_whoever_calls(harness: Harness) -> None:
    """A tenant's limit was one of each user in the system that this API comes from."""
    await limit(harness, {"rateLimit.requests.perDay": 3}, domain="vector")
    calls = [harness.client(sub=f"u{at}", jti=f"t{at}") for at in range(4)]
    listing = index_pb.ListIndexesRequest(provider_key="default")
    for client in calls[:3]:
        await client.indexes.ListIndexes(listing)
    code, error = await refusal(calls[3].indexes.ListIndexes(listing))
    assert (code, error["type"]) == (CODE.RESOURCE_EXHAUSTED, "rate_limit_error")
    await harness.client(tenant="globex").indexes.ListIndexes(listing)


async def test_what_is_left_is_told_with_the_answer(harness: Harness) -> None:
    await limit(harness, {"rateLimit.requests.perDay": 3})
    call = harness.client().indexes.ListIndexes(index_pb.ListIndexesRequest(provider_key="default"))
    await call
    headers = {str(name): str(value) for name, value in await call.initial_metadata()}
    assert (headers["x-ratelimit-limit"], headers["x-ratelimit-remaining"]) == ("3", "2")


async def test_vectors_over_time_are_counted_when_they_are_written(harness: Harness) -> None:
    client = harness.client()
    await client.index()
    await limit(harness, {"rateLimit.vectors.perDay": 3})
    assert await write(client, "a", "b") == 2
    assert (await refusal(write(client, "c", "d")))[0] is CODE.RESOURCE_EXHAUSTED
    assert await write(client, "c") == 1  # what was refused is not counted


async def test_what_fails_uses_no_vectors(harness: Harness) -> None:
    client = harness.client()
    await client.index()
    await limit(harness, {"rateLimit.vectors.perDay": 2})
    wrong = point("a", 1, 0)
    assert (await refusal(client.upsert(wrong, wrong)))[0] is CODE.INVALID_ARGUMENT
    assert await write(client, "a", "b") == 2


class TestWhatThereIs:
    async def test_a_vector_that_is_written_again_is_one(self, harness: Harness) -> None:
        """A counter beside the engine counted it twice in the system that this API comes from."""
        client = harness.client()
        await client.index()
        await limit(harness, {"quotas.maxVectorsTotal": 3})
        assert await write(client, "a", "b", "c") == 3
        assert await write(client, "a", "b", "c") == 3
        code, error = await refusal(write(client, "c", "d"))
        assert (code, error["code"]) == (CODE.RESOURCE_EXHAUSTED, "quota_exceeded")
        await client.points.Delete(point_pb.DeleteRequest(provider_key="default", index_id="docs", ids=["a", "gone"]))
        assert await write(client, "c", "d") == 2

    async def test_the_vectors_of_all_projects_and_indexes_count_for_the_tenant(self, harness: Harness) -> None:
        here, there = harness.client(), harness.client(project="p2")
        await here.index()
        await here.index("more")
        await there.index()
        await limit(harness, {"quotas.maxVectorsTotal": 3})
        await write(here, "a")
        await write(here, "a", index_id="more")
        await write(there, "a")
        assert (await refusal(write(there, "b")))[0] is CODE.RESOURCE_EXHAUSTED

    async def test_a_limit_of_a_project_counts_its_own(self, harness: Harness) -> None:
        here, there = harness.client(), harness.client(project="p2")
        await here.index()
        await there.index()
        await limit(harness, {"quotas.maxVectorsTotal": 1}, scope="project", scope_id="p1", project_id="p1")
        await write(here, "a")
        assert (await refusal(write(here, "b")))[0] is CODE.RESOURCE_EXHAUSTED
        assert await write(there, "a", "b") == 2

    async def test_of_several_at_once_as_many_pass_as_there_is_room(self, harness: Harness) -> None:
        client = harness.client()
        await client.index()
        await limit(harness, {"quotas.maxVectorsTotal": 5})
        done = await asyncio.gather(*(write(client, f"v{at}") for at in range(10)), return_exceptions=True)
        assert sum(each == 1 for each in done) == 5
        count = await client.points.Count(point_pb.CountRequest(provider_key="default", index_id="docs"))
        assert count.count == 5

    async def test_indexes(self, harness: Harness) -> None:
        client = harness.client()
        await client.index()
        await limit(harness, {"quotas.maxVectorIndexes": 1})
        code, error = await refusal(client.index("more"))
        assert (code, error["code"]) == (CODE.RESOURCE_EXHAUSTED, "quota_exceeded")
        assert (await client.index()).key == "docs"  # which is there


class TestFeatures:
    async def test_a_plan_without_vectors_refuses_them(self, harness: Harness) -> None:
        platform = harness.running.platform
        platform.policies.plans._plans["files"] = Plan("files", "Files", frozenset({"FILES"}))
        client = harness.client()
        await client.index()
        await set_plan(platform, "files")
        code, error = await refusal(client.indexes.ListIndexes(index_pb.ListIndexesRequest(provider_key="default")))
        assert (code, error["code"]) == (CODE.PERMISSION_DENIED, "feature_not_in_plan")
        assert "VECTOR_STORE" in error["message"]

    async def test_a_token_without_the_feature_is_refused(self, harness: Harness) -> None:
        client = harness.client(features="FILES MEMORY")
        listing = index_pb.ListIndexesRequest(provider_key="default")
        assert (await refusal(client.indexes.ListIndexes(listing)))[1]["code"] == "feature_not_in_plan"
        await harness.client(features="FILES VECTOR_STORE").indexes.ListIndexes(listing)
