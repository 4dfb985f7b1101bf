"""The port of locks: at most one holder at a time, for a time.

    lease = await locks.acquire(MAIN, "retention", seconds=30)
    if lease is not None:
        ...                                # renew it before the 30 seconds are over
        await locks.release(lease)

A lock ends by itself when its holder dies. A holder that hangs for longer than its lease does not know that it has lost
the lock: where that matters, what it writes carries the lease's fencing token, and whoever stores it refuses a token
that is lower than one it has seen.
"""

from dataclasses import dataclass
from typing import Protocol

from core.tenancy import Scope


@dataclass(frozen=True, slots=True)
class Lease:
    """A lock that is held. `token` is the fencing token: higher than that of every earlier lease of the lock, also
    where the server of locks has lost its data."""

    scope: Scope
    name: str
    token: int
    holder: str
    """Random; tells this lease from all others."""


class Locks(Protocol):
    """Every method raises Unavailable where the server of locks is away."""

    async def acquire(self, scope: Scope, name: str, seconds: float) -> Lease | None:
        """Take the lock for `seconds`; None: somebody holds it."""

    async def renew(self, lease: Lease, seconds: float) -> bool:
        """Hold the lock for `seconds` from now. False: it is lost."""

    async def release(self, lease: Lease) -> bool:
        """Let the lock go. False: it was lost before."""
