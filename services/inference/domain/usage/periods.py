"""The time that a report of usage is about, and the periods that it is divided into."""

import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from core.errors import InvalidInput
from core.fields import one_of
from services.inference.domain.usage.rollups import DAY, HOUR

MAX_SPAN_DAYS = 400
"""Between `from` and `to`."""
MAX_HOURLY_DAYS = 31
"""Between `from` and `to` of a report by hour."""
PERIODS = {"hour": "start", "day": "day", "month": "month"}
"""Periods, and the field of roll-ups that has each."""
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_MAX_TIME = 64


@dataclass(frozen=True, slots=True)
class Span:
    """From `start`, inclusive, to `end`, exclusive, in Unix seconds."""

    start: float
    end: float

    def whole_hours(self) -> "Span":
        """The hours that the span touches."""
        return Span(self.start // HOUR * HOUR, -(-self.end // HOUR) * HOUR)

    @property
    def period(self) -> tuple[float, float]:
        return self.start, self.end


def checked_span(start: float | None, end: float | None, *, default_days: float = 30) -> Span:
    """The span between two times; None: now, or so many days before the end. Raises InvalidInput."""
    end = time.time() + 1 if end is None else end
    start = end - default_days * DAY if start is None else start
    if start >= end:
        raise InvalidInput("from must be before to.", field="from")
    if end - start > MAX_SPAN_DAYS * DAY:
        raise InvalidInput(f"from must be at most {MAX_SPAN_DAYS} days before to.", field="from")
    return Span(start, end)


def read_span(start: str, end: str, *, default_days: float = 30) -> Span:
    """The span between two times or dates as texts; empty: as None of `checked_span`. Raises InvalidInput."""
    return checked_span(
        _time("from", start, whole_day=False), _time("to", end, whole_day=True), default_days=default_days
    )


def checked_period(group_by: str, span: Span, default: str, field: str = "group_by") -> str:
    """The period that a report is divided into. Raises InvalidInput, naming the field."""
    period = one_of(field, group_by or default, tuple(PERIODS))
    if period == "hour" and span.end - span.start > MAX_HOURLY_DAYS * DAY + HOUR:
        raise InvalidInput(f"from must be at most {MAX_HOURLY_DAYS} days before to where {field} is hour.", field=field)
    return period


def period_name(value: object) -> str:
    """The name of a period: of an hour its first moment, else the date or month itself."""
    return text_of(float(value)) if isinstance(value, int) else str(value)


def text_of(seconds: float) -> str:
    """RFC 3339, in UTC, to the second."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _time(name: str, value: str, *, whole_day: bool) -> float | None:
    value = value.strip()
    if not value:
        return None
    try:
        if len(value) > _MAX_TIME:
            raise ValueError
        at = datetime.fromisoformat(value)
        if _DATE.fullmatch(value) and whole_day:
            at += timedelta(days=1)
        return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise InvalidInput(
            f"{name} must be a time such as 2026-11-26T21:00:00Z or a date such as 2026-11-26.", field=name
        ) from None
