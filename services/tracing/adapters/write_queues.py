"""Queues of what waits to be written, one for each tenant.

What arrives for a tenant while it is being written waits, and is written together: so the more comes, the cheaper each
gets. A caller has its answer when its part is written.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from core.errors import NotFound, PayloadTooLarge, PorticoError, RateLimited
from core.tenancy import Project, Tenant
from services.tracing.adapters.merged_writing import Rows, Writing
from services.tracing.domain.records import Patch
from services.tracing.ports import Written

_EVENT_BYTES = 1024
"""Memory that an event takes beside its content, about."""
_BATCH_EVENTS = 4096
"""Events after which a batch takes no further request."""


@dataclass(slots=True)
class Request:
    """One call of `write`, until it is written."""

    project: str
    patches: Sequence[Patch]
    events: int
    size: int
    done: "asyncio.Future[list[Written]]"


Outcome = list[Written] | Exception
WriteBatch = Callable[[Tenant, Sequence[Request]], Awaitable[list[Outcome]]]


@dataclass(slots=True)
class _Queue:
    """Requests that wait to be written for one tenant, and the task that writes them, while there are any."""

    requests: list[Request] = field(default_factory=list)
    size: int = 0
    writer: "asyncio.Task[None] | None" = None


class WriteQueues:
    """`most_bytes` bounds what waits for a tenant; `write_batch` writes requests together, and has an outcome for each
    of them."""

    def __init__(self, most_bytes: int, write_batch: WriteBatch) -> None:
        self._most_bytes = most_bytes
        self._write_together = write_batch
        self._queues: dict[Tenant, _Queue] = {}

    async def write(self, project: Project, patches: Sequence[Patch]) -> list[Written]:
        """Return when the patches are written. Raises RateLimited where too much waits, and what writing raises."""
        queue = self._queues.setdefault(project.tenant, _Queue())
        events = sum(len(patch.events) for patch in patches)
        size = sum(len(new.content) + _EVENT_BYTES for patch in patches for new in patch.events)
        if queue.size and queue.size + size > self._most_bytes:
            raise RateLimited(
                "Too many of your spans and events wait to be written. Send them again in a moment.",
                reason="TOO_MANY_EVENTS",
                retry_after=1.0,
            )
        request = Request(project.id, patches, events, size, asyncio.get_running_loop().create_future())
        queue.requests.append(request)
        queue.size += size
        if queue.writer is None:
            queue.writer = asyncio.create_task(self._write_all(project.tenant, queue))
        return await request.done

    async def _write_all(self, tenant: Tenant, queue: _Queue) -> None:
        try:
            while queue.requests:
                batch = _take(queue)
                await self._write_batch(tenant, batch)
                queue.size -= sum(request.size for request in batch)
        finally:
            self._queues.pop(tenant, None)

    async def _write_batch(self, tenant: Tenant, batch: Sequence[Request]) -> None:
        """Write all requests in one go; where that fails, each by itself, so that a request that
        cannot be written keeps no other from it."""
        try:
            outcomes = await self._write_together(tenant, batch)
        except Exception as error:
            if len(batch) == 1 or (isinstance(error, PorticoError) and not isinstance(error, PayloadTooLarge)):
                outcomes = [error] * len(batch)
            else:
                for request in batch:
                    await self._write_batch(tenant, [request])
                return
        for request, outcome in zip(batch, outcomes, strict=True):
            if request.done.cancelled():
                continue
            if isinstance(outcome, Exception):
                request.done.set_exception(outcome)
            else:
                request.done.set_result(outcome)

    async def drained(self) -> None:
        """Wait until all is written."""
        await asyncio.gather(*(queue.writer for queue in self._queues.values() if queue.writer is not None))


def _take(queue: _Queue) -> list[Request]:
    """The requests of the next batch."""
    count = events = 0
    for request in queue.requests:
        count += 1
        events += request.events
        if events >= _BATCH_EVENTS:
            break
    batch, queue.requests = queue.requests[:count], queue.requests[count:]
    return batch


def merged(rows: Rows, batch: Sequence[Request]) -> list[Outcome]:
    """Merge requests into the rows. A request about a session that is not there has NotFound for its outcome."""
    writing = Writing(rows)
    outcomes: list[Outcome] = []
    for request in batch:
        try:
            outcomes.append(writing.write(request.project, request.patches))
        except NotFound as error:
            outcomes.append(error)
    writing.finish()
    return outcomes
