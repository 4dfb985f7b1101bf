"""OpenAI's chat completions, in the dialects of all who say that they speak it."""

from services.inference.domain.catalogue.drivers import OPENAI
from services.inference.domain.codecs.codec import ChunkReader, Counter, Decoded, Encoded, TargetModel
from services.inference.domain.codecs.errors import Refusal, refusal
from services.inference.domain.codecs.openai.chunks import ChunkStream
from services.inference.domain.codecs.openai.completions import read_completion
from services.inference.domain.codecs.openai.shaping import shaped, written
from services.inference.domain.codecs.openai.token_counts import as_openai, read_usage
from services.inference.domain.pipeline.exchange import Exchange
from services.inference.domain.pipeline.native import left_out
from services.inference.domain.usage import tokens


class OpenAIChat:
    """The codec `openai` for chats. `max_event_bytes` bounds one event of a stream."""

    counter: Counter | None = None

    def __init__(self, *, max_event_bytes: int) -> None:
        self._max_event_bytes = max_event_bytes

    def encode(self, exchange: Exchange, model: TargetModel) -> Encoded:
        """A stream is asked for its usage in any case, so that it can be metered."""
        request, dropped = shaped(exchange.request, model)
        if exchange.native is not None:
            dropped = (*left_out(exchange.native, OPENAI), *dropped)
        if request.get("stream") and model.whole_with_tools and request.get("tools"):
            del request["stream"]
        if not request.get("stream"):
            request.pop("stream_options", None)
            return Encoded(written(request), False, dropped)
        if "stream_options" not in model.unsupported:
            asked = exchange.request.get("stream_options") or {}
            request["stream_options"] = {**asked, "include_usage": True}
        return Encoded(written(request), True, dropped)

    def whole(self, data: bytes, exchange: Exchange, model: TargetModel) -> Decoded:
        body = read_completion(data, model.model_key, model.scrub)
        usage = read_usage(body.get("usage"))
        if usage is None:
            said = tokens.message_characters([choice["message"] for choice in body["choices"]])
            usage = tokens.estimated(tokens.request_characters(exchange.request), said)
            body["usage"] = as_openai(usage)
        return Decoded(body, usage, body["choices"][0]["finish_reason"])

    def stream(self, exchange: Exchange, model: TargetModel) -> ChunkReader:
        return ChunkStream(
            model.model_key, model.scrub, with_usage=exchange.with_usage, max_event_bytes=self._max_event_bytes
        )

    def refusal(self, status: int, body: bytes, model: TargetModel) -> Refusal:
        return refusal(status, body, model.scrub)
