"""Circuit breakers: a provider that keeps failing is left alone for a while, so its callers fail at once, not late."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from core.bounded import BoundedDict
from core.errors import Unavailable

Key = tuple[str, ...]
"""Begins with the tenant's slug: one tenant's trouble is not another's."""


class CircuitOpen(Unavailable):
    default_reason = "CIRCUIT_OPEN"


class Outcome(Enum):
    """The outcome of a call as to the provider's health."""

    ANSWERED = auto()
    FAILED = auto()
    UNKNOWN = auto()
    """No result: the call was cancelled, or never reached the provider."""


@dataclass(slots=True)
class _Circuit:
    failures: int = 0
    opened_at: float | None = None
    probing: bool = False


class CircuitBreakers:
    """`threshold` failures in a row open a key's circuit; `reset` seconds later a single call may probe it, and its
    outcome closes the circuit or opens it again. Keys without a recent failure take no memory; of the others the
    `capacity` that failed last are remembered."""

    def __init__(
        self,
        *,
        threshold: int = 5,
        reset: float = 30.0,
        capacity: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._threshold = threshold
        self._reset = reset
        self._clock = clock
        self._circuits: BoundedDict[Key, _Circuit] = BoundedDict(capacity)

    def enter(self, key: Key) -> bool:
        """Admit a call; call `leave` after it with what this returned: True if it is the probe.

        Raises CircuitOpen, whose `retry_after` tells when a probe may be tried.
        """
        circuit = self._circuits.get(key)
        if circuit is None or circuit.opened_at is None:
            return False
        left = circuit.opened_at + self._reset - self._clock()
        if left > 0 or circuit.probing:
            raise CircuitOpen("The provider keeps failing and is left alone for a while.", retry_after=max(left, 1.0))
        circuit.probing = True
        return True

    def leave(self, key: Key, probe: bool, outcome: Outcome) -> None:
        circuit = self._circuits.get(key)
        if circuit is None:
            if outcome is Outcome.FAILED:
                self._count_failure(key, _Circuit())
        elif probe:
            circuit.probing = False
            if outcome is Outcome.ANSWERED:
                del self._circuits[key]
            elif outcome is Outcome.FAILED:
                circuit.opened_at = self._clock()
        elif circuit.opened_at is None:  # else a call from before it opened: only the probe decides
            if outcome is Outcome.ANSWERED:
                del self._circuits[key]
            elif outcome is Outcome.FAILED:
                self._count_failure(key, circuit)

    def open_keys(self) -> list[Key]:
        """Keys whose calls are refused or probed now."""
        return [key for key, circuit in self._circuits.items() if circuit.opened_at is not None]

    def _count_failure(self, key: Key, circuit: _Circuit) -> None:
        circuit.failures += 1
        if circuit.failures >= self._threshold:
            circuit.opened_at = self._clock()
        self._circuits[key] = circuit
