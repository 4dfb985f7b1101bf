"""The standing of limits, and what callers are told of it: headers and errors."""

import math
import time
from collections.abc import Sequence
from typing import NamedTuple

from core.errors import BudgetExceeded, InvalidInput, RateLimited
from core.quotas.rules import Dimension, Rule, Window

NANOS = 1_000_000_000
_UNITS = {Dimension.STORAGE: "bytes", Dimension.INPUT_TOKENS: "input tokens", Dimension.OUTPUT_TOKENS: "output tokens"}
_OWNERS = {"plan": "the plan", "tenant": "the tenant"}
_SOON_SECONDS = 1.0
"""Seconds after which a call in progress may have ended."""
_TOLD = (Dimension.REQUESTS, Dimension.TOKENS)
"""Dimensions that have headers of their own, by the names that OpenAI's clients know."""

Pairs = tuple[tuple[str, str], ...]


class Standing(NamedTuple):
    """The standing of a limit. `reset` is when its window ends, in Unix seconds; 0: it has none."""

    rule: Rule
    used: int
    remaining: int
    reset: int


def headers(standings: Sequence[Standing]) -> Pairs:
    """The headers X-RateLimit-* of a call: of its requests, else of its tokens, and of each by OpenAI's names. `Reset`
    is in seconds from now. Names are in lower case."""
    found: list[tuple[str, str]] = []
    now = time.time()
    for dimension in _TOLD:
        tightest = _tightest(standings, dimension)
        if tightest is None:
            continue
        values = ("limit", str(tightest.rule.limit)), ("remaining", str(tightest.remaining))
        seconds = str(max(0, math.ceil(tightest.reset - now)))
        if not found:
            found += [(f"x-ratelimit-{name}", value) for name, value in values] + [("x-ratelimit-reset", seconds)]
        found += [(f"x-ratelimit-{name}-{dimension}", value) for name, value in values]
        found.append((f"x-ratelimit-reset-{dimension}", f"{seconds}s"))
    return tuple(found)


def _tightest(standings: Sequence[Standing], dimension: Dimension) -> Standing | None:
    """The limit of the dimension that will be reached first, by what is left of it."""
    tightest = None
    for each in standings:
        rule = each.rule
        if rule.dimension is dimension and each.reset and (tightest is None or each.remaining < tightest.remaining):
            tightest = each
    return tightest


def refused(standing: Standing, amount: int) -> RateLimited:
    """The error for a call that needs this amount, which there is no room for."""
    rule, remaining = standing.rule, standing.remaining
    budget = rule.dimension is Dimension.SPEND
    left = f"{_amount(rule, remaining)} of {_amount(rule, rule.limit)} left"
    what = f"{_owner(rule)} for {rule.domain}" if rule.domain != "global" else _owner(rule)
    wait = max(_SOON_SECONDS, standing.reset - time.time()) if standing.reset else None
    match rule.window:
        case Window.CONCURRENT:
            text = f"Too many calls at once: {rule.limit} are allowed to {what}. Try again when one has ended."
            wait = _SOON_SECONDS
        case Window.TOTAL:
            text = (
                f"This would be more than {_amount(rule, rule.limit)} in all, the limit of {what}. Delete some first."
            )
        case _ if budget and remaining:
            text = (
                f"The {_period(rule)} budget of {what} has {left}, and this call may need {_amount(rule, amount)}. "
                f"Ask for fewer tokens, or raise the budget."
            )
        case _ if budget:
            text = f"The {_period(rule)} budget of {what} is used up. Raise it, or wait until it begins anew."
        case _ if amount > rule.limit:
            text = f"This call needs {_amount(rule, amount)}; {what} may use {rule.limit} per {rule.window}."
            wait = None
        case _:
            text = f"The limit of {_amount(rule, rule.limit)} per {rule.window} of {what} is reached. Try again later."
    final = budget or rule.window is Window.TOTAL
    error = (BudgetExceeded if final else RateLimited)(text, retry_after=wait, metadata=_metadata(standing))
    error.final = final or wait is None
    error.headers = headers([standing])
    return error


def too_large(rule: Rule, amount: int, field: str | None) -> InvalidInput:
    """The error for a call that is larger than one may be."""
    return InvalidInput(
        f"This call needs {_amount(rule, amount)}; the quota of {_owner(rule)} allows {rule.limit} in one call.",
        reason="QUOTA_PER_REQUEST",
        field=field,
    )


def _metadata(standing: Standing) -> dict[str, str]:
    rule = standing.rule
    found = {
        "scope": rule.scope,
        "domain": rule.domain,
        "dimension": rule.dimension.value,
        "window": rule.window.value,
        "limit": str(rule.limit),
        "remaining": str(standing.remaining),
    }
    return found | {"policy": rule.policy} if rule.policy else found


def _owner(rule: Rule) -> str:
    return _OWNERS.get(rule.scope) or f"this {rule.scope}"


def _period(rule: Rule) -> str:
    return "daily" if rule.window is Window.DAY else "monthly"


def _amount(rule: Rule, amount: int) -> str:
    if rule.dimension is Dimension.SPEND:
        return f"${amount / NANOS:.6f}".rstrip("0").rstrip(".")
    return f"{amount} {_UNITS.get(rule.dimension, rule.dimension)}"
