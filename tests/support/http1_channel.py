"""A gRPC channel for generated stubs that speaks to a service's port for the edge, as the edge does.

Only what the tests use of a channel, of a call and of an error.
"""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote

import grpc
from grpc.aio import EOF, AioRpcError, Metadata

_TRANSPORTS = {"content-type", "content-length", "grpc-status", "grpc-message"}


class Http1Channel:
    """One connection for each call."""

    def __init__(self, port: int) -> None:
        self.port = port

    def unary_unary(
        self, method: str, request_serializer: Any = bytes, response_deserializer: Any = bytes, **_: Any
    ) -> Callable[..., Any]:
        def call(request: Any, metadata: Any = (), timeout: float | None = None) -> Http1Rpc:
            limit = () if timeout is None else (("grpc-timeout", f"{round(timeout * 1000)}m"),)
            return Http1Rpc(self.port, method, request_serializer(request), (*metadata, *limit), response_deserializer)

        return call

    unary_stream = unary_unary

    def stream_unary(self, *_: Any, **__: Any) -> None:
        """A stub has these too; nobody calls them."""

    stream_stream = stream_unary


class Http1Rpc:
    """A call that has begun."""

    def __init__(
        self, port: int, method: str, message: bytes, metadata: Any, deserialize: Callable[[bytes], Any]
    ) -> None:
        self._deserialize = deserialize
        self._initial: asyncio.Future[Metadata] = asyncio.get_running_loop().create_future()
        self._messages: asyncio.Queue[Any] = asyncio.Queue()
        self._task = asyncio.create_task(self._run(port, method, message, metadata))
        self._task.add_done_callback(self._ended)

    def __await__(self) -> Any:
        return self._whole().__await__()

    async def __aiter__(self) -> AsyncIterator[Any]:
        while (message := await self.read()) is not EOF:
            yield message

    async def read(self) -> Any:
        message = await self._messages.get()
        if isinstance(message, Exception):
            raise message
        return message

    async def initial_metadata(self) -> Metadata:
        return await self._initial

    def cancel(self) -> None:
        self._task.cancel()

    async def _whole(self) -> Any:
        message, end = await self.read(), await self.read()
        assert end is EOF
        return message

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._messages.put_nowait(error)

    async def _run(self, port: int, method: str, message: bytes, metadata: Any) -> None:
        async with connected(port) as (reader, writer):
            writer.write(request(method, message, metadata))
            head = await reader.readuntil(b"\r\n\r\n")
            headers = _headers(head.partition(b"\r\n")[2])
            assert head.startswith(b"HTTP/1.1 200 OK\r\n"), head
            assert ("content-type", "application/grpc") in headers
            trailers = headers
            if ("transfer-encoding", "chunked") in headers:
                self._initial.set_result(Metadata(*headers))
                trailers = await self._read_chunks(reader)
            else:
                assert ("content-length", "0") in headers
                self._initial.set_result(Metadata())
            own = [(name, value) for name, value in trailers if name not in _TRANSPORTS]
            self._end(dict(trailers), Metadata(*own))

    async def _read_chunks(self, reader: asyncio.StreamReader) -> list[tuple[str, Any]]:
        while size := int(await reader.readuntil(b"\r\n"), 16):
            chunk = await reader.readexactly(size + 2)
            assert chunk[:5] == b"\0" + (size - 5).to_bytes(4, "big")
            assert chunk[-2:] == b"\r\n"
            self._messages.put_nowait(self._deserialize(chunk[5:-2]))
        lines = b""
        while (line := await reader.readline()) != b"\r\n":
            lines += line
        return _headers(lines)

    def _end(self, status: dict[str, Any], trailing: Metadata) -> None:
        code = next(code for code in grpc.StatusCode if code.value[0] == int(status["grpc-status"]))
        details = unquote(status.get("grpc-message", ""))
        ok = code is grpc.StatusCode.OK
        self._messages.put_nowait(EOF if ok else AioRpcError(code, Metadata(), trailing, details))


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=64 * 1024 * 1024)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()  # what it has not sent yet would keep it open


def frame(message: bytes) -> bytes:
    return b"\0" + len(message).to_bytes(4, "big") + message


def request(method: str, message: bytes, metadata: Any = ()) -> bytes:
    """As Envoy writes it once its transcoder has dropped the content length."""
    lines = [
        f"POST {method} HTTP/1.1",
        "host: x",
        "content-type: application/grpc",
        "te: trailers",
        "transfer-encoding: chunked",
        *(f"{name}: {value}" for name, value in metadata),
    ]
    body = frame(message)
    return "\r\n".join(lines).encode() + b"\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


def _headers(lines: bytes) -> list[tuple[str, Any]]:
    pairs = [line.split(": ", 1) for line in lines.decode("latin-1").split("\r\n") if line]
    return [(name, _value(name, value)) for name, value in pairs]


def _value(name: str, value: str) -> str | bytes:
    return base64.b64decode(value + "==") if name.endswith("-bin") else value
