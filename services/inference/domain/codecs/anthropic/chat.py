"""Chats over Anthropic's Messages API."""

from core.http.headers import header_lines
from services.inference.domain.codecs.anthropic.answers import completion_of, read_message
from services.inference.domain.codecs.anthropic.events import MessageStream
from services.inference.domain.codecs.anthropic.requests import request_of, speaks_native, wants_json_tool
from services.inference.domain.codecs.codec import ChunkReader, Counter, Decoded, Encoded, TargetModel
from services.inference.domain.codecs.errors import Refusal, malformed, refusal
from services.inference.domain.codecs.openai.shaping import written
from services.inference.domain.json_values import UNREADABLE, decode
from services.inference.domain.pipeline.exchange import Exchange
from services.inference.domain.usage import tokens
from services.inference.domain.usage.tokens import NO_USAGE

_COUNTED = frozenset(
    {"model", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "mcp_servers"}
)
"""Fields that decide how many tokens the model reads."""


class AnthropicChat:
    """The codec `anthropic`. `max_event_bytes` bounds one event of a stream."""

    def __init__(self, *, max_event_bytes: int) -> None:
        self._max_event_bytes = max_event_bytes
        self.counter: Counter | None = Counter(b"/count_tokens", AnthropicTokens())

    def encode(self, exchange: Exchange, model: TargetModel) -> Encoded:
        body, dropped = request_of(exchange, model)
        return Encoded(written(body), bool(body.get("stream")), dropped, _headers(exchange))

    def whole(self, data: bytes, exchange: Exchange, model: TargetModel) -> Decoded:
        return completion_of(
            read_message(data, model.scrub),
            model.model_key,
            tokens.request_characters(exchange.request),
            json_tool=wants_json_tool(exchange, model),
            native=speaks_native(exchange) and exchange.native_answer,
        )

    def stream(self, exchange: Exchange, model: TargetModel) -> ChunkReader:
        return MessageStream(
            model.model_key,
            model.scrub,
            with_usage=exchange.with_usage,
            max_event_bytes=self._max_event_bytes,
            json_tool=wants_json_tool(exchange, model),
            native=speaks_native(exchange) and exchange.native_answer,
        )

    def refusal(self, status: int, body: bytes, model: TargetModel) -> Refusal:
        return refusal(status, body, model.scrub)


class AnthropicTokens:
    """Counts the tokens of a request; the answer is the API's, with `input_tokens`."""

    counter: Counter | None = None

    def encode(self, exchange: Exchange, model: TargetModel) -> Encoded:
        body, dropped = request_of(exchange, model)
        counted = {name: value for name, value in body.items() if name in _COUNTED}
        return Encoded(written(counted), False, dropped, _headers(exchange))

    def whole(self, data: bytes, exchange: Exchange, model: TargetModel) -> Decoded:
        try:
            body = decode(data)
        except UNREADABLE:
            raise malformed() from None
        if type(body) is not dict or type(body.get("input_tokens")) is not int:
            raise malformed()
        return Decoded(body, NO_USAGE)

    def stream(self, exchange: Exchange, model: TargetModel) -> ChunkReader:
        raise NotImplementedError("a count is one answer")

    def refusal(self, status: int, body: bytes, model: TargetModel) -> Refusal:
        return refusal(status, body, model.scrub)


def _headers(exchange: Exchange) -> bytes:
    """The caller's own headers of this format."""
    if exchange.native is None or not exchange.native.headers or not speaks_native(exchange):
        return b""
    return header_lines(dict(exchange.native.headers))
