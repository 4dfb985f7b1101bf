"""Deleting what others may refer to, while others come to refer to it."""

from collections.abc import Awaitable, Callable
from uuid import uuid4

from core.errors import Conflict
from core.storage.ports import Collection, DocumentStore
from core.tenancy import Project

_ATTEMPTS = 20


async def delete_unused(
    store: DocumentStore, project: Project, collection: Collection, id: str, count_users: Callable[[], Awaitable[int]]
) -> int:
    """Deletes the record unless it is used; returns how many use it. Raises Conflict where others keep interfering.

    First the record's `closing` says that nothing new may begin to use it, then what has begun is counted. So whoever
    begins to use it must look at `closing` after writing that it does, and take that back. The record goes only if it
    has been closing without a break since the count: a change that opened it again makes it count anew. Deletions at
    the same time share one `closing`.
    """
    for _ in range(_ATTEMPTS):
        record = await store.get(project, collection, id)
        if record is None:
            return 0  # somebody else has deleted it
        before = record.get("closing")
        closing = {"closing": before or uuid4().hex}
        if await store.update(project, collection, id, closing, where={"closing": before}) is None:
            continue
        if used := await count_users():
            await store.update(project, collection, id, {"closing": None}, where=closing)
            return used
        if await store.delete_where(project, collection, {"id": id, **closing}):
            return 0
    raise Conflict("This is being changed by others. Try again.", reason="CHANGED_MEANWHILE")
