"""The figures of a dashboard: totals, tops, error rates and latencies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from core import fields
from core.offload import in_turns
from services.inference.domain.tables import UsageScope
from services.inference.domain.usage.calls import SUCCESS
from services.inference.domain.usage.periods import PERIODS, Span, checked_period, period_name
from services.inference.domain.usage.rollups import LATENCY, TAGS, bound_of
from services.inference.domain.usage.totals import Tally, Total, UsageTotals, cube_of

MAX_TOP = 100
_TOP = 10
_HOURLY_SECONDS = 3 * 86_400 + 3_600
"""Longest time that is divided into hours unless the caller wants it otherwise."""
LISTS: Mapping[str, str] = {
    "models": "model",
    "providers": "providerKey",
    "users": "userId",
    "tokens": "tokenId",
    "agents": "agent",
}
"""Lists of an overview, and the dimension of each."""
_TIMED = {"models": "model", "providers": "providerKey"}
"""Lists with latencies."""
_HALF_STEP = 0.5
"""Distance of the middle of a bucket, which stands for the latency of its calls, from its bound."""


@dataclass(slots=True)
class Figures(Tally):
    """Figures of a group of calls. `buckets` counts successful calls by latency bucket."""

    key: str
    nanos: dict[str, int] = field(default_factory=dict)
    """Cost by currency."""
    buckets: dict[int, int] = field(default_factory=dict)

    def add(self, total: Total) -> None:
        Tally.add(self, total)  # a dataclass with slots has no super()
        currency = total.group["currency"]
        self.nanos[currency] = self.nanos.get(currency, 0) + total.sums["costNanos"]

    @property
    def error_rate(self) -> float:
        ended = self.requests - self.cancelled
        return self.errors / ended if ended else 0.0


def percentile_ms(buckets: Mapping[int, int], share: float) -> float:
    """The latency, in milliseconds, that this share of the calls took at most, to 5 %; 0 where there are none."""
    wanted, seen = share * sum(buckets.values()), 0
    for bucket in sorted(buckets):
        seen += buckets[bucket]
        if seen >= wanted:
            return bound_of(bucket - _HALF_STEP)
    return 0.0


@dataclass(slots=True)
class Overview:
    """An overview. `lists` has the names of LISTS and "tags"."""

    span: Span
    period: str
    totals: Figures
    lists: dict[str, list[Figures]]
    timeseries: list[Figures]


class Overviews:
    """Makes overviews."""

    def __init__(self, totals: UsageTotals) -> None:
        self._totals = totals

    async def overview(
        self, scope: UsageScope, span: Span, *, group_by: str = "", model: str = "", top: int = 0
    ) -> Overview:
        """An overview of the hours that the span touches. Raises InvalidInput."""
        top = fields.between("top", top, 1, MAX_TOP, default=_TOP)
        span = span.whole_hours()
        default = "hour" if span.end - span.start <= _HOURLY_SECONDS else "day"
        period = checked_period(group_by, span, default, "groupBy")
        read = _Reading(self._totals, scope, {"model": model} if model else {}, span)
        lists = {name: _top(await read.figures(dimension), top) for name, dimension in LISTS.items()}
        lists["agents"] = [each for each in lists["agents"] if each.key]
        lists["tags"] = _top(await read.figures("tagKey", "tagValue", cube=TAGS), top)
        for name, dimension in _TIMED.items():
            latencies = await read.latencies(dimension)
            for figures in lists[name]:
                figures.buckets = latencies.get(figures.key, {})
        (totals,) = await read.figures() or [Figures("")]
        totals.buckets = (await read.latencies()).get("", {})
        timeseries = await read.figures(PERIODS[period])
        return Overview(span, period, totals, lists, timeseries)


@dataclass(frozen=True, slots=True)
class _Reading:
    """The calls of one overview."""

    totals: UsageTotals
    scope: UsageScope
    where: Mapping[str, str]
    span: Span

    async def figures(self, *dimensions: str, cube: str = "") -> list[Figures]:
        """Figures by the dimensions, in their order."""
        group_by = [*dimensions, "status", "currency"]
        cube = cube or cube_of([*self.where, *group_by])
        found: dict[str, Figures] = {}

        def add(total: Total) -> None:
            key = _key(total, dimensions)
            found.setdefault(key, Figures(key)).add(total)

        await in_turns(add, await self.totals.read(self.scope, cube, self.where, self.span.period, group_by))
        return list(found.values())

    async def latencies(self, *dimensions: str) -> dict[str, dict[int, int]]:
        """Successful calls by latency bucket, by the dimensions."""
        where = {**self.where, "status": SUCCESS}
        found: dict[str, dict[int, int]] = {}
        group_by = [*dimensions, "bucket"]
        for total in await self.totals.read(self.scope, LATENCY, where, self.span.period, group_by):
            found.setdefault(_key(total, dimensions), {})[total.group["bucket"]] = total.sums["requests"]
        return found


def _key(total: Total, dimensions: Sequence[str]) -> str:
    return "=".join(period_name(total.group[name]) for name in dimensions)


def _top(figures: Sequence[Figures], count: int) -> list[Figures]:
    return sorted(figures, key=lambda each: (-each.requests, each.key))[:count]
