"""Headers that a servicer adds to its answer, on both transports."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from core import errors
from core.rpc.call import CallContext
from core.rpc.server import ServiceRegistration
from portico.auth.v1 import token_service_pb2, token_service_pb2_grpc, trust_service_pb2, trust_service_pb2_grpc
from tests.support.serving import REST
from tests.support.transports import Transport, by_http2

LIMIT, DROPPED, COOKIE = ("x-ratelimit-limit", "7"), ("x-portico-dropped-params", "seed"), ("set-cookie", "a=b")
UPSTREAM = ("retry-after", "9")


def add_all(context: CallContext) -> None:
    """Parts that know nothing of each other add headers one by one, and the status."""
    context.add_header(*LIMIT, native=True)
    context.add_header(*COOKIE)
    context.set_http_status(202)
    context.add_header(*DROPPED, native=True)


@dataclass
class Servicers:
    """A unary RPC whose contract names the HTTP status 201, and a stream. `finish` may raise."""

    finish: Callable[[CallContext], Any] = lambda context: None
    messages: int = 2

    def registrations(self) -> list[ServiceRegistration]:
        outer = self

        class Tokens(token_service_pb2_grpc.TokenServiceServicer):
            async def CreateToken(self, request: Any, context: CallContext) -> Any:
                add_all(context)
                outer.finish(context)
                return token_service_pb2.CreateTokenResponse()

        class Trust(trust_service_pb2_grpc.TrustServiceServicer):
            async def WatchRevocations(self, request: Any, context: CallContext) -> AsyncIterator[Any]:
                add_all(context)
                for _ in range(outer.messages):
                    yield trust_service_pb2.WatchRevocationsResponse()
                outer.finish(context)

        return [
            ServiceRegistration(
                "portico.auth.v1.TokenService", token_service_pb2_grpc.add_TokenServiceServicer_to_server, Tokens()
            ),
            ServiceRegistration(
                "portico.auth.v1.TrustService", trust_service_pb2_grpc.add_TrustServiceServicer_to_server, Trust()
            ),
        ]


@dataclass
class Answer:
    messages: int
    initial: list[tuple[str, str]]
    trailing: list[tuple[str, str]]
    error: bool

    def all(self) -> list[tuple[str, str]]:
        return self.initial + self.trailing


async def unary(channel: Any, metadata: Any) -> Answer:
    stub = token_service_pb2_grpc.TokenServiceStub(channel)
    return await collected(stub.CreateToken(token_service_pb2.CreateTokenRequest(), metadata=metadata, timeout=30))


async def stream(channel: Any, metadata: Any) -> Answer:
    stub = trust_service_pb2_grpc.TrustServiceStub(channel)
    request = trust_service_pb2.WatchRevocationsRequest()
    return await collected(stub.WatchRevocations(request, metadata=metadata, timeout=30))


async def collected(call: Any) -> Answer:
    messages, error, trailing = 0, False, []
    try:
        if hasattr(call, "read"):
            async for _ in call:
                messages += 1
        else:
            await call
            messages = 1
    except Exception as failure:  # each transport's client has a class of its own
        answered: Any = failure
        error, trailing = True, list(answered.trailing_metadata())
    return Answer(messages, list(await call.initial_metadata()), trailing, error)


CALLS = pytest.mark.parametrize("call", [unary, stream], ids=["unary", "stream"])
Call = Callable[[Any, Any], Any]


def fail(context: CallContext) -> None:
    error = errors.RateLimited("Slow down.")
    error.headers = (UPSTREAM,)
    raise error


@CALLS
async def test_headers_added_one_by_one_reach_rest_callers_with_the_status(transport: Transport, call: Call) -> None:
    """grpc.aio takes initial metadata once: headers of the servicer beside the status of the chain were INTERNAL."""
    async with transport(Servicers().registrations(), []) as channel:
        answer = await call(channel, REST)
    assert not answer.error
    assert [pair for pair in answer.initial if pair in (LIMIT, COOKIE, DROPPED)] == [LIMIT, COOKIE, DROPPED]
    assert dict(answer.initial)["x-http-status"] == "202"


@CALLS
async def test_native_callers_get_the_headers_that_are_for_them(transport: Transport, call: Call) -> None:
    async with transport(Servicers().registrations(), []) as channel:
        answer = await call(channel, ())
    assert not answer.error
    assert [pair for pair in answer.initial if pair in (LIMIT, COOKIE, DROPPED)] == [LIMIT, DROPPED]
    assert "x-http-status" not in dict(answer.initial)


@CALLS
async def test_an_error_before_the_first_message_carries_the_headers(transport: Transport, call: Call) -> None:
    async with transport(Servicers(fail, messages=0).registrations(), []) as channel:
        rest, native = await call(channel, REST), await call(channel, ())
    assert rest.error
    assert native.error
    assert not rest.initial  # or the edge could not turn the status into an HTTP error
    assert [pair for pair in rest.trailing if pair in (LIMIT, COOKIE, DROPPED, UPSTREAM)] == [
        LIMIT,
        COOKIE,
        DROPPED,
        UPSTREAM,
    ]
    assert dict(rest.trailing)["x-http-status"] == "429"
    assert [pair for pair in native.all() if pair in (LIMIT, COOKIE, DROPPED, UPSTREAM)] == [LIMIT, DROPPED]


async def test_an_error_after_the_first_message_does_not_repeat_the_headers(transport: Transport) -> None:
    async with transport(Servicers(fail).registrations(), []) as channel:
        answer = await stream(channel, REST)
    assert answer.error
    assert answer.messages == 2
    assert [pair for pair in answer.all() if pair == LIMIT] == [LIMIT]


async def test_a_stream_without_messages_still_has_its_headers(transport: Transport) -> None:
    async with transport(Servicers(messages=0).registrations(), []) as channel:
        answer = await stream(channel, REST)
    assert not answer.error
    if transport is by_http2:  # over HTTP/1.1 all is one block of headers
        assert LIMIT in answer.initial


async def test_a_header_after_the_first_message_is_a_mistake_of_ours(transport: Transport) -> None:
    seen: list[Exception] = []

    def late(context: CallContext) -> None:
        with pytest.raises(RuntimeError) as header:
            context.add_header("x-late", "1")
        with pytest.raises(RuntimeError) as status:
            context.set_http_status(206)
        seen.extend((header.value, status.value))

    async with transport(Servicers(late).registrations(), []) as channel:
        assert not (await stream(channel, REST)).error
    assert len(seen) == 2
