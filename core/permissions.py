"""Token scopes: what a token may do, as "area:level" texts. The auth service defines the areas and roles."""

from collections.abc import Collection
from functools import lru_cache

EVERYTHING = "*"
LEVELS = ("none", "read", "write", "admin")
_RANK = {level: rank for rank, level in enumerate(LEVELS)}


@lru_cache(maxsize=4096)
def allows(scopes: frozenset[str], needed: str) -> bool:
    """Return whether the token scopes include `needed`, "area:level"; a higher level includes the lower, "*"
    everything."""
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
