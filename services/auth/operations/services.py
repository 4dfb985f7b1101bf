"""Calls to the TenantDataService of every service, with all of its replicas."""

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import grpc

from core.config import Secret
from core.errors import PorticoError, Unavailable
from core.rpc.channel import open_channel
from core.rpc.client import error_of
from core.rpc.headers import SERVICE_SECRET
from core.storage.ports import Collection, FieldType, Level
from core.tenancy import Tenant
from core.tenant_data import Chunk
from portico.common.v1 import tenant_data_service_pb2 as pb
from portico.common.v1.tenant_data_service_pb2_grpc import TenantDataServiceStub

T = TypeVar("T")

_CALL_SECONDS = 30.0
_ERASE_SECONDS = 600.0
_FEED_SECONDS = 20.0
"""Time in which a service learns that a tenant is suspended."""


class Service:
    """One service. What concerns a process is asked of every replica, the rest of any."""

    def __init__(self, name: str, address: str, secret: Secret) -> None:
        self.name = name
        self.address = address
        self._metadata = ((SERVICE_SECRET, secret.reveal()),)
        self._channels: list[grpc.aio.Channel] = []
        self.collections: Sequence[Collection] = ()
        self.kinds: Sequence[str] = ()
        self.version = ""

    async def open(self) -> None:
        """Connect, and learn what the service keeps. Raises Unavailable."""
        for address in await _replicas(self.address):
            self._channels.append(open_channel(address))
        described = await self._call(
            self._stub.DescribeTenantData(
                pb.DescribeTenantDataRequest(), metadata=self._metadata, timeout=_CALL_SECONDS
            )
        )
        self.collections = [_collection(each) for each in described.collections]
        self.kinds, self.version = tuple(described.kinds), described.version

    async def settle(self, tenant: Tenant) -> None:
        await self._each(
            lambda stub: stub.SettleTenantData(
                pb.SettleTenantDataRequest(tenant=tenant.slug), metadata=self._metadata, timeout=_CALL_SECONDS
            )
        )

    async def export(self, tenant: Tenant, kind: str) -> AsyncGenerator[Chunk, None]:
        call = self._stub.ExportTenantData(
            pb.ExportTenantDataRequest(tenant=tenant.slug, kind=kind), metadata=self._metadata
        )
        try:
            async for message in call:
                yield message.entry, message.content
        except grpc.aio.AioRpcError as error:
            raise self._failure(error) from None
        finally:
            call.cancel()

    async def restore(self, tenant: Tenant, kind: str, chunks: AsyncIterator[Chunk]) -> int:
        """Returns the number of entries."""

        async def messages() -> AsyncGenerator[pb.ImportTenantDataRequest, None]:
            yield pb.ImportTenantDataRequest(tenant=tenant.slug, kind=kind)
            async for entry, content in chunks:
                yield pb.ImportTenantDataRequest(entry=entry, content=content)

        answer = await self._call(self._stub.ImportTenantData(messages(), metadata=self._metadata))
        return int(answer.entries)

    async def erase(self, tenant: Tenant, projects: Sequence[str], *, force: bool) -> list[str]:
        """Returns the projects of which a provider keeps something. Waits until the service knows that the tenant is
        suspended."""
        request = pb.EraseTenantDataRequest(tenant=tenant.slug, projects=projects, force=force)
        give_up = asyncio.get_running_loop().time() + _FEED_SECONDS
        while True:
            try:
                answers = await self._each(
                    lambda stub: stub.EraseTenantData(request, metadata=self._metadata, timeout=_ERASE_SECONDS)
                )
            except PorticoError as error:
                if error.reason != "NOT_SUSPENDED" or asyncio.get_running_loop().time() > give_up:
                    raise
                await asyncio.sleep(error.retry_after or 0.5)
            else:
                return sorted({project for answer in answers for project in answer.left})

    async def close(self) -> None:
        for channel in self._channels:
            with suppress(grpc.aio.AioRpcError):
                await channel.close()

    @property
    def _stub(self) -> TenantDataServiceStub:
        return TenantDataServiceStub(self._channels[0])

    async def _each(self, call: Callable[[TenantDataServiceStub], Awaitable[T]]) -> list[T]:
        return [await self._call(call(TenantDataServiceStub(channel))) for channel in self._channels]

    async def _call(self, call: Awaitable[Any]) -> Any:
        try:
            return await call
        except grpc.aio.AioRpcError as error:
            raise self._failure(error) from None

    def _failure(self, error: grpc.aio.AioRpcError) -> PorticoError:
        known = error_of(error)
        if known is not None:
            return type(known)(f"{self.name}: {known.message}", reason=known.reason, retry_after=known.retry_after)
        return Unavailable(
            f"The {self.name} service at {self.address} cannot be reached ({error.code().name}). Start it, or set "
            f"PORTICO_{self.name.upper()}_ADDRESS and PORTICO_SERVICE_SECRET as the services have them."
        )


def all_collections(services: Mapping[str, Service]) -> list[Collection]:
    """The collections of all services. One that several declare counts once."""
    found: dict[tuple[bool, str], Collection] = {}
    for service in services.values():
        for collection in service.collections:
            found.setdefault((collection.level is Level.MAIN, collection.name), collection)
    return list(found.values())


async def _replicas(address: str) -> list[str]:
    """The addresses behind a name, such as that of a headless service."""
    host, _, port = address.rpartition(":")
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
    except (OSError, ValueError):
        return [address]
    hosts = dict.fromkeys(each[4][0] for each in found)
    return [f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}" for host in hosts]


def _collection(message: pb.DataCollection) -> Collection:
    return Collection(
        message.name,
        Level(message.level),
        {name: FieldType(type_) for name, type_ in message.fields.items()},
        unique=tuple(tuple(group.fields) for group in message.unique),
        indexes=tuple(tuple(group.fields) for group in message.indexes),
        expiry=message.expiry,
        sealed=dict(message.sealed),
        hidden=tuple(message.hidden),
    )
