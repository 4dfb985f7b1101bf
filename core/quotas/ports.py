"""Ports of quotas: the ledger that replicas share, and the sources of what was counted elsewhere."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from core.quotas.rules import Rule, Span
from core.tenancy import Tenant

Seed = Callable[[Tenant, Rule, Span], Awaitable[int]]
"""The amount that is recorded elsewhere for a rule's counter: of spend the sum of the usage roll-ups, of a total what
there is now. Raises Unavailable."""


SHARE = 16
"""A holder gets no more in advance than this part of what is left."""
LARGEST = 2**53 - 1
"""The largest amount that every ledger counts exactly."""


class Counter(NamedTuple):
    """One counter of a tenant: the name of a rule's counter, and the window that it counts in."""

    name: str
    span: Span


@dataclass(slots=True)
class Claim:
    """The wish of a holder: of a counter `least`, or else nothing at all; up to `most` where there is much room."""

    counter: Counter
    limit: int
    least: int
    most: int
    charged: int = 0
    """The holder's account before the claim, as in its Report."""
    held: int = 0
    seeded: bool = False
    """The counter must have been seeded: see `Ledger.raise_to`."""


@dataclass(slots=True)
class Granted:
    """The state of a counter after a claim. `granted` is 0 where the claims were refused."""

    granted: int
    total: int
    """Charged and held by all holders, what was granted included."""
    seeded: bool = True
    """False: it has not been seeded, and so nothing was granted."""


@dataclass(slots=True)
class Report:
    """A holder's account of a counter, in absolute numbers, so that it may be repeated."""

    counter: Counter
    charged: int
    """All that it has charged since it became a holder."""
    held: int
    """All that it keeps, for calls in progress and those to come."""


class Totals(NamedTuple):
    """The sums of an account, or of all holders'."""

    charged: int
    held: int


class LeaseLost(Exception):
    """The holder did not report for so long that what it held was given to others."""


class Ledger(Protocol):
    """Counters of all replicas. A holder is a replica under a name of its own; what it holds is its own as long as it
    reports in time, and returns to the counters else.

    Every method raises Unavailable, and LeaseLost where the holder was known and is not any more. What the lost holder
    charged stays charged; it goes on under another name.
    """

    lease_seconds: float

    async def take(
        self, tenant: Tenant, holder: str, claims: Sequence[Claim], *, known: bool = True
    ) -> Sequence[Granted]:
        """Grant all of the claims or none, as one step; a refused one leaves nothing behind. `known`: the holder has
        been here before."""

    async def report(self, tenant: Tenant, holder: str, reports: Sequence[Report], *, known: bool = True) -> None:
        """Replace the holder's account of these counters, and renew its lease on all of the tenant's."""

    async def raise_to(self, tenant: Tenant, counter: Counter, charged: int) -> None:
        """Raise the charged sum to `charged` where it is less, and take the counter for seeded."""

    async def totals(self, tenant: Tenant, counters: Sequence[Counter]) -> Sequence[Totals]:
        """The sums of counters; of one that nobody has used zeros."""

    async def leave(self, tenant: Tenant, holder: str) -> None:
        """End the holder's lease: what it holds returns, what it charged stays."""


def share(claim: Claim, room: int) -> int:
    """The part of a counter's room that a claim is granted. The less there is, the less is given out beyond what is
    needed now, so that no holder keeps what others wait for."""
    if room < claim.least:
        return 0
    return claim.least + min(claim.most - claim.least, (room - claim.least) // SHARE)
