"""Chats over Anthropic's Messages API."""

from services.inference.domain.codecs.anthropic.answers import completion_of, read_message
from services.inference.domain.codecs.anthropic.events import MessageStream
from services.inference.domain.codecs.anthropic.requests import request_of, speaks_native, wants_json_tool
from services.inference.domain.codecs.codec import ChunkReader, Decoded, Encoded, TargetModel
from services.inference.domain.codecs.errors import Refusal, refusal
from services.inference.domain.codecs.openai.shaping import written
from services.inference.domain.pipeline.exchange import Exchange
from services.inference.domain.usage import tokens


class AnthropicChat:
    """The codec `anthropic`. `max_event_bytes` bounds one event of a stream."""

    def __init__(self, *, max_event_bytes: int) -> None:
        self._max_event_bytes = max_event_bytes

    def encode(self, exchange: Exchange, model: TargetModel) -> Encoded:
        body, dropped = request_of(exchange, model)
        return Encoded(written(body), bool(body.get("stream")), dropped)

    def whole(self, data: bytes, exchange: Exchange, model: TargetModel) -> Decoded:
        return completion_of(
            read_message(data, model.scrub),
            model.model_key,
            tokens.request_characters(exchange.request),
            json_tool=wants_json_tool(exchange, model),
            native=speaks_native(exchange),
        )

    def stream(self, exchange: Exchange, model: TargetModel) -> ChunkReader:
        return MessageStream(
            model.model_key,
            model.scrub,
            with_usage=exchange.with_usage,
            max_event_bytes=self._max_event_bytes,
            json_tool=wants_json_tool(exchange, model),
            native=speaks_native(exchange),
        )

    def refusal(self, status: int, body: bytes, model: TargetModel) -> Refusal:
        return refusal(status, body, model.scrub)
