"""Attacks with requests on running services, from this process: memory, places for calls, and what others notice."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest

from portico.auth.v1 import account_service_pb2, account_service_pb2_grpc, token_service_pb2, token_service_pb2_grpc
from portico.inference.v1 import model_service_pb2, model_service_pb2_grpc
from portico.rag.v1 import bucket_service_pb2, bucket_service_pb2_grpc
from tests.load import processes
from tests.load.attacks import auth, inference
from tests.load.attacks.attack import MIB, Attack
from tests.load.attacks.harness import prepare
from tests.load.attacks.rag import UPLOAD
from tests.support.cluster import Cluster, Rest
from tests.support.connections import http_session
from tests.support.http2_client import http2

MOST_BYTES = 150 * MIB
SECONDS = 60
ATTACKS = [*auth.LARGE, *auth.UNFINISHED, *inference.LARGE, *inference.UNFINISHED]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
async def test_an_attack_takes_little_memory_and_fails_nobodys_calls(cluster: Cluster, attack: Attack) -> None:
    """Twelve calls of Login took a gigabyte of auth; chats without the scope took one of inference."""
    target, token = await prepare(cluster)
    pid = cluster.pid(attack.target)
    before = peak = processes.tree(pid).rss
    async with grpc.aio.insecure_channel(f"127.0.0.1:{target.ports[attack.target]}") as channel:
        call = _calls(channel, token)[attack.target]
        attacking = asyncio.gather(*(attack.strike(target, Counter()) for _ in range(attack.workers)))
        async with asyncio.timeout(SECONDS * 2):
            while not attacking.done():
                await call()
                peak = max(peak, processes.tree(pid).rss)
                await asyncio.sleep(0.02)
            await attacking
    assert peak - before < MOST_BYTES


def _calls(channel: grpc.aio.Channel, token: str) -> dict[str, Callable[[], Awaitable[Any]]]:
    """A cheap call of the second tenant to each service that is attacked."""
    said = {"metadata": (("authorization", f"Bearer {token}"),), "timeout": SECONDS}
    tokens = token_service_pb2_grpc.TokenServiceStub(channel)
    models = model_service_pb2_grpc.ModelServiceStub(channel)
    return {
        "auth": lambda: tokens.ListTokens(token_service_pb2.ListTokensRequest(), **said),
        "inference": lambda: models.ListModels(model_service_pb2.ListModelsRequest(), **said),
    }


async def test_a_tenant_whose_uploads_hang_locks_nobody_out(own_cluster: Cluster) -> None:
    """42 of them took all 40 places, and every other tenant had 503."""
    own_cluster.env = {"PORTICO_MAX_CONCURRENT_CALLS": "40"}
    target, token = await prepare(own_cluster.start())
    port = target.ports["rag"]
    bearer = [("authorization", f"Bearer {target.insider}")]
    async with http2(port) as client, grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        streams = [client.start(UPLOAD, bearer) for _ in range(42)]
        async with asyncio.timeout(SECONDS):
            while sum(stream.over for stream in streams) < 12:
                await asyncio.sleep(0.02)
        buckets = bucket_service_pb2_grpc.BucketServiceStub(channel)
        await buckets.ListBuckets(
            bucket_service_pb2.ListBucketsRequest(), metadata=(("authorization", f"Bearer {token}"),), timeout=SECONDS
        )
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await buckets.ListBuckets(bucket_service_pb2.ListBucketsRequest(), metadata=tuple(bearer), timeout=SECONDS)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_forged_address_changes_neither_limits_nor_the_audit_log(own_cluster: Cluster) -> None:
    """On a service's own port anybody could name an address of their own for each attempt."""
    own_cluster.env = {"PORTICO_AUTH_LOGIN_ADDRESS_LIMIT": "5/hour"}
    target, _ = await prepare(own_cluster.start())
    async with (
        grpc.aio.insecure_channel(f"127.0.0.1:{target.ports['auth']}") as channel,
        http_session() as http,
    ):
        rest = Rest(own_cluster.url, http)
        tenant = await rest.register()
        await _login(channel, tenant.email, "198.51.100.99")
        codes = [await _login(channel, f"{at}@nobody.example.com", f"198.51.100.{at}") for at in range(7)]
        entries = (await rest.ok("GET", "/v1/audit?action=account.login", token=tenant.session))["entries"]
    assert codes[0] is grpc.StatusCode.UNAUTHENTICATED
    assert codes[-1] is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert {(entry["outcome"], entry["ipAddress"]) for entry in entries} == {("failure", "127.0.0.1")}


async def _login(channel: grpc.aio.Channel, email: str, address: str) -> Any:
    request = account_service_pb2.LoginRequest(email=email, password="Wrong-Horse-1")
    forged = (("x-client-address", address), ("x-portico-edge", "-"), ("x-portico-rest", "1"))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await account_service_pb2_grpc.AccountServiceStub(channel).Login(request, metadata=forged, timeout=SECONDS)
    return caught.value.code()


async def test_what_came_through_the_edge_is_believed(cluster: Cluster, rest: Rest) -> None:
    """Errors and statuses of REST are the services' own, which they write for the edge alone."""
    answer = await rest.call("GET", "/v1/models/nothing", token=cluster.dev_token)
    assert (answer.status, answer.body["error"]["code"]) == (404, "model_not_found")
    tenant = await rest.register()
    audit = await rest.ok("GET", "/v1/audit", token=tenant.session)
    assert {entry["ipAddress"] for entry in audit["entries"]} == {"127.0.0.1"}
