"""The installation that the commands work on: the store with the collections of all services, the services, and auth's
own domain."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from core.errors import FailedPrecondition, NotFound
from core.quotas.plans import PlanSettings
from core.rpc.settings import RpcSettings
from core.storage.factory import StoreSettings, make_store
from core.storage.ports import Collection, DocumentStore
from core.storage.schema import Schema
from core.tenancy import MAIN, Tenant
from services.auth.app import Domain
from services.auth.domain.records import ACTIVE, SUSPENDED, TenantRecord
from services.auth.operations.documents import MIGRATIONS
from services.auth.operations.services import Service, all_collections
from services.auth.settings import Settings, TenantCommandSettings

Say = Callable[[str], None]
"""Tells the operator how far the work is."""


@dataclass(frozen=True)
class OperatorSettings:
    """The settings of commands that work on whole tenants."""

    store: StoreSettings
    plans: PlanSettings
    auth: Settings
    rpc: RpcSettings
    commands: TenantCommandSettings

    def addresses(self) -> Mapping[str, str]:
        each = self.commands
        return {
            "auth": self.rpc.auth_address,
            "inference": each.inference,
            "vector": each.vector,
            "rag": each.rag,
            "tracing": each.tracing,
        }


@dataclass(frozen=True)
class Installation:
    """All parts, opened. `say` tells of progress."""

    settings: OperatorSettings
    store: DocumentStore
    schema: Schema
    collections: Sequence[Collection]
    services: Mapping[str, Service]
    domain: Domain
    say: Say = field(default=lambda text: None)

    async def tenant(self, slug: str) -> TenantRecord:
        """The registry's record of a tenant, in whatever state. Raises NotFound."""
        record = await self.domain.tables.tenants.get(MAIN, slug)
        if record is None:
            raise NotFound(f"There is no tenant {slug!r}. `tenant list` shows those that there are.", field="slug")
        return record

    async def whole(self, slug: str) -> TenantRecord:
        """The record of a tenant whose documents are all there. Raises NotFound, FailedPrecondition."""
        record = await self.tenant(slug)
        if record.status not in (ACTIVE, SUSPENDED):
            raise FailedPrecondition(f"The tenant {slug} is {record.status}. `doctor` says what to do about that.")
        return record

    async def settle(self, tenant: Tenant) -> None:
        """Have every service write what it holds of the tenant in memory."""
        for service in self.services.values():
            await service.settle(tenant)


@asynccontextmanager
async def connected(settings: OperatorSettings) -> AsyncIterator[Mapping[str, Service]]:
    """All services, connected and described. Raises Unavailable where one cannot be reached."""
    services = {
        name: Service(name, address, settings.rpc.service_secret) for name, address in settings.addresses().items()
    }
    try:
        await asyncio.gather(*(service.open() for service in services.values()))
        yield services
    finally:
        for service in services.values():
            await service.close()


def schema_of(services: Mapping[str, Service]) -> tuple[Schema, Sequence[Collection]]:
    """The schema of all services together, and its collections."""
    collections = all_collections(services)
    return Schema((*collections, MIGRATIONS)), collections


def open_store(settings: OperatorSettings, schema: Schema) -> DocumentStore:
    return make_store(settings.store, schema)
