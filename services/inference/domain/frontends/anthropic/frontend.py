"""Anthropic's Messages API, as its clients speak it."""

from functools import partial

from core.offload import offload_request
from services.inference.domain.codecs.errors import malformed
from services.inference.domain.frontends.anthropic.answers import message_from
from services.inference.domain.frontends.anthropic.events import ErrorBody, MessageEvents
from services.inference.domain.frontends.anthropic.requests import read_request
from services.inference.domain.json_values import NotJson, encode
from services.inference.domain.pipeline import requests
from services.inference.domain.pipeline.answer import Answer, Chunk
from services.inference.domain.pipeline.exchange import Exchange
from services.inference.domain.pipeline.native import NativeRequest


class AnthropicFrontend:
    """The frontend `anthropic`."""

    keep_alive = b'event: ping\ndata: {"type":"ping"}\n\n'

    def __init__(self, error_body: ErrorBody) -> None:
        self._error_body = error_body

    async def read(self, data: bytes, *, counting: bool = False) -> NativeRequest:
        """The request of a body; `counting` as `read_request` has it."""
        body = await requests.read(data)
        return await offload_request(partial(read_request, body, counting=counting), len(data))

    def whole(self, exchange: Exchange, completion: Chunk, answer: Answer) -> bytes:
        try:
            return encode(message_from(completion))
        except (NotJson, TypeError, AttributeError):  # nested too deeply, or of other types than the format has
            raise malformed() from None

    def events(self, exchange: Exchange) -> MessageEvents:
        return MessageEvents(exchange.request_id, self._error_body)
