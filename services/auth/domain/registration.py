"""Registration of a tenant: tenant, store, project "default" and owner, whole or not at all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace

import msgspec

from core.audit import changes as audit
from core.errors import PorticoError, Unavailable
from core.tenancy import Tenant
from services.auth.domain import inputs
from services.auth.domain.attempts import networks_for
from services.auth.domain.issuing import new_id
from services.auth.domain.passwords import Passwords
from services.auth.domain.permissions import OWNER
from services.auth.domain.records import ProjectRecord, TenantRecord, User
from services.auth.domain.tables import Tables
from services.auth.domain.tenants import RESERVATION_SECONDS, Tenants
from services.auth.ports import Clock

DEFAULT_PROJECT = "default"


@dataclass(frozen=True, slots=True)
class NewTenant:
    """The values of a registration, as the caller wrote them. An empty slug is made from the tenant's name."""

    email: str
    password: str
    name: str
    company_name: str
    slug: str = ""
    must_change_password: bool = False

    def checked(self) -> "NewTenant":
        """The checked and normalised values. Raises InvalidInput."""
        company_name = inputs.COMPANY_NAME.check(self.company_name)
        return replace(
            self,
            email=inputs.email(self.email),
            password=inputs.password(self.password),
            name=inputs.NAME.check(self.name),
            company_name=company_name,
            slug=inputs.slug(self.slug, "slug") if self.slug else inputs.slug_from(company_name),
        )


@dataclass(frozen=True, slots=True)
class Registered:
    tenant: TenantRecord
    owner: User
    project: ProjectRecord


class Registration:
    def __init__(self, tables: Tables, tenants: Tenants, passwords: Passwords, clock: Clock) -> None:
        self._tables = tables
        self._tenants = tenants
        self._passwords = passwords
        self._clock = clock

    async def register(self, asked: NewTenant) -> Registered:
        """Register a tenant. Raises InvalidInput, or Conflict where the slug is taken. A crash half-way blocks nobody
        for long."""
        asked = asked.checked()
        owner = await self._owner(asked)
        reserved = await self._tenants.reserve(asked.slug, asked.company_name)
        tenant = Tenant(reserved.slug)
        async with self._within_reservation(reserved):
            project = ProjectRecord(new_id(), DEFAULT_PROJECT, "Default", self._clock())
            await self._tables.projects.insert(tenant, project)
            owner = msgspec.structs.replace(owner, project_ids=(project.id,))
            await self._tables.users.insert(tenant, owner)
            await self._tenants.list_email(tenant, owner.email_lower)
            tenant_record = await self._tenants.activate(reserved, owner.id)
        audit.change().about(tenant, tenant.slug, owner.id)
        return Registered(tenant_record, owner, project)

    async def _owner(self, asked: NewTenant) -> User:
        id, email_key = new_id(), inputs.email_key(asked.email)
        return User(
            id=id,
            email=asked.email,
            email_lower=email_key,
            name=asked.name,
            role=OWNER,
            created_at=self._clock(),
            password_hash=await self._passwords.hash(asked.password, email_key),
            known_networks=networks_for(id),
            must_change_password=asked.must_change_password,
        )

    @asynccontextmanager
    async def _within_reservation(self, reserved: TenantRecord) -> AsyncIterator[None]:
        """Bound the block's time: it must end well before somebody else may take the reservation over."""
        try:
            async with asyncio.timeout(RESERVATION_SECONDS / 2):
                yield
        except BaseException as error:  # cancelled or failed, the slug is given back; a crash leaves that to the clock
            with suppress(PorticoError):
                await asyncio.shield(self._tenants.release(reserved))
            if isinstance(error, TimeoutError):
                raise Unavailable("The registration took too long. Try again.", retry_after=1.0) from None
            raise
