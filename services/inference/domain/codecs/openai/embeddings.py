"""OpenAI's embeddings: vectors pass through unparsed, unless they have another form than the client asked for."""

import base64
import binascii
import re
import sys
from array import array
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw

from core import json_bodies
from core.errors import InvalidInput
from core.limits import MAX_ANSWER_BYTES
from services.inference.domain.codecs.codec import ChunkReader, Counter, Decoded, Encoded, TargetModel
from services.inference.domain.codecs.error_reports import report_of
from services.inference.domain.codecs.errors import Refusal, malformed, refusal, reported
from services.inference.domain.codecs.openai.shaping import shaped, written
from services.inference.domain.codecs.openai.token_counts import read_usage
from services.inference.domain.codecs.scrubbing import Scrub
from services.inference.domain.json_values import BYTE_ORDER_MARK, NotJson, decode_leniently
from services.inference.domain.pipeline.answer import Chunk
from services.inference.domain.pipeline.exchange import Exchange
from services.inference.domain.usage import tokens
from services.inference.domain.usage.tokens import TokenUsage

FLOAT, BASE64 = "float", "base64"

_FIRST_VECTOR = re.compile(rb'"embedding"\s*:\s*(["\[])')
_FORMS = {b'"': BASE64, b"[": FLOAT}


class Vector(msgspec.Struct):
    """One entry of `data`. `embedding` is JSON: a list of floats, or base64 of 32-bit little-endian ones."""

    embedding: Raw
    index: int = 0
    object: str = "embedding"

    def numbers(self) -> Sequence[float]:
        """The vector's numbers. Raises UpstreamFailed."""
        try:
            given = _EMBEDDING.decode(self.embedding)
            if isinstance(given, list):
                return given
            numbers = array("f", base64.b64decode(given, validate=True))
        except (*json_bodies.UNREADABLE, binascii.Error, ValueError):
            raise malformed() from None
        if sys.byteorder == "big":
            numbers.byteswap()
        return numbers

    def written(self, form: str) -> bytes:
        """The entry as JSON, in this form. Raises UpstreamFailed."""
        embedding = self._as_base64() if form == BASE64 else list(self.numbers())
        return _ENCODER.encode({"object": self.object, "index": self.index, "embedding": embedding})

    def _as_base64(self) -> str:
        try:
            numbers = array("f", self.numbers())
        except OverflowError:
            raise malformed() from None
        if sys.byteorder == "big":
            numbers.byteswap()
        return base64.b64encode(numbers.tobytes()).decode()


_ANSWER = msgspec.json.Decoder(dict[str, Raw])
_VECTORS = msgspec.json.Decoder(list[Vector])
_EMBEDDING = msgspec.json.Decoder(list[float] | str)
_PLACES = msgspec.json.Decoder(list[int])
_ENCODER = msgspec.json.Encoder()


class OpenAIEmbeddings:
    """The codec `openai` for embeddings. The answer's `data` stays JSON, see `vectors` and `as_json`."""

    counter: Counter | None = None

    def encode(self, exchange: Exchange, model: TargetModel) -> Encoded:
        request, dropped = shaped(exchange.request, model)
        return Encoded(written(request), False, dropped)

    def whole(self, data: bytes, exchange: Exchange, model: TargetModel) -> Decoded:
        """Vectors have the form that the request asks for."""
        request = exchange.request
        try:
            fields: dict[str, Any] = _ANSWER.decode(data.removeprefix(BYTE_ORDER_MARK))
            usage = read_usage(msgspec.json.decode(fields["usage"]), generates=False) if "usage" in fields else None
        except json_bodies.UNREADABLE:
            fields = {}
        form = _form(fields["data"]) if "data" in fields else None
        if form is None or "error" in fields:
            _check_error(data, model.scrub)
        if form is None:
            raise malformed()
        wanted = request.get("encoding_format") or FLOAT
        if form != wanted:
            fields["data"] = Raw(_converted(fields["data"], wanted))
        if usage is None:
            usage = TokenUsage(tokens.estimate(tokens.input_characters(request["input"])), estimated=True)
            fields["usage"] = {"prompt_tokens": usage.input, "total_tokens": usage.total}
        fields.update(object="list", model=model.model_key)
        return Decoded(fields, usage)

    def stream(self, exchange: Exchange, model: TargetModel) -> ChunkReader:
        raise TypeError("embeddings are not streamed")

    def refusal(self, status: int, body: bytes, model: TargetModel) -> Refusal:
        return refusal(status, body, model.scrub)


def vectors(answer: Chunk) -> list[Vector]:
    """The vectors of an answer in the order of the inputs. Raises UpstreamFailed."""
    return sorted(_vectors(answer["data"]), key=lambda each: each.index)


def truncated(answer: Chunk) -> list[int]:
    """Places of the inputs that were cut, where the provider tells."""
    given = answer.get("truncated")
    try:
        return [] if given is None else _PLACES.decode(given)
    except json_bodies.UNREADABLE:
        return []


def as_json(answer: Chunk) -> bytes:
    return _ENCODER.encode(answer)


def _check_error(data: bytes, scrub: Scrub) -> None:
    """Check an answer for an error. Raises Refusal where the provider reports an error, UpstreamFailed for what is no
    JSON."""
    try:
        answer = decode_leniently(data)
    except NotJson:
        raise malformed() from None
    if (report := report_of(answer)) is not None:
        raise reported(report, scrub)


def _form(data: Raw) -> str | None:
    """The encoding of the first vector; providers encode all of them alike."""
    found = _FIRST_VECTOR.search(memoryview(data))
    return None if found is None else _FORMS[found[1]]


def _converted(data: Raw, wanted: str) -> bytes:
    """One vector after the other, so that a thread gives way to others. Raises UpstreamFailed, InvalidInput."""
    entries, size = [], 0
    for vector in _vectors(data):
        entries.append(vector.written(wanted))
        size += len(entries[-1])
        if size > MAX_ANSWER_BYTES:
            raise InvalidInput(
                f"The answer would be larger than {MAX_ANSWER_BYTES // 2**20} MiB. Send fewer inputs at once, or ask "
                "for base64.",
                reason="ANSWER_TOO_LARGE",
                field="input",
            )
    return b"[" + b",".join(entries) + b"]"


def _vectors(data: Raw) -> list[Vector]:
    try:
        return _VECTORS.decode(data)
    except json_bodies.UNREADABLE:
        raise malformed() from None
