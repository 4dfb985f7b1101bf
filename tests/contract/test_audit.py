"""The audit of RPCs on a real server: what is durable when, and what becomes of an entry when the call does not end
well."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest

from core import errors
from core.audit import changes
from core.audit.log import AuditLog
from core.audit.records import DENIED, FAILURE, SUCCESS, UNKNOWN, AuditEntry
from core.config import Secret
from core.health import Health
from core.rpc.audit import recorded
from core.rpc.chain import Chain
from core.rpc.server import ServiceRegistration, make_server
from core.rpc.stages.auth import Auth
from core.rpc.stages.refusals import Refusals
from core.rpc.stages.stage import Stage
from core.tasks import Tasks
from core.tenancy import Tenant
from portico.inference.v1 import (
    model_service_pb2,
    model_service_pb2_grpc,
    usage_service_pb2,
    usage_service_pb2_grpc,
)
from portico.vector.v1 import point_service_pb2, point_service_pb2_grpc
from tests.support.serving import BY_EDGE, EDGE_SECRET, connect
from tests.support.stores import MemoryStore
from tests.support.tokens import Signer

ACME = Tenant("acme")
SECRET = "hunter2-in-the-clear"
UPSERT = "/portico.vector.v1.PointService/Upsert"


class Store(MemoryStore):
    away = False

    async def insert(self, *args: Any, **kwargs: Any) -> None:
        if self.away:
            raise errors.Unavailable("The store is away.")
        await super().insert(*args, **kwargs)


@dataclass
class Harness:
    """Servicers that do what a test says, and the log that their calls leave."""

    signer: Signer
    store: Store = field(default_factory=Store)
    do: Callable[[], Any] = lambda: None
    seen: list[AuditEntry] = field(default_factory=list)
    """The log as it was when the handler began."""
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    hold: asyncio.Event | None = None

    def __post_init__(self) -> None:
        self.log = AuditLog(self.store, Tasks())

    async def run(self) -> None:
        self.seen = await self.entries()
        self.entered.set()
        if self.hold is not None:
            await self.hold.wait()
        self.do()

    async def entries(self) -> list[AuditEntry]:
        await self.log.flush()
        found, _ = await self.log.page(ACME, {}, page_size=100, page_token="")
        return found

    async def until(self, holds: Callable[[list[AuditEntry]], bool]) -> list[AuditEntry]:
        """The log once that holds: a refusal is recorded just after the caller has its answer."""
        async with asyncio.timeout(10):
            while not holds(found := await self.entries()):
                await asyncio.sleep(0.001)
                await self.log.close()
        return found

    async def one(self) -> AuditEntry:
        """The one entry, ended."""
        (entry,) = await self.until(lambda entries: [each.outcome for each in entries] not in ([], [UNKNOWN]))
        return entry

    def registrations(self) -> list[ServiceRegistration]:
        harness = self

        class Models(model_service_pb2_grpc.ModelServiceServicer):
            async def CreateModel(self, request: Any, context: Any) -> Any:
                await harness.run()
                return model_service_pb2.CreateModelResponse(model=model_service_pb2.Model(key="made"))

            async def ListModels(self, request: Any, context: Any) -> Any:
                await harness.run()
                return model_service_pb2.ListModelsResponse()

        class Points(point_service_pb2_grpc.PointServiceServicer):
            async def Upsert(self, request: Any, context: Any) -> Any:
                await harness.run()
                return point_service_pb2.UpsertResponse(upserted=1)

        add_models = model_service_pb2_grpc.add_ModelServiceServicer_to_server
        add_points = point_service_pb2_grpc.add_PointServiceServicer_to_server
        add_usage = usage_service_pb2_grpc.add_UsageServiceServicer_to_server
        registrations = [
            ServiceRegistration("portico.inference.v1.ModelService", add_models, Models()),
            ServiceRegistration("portico.vector.v1.PointService", add_points, Points()),
            ServiceRegistration(
                "portico.inference.v1.UsageService", add_usage, usage_service_pb2_grpc.UsageServiceServicer()
            ),
        ]
        return [recorded(registration, self.log) for registration in registrations]


@pytest.fixture
def harness(signer: Signer) -> Harness:
    return Harness(signer)


@asynccontextmanager
async def channel_to(harness: Harness) -> AsyncIterator[grpc.aio.Channel]:
    stages: list[Stage] = [Refusals(harness.log), Auth(harness.signer.verifier(), Secret("s" * 32))]
    server = make_server(harness.registrations(), Chain(stages, edge_secret=Secret(EDGE_SECRET)), Health())
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with connect(port) as opened:
        yield opened
    await server.stop(None)


@pytest.fixture
async def channel(harness: Harness) -> AsyncIterator[grpc.aio.Channel]:
    async with channel_to(harness) as opened:
        yield opened


def metadata(harness: Harness, **claims: Any) -> tuple[tuple[str, str], ...]:
    token = harness.signer.token(**{"jti": "t1", **claims})
    return (
        ("authorization", f"Bearer {token}"),
        ("x-request-id", "req-1"),
        ("x-client-address", "192.0.2.7"),
        *BY_EDGE,
    )


def create(harness: Harness, channel: grpc.aio.Channel, **claims: Any) -> Any:
    stub = model_service_pb2_grpc.ModelServiceStub(channel)
    request = model_service_pb2.CreateModelRequest(key="asked", name=SECRET, model_id=SECRET)
    return stub.CreateModel(request, metadata=metadata(harness, **claims))


def upsert(harness: Harness, channel: grpc.aio.Channel, **claims: Any) -> Any:
    stub = point_service_pb2_grpc.PointServiceStub(channel)
    point = point_service_pb2.Point(id=SECRET, values=[1.0])
    request = point_service_pb2.UpsertRequest(provider_key="default", index_id="docs", points=[point])
    return stub.Upsert(request, metadata=metadata(harness, **claims))


async def refused(call: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code()


def fail(error: Exception) -> Callable[[], Any]:
    def do() -> None:
        raise error

    return do


async def test_the_entry_of_an_administrative_change_is_durable_before_it_begins(
    harness: Harness, channel: grpc.aio.Channel
) -> None:
    """Auth wrote its entries after the change: one that was killed in between left no trace."""
    await create(harness, channel)
    (before,) = harness.seen
    assert (before.outcome, before.resource_id, before.action) == (UNKNOWN, "asked", "model.create")
    after = await harness.one()
    assert (after.id, after.outcome, after.resource_id, after.resource_type) == (before.id, SUCCESS, "made", "model")
    assert (after.actor_kind, after.actor_id, after.token_id, after.project_id) == ("api", "u1", "t1", "p1")
    assert (after.request_id, after.ip_address) == ("req-1", "192.0.2.7")
    assert after.user_agent.startswith("grpc")
    assert after.metadata == {"fields": "name,modelId"}


async def test_nothing_is_changed_while_no_entry_can_be_written(harness: Harness, channel: grpc.aio.Channel) -> None:
    harness.store.away = True
    assert await refused(create(harness, channel)) is grpc.StatusCode.UNAVAILABLE
    assert not harness.entered.is_set()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (errors.UpstreamFailed("refused", reason="PROVIDER_REFUSED"), "PROVIDER_REFUSED"),
        (errors.InsufficientStorage("full"), "INSUFFICIENT_STORAGE"),
        (RuntimeError(SECRET), "INTERNAL"),
    ],
)
@pytest.mark.parametrize("call", [create, upsert])
async def test_what_went_wrong_on_our_side_may_have_changed_something(
    harness: Harness, channel: grpc.aio.Channel, call: Any, error: Exception, reason: str
) -> None:
    harness.do = fail(error)
    await refused(call(harness, channel))
    entry = await harness.one()
    assert (entry.outcome, entry.reason) == (FAILURE, reason)
    assert SECRET not in str(entry)


@pytest.mark.parametrize("error", [errors.InvalidInput("no"), errors.NotFound("no"), errors.Conflict("no")])
@pytest.mark.parametrize("call", [create, upsert])
async def test_a_call_that_was_refused_as_it_stood_leaves_no_entry(
    harness: Harness, channel: grpc.aio.Channel, call: Any, error: Exception
) -> None:
    harness.do = fail(error)
    await refused(call(harness, channel))
    assert await harness.entries() == []


@pytest.mark.parametrize("call", [create, upsert])
async def test_a_call_that_was_cancelled_is_told_as_such(
    harness: Harness, channel: grpc.aio.Channel, call: Any
) -> None:
    harness.hold = asyncio.Event()
    running = call(harness, channel)
    await harness.entered.wait()
    running.cancel()

    await harness.until(lambda entries: [(each.outcome, each.reason) for each in entries] == [(FAILURE, "CANCELLED")])


async def test_a_change_of_data_is_recorded_without_its_contents(harness: Harness, channel: grpc.aio.Channel) -> None:
    await upsert(harness, channel)
    entry = await harness.one()
    assert (entry.action, entry.resource_type, entry.resource_id) == ("vectors.upsert", "index", "default/docs")
    assert (entry.outcome, entry.token_id, entry.count, dict(entry.metadata)) == (SUCCESS, "t1", 1, {})


@pytest.mark.parametrize("call", [create, upsert])
async def test_a_missing_scope_is_recorded_with_what_was_asked_for(
    harness: Harness, channel: grpc.aio.Channel, call: Any
) -> None:
    for _ in range(3):
        assert await refused(call(harness, channel, scopes=["usage:read"])) is grpc.StatusCode.PERMISSION_DENIED
    assert not harness.entered.is_set()
    (entry,) = await harness.until(lambda entries: sum(each.count for each in entries) == 3)
    assert (entry.outcome, entry.reason, entry.count, entry.actor_id) == (DENIED, "MISSING_SCOPE", 3, "u1")
    assert entry.resource_id == ("asked" if call is create else "default/docs")
    assert SECRET not in str(entry)


async def test_a_refusal_by_the_handler_is_recorded_once_with_what_it_knew(
    harness: Harness, channel: grpc.aio.Channel
) -> None:
    def deny() -> None:
        changes.change().metadata["label"] = "ci"
        raise errors.PermissionDenied("Not you.", reason="NOT_YOURS")

    harness.do = deny
    await refused(create(harness, channel))
    entry = await harness.one()
    assert (entry.outcome, entry.reason, entry.metadata["label"]) == (DENIED, "NOT_YOURS", "ci")


async def test_a_refused_read_is_called_after_the_scope_that_it_needs(
    harness: Harness, channel: grpc.aio.Channel
) -> None:
    stub = usage_service_pb2_grpc.UsageServiceStub(channel)
    request = usage_service_pb2.GetUsageRequest()
    await refused(stub.GetUsage(request, metadata=metadata(harness, scopes=["models:read"])))
    entry = await harness.one()
    assert (entry.action, entry.resource_type, entry.outcome) == ("usage.read", "usage", DENIED)


async def test_reads_and_calls_of_nobody_leave_nothing(harness: Harness, channel: grpc.aio.Channel) -> None:
    stub = model_service_pb2_grpc.ModelServiceStub(channel)
    await stub.ListModels(model_service_pb2.ListModelsRequest(), metadata=metadata(harness))
    await refused(stub.ListModels(model_service_pb2.ListModelsRequest(), metadata=metadata(harness, tenant=None)))
    await refused(stub.CreateModel(model_service_pb2.CreateModelRequest()))
    assert await harness.entries() == []


async def test_an_unreadable_request_leaves_nothing(harness: Harness, channel: grpc.aio.Channel) -> None:
    call = channel.unary_unary(UPSERT)
    assert await refused(call(b"\x0a\x02\xff\xff", metadata=metadata(harness))) is grpc.StatusCode.INVALID_ARGUMENT
    await refused(call(b"\x0a\x02\xff\xff", metadata=metadata(harness, scopes=["usage:read"])))
    entry = await harness.one()
    assert (entry.outcome, entry.resource_id) == (DENIED, "")


async def test_a_refusal_does_not_wait_for_a_request_that_does_not_come(
    harness: Harness, channel: grpc.aio.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.rpc.requests.LOOK_SECONDS", 0.05)
    never = asyncio.Event()

    async def nothing() -> AsyncIterator[bytes]:
        await never.wait()
        yield b""

    call = channel.stream_unary(UPSERT)(nothing(), metadata=metadata(harness, scopes=["usage:read"]), timeout=20)
    assert await refused(call) is grpc.StatusCode.PERMISSION_DENIED
    entry = await harness.one()
    assert (entry.outcome, entry.resource_id) == (DENIED, "")
