"""Tenants, and which of them an email belongs to.

A registration reserves its slug as `pending` for a short time, fills the tenant's store, and activates it as the last
step. Until then nobody sees the tenant; a registration that was interrupted is taken over, with what it left behind.
"""

from contextlib import suppress

from core.errors import Conflict, InvalidInput, NotFound
from core.storage.ports import Cond, DocumentStore, Op, Order
from core.tenancy import MAIN, Tenant
from services.auth.domain.issuing import new_id
from services.auth.domain.records import ACTIVE, PENDING, SUSPENDED, DirectoryEntry, TenantRecord
from services.auth.domain.tables import Tables
from services.auth.ports import Clock

RESERVED_SLUGS = frozenset(
    {"main", "portico", "admin", "api", "auth", "www", "root", "system", "internal", "public", "static", "health"}
)
RESERVATION_SECONDS = 30.0
"""Time for which a registration holds its slug. It gives up by itself well before that."""

_MAX_TENANTS_OF_EMAIL = 8
"""Most tenants that a sign-in without a slug tries, the oldest first, so that nobody is crowded out by newcomers."""


class Tenants:
    def __init__(self, store: DocumentStore, tables: Tables, clock: Clock) -> None:
        self._store = store
        self._tenants = tables.tenants
        self._directory = tables.directory
        self._clock = clock

    async def get(self, slug: str) -> TenantRecord | None:
        """The tenant of that slug; None where it cannot be used: it is not registered to the end, or suspended."""
        tenant_record = await self.known(slug)
        return tenant_record if tenant_record is not None and tenant_record.status == ACTIVE else None

    async def known(self, slug: str) -> TenantRecord | None:
        """The tenant of that slug, suspended or not; None where it is not registered to the end."""
        try:
            tenant = Tenant(slug)
        except ValueError:
            return None
        tenant_record = await self._tenants.get(MAIN, tenant.slug)
        return tenant_record if tenant_record is not None and tenant_record.status in (ACTIVE, SUSPENDED) else None

    async def of_email(self, email_key: str) -> list[TenantRecord]:
        """Tenants in which somebody has this email, the oldest first."""
        entries, _ = await self._directory.page(
            MAIN,
            {"emailLower": email_key},
            order=Order(descending=False),
            page_size=_MAX_TENANTS_OF_EMAIL,
        )
        tenants = [await self.get(entry.tenant) for entry in entries]
        return [tenant_record for tenant_record in tenants if tenant_record is not None]

    async def list_email(self, tenant: Tenant, email_key: str) -> None:
        """List the tenant in the directory under the email. To do before the account: an entry that leads nowhere does
        no harm."""
        entry = DirectoryEntry(_entry_id(tenant, email_key), email_key, tenant.slug, self._clock())
        with suppress(Conflict):  # it is there already
            await self._directory.insert(MAIN, entry)

    async def unlist_email(self, tenant: Tenant, email_key: str) -> None:
        await self._directory.delete(MAIN, _entry_id(tenant, email_key))

    async def reserve(self, slug: str, company_name: str) -> TenantRecord:
        """Reserve the slug and create the tenant's store. Raises Conflict if it is taken, InvalidInput if it cannot
        be."""
        if not slug:
            raise InvalidInput("The name needs at least one Latin letter or digit.", field="companyName")
        if slug in RESERVED_SLUGS:
            raise InvalidInput(f'The name "{slug}" is reserved. Choose another.', field="companyName")
        now = self._clock()
        wanted = TenantRecord(
            id=slug,
            slug=slug,
            company_name=company_name,
            status=PENDING,
            created_at=now,
            attempt=new_id(),
            reserved_until=now + RESERVATION_SECONDS,
        )
        try:
            await self._tenants.insert(MAIN, wanted)
        except Conflict:
            await self._take_over(wanted)
        await self._store.create_tenant(Tenant(slug))
        return wanted

    async def set_plan(self, slug: str, plan: str) -> TenantRecord:
        """Give a tenant another plan, by its name; empty: the installation's default. Raises NotFound."""
        known = await self.known(slug)
        changed = None if known is None else await self._tenants.update(MAIN, known.id, plan=plan or None)
        if changed is None:
            raise NotFound("There is no such tenant.", field="tenant")
        return changed

    async def activate(self, reserved: TenantRecord, owner_id: str) -> TenantRecord:
        """Activate the tenant: the last step of a registration. Raises Conflict if it took too long and lost its
        slug."""
        active = await self._tenants.update(
            MAIN,
            reserved.id,
            where={"attempt": reserved.attempt, "status": PENDING},
            status=ACTIVE,
            owner_id=owner_id,
            attempt=None,
            reserved_until=None,
        )
        if active is None:
            raise _taken()
        return active

    async def release(self, reserved: TenantRecord) -> None:
        """Release the slug for the next registration."""
        await self._tenants.update(
            MAIN, reserved.id, where={"attempt": reserved.attempt, "status": PENDING}, reserved_until=0.0
        )

    async def _take_over(self, wanted: TenantRecord) -> None:
        """Take over the slug of an interrupted registration, and remove what it left."""
        stale = await self._tenants.update(
            MAIN,
            wanted.id,
            where={"status": PENDING, "reservedUntil": Cond(Op.LT, self._clock())},
            company_name=wanted.company_name,
            created_at=wanted.created_at,
            attempt=wanted.attempt,
            reserved_until=wanted.reserved_until,
        )
        if stale is None:
            raise _taken()
        await self._store.drop_tenant(Tenant(wanted.slug))
        await self._directory.delete_where(MAIN, {"tenant": wanted.slug})


def _entry_id(tenant: Tenant, email_key: str) -> str:
    return f"{tenant.slug}/{email_key}"


def _taken() -> Conflict:
    return Conflict("A tenant of that name is registered already.", field="companyName")
