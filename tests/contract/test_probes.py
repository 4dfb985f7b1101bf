"""Health and reflection, which need no token, under attack and in use."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from core.rpc import server as server_module
from core.rpc.limits import MIB
from tests.support.http2_client import frame, http2
from tests.support.rpc_harness import (
    HEALTH,
    REFLECTION,
    SECONDS,
    TOKENS,
    C,
    Harness,
    Servicers,
    raw,
    refusal,
    serving,
    unknown_field,
)
from tests.support.serving import connect


@pytest.fixture
def servicers() -> Servicers:
    return Servicers()


@pytest.fixture
async def harness(servicers: Servicers) -> AsyncIterator[Harness]:
    async with serving(servicers.all()) as started:
        yield started


@pytest.mark.parametrize("path", [HEALTH, REFLECTION])
async def test_probes_take_small_messages_only(harness: Harness, path: str) -> None:
    """They took 40 MiB from anybody."""
    stream = await raw(harness, path, frame(bytes(40 * MIB)))
    assert stream.code == C.RESOURCE_EXHAUSTED.value[0]
    assert stream.sent < MIB
    stream = await raw(harness, path, frame(unknown_field(MIB)))
    assert stream.code == C.INVALID_ARGUMENT.value[0]
    assert "64 KiB" in stream.message


async def test_health_answers_while_reflection_and_calls_hang(
    servicers: Servicers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "MAX_PROBES", 8)
    servicers.hold = asyncio.Event()
    async with serving(servicers.auth(), limit=4) as harness, http2(harness.port) as client:
        streams = [client.start(REFLECTION) for _ in range(8)]
        async with asyncio.timeout(SECONDS):
            refused = [await client.answer(stream) for stream in streams[2:]]
        assert {stream.code for stream in refused} == {C.RESOURCE_EXHAUSTED.value[0]}
        async with connect(harness.port) as channel:
            held = [
                asyncio.ensure_future(
                    channel.unary_unary(TOKENS)(b"", metadata=harness.bearer(tenant=tenant), timeout=SECONDS)
                )
                for tenant in ("acme", "globex", "initech", "hooli")
            ]
            while servicers.calls < 4:
                await asyncio.sleep(0.01)
            answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=SECONDS)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
            servicers.hold.set()
            await asyncio.gather(*held)


async def test_health_and_reflection_work(harness: Harness) -> None:
    async with connect(harness.port) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        watching = health.Watch(health_pb2.HealthCheckRequest())
        assert (await watching.read()).status == health_pb2.HealthCheckResponse.SERVING
        watching.cancel()
        error = await refusal(health.Check(health_pb2.HealthCheckRequest(service="nothing"), timeout=SECONDS))
        assert error.code() is C.NOT_FOUND
        asked = reflection_pb2.ServerReflectionRequest(list_services="*")
        call = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([asked]), timeout=SECONDS)
        answers = [answer async for answer in call]
        names = {service.name for service in answers[0].list_services_response.service}
        assert {"portico.auth.v1.KeyService", "portico.rag.v1.FileService"} <= names
