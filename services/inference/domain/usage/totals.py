"""Totals of usage over a time: from roll-ups, and from records for the parts of hours at its ends."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from core.offload import in_turns
from core.storage.checks import MAX_TOTALS
from core.storage.ports import Cond, Document, DocumentStore, Op
from services.inference.domain.tables import MEASURES, ROLLUPS, USAGE, UsageScope
from services.inference.domain.usage.calls import CANCELLED, ERROR
from services.inference.domain.usage.rollups import CALLS, CUBES, DAY, HOUR, MODELS, day_of

_FROM_RECORDS = {name: name for name in MEASURES[1:-1]} | {"latencyMicros": "latencyMs"}
"""Measures, and the field of records that each is the sum of."""
_IN_RECORDS = frozenset({CALLS, MODELS})
"""Cubes whose dimensions records have as fields."""
_TIMES = ("start", "day", "month")
"""Groups that are times: "start" is that of the hour."""

Sums = dict[str, int]


@dataclass(slots=True)
class Total:
    """Sums of a group of calls, by MEASURES."""

    group: dict[str, Any]
    sums: Sums = field(default_factory=lambda: dict.fromkeys(MEASURES, 0))

    def add(self, sums: Mapping[str, Any]) -> None:
        for name in MEASURES:
            self.sums[name] += sums[name] or 0


@dataclass(slots=True)
class Tally:
    """Sums of calls by MEASURES, and how many of them failed or were cancelled."""

    sums: Sums = field(default_factory=lambda: Total({}).sums, init=False)
    errors: int = field(default=0, init=False)
    cancelled: int = field(default=0, init=False)

    def add(self, total: Total) -> None:
        """Add a total, which is by status."""
        count, status = total.sums["requests"], total.group["status"]
        self.errors += count if status == ERROR else 0
        self.cancelled += count if status == CANCELLED else 0
        for name, value in total.sums.items():
            self.sums[name] += value

    @property
    def requests(self) -> int:
        return self.sums["requests"]

    @property
    def mean_latency_ms(self) -> float:
        return self.sums["latencyMicros"] / 1000 / self.requests if self.requests else 0.0


class _Part(NamedTuple):
    """A part of the time that is read at once: from roll-ups of the span, or from records where it is empty."""

    span: str
    start: float
    end: float


class UsageTotals:
    """Reads what the meter wrote."""

    def __init__(self, store: DocumentStore) -> None:
        self._store = store

    async def read(
        self,
        scope: UsageScope,
        cube: str,
        where: Mapping[str, str],
        period: tuple[float, float],
        group_by: Sequence[str],
    ) -> list[Total]:
        """Totals by the fields of `group_by`, dimensions of the cube, "start", "day" or "month", in their order.

        At most MAX_TOTALS groups, each of them whole. Cubes of other than CALLS and MODELS take full hours alone.
        """
        totals: dict[tuple[Any, ...], Total] = {}
        last: tuple[Any, ...] | None = None
        """The last group up to which all parts are complete."""

        def add(row: Document) -> tuple[Any, ...]:
            values = {name: row[name] if row[name] is not None else "" for name in group_by}
            key = tuple(values.values())
            totals.setdefault(key, Total(values)).add(row)
            return key

        for part in _parts(*period, hourly="start" in group_by):
            if part.span:
                rows = await self._rollups(scope, cube, where, part, group_by)
            elif cube in _IN_RECORDS:
                rows = await self._records(scope, where, part, group_by)
            else:
                continue
            keys = await in_turns(add, rows)
            if len(rows) == MAX_TOTALS:
                last = keys[-1] if last is None else min(last, keys[-1])
        return [totals[key] for key in sorted(totals) if last is None or key <= last][:MAX_TOTALS]

    async def _rollups(
        self, scope: UsageScope, cube: str, where: Mapping[str, str], part: _Part, group_by: Sequence[str]
    ) -> list[Document]:
        time = (Cond(Op.GTE, int(part.start)), Cond(Op.LT, int(part.end)))
        kinds = {"kind": f"{cube}.{part.span}", "start": time}
        return await self._store.totals(scope, ROLLUPS, {**where, **kinds}, group_by=group_by, sums=list(MEASURES))

    async def _records(
        self, scope: UsageScope, where: Mapping[str, str], part: _Part, group_by: Sequence[str]
    ) -> list[Document]:
        """As from roll-ups, within one hour."""
        start = int(part.start // HOUR) * HOUR
        day = day_of(start)
        times = dict(zip(_TIMES, (start, day, day[:7]), strict=True))
        names = [name for name in group_by if name not in times]
        time = {"createdAt": (Cond(Op.GTE, part.start), Cond(Op.LT, part.end))}
        rows = await self._store.totals(
            scope, USAGE, {**where, **time}, group_by=names, sums=list(_FROM_RECORDS.values())
        )
        return [times | row | _measured(row) for row in rows if row["count"]]


def _measured(row: Document) -> dict[str, int]:
    sums = {name: row[source] or 0 for name, source in _FROM_RECORDS.items()}
    return sums | {"requests": row["count"], "latencyMicros": round(sums["latencyMicros"] * 1000)}


def _parts(start: float, end: float, *, hourly: bool) -> Iterator[_Part]:
    """Records up to the first full hour, hours up to the first midnight, days, hours, records."""
    first, last = -int(-start // HOUR) * HOUR, int(end // HOUR) * HOUR
    if first > last:
        yield _Part("", start, end)
        return
    midnight, last_midnight = -(-first // DAY) * DAY, last // DAY * DAY
    if hourly or midnight >= last_midnight:
        whole = [_Part("hour", first, last)]
    else:
        days = _Part("day", midnight, last_midnight)
        whole = [_Part("hour", first, midnight), days, _Part("hour", last_midnight, last)]
    for part in (_Part("", start, first), *whole, _Part("", last, end)):
        if part.start < part.end:
            yield part


def cube_of(names: Sequence[str]) -> str:
    """The smallest cube that has these dimensions."""
    wanted = set(names) - set(_TIMES) - {"project"}
    return MODELS if wanted <= set(CUBES[MODELS]) else CALLS
