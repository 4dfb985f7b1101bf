"""The order in which a call tries a model's targets."""

from collections.abc import Callable, Iterable, Sequence

from services.inference.domain.catalogue.routing_settings import LEAST_BUSY, LOWEST_LATENCY, WEIGHTED
from services.inference.domain.routing.targets import Target

LATENCY_SECONDS = 30.0
"""Seconds for which a measured latency holds; after that one call measures anew."""
_SMOOTHING = 0.3

Policy = Callable[[Sequence[Target], float], Target]
"""Chooses one of the targets, at this monotonic time."""


def ordered(targets: Iterable[Target], policy: str, now: float) -> list[Target]:
    """The targets in the order in which a call tries them. The first is the policy's choice among those of the lowest
    priority number, then come the rest of them, then the other priorities; targets that cool down come last."""
    ready: list[Target] = []
    cooling: list[Target] = []
    for target in targets:
        (ready if target.cool_until <= now else cooling).append(target)
    return _by_priority(ready, policy, now) + sorted(cooling, key=lambda target: target.cool_until)


def _by_priority(targets: list[Target], policy: str, now: float) -> list[Target]:
    plan: list[Target] = []
    for priority in sorted({target.priority for target in targets}):
        group = [target for target in targets if target.priority == priority]
        weighed = [target for target in group if target.weight > 0]
        if not plan and len(weighed) > 1:
            chosen = POLICIES[policy](weighed, now)
            weighed.remove(chosen)
            plan.append(chosen)
        plan += sorted(weighed, key=lambda target: -target.weight)
        plan += [target for target in group if target.weight <= 0]
    return plan


def _weighted(targets: Sequence[Target], now: float) -> Target:
    """Smooth weighted round robin: shares are exact over any while, and no target gets a burst."""
    total = 0.0
    for target in targets:
        target.turn += target.weight
        total += target.weight
    chosen = max(targets, key=lambda target: target.turn)
    chosen.turn -= total
    return chosen


def _least_busy(targets: Sequence[Target], now: float) -> Target:
    """The fewest calls in progress for its weight; in turns where they are equal."""
    least = min(target.in_progress / target.weight for target in targets)
    return _weighted([target for target in targets if target.in_progress / target.weight == least], now)


def _lowest_latency(targets: Sequence[Target], now: float) -> Target:
    """The fastest lately. A target that was not measured lately is tried by one call at a time."""
    unknown = [target for target in targets if now - target.measured_at > LATENCY_SECONDS and not target.in_progress]
    return unknown[0] if unknown else min(targets, key=lambda target: target.latency)


POLICIES: dict[str, Policy] = {WEIGHTED: _weighted, LEAST_BUSY: _least_busy, LOWEST_LATENCY: _lowest_latency}


def measured(target: Target, seconds: float, now: float) -> None:
    """Take the time that a target took to begin its answer into its latency."""
    fresh = now - target.measured_at <= LATENCY_SECONDS
    target.latency = target.latency + _SMOOTHING * (seconds - target.latency) if fresh else seconds
    target.measured_at = now
