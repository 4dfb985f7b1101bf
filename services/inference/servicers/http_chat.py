"""Chat over HTTP, for every frontend."""

import re
from collections.abc import AsyncIterator, Awaitable
from typing import Protocol

from google.api.httpbody_pb2 import HttpBody

from core.errors import PorticoError
from core.rpc.call import CallContext
from core.rpc.headers import EVENT_STREAM
from services.inference.domain.frontends.frontend import EventWriter, Frontend
from services.inference.domain.pipeline.answer import Answer, Chunk, WholeAnswer, read_whole
from services.inference.domain.pipeline.exchange import Body, Exchange
from services.inference.domain.pipeline.native import NativeRequest
from services.inference.domain.pipeline.pipeline import Pipeline
from services.inference.domain.routing.headers import route_header

JSON = "application/json"
EVENTS = "text/event-stream"
DROPPED = "x-portico-dropped-params"
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
"""Name of a field that can stand in a header: a request may have fields of any name."""
_MOST_NAMED = 64
ROUTE = "x-portico-route"
MEMORY = "x-portico-memory"


class HasBody(Protocol):
    """A request that is an HTTP body."""

    @property
    def body(self) -> HttpBody: ...


class HttpChat:
    """Answers the requests of a frontend: with one message, or a message for all chunks that came together."""

    def __init__(self, pipeline: Pipeline, frontend: Frontend) -> None:
        self._pipeline = pipeline
        self._frontend = frontend

    def read(self, request: HasBody, context: CallContext) -> Awaitable[Body | NativeRequest]:
        """The request of a body, and of its headers where the format has some. Raises InvalidInput."""
        return self._frontend.read(request.body.data)

    async def chat(self, request: HasBody, context: CallContext) -> AsyncIterator[HttpBody]:
        frontend = self._frontend
        body = await self.read(request, context)
        del request  # it may be large, and the answer may take long
        exchange, answer = await self._pipeline.chat(body)
        del body
        if not exchange.stream:
            completion = answer.take()[0] if type(answer) is WholeAnswer else await read_whole(answer)
            add_headers(exchange, answer, context)
            yield HttpBody(content_type=JSON, data=frontend.whole(exchange, completion, answer))
            return
        try:
            add_headers(exchange, answer, context)
            for name, value in EVENT_STREAM:
                context.add_header(name, value)
            events = frontend.events(exchange)
            while not answer.ended:
                chunks = await answer.next()
                data = _written(events, answer, chunks)
                if answer.ended:
                    await answer.settled()
                    yield HttpBody(content_type=EVENTS, data=data + events.end(answer))
                elif data or not chunks:  # chunks that the format has no event for are no silence
                    yield HttpBody(content_type=EVENTS, data=data or frontend.keep_alive)
        finally:
            await answer.close()


def _written(events: EventWriter, answer: Answer, chunks: list[Chunk]) -> bytes:
    try:
        return events.write(chunks)
    except PorticoError as error:
        answer.fail(error)
        return b""


def add_headers(exchange: Exchange, answer: Answer, context: CallContext) -> None:
    """Tell the client which parameters were not passed on, its own rate limits and the provider's others, how the
    target was chosen where there was a choice, and whether memories were recalled."""
    if exchange.call.decision is not None:
        context.add_header(ROUTE, route_header(exchange.call), native=True)
    if exchange.call.memory:
        context.add_header(MEMORY, exchange.call.memory, native=True)
    if answer.dropped and (named := [name for name in answer.dropped if _NAME.fullmatch(name)][:_MOST_NAMED]):
        context.add_header(DROPPED, ",".join(named), native=True)
    limits = answer.limits
    if exchange.call.reservation is not None and (own := exchange.call.reservation.headers()):
        limits = tuple({**dict(limits), **dict(own)}.items())
    for name, value in limits:
        context.add_header(name, value, native=True)
