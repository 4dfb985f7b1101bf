"""The chat pipeline, for the OpenAI-compatible RPC and the typed ones, whole and streamed."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from core.errors import PorticoError
from core.http.ports import Stream
from services.inference.domain.catalogue.models import LLM
from services.inference.domain.codecs.headers import Pairs
from services.inference.domain.codecs.openai.chunks import ChunkStream
from services.inference.domain.codecs.openai.completions import read_completion
from services.inference.domain.codecs.openai.token_counts import as_openai, read_usage
from services.inference.domain.pipeline import requests
from services.inference.domain.pipeline.requests import Body, ClientOptions
from services.inference.domain.routing.routes import Route, Routes
from services.inference.domain.routing.sending import ProviderSender
from services.inference.domain.routing.streams import AnyChatStream, ChatStream, KeepAlive, WholeAsStream
from services.inference.domain.usage import calls, tokens
from services.inference.domain.usage.calls import CANCELLED, ModelCall
from services.inference.domain.usage.metering import Meter
from services.inference.domain.usage.tokens import TokenUsage


@dataclass(slots=True)
class Completion:
    """A whole answer: OpenAI's object with the public model key. `dropped` are the fields that were not sent on."""

    body: dict[str, Any]
    usage: TokenUsage
    dropped: tuple[str, ...]
    limits: Pairs = ()


class Chat:
    """The pipeline: check, find the route, shape, send, make the answer the client's, record."""

    def __init__(
        self, routes: Routes, sender: ProviderSender, meter: Meter, keep_alive: KeepAlive, *, max_answer_bytes: int
    ) -> None:
        self._routes = routes
        self._sender = sender
        self._meter = meter
        self._keep_alive = keep_alive
        self._max_answer_bytes = max_answer_bytes

    async def answer(self, body: Body) -> Completion | AnyChatStream:
        """Answer OpenAI's request: with a stream where it says so. Raises PorticoError."""
        requests.check_chat(body)
        call = calls.begin(calls.CHAT, body["model"])
        options = requests.client_options(body, call.request_id)
        call.streamed = options.stream
        try:
            route = call.route = await self._routes.find(call.identity.project, call.model, LLM)
            shaped = requests.shape_chat(body, route)
            data = requests.write_json(shaped.body)
            answer: Body | ChatStream
            if shaped.stream:
                answer = await self._sender.stream(
                    call, route, route.chat_target, data, partial(self._begin, call, route, options, shaped.dropped)
                )
            else:
                answer = await self._sender.post(
                    call, route, route.chat_target, data, partial(_completion, call, route, options)
                )
        except PorticoError as error:
            call.failed(error)
            self._meter.add(call)
            raise
        except BaseException:  # cancelled: the client has gone
            call.status = CANCELLED
            call.usage = tokens.estimated(tokens.request_characters(body), 0)
            self._meter.add(call)
            raise
        if isinstance(answer, ChatStream):
            return answer
        self._meter.add(call)
        if options.stream:
            return WholeAsStream(answer, call.usage, options, shaped.dropped, call.limits)
        answer["request_id"] = options.request_id
        return Completion(answer, call.usage, shaped.dropped, call.limits)

    async def _begin(
        self, call: ModelCall, route: Route, options: ClientOptions, dropped: tuple[str, ...], stream: Stream
    ) -> Body | ChatStream:
        """A stream up to its first chunk, or the whole answer of a provider that does not stream. Raises Refusal,
        PorticoError."""
        chunks = ChunkStream(
            route.model_key, route.scrub, with_usage=options.usage, max_event_bytes=self._max_answer_bytes
        )
        answer = ChatStream(call, options, dropped, stream, chunks, self._sender, self._meter, self._keep_alive)
        start = await answer.open()
        if start is None:
            return answer
        rest = await stream.read(self._max_answer_bytes, seconds=route.timeouts.body)
        return _completion(call, route, options, start + rest)


def _completion(call: ModelCall, route: Route, options: ClientOptions, data: bytes) -> Body:
    """The provider's answer as the client gets it, with its usage. Raises Refusal, UpstreamFailed."""
    call.first_byte = call.first_byte or calls.now()
    body = read_completion(data, route.model_key, route.scrub)
    usage = read_usage(body.get("usage"))
    if usage is None:
        said = tokens.message_characters([choice["message"] for choice in body["choices"]])
        usage = tokens.estimated(tokens.request_characters(options.body), said)
        body["usage"] = as_openai(usage)
    call.usage = usage
    call.finish_reason = body["choices"][0]["finish_reason"]
    return body
