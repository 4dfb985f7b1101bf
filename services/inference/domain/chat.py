"""Chat: one pipeline for the OpenAI-compatible call and the typed ones, whole and streamed."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import orjson

from core.errors import PorticoError
from core.http.ports import Stream
from services.inference.domain import calls, requests, tokens
from services.inference.domain.calls import CANCELLED, Call
from services.inference.domain.chunks import Chunk, ChunkStream, chunks_of
from services.inference.domain.errors import malformed
from services.inference.domain.models import LLM
from services.inference.domain.requests import Body
from services.inference.domain.routes import Routes
from services.inference.domain.sending import Sender
from services.inference.domain.tokens import TokenUsage
from services.inference.domain.usage import Meter

_NO_STREAM = ("application/json", "text/html")
"""What providers that cannot stream, and pages of proxies, answer with. Any other content is read as a stream."""
_MAX_WHOLE_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Completion:
    """A whole answer: OpenAI's object with the public model key. `dropped` are the fields that were not sent on."""

    body: dict[str, Any]
    usage: TokenUsage
    dropped: tuple[str, ...]


class ChatStream:
    """A streamed answer. Call `next` until it has `ended`, then look at `error`; call `close` in any case."""

    def __init__(
        self,
        call: Call,
        stream: Stream,
        chunks: ChunkStream,
        messages: list[Any],
        request_id: str,
        dropped: tuple[str, ...],
        with_usage: bool,
        sender: Sender,
        meter: Meter,
    ) -> None:
        self.request_id = request_id
        self.dropped = dropped
        self.error: PorticoError | None = None
        self.usage = tokens.NO_USAGE
        """Known once the stream has ended."""
        self._call = call
        self._stream: Stream | None = stream
        self._pieces: AsyncIterator[bytes] = aiter(stream)
        self._chunks = chunks
        self._messages = messages
        self._with_usage = with_usage
        self._sender = sender
        self._meter = meter
        self.ended = False

    async def next(self) -> list[Chunk]:
        """The chunks that came together, as soon as there are any; none only at the end. Never raises PorticoError:
        what breaks the stream stands in `error`, after the chunks that came before."""
        chunks = self._chunks
        while not self.ended:
            try:
                data = await anext(self._pieces)
            except StopAsyncIteration:
                self._stream = None
                found = chunks.end()
            except PorticoError as error:
                self._stream = None
                chunks.error = error
                found = []
            else:
                if not self._call.first_byte:
                    self._call.first_byte = calls.now()
                found = chunks.feed(data)
            if chunks.done or chunks.error:
                return self._end(found)
            if found:
                return found
        return []

    async def close(self) -> None:
        """Ends the call. If the stream has not ended, the client has gone: the provider's connection is closed."""
        if not self.ended:
            self.ended = True
            self._call.status = CANCELLED
            self._record()
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.aclose()

    def fail(self, error: PorticoError) -> None:
        """What `next` gave out cannot be sent on: ends the call with this error."""
        self.error = error
        if not self.ended:
            self.ended = True
            self._call.failed(error)
            self._record()

    def _end(self, found: list[Chunk]) -> list[Chunk]:
        self.ended = True
        self.error = self._chunks.error
        if self.error is not None:
            self._call.failed(self.error)
        elif self._stream is not None:
            self._sender.drain(self._stream)
            self._stream = None
        self._record()
        if self._with_usage and self.error is None:
            found.append(self._chunks.usage_chunk(self.usage))
        return found

    def _record(self) -> None:
        chunks = self._chunks
        self.usage = chunks.usage or _estimated(self._messages, chunks.characters)
        self._call.usage = self.usage
        self._call.finish_reason = chunks.finish_reason
        self._meter.add(self._call)


class WholeAsStream:
    """A whole answer for a client that asked for a stream. Has the methods of ChatStream."""

    def __init__(self, completion: Completion, model: str, request_id: str, with_usage: bool) -> None:
        self.request_id = request_id
        self.dropped = completion.dropped
        self.usage = completion.usage
        self.error: PorticoError | None = None
        self.ended = False
        self._found = chunks_of(completion.body, model)
        if with_usage:
            self._found.append({**self._found[0], "choices": [], "usage": completion.body["usage"]})

    async def next(self) -> list[Chunk]:
        self.ended = True
        return self._found

    def fail(self, error: PorticoError) -> None:
        self.error = error

    async def close(self) -> None:
        """Nothing is open."""


AnyChatStream = ChatStream | WholeAsStream


class Chat:
    """The pipeline: check, find the route, shape, send, make the answer the client's, record."""

    def __init__(self, routes: Routes, sender: Sender, meter: Meter) -> None:
        self._routes = routes
        self._sender = sender
        self._meter = meter

    async def answer(self, body: Body) -> Completion | AnyChatStream:
        """Answers OpenAI's request, which it changes: with a stream where the body says so. Raises PorticoError."""
        requests.check_chat(body)
        call = calls.begin(calls.CHAT, body["model"])
        request_id = requests.take_request_id(body, call.request_id)
        wanted, with_usage = bool(body.get("stream")), requests.wants_usage(body)
        call.streamed = wanted
        try:
            route = call.route = await self._routes.find(call.identity.project, call.model, LLM)
            shaped = requests.shape_chat(body, route)
            data = requests.write_json(body)
            if shaped.stream:
                stream = await self._sender.stream(call, route, route.chat_target, data)
                if not (stream.header("content-type") or "").startswith(_NO_STREAM):
                    return ChatStream(
                        call,
                        stream,
                        ChunkStream(route.model_key, route.scrub),
                        body["messages"],
                        request_id,
                        shaped.dropped,
                        with_usage,
                        self._sender,
                        self._meter,
                    )
                async with stream:
                    answer = await stream.read(_MAX_WHOLE_BYTES)
            else:
                answer = await self._sender.post(call, route, route.chat_target, data)
            call.first_byte = calls.now()
            completion = _completion(answer, route.model_key, request_id, body["messages"], shaped.dropped, call)
        except PorticoError as error:
            call.failed(error)
            self._meter.add(call)
            raise
        except BaseException:  # cancelled: the client has gone
            call.status = CANCELLED
            call.usage = _estimated(body["messages"], 0)
            self._meter.add(call)
            raise
        self._meter.add(call)
        return WholeAsStream(completion, route.model_key, request_id, with_usage) if wanted else completion


def _completion(
    data: bytes, model: str, request_id: str, messages: list[Any], dropped: tuple[str, ...], call: Call
) -> Completion:
    """The provider's answer as the client gets it. Raises UpstreamFailed."""
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise malformed() from None
    if type(body) is not dict:
        raise malformed()
    choices = body.get("choices")
    if type(choices) is not list or not choices or type(choices[0]) is not dict:
        raise malformed()
    body["model"] = model
    body["request_id"] = request_id
    usage = tokens.reported(body.get("usage"))
    if usage is None:
        said = sum(tokens.message_characters([each.get("message")]) for each in choices if type(each) is dict)
        usage = _estimated(messages, said)
        body["usage"] = tokens.as_openai(usage)
    call.usage = usage
    call.finish_reason = str(choices[0].get("finish_reason") or "")
    return Completion(body, usage, dropped)


def _estimated(messages: list[Any], characters: int) -> TokenUsage:
    read = tokens.estimate(tokens.message_characters(messages))
    return TokenUsage(read, tokens.estimate(characters), estimated=True)
