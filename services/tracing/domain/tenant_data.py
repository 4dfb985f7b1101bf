"""A tenant's traces as lines of JSON, for backup, restore and erasure."""

import base64
from collections.abc import AsyncGenerator, AsyncIterator

import msgspec
import orjson

from core.errors import InvalidInput
from core.tenancy import Tenant
from core.tenant_data import Chunk, chunks, lines_of
from services.tracing.domain.records import Event, Session
from services.tracing.ports import Exported, ExportedSession, StoredEvent, TraceStore

_ENTRY = "sessions"
_BATCH_BYTES = 256 * 1024


class Traces:
    """A `core.tenant_data.TenantData` of one entry: a line for each session, followed by one for each of its events."""

    kind = "traces"

    def __init__(self, traces: TraceStore) -> None:
        self._traces = traces

    async def export(self, tenant: Tenant) -> AsyncGenerator[Chunk, None]:
        held = bytearray()
        async for record in self._traces.export(tenant):
            held += _line(record)
            if len(held) >= _BATCH_BYTES:
                for chunk in chunks(_ENTRY, bytes(held)):
                    yield chunk
                held.clear()
        if held:
            for chunk in chunks(_ENTRY, bytes(held)):
                yield chunk

    async def restore(self, tenant: Tenant, chunks: AsyncIterator[Chunk]) -> int:
        return await self._traces.restore(tenant, _records(chunks))

    async def erase(self, tenant: Tenant) -> None:
        await self._traces.drop(tenant)


async def _records(parts: AsyncIterator[Chunk]) -> AsyncGenerator[Exported, None]:
    async for name, line in lines_of(parts):
        if name != _ENTRY:
            raise _damaged()
        yield _record(line)


def _line(record: Exported) -> bytes:
    if isinstance(record, ExportedSession):
        line = {
            "project": record.project,
            "session": msgspec.to_builtins(record.session),
            "traces": list(record.traces),
        }
    else:
        content = base64.b64encode(record.content).decode()
        line = {"event": msgspec.to_builtins(record.event), "content": content}
    return orjson.dumps(line) + b"\n"


def _record(line: bytes) -> Exported:
    try:
        given = orjson.loads(line)
        if "event" in given:
            return StoredEvent(msgspec.convert(given["event"], Event), base64.b64decode(given["content"]))
        return ExportedSession(given["project"], msgspec.convert(given["session"], Session), tuple(given["traces"]))
    except (ValueError, KeyError, TypeError):  # msgspec's errors are ValueErrors
        raise _damaged() from None


def _damaged() -> InvalidInput:
    return InvalidInput("A line of the traces is damaged.", reason="ARCHIVE_DAMAGED", field="entry")
