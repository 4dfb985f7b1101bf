"""Locks of one process."""

import time
from collections.abc import Callable
from uuid import uuid4

from core.locks.ports import Lease
from core.tenancy import Scope

Clock = Callable[[], float]


class MemoryLocks:
    """`clock` gives Unix seconds."""

    def __init__(self, clock: Clock = time.time) -> None:
        self._clock = clock
        self._held: dict[tuple[Scope, str], tuple[Lease, float]] = {}
        self._last_token = 0

    async def acquire(self, scope: Scope, name: str, seconds: float) -> Lease | None:
        now = self._clock()
        self._held = {key: held for key, held in self._held.items() if held[1] > now}
        if (scope, name) in self._held:
            return None
        self._last_token = max(self._last_token + 1, int(now * 1000))
        lease = Lease(scope, name, self._last_token, uuid4().hex)
        self._held[scope, name] = lease, now + seconds
        return lease

    async def renew(self, lease: Lease, seconds: float) -> bool:
        if not self._holds(lease):
            return False
        self._held[lease.scope, lease.name] = lease, self._clock() + seconds
        return True

    async def release(self, lease: Lease) -> bool:
        if not self._holds(lease):
            return False
        del self._held[lease.scope, lease.name]
        return True

    def _holds(self, lease: Lease) -> bool:
        held = self._held.get((lease.scope, lease.name))
        return held is not None and held[0] == lease and held[1] > self._clock()
