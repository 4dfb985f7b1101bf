"""OpenAI's chat completions, as its clients read them: the canonical form itself."""

from collections.abc import Callable
from typing import Any

from core.errors import PorticoError
from services.inference.domain.codecs.errors import malformed
from services.inference.domain.json_values import NotJson, encode
from services.inference.domain.pipeline import requests
from services.inference.domain.pipeline.answer import Answer, Chunk
from services.inference.domain.pipeline.exchange import Exchange

ErrorBody = Callable[[PorticoError, str], dict[str, Any]]
"""Makes the body of an error for the request of this id."""

_DONE = b"data: [DONE]\n\n"


class OpenAIFrontend:
    """The frontend `openai`."""

    keep_alive = b": keep-alive\n\n"
    """A comment, which clients skip and which tells everybody between that the connection is alive."""

    def __init__(self, error_body: ErrorBody) -> None:
        self._error_body = error_body

    read = staticmethod(requests.read)

    def whole(self, exchange: Exchange, completion: Chunk, answer: Answer) -> bytes:
        try:
            return encode({**completion, "request_id": exchange.request_id})
        except NotJson:  # nested deeper than can be written
            raise malformed() from None

    def events(self, exchange: Exchange) -> "OpenAIEvents":
        return OpenAIEvents(exchange.request_id, self._error_body)


class OpenAIEvents:
    """Writes chunks as they are."""

    __slots__ = ("_error_body", "_request_id")

    def __init__(self, request_id: str, error_body: ErrorBody) -> None:
        self._request_id = request_id
        self._error_body = error_body

    def write(self, chunks: list[Chunk]) -> bytes:
        try:
            return b"".join([b"data: %b\n\n" % encode(chunk) for chunk in chunks])
        except NotJson:  # nested deeper than can be written
            raise malformed() from None

    def end(self, answer: Answer) -> bytes:
        if answer.error is None:
            return _DONE
        return b"data: %b\n\n" % encode(self._error_body(answer.error, self._request_id)) + _DONE
