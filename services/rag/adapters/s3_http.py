"""The HTTP session of the S3 client, over the client that calls all other providers: its guard, bounds and times."""

from io import BytesIO
from typing import Any, Self
from urllib.parse import urlsplit

from aiobotocore.awsrequest import AioAWSResponse  # type: ignore[import-untyped]
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError  # type: ignore[import-untyped]

from core.http.client import HttpClient
from core.http.errors import AddressRefused, BadResponse, ConnectionsBusy, TransportFailed, UpstreamTimeout
from core.http.guard import OutboundGuard
from core.http.headers import header_block
from core.http.origin import Origin
from core.http.ports import Timeouts
from core.http.stream import StreamedResponse
from services.rag.adapters.s3_limits import (
    CONNECT_SECONDS,
    CONNECTIONS,
    FIRST_BYTE_SECONDS,
    IDLE_SECONDS,
    MAX_ANSWER_BYTES,
    MAX_ERROR_BYTES,
    MAX_HOSTS,
    MAX_TAGS,
    POOL_SECONDS,
)

_TIMEOUTS = Timeouts(pool=POOL_SECONDS, connect=CONNECT_SECONDS, first_byte=FIRST_BYTE_SECONDS, idle=IDLE_SECONDS)
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding", "expect"})
"""Headers that the client below sets itself."""


class S3Session:
    """HTTP session that botocore sends its requests through. Neither proxies nor settings of the machine have a say."""

    def __init__(self, guard: OutboundGuard, **options: Any) -> None:
        """`options` is what botocore gives every session: nothing in it is needed here."""
        self._guard = guard
        self._clients: dict[Origin, HttpClient] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        while self._clients:
            _, client = self._clients.popitem()
            await client.close()

    async def send(self, request: Any) -> AioAWSResponse:
        """Send a request. Raises botocore's errors for what it tries again, PorticoError for all else."""
        try:
            answer = _Answer(await self._ask(request), request.url)
            if not request.stream_output:
                await answer.read()
        except (AddressRefused, ConnectionsBusy):
            raise
        except TransportFailed as error:
            raise EndpointConnectionError(endpoint_url=request.url, error=error) from error
        except UpstreamTimeout as error:
            raise ReadTimeoutError(endpoint_url=request.url, error=error) from error
        return AioAWSResponse(request.url, answer.status, answer.headers, answer)

    async def _ask(self, request: Any) -> StreamedResponse:
        url = urlsplit(request.url)
        origin = Origin.parse(f"{url.scheme}://{url.netloc}")
        headers = {name: _text(value) for name, value in request.headers.items() if name.lower() not in _OURS}
        target = f"{url.path or '/'}{f'?{url.query}' if url.query else ''}"
        return await self._client(origin).stream(
            target.encode("ascii"),
            header_block(origin, headers),
            _body(request.body),
            method=request.method.encode("ascii"),
        )

    def _client(self, origin: Origin) -> HttpClient:
        client = self._clients.get(origin)
        if client is None:
            if len(self._clients) >= MAX_HOSTS:
                raise BadResponse("The file provider sends us from one host to the next.")
            client = HttpClient(origin, self._guard, timeouts=_TIMEOUTS, max_connections=CONNECTIONS)
            self._clients[origin] = client
        return client


class _Answer:
    """An answer as botocore reads one: `read` for all of it, `content.read` for a chunk."""

    def __init__(self, stream: StreamedResponse, url: str) -> None:
        self.url = url
        self.status = stream.status
        self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in stream.headers.items()}
        self.content = self
        self._stream = stream
        self._whole: bytes | None = None
        self._rest = b""

    async def read(self, size: int | None = None) -> bytes:
        """Read at most `size` bytes; b"" at the end. Without a size, the whole body of what is not an object's
        content."""
        if size is not None:
            chunk = self._rest or await anext(self._stream, b"")
            self._rest = chunk[size:]
            return chunk[:size]
        if self._whole is None:
            self._whole = await self._read_whole()
        return self._whole

    async def _read_whole(self) -> bytes:
        if self.status < 300:
            body = await self._stream.read(MAX_ANSWER_BYTES)
            if _is_plain(body):
                return body
            raise BadResponse("The file provider's answer is not what its API promises.")
        try:
            body = await self._stream.read(MAX_ERROR_BYTES)
        except BadResponse:
            body = b""
        return body if _is_plain(body) else b""

    def close(self) -> None:
        self._stream.close()


def _is_plain(xml: bytes) -> bool:
    """Return whether the XML has few elements and no declarations: a few hundred bytes of entities expand to megabytes,
    and NUL bytes could hide them."""
    return b"<!" not in xml and b"\0" not in xml and xml.count(b"<") <= MAX_TAGS


def _text(value: str | bytes) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else value


def _body(body: Any) -> bytes:
    """Raises TypeError for a body that is a file: what is uploaded here lies in memory."""
    match body:
        case None:
            return b""
        case str():
            return body.encode("utf-8")
        case bytes() | bytearray():
            return bytes(body)
        case BytesIO():
            return body.getvalue()
    raise TypeError(f"a request's body of {type(body).__name__}")
