"""State of tenants that a service keeps outside the document store, for backup, restore and erasure.

A service declares each kind of such state when it is assembled:

    platform.tenant_data.keep(FileData(...))
    platform.tenant_data.settle_by(query_log.flush)

What it keeps in the document store is known from its collections. `core.rpc.tenant_data` serves both to the operator's
commands, which walk the registries of all services and know no kind of state by name.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from typing import Protocol

from core.errors import InvalidInput, NotFound
from core.tenancy import Tenant

Chunk = tuple[str, bytes]
"""Name of an entry, and a part of its content. The parts of an entry follow each other."""

MAX_CHUNK = 512 * 1024
"""Bytes of a chunk."""

_MAX_LINE = 128 * 1024 * 1024


class TenantData(Protocol):
    """One kind of state. `kind` is its name, unique within the service."""

    kind: str

    def export(self, tenant: Tenant) -> AsyncGenerator[Chunk, None]:
        """All of the tenant. What is removed meanwhile may be missing."""

    async def restore(self, tenant: Tenant, chunks: AsyncIterator[Chunk]) -> int:
        """Write entries that `export` gave, perhaps of a tenant with another slug, and return their number. The
        tenant's documents are in the store already. Safe to repeat. Raises InvalidInput for a damaged entry."""

    async def erase(self, tenant: Tenant) -> None:
        """Remove all of the tenant, whose documents may be gone already. Safe to repeat."""


class TenantDataRegistry:
    """The kinds of state of one service, in the order in which they are restored."""

    def __init__(self) -> None:
        self._kinds: dict[str, TenantData] = {}
        self._flushes: list[Callable[[], Awaitable[object]]] = []

    @property
    def kinds(self) -> tuple[TenantData, ...]:
        return tuple(self._kinds.values())

    def keep(self, data: TenantData) -> None:
        """Add a kind of state. Raises ValueError for a name that is taken."""
        if self._kinds.setdefault(data.kind, data) is not data:
            raise ValueError(f"the kind of state {data.kind} is declared twice")

    def settle_by(self, flush: Callable[[], Awaitable[object]]) -> None:
        """Add a function that writes what is held in memory to the store."""
        self._flushes.append(flush)

    async def settle(self) -> None:
        for flush in self._flushes:
            await flush()

    def of(self, kind: str) -> TenantData:
        """The kind of state of this name. Raises NotFound."""
        if kind not in self._kinds:
            raise NotFound(f"This service keeps no {kind}.", field="kind")
        return self._kinds[kind]


def chunks(entry: str, content: bytes) -> Iterable[Chunk]:
    """Split the content of an entry."""
    for start in range(0, max(1, len(content)), MAX_CHUNK):
        yield entry, content[start : start + MAX_CHUNK]


async def lines_of(parts: AsyncIterator[Chunk]) -> AsyncGenerator[Chunk, None]:
    """The lines of each entry, without their ends, however they are split into chunks. Raises InvalidInput where an
    entry does not end with a line's end, since a part of it is missing."""
    name, held = "", bytearray()
    async for entry, content in parts:
        if entry != name and held:
            raise _cut_short(name)
        name = entry
        *whole, rest = content.split(b"\n")
        for line in whole:
            yield entry, bytes(held) + line
            held.clear()
        held += rest
        if len(held) > _MAX_LINE:
            raise InvalidInput(f"The entry {entry} has a line of more than {_MAX_LINE} bytes.", field="content")
    if held:
        raise _cut_short(name)


async def entries_of(parts: AsyncIterator[Chunk]) -> AsyncGenerator[tuple[str, AsyncIterator[bytes]], None]:
    """Each entry with its content. What of a content is not read is skipped."""
    held = await anext(parts, None)
    while held is not None:
        name, following = held[0], _Following(held, parts)
        yield name, following
        async for _ in following:
            pass
        held = following.next_entry


class _Following:
    """The content of one entry, up to the first chunk of the next one."""

    def __init__(self, first: Chunk, parts: AsyncIterator[Chunk]) -> None:
        self._name = first[0]
        self._held: bytes | None = first[1]
        self._parts = parts
        self._ended = False
        self.next_entry: Chunk | None = None

    def __aiter__(self) -> "_Following":
        return self

    async def __anext__(self) -> bytes:
        if self._held is not None:
            held, self._held = self._held, None
            return held
        if not self._ended:
            found = await anext(self._parts, None)
            if found is not None and found[0] == self._name:
                return found[1]
            self._ended, self.next_entry = True, found
        raise StopAsyncIteration


def _cut_short(entry: str) -> InvalidInput:
    return InvalidInput(f"The entry {entry} is cut short.", reason="ARCHIVE_DAMAGED", field="content")
