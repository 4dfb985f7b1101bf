"""The connection to a Qdrant server: to addresses that the guard has checked, with bounds on what it answers."""

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

import grpc
from google.protobuf.message import DecodeError
from qdrant_client.async_client_base import AsyncQdrantBase
from qdrant_client.async_qdrant_remote import AsyncQdrantRemote

from core.http.errors import ConnectionsBusy
from core.http.guard import OutboundGuard
from core.http.origin import Origin
from services.vector.adapters.answers import AnswerTooLarge, malformed
from services.vector.adapters.qdrant_limits import (
    CALL_SECONDS,
    CALLS,
    MAX_FIELDS,
    MAX_FIELDS_PER_POINT,
    MAX_METADATA_BYTES,
    MAX_SMALL_BYTES,
    WAIT_SECONDS,
)
from services.vector.adapters.qdrant_wire import Malformed, check_fields


class QdrantServer:
    """Makes one client at a time, with the first call. After a failure the server's name is looked up again: where it
    leads elsewhere, later calls go there."""

    def __init__(
        self,
        origin: Origin,
        guard: OutboundGuard,
        api_key: str | None,
        *,
        max_answer_bytes: int,
        root_certificates: bytes | None = None,
    ) -> None:
        """`root_certificates` (PEM) are trusted instead of gRPC's own."""
        self.max_answer_bytes = max_answer_bytes
        self._origin = origin
        self._guard = guard
        self._api_key = api_key
        self._root_certificates = root_certificates
        self._client: AsyncQdrantRemote | None = None
        self._addresses: Sequence[str] = ()
        self._doubtful = True
        self._opening = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()

    async def client(self) -> AsyncQdrantBase:
        """The client of the server. Raises AddressRefused."""
        if self._client is not None and not self._doubtful:
            return self._client
        async with self._opening:
            if self._client is None or self._doubtful:
                addresses = await self._guard.addresses(self._origin.host, self._origin.port)
                if self._client is None or addresses != self._addresses:
                    self._retire()
                    self._client, self._addresses = _Client(self._channel(addresses)), addresses
                self._doubtful = False
            return self._client

    def failed(self) -> None:
        """Record that the server could not be reached."""
        self._doubtful = True

    async def close(self) -> None:
        self._retire()
        if self._closing:
            await asyncio.wait(self._closing)

    def _retire(self) -> None:
        """Close the client once its calls in progress have ended."""
        client, self._client = self._client, None
        if client is not None:
            closing = asyncio.create_task(client.close(grpc_grace=CALL_SECONDS))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    def _channel(self, addresses: Sequence[str]) -> "_Channel":
        """The name that was looked up is what the server's certificate must prove and what the calls say."""
        origin = self._origin
        host = f"[{origin.host}]" if ":" in origin.host else origin.host
        options: list[tuple[str, Any]] = [
            ("grpc.default_authority", f"{host}:{origin.port}"),
            ("grpc.primary_user_agent", "portico"),
            ("grpc.max_receive_message_length", self.max_answer_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_metadata_size", MAX_METADATA_BYTES // 2),
            ("grpc.absolute_max_metadata_size", MAX_METADATA_BYTES),
            ("grpc.compression_enabled_algorithms_bitset", 1),  # none: a few bytes would become megabytes
            ("grpc.enable_http_proxy", 0),
            ("grpc.use_local_subchannel_pool", 1),
        ]
        target = _target(addresses, origin.port)
        if not origin.secure:
            channel = grpc.aio.insecure_channel(target, options)
        else:
            options.append(("grpc.ssl_target_name_override", origin.host.rstrip(".")))
            channel = grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(self._root_certificates), options)
        metadata = (("api-key", self._api_key),) if self._api_key else ()
        return _Channel(channel, metadata)


def _target(addresses: Sequence[str], port: int) -> str:
    """Return the target that gRPC connects to without a lookup of its own. All are of one family: that of the preferred
    address."""
    versions = [ipaddress.ip_address(each).version for each in addresses]
    same = [each for each, version in zip(addresses, versions, strict=True) if version == versions[0]]
    if versions[0] == 6:
        return "ipv6:" + ",".join(f"[{each}]:{port}" for each in same)
    return "ipv4:" + ",".join(f"{each}:{port}" for each in same)


class _Client(AsyncQdrantRemote):
    """Qdrant's client over a channel of ours. It also has a REST client, which is never used and leads nowhere."""

    def __init__(self, channel: "_Channel") -> None:
        super().__init__(
            host="rest.invalid",
            prefer_grpc=True,
            https=False,
            timeout=CALL_SECONDS,
            check_compatibility=False,
            pool_size=1,
            verify=False,  # or authorities would be read for it, which takes the loop a while
            trust_env=False,
        )
        self._channel = channel

    def _init_grpc_channel(self) -> None:
        self._grpc_channel_pool = [self._channel]


class _Reply(Protocol):
    """The class of an answer."""

    DESCRIPTOR: Any

    @staticmethod
    def FromString(data: bytes) -> Any: ...  # noqa: N802


class _Channel:
    """The part of a gRPC channel that the client uses: calls with one answer, which is looked at before it is
    parsed."""

    def __init__(self, channel: grpc.aio.Channel, metadata: Sequence[tuple[str, str]]) -> None:
        self._inner = channel
        self._metadata = tuple(metadata)
        self._turns = asyncio.Semaphore(CALLS)

    def unary_unary(
        self,
        method: str,
        request_serializer: Callable[[Any], bytes],
        response_deserializer: Callable[[bytes], Any],
        **_: Any,
    ) -> Callable[..., Awaitable[Any]]:
        reply: _Reply = response_deserializer.__self__  # type: ignore[attr-defined]
        invoke = self._inner.unary_unary(method, request_serializer, None)

        async def call(request: Any, **_: Any) -> Any:
            async with self._turn():
                data = await invoke(request, timeout=CALL_SECONDS, metadata=self._metadata)
                return _parsed(reply, data, _points(request))

        return call

    def _refuse(self, method: str, *_: Any, **__: Any) -> Callable[..., Any]:
        def call(*_: Any, **__: Any) -> Any:
            raise NotImplementedError(f"{method} is not used")

        return call

    unary_stream = stream_unary = stream_stream = _refuse

    async def close(self, grace: float | None = None) -> None:
        await self._inner.close(grace)

    @asynccontextmanager
    async def _turn(self) -> Any:
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._turns.acquire()
        except TimeoutError:
            raise ConnectionsBusy(
                "Too many requests to this provider are under way. Try again.", retry_after=1.0
            ) from None
        try:
            yield
        finally:
            self._turns.release()


def _points(request: Any) -> int:
    """Return the most points that an answer to this request may have."""
    if hasattr(request, "limit"):
        return int(request.limit)
    return len(request.ids) if hasattr(request, "ids") else 0


def _parsed(reply: _Reply, data: bytes, points: int) -> Any:
    if not points and len(data) > MAX_SMALL_BYTES:
        raise AnswerTooLarge
    try:
        check_fields(reply.DESCRIPTOR, data, MAX_FIELDS + MAX_FIELDS_PER_POINT * points)
        return reply.FromString(data)
    except (Malformed, DecodeError):
        raise malformed() from None
