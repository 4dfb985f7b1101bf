"""Admission: what a call will need is reserved before it runs, and what it used is charged when it has ended.

with await admission.admit(subject, {Dimension.REQUESTS: 1, Dimension.VECTORS: 100}) as reservation:
    ...
    reservation.settle({Dimension.VECTORS: 98})
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

from core.quotas.rules import Amounts, Dimension, Rule, Subject

NO_FIELDS: Mapping[Dimension, str] = {}


class Standing(NamedTuple):
    """How a limit stands: `reset` is when its window ends, in Unix seconds; 0: it has none."""

    rule: Rule
    used: int
    remaining: int
    reset: int


class Reservation:
    """What a call may use. It must be settled or released; whichever comes first counts, and all later calls do
    nothing. As a context manager it settles as reserved, or, after an exception, charges the requests alone."""

    async def extend(self, amounts: Amounts) -> None:
        """Reserve more, so that these amounts are reserved in all. Raises as `Admission.admit`."""
        raise NotImplementedError

    def settle(self, used: Amounts = {}) -> None:
        """Charge what was used, which may be more than what was reserved, and return the rest. Dimensions that are not
        named are charged as reserved."""
        raise NotImplementedError

    def release(self) -> None:
        """Return all of it: the call was not made."""
        self.settle(dict.fromkeys(Dimension, 0))

    def standings(self) -> Sequence[Standing]:
        """How the limits of the call stand, as far as this replica knows."""
        raise NotImplementedError

    def headers(self) -> Sequence[tuple[str, str]]:
        """The headers X-RateLimit-* for the answer; names in lower case."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.settle({each: 0 for each in Dimension if each is not Dimension.REQUESTS} if kind else {})


class Admission:
    """Admits calls under the rules that hold for them."""

    async def admit(
        self, subject: Subject, amounts: Amounts, *, fields: Mapping[Dimension, str] = NO_FIELDS
    ) -> Reservation:
        """Reserve the amounts in all counters of the subject's rules, or in none.

        Raises InvalidInput where they are more than one call may use, with the field that `fields` names; RateLimited
        where a window has no room, BudgetExceeded for a budget or a total; Unavailable where a budget can be read
        nowhere.
        """
        raise NotImplementedError

    async def standings(self, subject: Subject) -> Sequence[Standing]:
        """How all limits of a subject stand, over all replicas. Raises Unavailable."""
        raise NotImplementedError
