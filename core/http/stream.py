"""Streamed responses, read while they arrive."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Self

from core.http.connection import ClientConnection
from core.http.decoding import Decoder
from core.http.errors import BadResponse, UpstreamTimeout
from core.http.limits import READ_SECONDS
from core.http.ports import Head

_DECODED_BYTES = 256 * 1024
"""Bytes decompressed at a time, so that a small chunk cannot become a huge one."""


class StreamedResponse(Head):
    """The Stream of `core.http.ports`."""

    __slots__ = ("_connection",)

    def __init__(self, status: int, headers: Mapping[bytes, bytes], connection: ClientConnection) -> None:
        super().__init__(status, headers)
        self._connection: ClientConnection | None = connection

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        connection = self._connection
        if connection is None:
            raise StopAsyncIteration
        try:
            if not connection.readable:
                await connection.wait()
            chunk = connection.take()
        except BaseException:  # broken or cancelled: either way the socket is of no more use
            self._connection = None
            connection.abort()
            raise
        if connection.drained:
            self._connection = None
            connection.end()
            if not chunk:
                raise StopAsyncIteration
        return chunk

    def wake(self) -> None:
        if self._connection is not None:
            self._connection.wake()

    async def read(self, limit: int, *, seconds: float = READ_SECONDS) -> bytes:
        parts: list[bytes] = []
        try:
            async with asyncio.timeout(seconds):
                async for part in self:
                    parts.append(part)
                    limit -= len(part)
                    if limit < 0:
                        self.close()
                        raise BadResponse("The provider's answer is too large.")
        except TimeoutError:
            raise UpstreamTimeout("The provider took too long to end its answer.", sent=True) from None
        return b"".join(parts)

    async def aclose(self) -> None:
        self.close()

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.end()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        # A reader that forgot to close would otherwise hold its place in the pool for ever.
        if self._connection is not None:
            self._connection.abort()


class DecodedResponse(StreamedResponse):
    """A compressed response, decompressed while it is read."""

    __slots__ = ("_decoder",)

    def __init__(
        self, status: int, headers: Mapping[bytes, bytes], connection: ClientConnection, decoder: Decoder
    ) -> None:
        super().__init__(status, headers, connection)
        self._decoder = decoder

    async def __anext__(self) -> bytes:
        decoder = self._decoder
        try:
            while True:
                data = b""
                if not decoder.pending:
                    data = await super().__anext__()
                    if not data:  # it was woken
                        return b""
                if plain := decoder.feed(data, _DECODED_BYTES):
                    return plain
        except StopAsyncIteration:
            decoder.close()
            raise
        except BadResponse:
            await self.aclose()
            raise
