"""Periodic work that one replica of a service does for all.

The replica that holds the work's lock goes on holding it from one round to the next. When it stops, another goes on at
once; when it is killed, after its lease has ended. While locks are away, each replica works by itself: such work has to
be harmless where two do it at a time, and the lock only spares them doing it twice.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from core import logs
from core.errors import Unavailable
from core.locks.ports import Lease, Locks
from core.tasks import Tasks
from core.tenancy import MAIN

log = logs.get(__name__)

_BEATS = 3
"""Renewals within a lease, while the work goes on."""


class Singletons:
    """`service` begins the names of the locks."""

    def __init__(self, service: str, locks: Locks, tasks: Tasks) -> None:
        self._service = service
        self._locks = locks
        self._tasks = tasks
        self._leases: dict[str, Lease] = {}

    def every(self, name: str, seconds: float, func: Callable[[], Awaitable[object]]) -> None:
        """Call `func` as `Tasks.every` does, in one replica alone. It is cancelled where its lock is lost."""
        self._tasks.every(name, seconds, lambda: self.run(name, seconds, func))

    async def run(self, name: str, seconds: float, func: Callable[[], Awaitable[object]]) -> bool:
        """Call `func` if this replica holds the lock or gets it, and hold it until after the next round, which comes
        in `seconds`. False: another replica holds it."""
        hold = 1.5 * seconds + 5.0
        try:
            lease = await self._lead(name, hold)
        except Unavailable:
            await func()
            return True
        if lease is None:
            return False
        work = asyncio.ensure_future(func())
        beat = asyncio.create_task(self._beat(lease, hold, work))
        try:
            await work
        finally:
            work.cancel()
            beat.cancel()
        with suppress(Unavailable):
            await self._locks.renew(lease, hold)
        return True

    async def close(self) -> None:
        """Let the locks go, after the work has ended."""
        for lease in self._leases.values():
            with suppress(Unavailable):
                await self._locks.release(lease)
        self._leases.clear()

    async def _lead(self, name: str, hold: float) -> Lease | None:
        """Renew the lease or take the lock; None: another replica holds it."""
        lease = self._leases.get(name)
        if lease is not None and await self._locks.renew(lease, hold):
            return lease
        self._leases.pop(name, None)
        lease = await self._locks.acquire(MAIN, f"{self._service}: {name}", hold)
        if lease is not None:
            self._leases[name] = lease
        return lease

    async def _beat(self, lease: Lease, hold: float, work: "asyncio.Future[object]") -> None:
        """Renew the lease while the work goes on, and cancel the work where it is lost."""
        while True:
            await asyncio.sleep(hold / _BEATS)
            with suppress(Unavailable):
                if not await self._locks.renew(lease, hold):
                    log.warning("lost the lock of periodic work", task=lease.name)
                    work.cancel()
