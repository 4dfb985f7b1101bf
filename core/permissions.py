"""Scopes: what a token may do, as "area:level" texts. What areas and roles there are is the auth service's to say."""

from collections.abc import Collection
from functools import lru_cache

EVERYTHING = "*"
LEVELS = ("none", "read", "write", "admin")
_RANK = {level: rank for rank, level in enumerate(LEVELS)}


@lru_cache(maxsize=4096)
def allows(scopes: frozenset[str], needed: str) -> bool:
    """Whether the scopes hold `needed`, "area:level"; a higher level includes the lower, "*" everything."""
    if EVERYTHING in scopes:
        return True
    area, _, level = needed.partition(":")
    return any(f"{area}:{higher}" in scopes for higher in LEVELS[_RANK[level] :])


def levels_of(scopes: Collection[str], areas: Collection[str]) -> dict[str, str]:
    """The level that the scopes give in each of the areas."""
    held = frozenset(scopes)
    return {
        area: next((level for level in reversed(LEVELS[1:]) if allows(held, f"{area}:{level}")), "none")
        for area in areas
    }
