"""Outcome of a call as its stages learn it, on both transports."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health

from core.errors import InvalidInput, NotFound, PorticoError
from core.rpc.call import CallContext, RpcCall
from core.rpc.http1 import wire
from core.rpc.policy import public_policies
from core.rpc.server import ServiceRegistration
from core.rpc.stages.stage import Outcome
from portico.auth.v1 import key_service_pb2, key_service_pb2_grpc, trust_service_pb2, trust_service_pb2_grpc
from tests.support.http1_channel import connected, request
from tests.support.transports import Transport, by_http1, refusal

SECONDS = 30


@dataclass
class Recorder:
    """A stage that keeps how calls ended."""

    outcomes: asyncio.Queue[tuple[str, Outcome]] = field(default_factory=asyncio.Queue)
    refuses: PorticoError | None = None

    def begin(self, call: RpcCall) -> None:
        if self.refuses is not None:
            raise self.refuses

    def end(self, call: RpcCall, outcome: Outcome) -> None:
        self.outcomes.put_nowait((call.policy.method.rpartition("/")[2], outcome))

    async def next(self) -> Outcome:
        async with asyncio.timeout(SECONDS):
            return (await self.outcomes.get())[1]


class Keys(key_service_pb2_grpc.KeyServiceServicer):
    def __init__(self, do: Callable[[], Any]) -> None:
        self._do = do

    async def GetJwks(self, request: Any, context: CallContext) -> Any:
        await self._do()
        return key_service_pb2.GetJwksResponse()


class Trust(trust_service_pb2_grpc.TrustServiceServicer):
    def __init__(self, do: Callable[[], Any]) -> None:
        self._do = do

    async def WatchRevocations(self, request: Any, context: CallContext) -> AsyncIterator[Any]:
        yield trust_service_pb2.WatchRevocationsResponse()
        await self._do()


def registrations(do: Callable[[], Any]) -> list[ServiceRegistration]:
    return [
        ServiceRegistration(
            "portico.auth.v1.KeyService", key_service_pb2_grpc.add_KeyServiceServicer_to_server, Keys(do)
        ),
        ServiceRegistration(
            "portico.auth.v1.TrustService", trust_service_pb2_grpc.add_TrustServiceServicer_to_server, Trust(do)
        ),
    ]


def unary(channel: Any, timeout: float = SECONDS) -> Any:
    return key_service_pb2_grpc.KeyServiceStub(channel).GetJwks(key_service_pb2.GetJwksRequest(), timeout=timeout)


def stream(channel: Any, timeout: float = SECONDS) -> Any:
    async def drained() -> None:
        stub = trust_service_pb2_grpc.TrustServiceStub(channel)
        made = stub.WatchRevocations(trust_service_pb2.WatchRevocationsRequest(), timeout=timeout)
        try:
            async for _ in made:
                pass
        finally:
            made.cancel()

    return asyncio.ensure_future(drained())


CALLS = pytest.mark.parametrize("call", [unary, stream], ids=["unary", "stream"])
Begin = Callable[..., Any]


async def nothing() -> None: ...


@CALLS
async def test_a_success(transport: Transport, call: Begin) -> None:
    recorder = Recorder()
    async with transport(registrations(nothing), [recorder]) as channel:
        await call(channel)
        assert await recorder.next() == Outcome("OK")


@CALLS
@pytest.mark.parametrize(
    ("raised", "code", "reason"),
    [
        (InvalidInput("No.", reason="WHY"), "INVALID_ARGUMENT", "WHY"),
        (ValueError("secret"), "INTERNAL", "INTERNAL"),
        (NotImplementedError(), "INTERNAL", "INTERNAL"),
    ],
)
async def test_an_error(transport: Transport, call: Begin, raised: Exception, code: str, reason: str) -> None:
    async def fail() -> None:
        raise raised

    recorder = Recorder()
    async with transport(registrations(fail), [recorder]) as channel:
        await refusal(call(channel))
        outcome = await recorder.next()
    assert (outcome.code, outcome.cancelled) == (code, False)
    assert outcome.error is not None
    assert outcome.error.reason == reason


async def test_a_refusal_by_a_later_stage_is_told_to_those_that_began(transport: Transport) -> None:
    first, second = Recorder(), Recorder(refuses=NotFound("No."))
    async with transport(registrations(nothing), [first, second]) as channel:
        await refusal(unary(channel))
        assert (await first.next()).code == "NOT_FOUND"
    assert second.outcomes.empty()


@CALLS
async def test_a_caller_who_hangs_up(transport: Transport, call: Begin) -> None:
    entered = asyncio.Event()

    async def hold() -> None:
        entered.set()
        await asyncio.Event().wait()

    recorder = Recorder()
    async with transport(registrations(hold), [recorder]) as channel:
        made = call(channel)
        async with asyncio.timeout(SECONDS):
            await entered.wait()
        made.cancel()
        assert await recorder.next() == Outcome("CANCELLED", cancelled=True)


@CALLS
async def test_a_deadline_that_passes(transport: Transport, call: Begin) -> None:
    """It was counted as cancelled, as if the caller had hung up."""
    recorder = Recorder()
    async with transport(registrations(asyncio.Event().wait), [recorder]) as channel:
        error = await refusal(call(channel, timeout=0.2))
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert await recorder.next() == Outcome("DEADLINE_EXCEEDED", cancelled=True)


async def test_a_status_that_a_servicer_of_grpcs_own_sets() -> None:
    """Stages and metrics took it for a success. On gRPC's port health has a chain of its own."""
    service = health_pb2.DESCRIPTOR.services_by_name["Health"]
    registration = ServiceRegistration(
        service.full_name,
        health_pb2_grpc.add_HealthServicer_to_server,
        health.HealthServicer(),
        public_policies(service),
    )
    recorder = Recorder()
    async with by_http1([registration], [recorder]) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        error = await refusal(stub.Check(health_pb2.HealthCheckRequest(service="nobody"), timeout=SECONDS))
        assert error.code() is grpc.StatusCode.NOT_FOUND
        assert await recorder.next() == Outcome("NOT_FOUND")
        watch = stub.Watch(health_pb2.HealthCheckRequest(), timeout=SECONDS)
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        watch.cancel()
        assert await recorder.next() == Outcome("CANCELLED", cancelled=True)


async def test_a_body_that_is_no_message() -> None:
    """Stages and metrics took it for a success."""
    recorder = Recorder()
    async with by_http1(registrations(nothing), [recorder]) as channel, connected(channel.port) as (reader, writer):
        writer.write(request("/portico.auth.v1.KeyService/GetJwks", b"").replace(b"\0\0\0\0\0", b"\0\0\0\0\7"))
        assert b"grpc-status: 3\r\n" in await reader.readuntil(b"\r\n\r\n")
        assert await recorder.next() == Outcome("INVALID_ARGUMENT")
    assert wire.FRAME_BYTES == 5
