"""Usage records that are not in the document store yet, for backup and erasure."""

from collections.abc import AsyncGenerator, AsyncIterator

from core.errors import InvalidInput
from core.tenancy import Tenant
from core.tenant_data import Chunk
from services.inference.domain.usage.metering import Meter


class UsageJournal:
    """A `core.tenant_data.TenantData`. A journal is written to the store before a backup, so it has nothing of its
    own; its files still hold the bytes of records that have been written."""

    kind = "usage-journal"

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    async def export(self, tenant: Tenant) -> AsyncGenerator[Chunk, None]:
        nothing: tuple[Chunk, ...] = ()
        for chunk in nothing:
            yield chunk

    async def restore(self, tenant: Tenant, chunks: AsyncIterator[Chunk]) -> int:
        async for entry, _ in chunks:
            raise InvalidInput(f"There is no entry {entry!r} of a journal.", reason="ARCHIVE_DAMAGED", field="entry")
        return 0

    async def erase(self, tenant: Tenant) -> None:
        await self._meter.scrub()
