"""The common shape of all attacks."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

MIB = 1024 * 1024

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Target:
    """Addresses of the suite, and tokens of the attacking tenant."""

    ports: dict[str, int]
    """By service; also `edge`, and `inference_http1` for the port on which the edge reaches inference."""
    stranger: str
    """A token without the scopes that the attacked calls need."""
    insider: str
    """A token with all scopes."""

    def bearer(self, who: str) -> Headers:
        """The Authorization header of `stranger` or `insider`; none for an empty name."""
        return [("authorization", f"Bearer {getattr(self, who)}")] if who else []


Strike = Callable[[Target, Counter[str]], Awaitable[None]]
"""Attack once, or until cancelled, and count in the second argument how it was answered."""
WarmUp = Callable[[Target], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Attack:
    """An attack: calls that are cheap to send and would be expensive to serve, repeated by `workers` at a time."""

    target: str
    """`edge`, or the service that is attacked."""
    name: str
    strike: Strike
    workers: int = 4
    known: bool = False
    """An earlier version of Portico failed under it."""
    records: bool = False
    """It reads records that have to be made before."""
    warm_up: WarmUp | None = None
    """Called before memory is read: loads what the attacked service keeps from its first use of a feature."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Settings of the suite for this attack."""
