"""References between records of which one may be deleted while the other is written.

No store has transactions over two records, so each side does its part. Whoever writes a reference looks at the
referenced record again afterwards (`referring`); whoever deletes a record first marks it as `closing`, then counts what
refers to it (`delete_unreferenced`). So of two that do so at the same time, one sees the other.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import uuid4

from core import logs
from core.errors import Conflict, PorticoError
from core.storage.table import Record, Table
from core.tenancy import Project

log = logs.get(__name__)

W = TypeVar("W")
C = TypeVar("C", bound="Closable")
_ATTEMPTS = 20


class Closable(Record, frozen=True, kw_only=True):
    """A record that others refer to."""

    closing: str | None = None
    """Not None: it is being deleted, and nothing new may refer to it."""


async def referring(
    write: Callable[[], Awaitable[W]],
    *,
    check: Callable[[W], Awaitable[object]],
    undo: Callable[[W], Awaitable[object]],
) -> W:
    """Write a record that refers to another one, safe against the other's deletion at the same time.

    `check` looks at the referenced record after the write, and raises where nothing may refer to it any more. Then, and
    where the caller is cancelled meanwhile, `undo` takes the write back and the error is raised.
    """
    written = await write()
    try:
        await check(written)
    except (PorticoError, asyncio.CancelledError):
        try:
            await undo(written)
        except PorticoError as error:
            log.warning("a record refers to one that is being deleted", reason=error.reason)
        raise
    return written


async def delete_unreferenced(
    table: Table[C], project: Project, id: str, count_references: Callable[[], Awaitable[int]]
) -> int:
    """Delete a record unless others refer to it; how many do. Raises Conflict where others keep interfering.

    The record goes only if it has been `closing` without a break since the count: a change that opened it again makes
    it count anew. Deletions at the same time share one `closing`.
    """
    for _ in range(_ATTEMPTS):
        record = await table.get(project, id)
        if record is None:
            return 0  # somebody else has deleted it
        before = record.closing
        closing = before or uuid4().hex
        if await table.update(project, id, where={"closing": before}, closing=closing) is None:
            continue
        references = -1  # not counted
        try:
            references = await count_references()
        finally:
            if references:  # or what could not be counted would take no new references any more
                await table.update(project, id, where={"closing": closing}, closing=None)
        if references:
            return references
        if await table.delete_where(project, {"id": id, "closing": closing}):
            return 0
    raise Conflict("This is being changed by others. Try again.", reason="CHANGED_MEANWHILE")
