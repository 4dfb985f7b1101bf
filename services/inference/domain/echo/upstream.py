"""The echo driver as a provider: an upstream that needs no network. What takes long is done off the event loop."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from functools import partial
from types import TracebackType
from typing import Any, Self

from core.http.limits import READ_SECONDS
from core.http.ports import Response, Timeouts
from core.offload import offload
from services.inference.domain.echo import answers as echo
from services.inference.domain.echo.answers import Refused
from services.inference.domain.json_values import decode, encode

_FRAMES_A_TURN = 32
"""Frames that are streamed before the event loop serves others."""
_HEADERS: Mapping[bytes, bytes] = {b"content-type": b"application/json"}


class EchoUpstream:
    """Implements `core.http.ports.Upstream`. `delay` is the seconds before an answer and each streamed word."""

    def __init__(self, delay: float = 0.0) -> None:
        self._delay = delay

    async def post(
        self,
        target: bytes,
        headers: bytes,
        body: bytes,
        *,
        extra_headers: bytes = b"",
        timeouts: Timeouts | None = None,
        deadline: float | None = None,
    ) -> Response:
        if self._delay:
            await asyncio.sleep(self._delay)
        request = await offload(partial(decode, body), len(body))
        try:
            return Response(
                200, _HEADERS, await offload(partial(echo.answered, target, request), _weight(request, body))
            )
        except Refused as refused:
            return Response(400, _HEADERS, encode(refused.body))

    async def get(
        self,
        target: bytes,
        headers: bytes,
        *,
        extra_headers: bytes = b"",
        timeouts: Timeouts | None = None,
        deadline: float | None = None,
    ) -> Response:
        return Response(404, _HEADERS, b"{}")

    async def stream(
        self,
        target: bytes,
        headers: bytes,
        body: bytes,
        *,
        extra_headers: bytes = b"",
        timeouts: Timeouts | None = None,
        deadline: float | None = None,
    ) -> "EchoStream":
        request = await offload(partial(decode, body), len(body))
        try:
            completion = await offload(partial(echo.chat, request), len(body))
        except Refused as refused:
            return EchoStream(400, [encode(refused.body)], 0.0)
        options = request.get("stream_options") or {}
        return EchoStream(200, echo.frames_of(completion, with_usage=bool(options.get("include_usage"))), self._delay)

    async def close(self) -> None:
        """Nothing is open."""


class EchoStream:
    """Implements `core.http.ports.Stream`. Chunks are made when they are asked for."""

    def __init__(self, status: int, chunks: Iterable[bytes], delay: float) -> None:
        self.status = status
        self._chunks = iter(chunks)
        self._delay = delay

    @property
    def headers(self) -> Mapping[bytes, bytes]:
        return _HEADERS

    def header(self, name: str) -> str | None:
        return None

    def wake(self) -> None:
        """Its pauses are short."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for number, chunk in enumerate(self._chunks, 1):
            if self._delay or number % _FRAMES_A_TURN == 0:
                await asyncio.sleep(self._delay)
            yield chunk

    async def read(self, limit: int, *, seconds: float = READ_SECONDS) -> bytes:
        return b"".join(self._chunks)

    async def aclose(self) -> None:
        self._chunks = iter(())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _weight(request: Mapping[str, Any], body: bytes) -> int:
    """The work of a request: its bytes, or the bytes of the numbers that it asks for."""
    inputs, dimensions = request.get("input"), request.get("dimensions") or echo.DEFAULT_DIMENSIONS
    numbers = len(inputs) * dimensions if isinstance(inputs, list) and type(dimensions) is int else 0
    return max(len(body), 4 * numbers)
