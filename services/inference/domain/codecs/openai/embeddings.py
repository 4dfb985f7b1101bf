"""The embedding pipeline: vectors pass through unparsed, unless they have another form than the client asked for."""

import base64
import binascii
import re
import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Raw

from core import json_bodies
from core.errors import InvalidInput, PorticoError
from core.limits import MAX_ANSWER_BYTES
from services.inference.domain.catalogue.models import EMBEDDING
from services.inference.domain.codecs.error_reports import report_of
from services.inference.domain.codecs.errors import malformed, reported
from services.inference.domain.codecs.headers import Pairs
from services.inference.domain.codecs.openai.token_counts import read_usage
from services.inference.domain.json_values import BYTE_ORDER_MARK, NotJson, decode_leniently
from services.inference.domain.pipeline import requests
from services.inference.domain.pipeline.requests import Body
from services.inference.domain.routing.routes import Route, Routes
from services.inference.domain.routing.sending import ProviderSender
from services.inference.domain.usage import calls, tokens
from services.inference.domain.usage.calls import CANCELLED
from services.inference.domain.usage.metering import Meter
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
_ENCODER = msgspec.json.Encoder()


@dataclass(slots=True)
class Embedded:
    """The answer: OpenAI's object with the public model key, its `data` still JSON."""

    fields: dict[str, Any]
    usage: TokenUsage
    dropped: tuple[str, ...]
    limits: Pairs = ()

    @property
    def size(self) -> int:
        """Bytes of JSON, but for some."""
        return len(self.fields["data"])

    def json(self) -> bytes:
        return _ENCODER.encode(self.fields)

    def vectors(self) -> list[Vector]:
        """In the order of the inputs. Raises UpstreamFailed."""
        return sorted(_vectors(self.fields["data"]), key=lambda each: each.index)


class Embeddings:
    """The pipeline: check, find the route, shape, send, make the answer the client's, record."""

    def __init__(self, routes: Routes, sender: ProviderSender, meter: Meter) -> None:
        self._routes = routes
        self._sender = sender
        self._meter = meter

    async def answer(self, body: Body) -> Embedded:
        """Answer OpenAI's request. Raises PorticoError."""
        requests.check_embedding(body)
        call = calls.begin(calls.EMBEDDING, body["model"])
        request_id = requests.own_request_id(body, call.request_id)
        try:
            route = call.route = await self._routes.find(call.identity.project, call.model, EMBEDDING)
            shaped = requests.shape(body, route)
            data = requests.write_json(shaped.body)

            def read(answer: bytes) -> tuple[dict[str, Any], TokenUsage]:
                call.first_byte = calls.now()
                return _answer_to(body, answer, route, request_id)

            fields, call.usage = await self._sender.post(call, route, route.embeddings_target, data, read)
        except PorticoError as error:
            call.failed(error)
            raise
        except BaseException:  # cancelled: the client has gone
            call.status = CANCELLED
            raise
        finally:
            self._meter.add(call)
        return Embedded(fields, call.usage, shaped.dropped, call.limits)


def _answer_to(request: Body, data: bytes, route: Route, request_id: str) -> tuple[dict[str, Any], TokenUsage]:
    """The answer as the client gets it, and its usage. Raises Refusal, UpstreamFailed."""
    try:
        fields: dict[str, Any] = _ANSWER.decode(data.removeprefix(BYTE_ORDER_MARK))
        usage = read_usage(msgspec.json.decode(fields["usage"]), generates=False) if "usage" in fields else None
    except json_bodies.UNREADABLE:
        fields = {}
    form = _form(fields["data"]) if "data" in fields else None
    if form is None or "error" in fields:
        _check_error(data, route)
    if form is None:
        raise malformed()
    wanted = request.get("encoding_format") or FLOAT
    if form != wanted:
        fields["data"] = Raw(_converted(fields["data"], wanted))
    if usage is None:
        usage = TokenUsage(tokens.estimate(tokens.input_characters(request["input"])), estimated=True)
        fields["usage"] = {"prompt_tokens": usage.input, "total_tokens": usage.total}
    fields.update(object="list", model=route.model_key, request_id=request_id)
    return fields, usage


def _check_error(data: bytes, route: Route) -> None:
    """Check an answer for an error. Raises Refusal where the provider reports an error, UpstreamFailed for what is no
    JSON."""
    try:
        answer = decode_leniently(data)
    except NotJson:
        raise malformed() from None
    if (report := report_of(answer)) is not None:
        raise reported(report, route.scrub)


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
