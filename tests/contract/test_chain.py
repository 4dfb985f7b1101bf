"""The chain, on real servers and real connections: the same by gRPC's own transport and by the edge's."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
import orjson
import pytest
from google.api import httpbody_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from core import context, errors
from core.config import Secret
from core.rpc.call import CallContext
from core.rpc.errors import ERROR_MAPPINGS
from core.rpc.headers import SERVICE_SECRET
from core.rpc.policy import policies_of
from core.rpc.server import ServiceRegistration
from core.rpc.stages.auth import Auth
from core.rpc.stages.load_shedding import LoadShedding
from core.rpc.stages.stage import Stage
from portico.auth.v1 import (
    key_service_pb2,
    key_service_pb2_grpc,
    token_service_pb2,
    token_service_pb2_grpc,
    trust_service_pb2,
    trust_service_pb2_grpc,
)
from portico.inference.v1 import openai_service_pb2, openai_service_pb2_grpc
from tests.support.serving import BY_EDGE, REST
from tests.support.tokens import Signer
from tests.support.transports import Transport, bearer, by_http1, by_http2, refusal, trailing

SECRET = "s" * 32
MARKER = "postgres://user:hunter2@db.internal"


@dataclass
class Servicers:
    """A servicer for each kind of rule; what it does is the test's to say."""

    do: Callable[[], Any] = lambda: None
    answer: Callable[[CallContext], Any] = lambda context: None
    seen: list[context.RequestContext] = field(default_factory=list)
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    hold: asyncio.Event | None = None

    async def run(self, servicer_context: CallContext) -> None:
        request = context.current()
        assert request is not None
        self.seen.append(request)
        self.entered.set()
        if self.hold is not None:
            await self.hold.wait()
        self.answer(servicer_context)
        self.do()

    def registrations(self) -> list[ServiceRegistration]:
        outer = self

        class Keys(key_service_pb2_grpc.KeyServiceServicer):
            async def GetJwks(self, request: Any, servicer_context: CallContext) -> Any:
                await outer.run(servicer_context)
                return key_service_pb2.GetJwksResponse()

        class Tokens(token_service_pb2_grpc.TokenServiceServicer):
            async def ListTokens(self, request: Any, servicer_context: CallContext) -> Any:
                await outer.run(servicer_context)
                return token_service_pb2.ListTokensResponse()

            async def CreateToken(self, request: Any, servicer_context: CallContext) -> Any:
                await outer.run(servicer_context)
                return token_service_pb2.CreateTokenResponse(id="t")

        class Trust(trust_service_pb2_grpc.TrustServiceServicer):
            async def MintServiceToken(self, request: Any, servicer_context: CallContext) -> Any:
                await outer.run(servicer_context)
                return trust_service_pb2.MintServiceTokenResponse()

            async def WatchRevocations(self, request: Any, servicer_context: CallContext) -> AsyncIterator[Any]:
                await outer.run(servicer_context)
                yield trust_service_pb2.WatchRevocationsResponse()

        class OpenAI(openai_service_pb2_grpc.OpenAIServiceServicer):
            async def CreateChatCompletion(self, request: Any, servicer_context: CallContext) -> AsyncIterator[Any]:
                try:
                    yield httpbody_pb2.HttpBody(data=b"first")
                    await outer.run(servicer_context)
                    yield httpbody_pb2.HttpBody(data=b"second")
                finally:
                    outer.left.set()

        return [
            ServiceRegistration(
                "portico.auth.v1.KeyService", key_service_pb2_grpc.add_KeyServiceServicer_to_server, Keys()
            ),
            ServiceRegistration(
                "portico.auth.v1.TokenService", token_service_pb2_grpc.add_TokenServiceServicer_to_server, Tokens()
            ),
            ServiceRegistration(
                "portico.auth.v1.TrustService", trust_service_pb2_grpc.add_TrustServiceServicer_to_server, Trust()
            ),
            ServiceRegistration(
                "portico.inference.v1.OpenAIService",
                openai_service_pb2_grpc.add_OpenAIServiceServicer_to_server,
                OpenAI(),
            ),
        ]


@pytest.fixture
def servicers() -> Servicers:
    return Servicers()


@pytest.fixture
def stages(signer: Signer) -> list[Stage]:
    return [LoadShedding(limit=3), Auth(signer.verifier(), Secret(SECRET))]


@pytest.fixture
async def channel(transport: Transport, servicers: Servicers, stages: list[Stage]) -> AsyncIterator[Any]:
    async with transport(servicers.registrations(), stages) as opened:
        yield opened


def list_tokens(channel: grpc.aio.Channel, *metadata: tuple[str, str]) -> Any:
    stub = token_service_pb2_grpc.TokenServiceStub(channel)
    return stub.ListTokens(token_service_pb2.ListTokensRequest(), metadata=metadata, timeout=5)


def get_jwks(channel: grpc.aio.Channel, *metadata: tuple[str, str], timeout: float = 5) -> Any:
    stub = key_service_pb2_grpc.KeyServiceStub(channel)
    return stub.GetJwks(key_service_pb2.GetJwksRequest(), metadata=metadata, timeout=timeout)


async def test_a_public_rpc_needs_no_token(channel: grpc.aio.Channel, servicers: Servicers) -> None:
    await get_jwks(channel)
    assert servicers.seen[0].identity is None


async def test_a_scoped_rpc_binds_the_tokens_tenant(
    channel: grpc.aio.Channel, servicers: Servicers, signer: Signer
) -> None:
    await list_tokens(channel, bearer(signer.token(tenant="acme", scopes=["tokens:read"])), ("x-tenant-id", "globex"))
    identity = servicers.seen[0].identity
    assert identity is not None
    assert identity.tenant.slug == "acme"


@pytest.mark.parametrize("value", ["", "Basic abc", "Bearer nonsense", "Bearer ", "bearer x"])
async def test_no_valid_token_is_unauthenticated(channel: grpc.aio.Channel, servicers: Servicers, value: str) -> None:
    error = await refusal(list_tokens(channel, ("authorization", value)))
    assert error.code() is grpc.StatusCode.UNAUTHENTICATED
    assert servicers.seen == []


async def test_a_token_without_the_scope_is_denied(
    channel: grpc.aio.Channel, servicers: Servicers, signer: Signer
) -> None:
    error = await refusal(list_tokens(channel, bearer(signer.token(scopes=["models:admin"]))))
    assert error.code() is grpc.StatusCode.PERMISSION_DENIED
    assert servicers.seen == []


@pytest.mark.parametrize("secret", ["", "wrong", SECRET + "x"])
async def test_an_internal_rpc_refuses_all_but_the_secret(
    channel: grpc.aio.Channel, servicers: Servicers, signer: Signer, secret: str
) -> None:
    stub = trust_service_pb2_grpc.TrustServiceStub(channel)
    metadata = (bearer(signer.token()), (SERVICE_SECRET, secret))
    request = trust_service_pb2.MintServiceTokenRequest()
    error = await refusal(stub.MintServiceToken(request, metadata=metadata, timeout=5))
    assert error.code() is grpc.StatusCode.UNAUTHENTICATED
    await stub.MintServiceToken(request, metadata=((SERVICE_SECRET, SECRET),), timeout=5)
    assert len(servicers.seen) == 1


@pytest.mark.parametrize("cls", list(ERROR_MAPPINGS), ids=lambda cls: cls.__name__)
async def test_every_error_of_the_tree_reaches_the_client_as_the_table_says(
    channel: grpc.aio.Channel, servicers: Servicers, cls: type[errors.PorticoError]
) -> None:
    def fail() -> None:
        raise cls("Say ünïcode.", reason="SOME_REASON", field="name", retry_after=1.5, metadata={"a": "b"})

    servicers.do = fail
    error = await refusal(get_jwks(channel, *REST, ("x-request-id", "r-1")))
    mapping = ERROR_MAPPINGS[cls]
    assert error.code() is mapping.code
    assert error.details() == "Say ünïcode."
    metadata = trailing(error)
    status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
    info, violation, retry = (
        error_details_pb2.ErrorInfo(),
        error_details_pb2.BadRequest(),
        error_details_pb2.RetryInfo(),
    )
    for detail, message in zip(status.details, (info, violation, retry), strict=True):
        assert detail.Unpack(message)
    assert (info.reason, info.domain, info.metadata["a"]) == ("SOME_REASON", "portico", "b")
    assert violation.field_violations[0].field == "name"
    assert retry.retry_delay.ToMilliseconds() == 1500
    assert metadata["x-http-status"] == str(mapping.http)
    assert metadata["retry-after"] == "2"
    body = orjson.loads(metadata["x-error-body"])
    assert body["error"]["message"] == "Say ünïcode."
    assert body["error"]["type"] == mapping.type
    assert body["request_id"] == "r-1"


@pytest.mark.parametrize("message", [b"\xff", b"\x12\x02\xc3\x28"], ids=["no message", "no UTF-8"])
async def test_a_message_that_cannot_be_read_is_the_callers_mistake(
    channel: grpc.aio.Channel, servicers: Servicers, signer: Signer, message: bytes
) -> None:
    """It was INTERNAL, and a 500 over REST for a path such as /v1/models/%FF."""
    call = channel.unary_unary("/portico.auth.v1.TokenService/ListTokens", request_serializer=bytes)
    assert (await refusal(call(message, timeout=5))).code() is grpc.StatusCode.UNAUTHENTICATED
    token = bearer(signer.token(scopes=["tokens:read"]))
    error = await refusal(call(message, metadata=(token,), timeout=5))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "UTF-8" in (error.details() or "")
    assert servicers.seen == []


async def test_a_huge_message_still_fits_in_the_headers(channel: grpc.aio.Channel, servicers: Servicers) -> None:
    """Between 8 and 16 KiB gRPC refuses headers at random, so an error that was too long failed once in a while."""

    def fail() -> None:
        raise errors.InvalidInput("漢" * 20_000, field="f" * 7_000)

    servicers.do = fail
    error = await refusal(get_jwks(channel))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (error.details() or "").endswith("漢...")
    metadata = error.trailing_metadata()
    assert sum(len(key) + len(value) * (4 / 3 if key.endswith("-bin") else 1) for key, value in metadata) < 6000


async def test_the_edge_gets_some_kilobytes_of_a_message(servicers: Servicers, stages: list[Stage]) -> None:
    """It takes 60 KiB of headers, where gRPC's own clients take 8."""

    def fail() -> None:
        raise errors.InvalidInput("漢" * 20_000, field="f" * 7_000)

    servicers.do = fail
    async with by_http1(servicers.registrations(), stages) as channel:
        error = await refusal(get_jwks(channel, *REST))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    message = orjson.loads(trailing(error)["x-error-body"])["error"]["message"]
    assert message == "漢" * (len(message) - 3) + "..."
    assert len(message) > 3500


async def test_headers_may_be_as_large_as_the_edge_lets_them(
    channel: grpc.aio.Channel, servicers: Servicers, signer: Signer
) -> None:
    """A caller with some cookies was told that the service was overloaded, most of the time."""
    for _ in range(20):
        await list_tokens(channel, bearer(signer.token()), *((f"x-{at}", "y" * 4096) for at in range(14)))
    assert len(servicers.seen) == 20


async def test_native_callers_get_no_rest_metadata(channel: grpc.aio.Channel, servicers: Servicers) -> None:
    def fail() -> None:
        raise errors.NotFound("No such thing.")

    servicers.do = fail
    error = await refusal(get_jwks(channel))
    assert "x-error-body" not in trailing(error)


async def test_an_unknown_error_says_nothing_to_the_client_and_all_to_the_log(
    channel: grpc.aio.Channel, servicers: Servicers, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise ValueError(MARKER)

    servicers.do = fail
    error = await refusal(get_jwks(channel, *REST, ("x-request-id", "r-42")))
    assert error.code() is grpc.StatusCode.INTERNAL
    everything = f"{error.details()} {trailing(error)}"
    assert "hunter2" not in everything
    assert "ValueError" not in everything
    assert "r-42" in everything


async def test_success_status_is_told_to_the_edge_only(
    channel: grpc.aio.Channel, servicers: Servicers, signer: Signer
) -> None:
    stub = token_service_pb2_grpc.TokenServiceStub(channel)
    for extra, expected in (((), None), (REST, "201")):
        call = stub.CreateToken(
            token_service_pb2.CreateTokenRequest(), metadata=(bearer(signer.token()), *extra), timeout=5
        )
        await call
        assert dict(await call.initial_metadata()).get("x-http-status") == expected


@pytest.mark.parametrize(("status", "told"), [(200, None), (202, "202")])
async def test_a_servicer_may_answer_with_another_success(
    channel: grpc.aio.Channel, servicers: Servicers, signer: Signer, status: int, told: str | None
) -> None:
    servicers.answer = lambda answer: answer.set_http_status(status)
    stub = token_service_pb2_grpc.TokenServiceStub(channel)
    call = stub.CreateToken(token_service_pb2.CreateTokenRequest(), metadata=(bearer(signer.token()), *REST), timeout=5)
    await call
    assert dict(await call.initial_metadata()).get("x-http-status") == told


async def test_a_failed_creation_is_not_announced_as_a_success(
    channel: grpc.aio.Channel, servicers: Servicers, signer: Signer
) -> None:
    def fail() -> None:
        raise errors.Conflict("There is one.")

    servicers.do = fail
    stub = token_service_pb2_grpc.TokenServiceStub(channel)
    call = stub.CreateToken(token_service_pb2.CreateTokenRequest(), metadata=(bearer(signer.token()), *REST), timeout=5)
    error = await refusal(call)
    assert trailing(error)["x-http-status"] == "409"
    assert "x-http-status" not in dict(await call.initial_metadata())


async def test_load_above_the_limit_is_refused_and_forgotten(channel: grpc.aio.Channel, servicers: Servicers) -> None:
    servicers.hold = asyncio.Event()
    held = [asyncio.ensure_future(get_jwks(channel)) for _ in range(3)]
    while len(servicers.seen) < 3:
        await asyncio.sleep(0)
    error = await refusal(get_jwks(channel))
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    servicers.hold.set()
    await asyncio.gather(*held)
    await get_jwks(channel)


async def test_a_cancelled_stream_leaves_its_handler_at_once(
    channel: grpc.aio.Channel, servicers: Servicers, signer: Signer
) -> None:
    """A generator left to the garbage collector would keep the provider's socket open."""
    servicers.hold = asyncio.Event()
    stub = openai_service_pb2_grpc.OpenAIServiceStub(channel)
    call = stub.CreateChatCompletion(
        openai_service_pb2.CreateChatCompletionRequest(), metadata=(bearer(signer.token()),)
    )
    assert (await call.read()).data == b"first"
    await servicers.entered.wait()
    call.cancel()
    async with asyncio.timeout(5):
        await servicers.left.wait()


async def test_concurrent_calls_keep_their_own_tenant(
    channel: grpc.aio.Channel, servicers: Servicers, stages: list[Stage], signer: Signer
) -> None:
    stages[0].limit = 1000  # type: ignore[attr-defined]
    servicers.hold = asyncio.Event()
    bound: list[tuple[str, str]] = []
    servicers.do = lambda: bound.append((context.current().request_id, context.identity().tenant.slug))  # type: ignore[union-attr]
    calls = [
        asyncio.ensure_future(
            list_tokens(channel, bearer(signer.token(tenant=f"tenant-{i}")), ("x-request-id", f"tenant-{i}"))
        )
        for i in range(50)
    ]
    while len(servicers.seen) < 50:
        await asyncio.sleep(0.001)
    servicers.hold.set()
    await asyncio.gather(*calls)
    assert len(bound) == 50
    assert all(request_id == tenant for request_id, tenant in bound)


async def test_the_callers_deadline_is_known(channel: grpc.aio.Channel, servicers: Servicers) -> None:
    await get_jwks(channel, timeout=7)
    deadline = servicers.seen[0].deadline
    assert deadline is not None
    assert 5 < deadline - time.monotonic() < 8  # gRPC rounds a little on the wire


async def test_the_callers_address_is_the_edges_word_or_the_peers(
    channel: grpc.aio.Channel, servicers: Servicers
) -> None:
    told = ("x-client-address", "198.51.100.7")
    await get_jwks(channel, told, *BY_EDGE)
    await get_jwks(channel)
    assert [request.peer_address for request in servicers.seen] == ["198.51.100.7", "127.0.0.1"]


async def test_a_hostile_request_id_is_replaced(channel: grpc.aio.Channel, servicers: Servicers) -> None:
    await get_jwks(channel, ("x-request-id", "x" * 5000))
    assert len(servicers.seen[0].request_id) == 36


async def test_health_needs_no_token(servicers: Servicers, stages: list[Stage]) -> None:
    async with by_http2(servicers.registrations(), stages) as channel:
        await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)


async def test_an_unknown_method_is_unimplemented(channel: grpc.aio.Channel) -> None:
    unknown = channel.unary_unary("/portico.auth.v1.KeyService/Nothing")
    assert (await refusal(unknown(b"", timeout=5))).code() is grpc.StatusCode.UNIMPLEMENTED


async def test_both_transports_share_one_limit_of_load(servicers: Servicers, stages: list[Stage]) -> None:
    servicers.hold = asyncio.Event()
    async with by_http2(servicers.registrations(), stages) as one, by_http1(servicers.registrations(), stages) as other:
        held = [asyncio.ensure_future(get_jwks(channel)) for channel in (one, other, other)]
        while len(servicers.seen) < 3:
            await asyncio.sleep(0)
        for channel in (one, other):
            assert (await refusal(get_jwks(channel))).code() is grpc.StatusCode.UNAVAILABLE
        servicers.hold.set()
        await asyncio.gather(*held)


def test_a_method_without_a_rule_cannot_be_served() -> None:
    """gRPC's own health service carries none."""
    with pytest.raises(ValueError, match="access"):
        policies_of(health_pb2.DESCRIPTOR.services_by_name["Health"])
