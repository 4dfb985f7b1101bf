"""The limits that a policy or a plan may set, by their paths in the API, and what each of them counts.

A path is spelled as in JSON: "rateLimit.requests.perMinute", "perRequest.maxOutputTokens", "quotas.maxVectorsTotal",
"budget.monthlySpendLimit". Limits of a policy are a mapping from paths to whole numbers, -1 for no limit; budgets are
in cents here, and in the currency where callers write and read them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from core.errors import InvalidInput
from core.quotas.rules import UNLIMITED, Dimension, Window

Limits = Mapping[str, int]
"""Limits by path."""

CENT = 10_000_000
"""Billionths of the currency."""
MAX_LIMIT = 10**15
"""Largest limit: exact as a JSON number, and larger than any real one."""
MAX_CENTS = 9 * 10**8
"""Largest budget: its billionths are exact as a JSON number."""
MAX_THRESHOLDS = 10

DAILY_BUDGET, MONTHLY_BUDGET = "budget.dailySpendLimit", "budget.monthlySpendLimit"
BUDGETS = (DAILY_BUDGET, MONTHLY_BUDGET)
STANDING = "quotas."
"""Prefix of the limits of what there is at any time."""
OF_TENANT = ("quotas.maxProjects", "quotas.maxUsers", "quotas.maxTracingRetentionDays")
"""Limits of what a tenant has and no project by itself."""


@dataclass(frozen=True, slots=True)
class Counted:
    """The dimension and window of a limit. `unit` converts a limit to the dimension's amounts."""

    dimension: Dimension
    window: Window
    unit: int = 1


_RATES = (Dimension.REQUESTS, Dimension.TOKENS, Dimension.VECTORS, Dimension.FILES, Dimension.STORAGE, Dimension.TRACES)
_WINDOWS = {
    "perSecond": Window.SECOND,
    "perMinute": Window.MINUTE,
    "perHour": Window.HOUR,
    "perDay": Window.DAY,
    "perMonth": Window.MONTH,
}
_PER_REQUEST = {
    "maxInputTokens": Dimension.INPUT_TOKENS,
    "maxOutputTokens": Dimension.OUTPUT_TOKENS,
    "maxTotalTokens": Dimension.TOKENS,
    "maxVectorsPerUpsert": Dimension.VECTORS,
    "maxQueryResults": Dimension.RESULTS,
    "maxDimensions": Dimension.DIMENSIONS,
    "maxFileSize": Dimension.STORAGE,
    "maxFilesPerRequest": Dimension.FILES,
    "maxEventsPerSession": Dimension.EVENTS,
    "maxSessionDurationMs": Dimension.DURATION,
}
_STANDING = {
    "maxProjects": Dimension.PROJECTS,
    "maxModels": Dimension.MODELS,
    "maxVectorIndexes": Dimension.INDEXES,
    "maxVectorsTotal": Dimension.VECTORS,
    "maxFileBuckets": Dimension.BUCKETS,
    "maxStorageBytes": Dimension.STORAGE,
    "maxFilesTotal": Dimension.FILES,
    "maxTracingSessions": Dimension.SESSIONS,
    "maxTracingRetentionDays": Dimension.RETENTION_DAYS,
    "maxApiTokens": Dimension.API_TOKENS,
    "maxUsers": Dimension.USERS,
    "maxAgents": Dimension.AGENTS,
}

COUNTED: Mapping[str, Counted] = {
    **{
        f"rateLimit.{dimension}.{name}": Counted(dimension, window)
        for dimension in _RATES
        for name, window in _WINDOWS.items()
    },
    **{f"perRequest.{name}": Counted(dimension, Window.REQUEST) for name, dimension in _PER_REQUEST.items()},
    "perRequest.maxConcurrentRequests": Counted(Dimension.REQUESTS, Window.CONCURRENT),
    **{f"{STANDING}{name}": Counted(dimension, Window.TOTAL) for name, dimension in _STANDING.items()},
    DAILY_BUDGET: Counted(Dimension.SPEND, Window.DAY, CENT),
    MONTHLY_BUDGET: Counted(Dimension.SPEND, Window.MONTH, CENT),
}
"""Every limit there is, by path."""


def checked_limits(given: Mapping[str, float], field: str = "limits") -> dict[str, int]:
    """Limits as callers write them, budgets in the currency, as they are kept. Raises InvalidInput, naming the
    limit."""
    return {path: _checked(path, value, f"{field}.{path}" if field else path) for path, value in given.items()}


def _checked(path: str, value: float, field: str) -> int:
    if path not in COUNTED:
        raise InvalidInput("There is no limit of this name.", field=field)
    if path in BUDGETS:
        return cents_of(value, field)
    if value == UNLIMITED:
        return UNLIMITED
    if not 0 <= value <= MAX_LIMIT or value != int(value):
        raise InvalidInput(f"A limit is a whole number of 0 to {MAX_LIMIT}; -1 stands for no limit.", field=field)
    return int(value)


def cents_of(value: float, field: str) -> int:
    """An amount of money in cents; -1 for no limit. Raises InvalidInput for parts of a cent."""
    if value == UNLIMITED:
        return UNLIMITED
    if not 0 <= value <= MAX_CENTS / 100:
        raise InvalidInput(f"A budget is an amount of 0 to {MAX_CENTS // 100}; -1 stands for no limit.", field=field)
    cents = round(value * 100)
    if abs(value * 100 - cents) > 1e-6 * max(1.0, value):
        raise InvalidInput("A budget is a whole number of cents, such as 12.50.", field=field)
    return cents


def shown(path: str, limit: int) -> float:
    """A limit as callers read it, budgets in the currency."""
    return limit / 100 if path in BUDGETS and limit != UNLIMITED else limit


def percents_of(values: Iterable[float], field: str) -> tuple[int, ...]:
    """Alert thresholds in percent. Raises InvalidInput unless they are whole, ascending and within 1 to 100."""
    given = tuple(values)
    if len(given) > MAX_THRESHOLDS:
        raise InvalidInput(f"There can be at most {MAX_THRESHOLDS} thresholds.", field=field)
    if any(not 1 <= each <= 100 or each != int(each) for each in given):
        raise InvalidInput("A threshold is a whole percentage of the budget, 1 to 100.", field=field)
    if any(later <= earlier for earlier, later in pairwise(given)):
        raise InvalidInput("Thresholds must be given in ascending order, each one once.", field=field)
    return tuple(map(int, given))
