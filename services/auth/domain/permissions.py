"""Areas, levels and roles: who may do what, as tables.

A role gives a level per area, a user's overrides replace single ones, and the outcome becomes the scopes of the user's
sessions. An API token holds at most the scopes of whoever made it.
"""

from collections.abc import Collection, Iterable, Mapping

from core.errors import InvalidInput
from core.permissions import EVERYTHING, LEVELS, allows, levels_of

AREAS = (
    "inference",
    "models",
    "usage",
    "users",
    "projects",
    "tokens",
    "audit",
    "vectors",
    "files",
    "rag",
    "memory",
    "tracing",
    "guardrails",
    "prompts",
    "quotas",
    "alerts",
)

OWNER, ADMIN, PROJECT_ADMIN, USER = "owner", "admin", "project_admin", "user"
RANK: Mapping[str, int] = {USER: 1, PROJECT_ADMIN: 2, ADMIN: 3, OWNER: 4}
"""Rank of each role. Nobody changes an account of a higher rank, or gives a rank above their own."""

SEE_ALL_PROJECTS = frozenset({OWNER, ADMIN})

LIMITED = "account:limited"
"""The one scope of a session whose user has yet to choose a password: no RPC asks for it, so all that ask refuse."""

_ALL = dict.fromkeys(AREAS, "admin")
_WORK = ("inference", "vectors", "files", "rag", "memory", "tracing", "guardrails", "prompts")
_NONE = dict.fromkeys(AREAS, "none")

ROLE_LEVELS: Mapping[str, Mapping[str, str]] = {
    OWNER: _ALL,
    ADMIN: _ALL,
    PROJECT_ADMIN: {
        **_NONE,
        **dict.fromkeys(_WORK, "admin"),
        **dict.fromkeys(("models", "alerts"), "admin"),
        **dict.fromkeys(("projects", "tokens"), "write"),
        **dict.fromkeys(("usage", "users", "quotas"), "read"),
    },
    USER: {
        **_NONE,
        **dict.fromkeys(_WORK, "write"),
        "tokens": "write",
        **dict.fromkeys(("models", "usage", "projects", "quotas", "alerts"), "read"),
    },
}


def levels(role: str, overrides: Mapping[str, str]) -> dict[str, str]:
    """The effective level in every area."""
    return {**ROLE_LEVELS[role], **overrides}


def scopes_of(role: str, overrides: Mapping[str, str]) -> frozenset[str]:
    return scopes_from_levels(levels(role, overrides))


def scopes_from_levels(levels: Mapping[str, str]) -> frozenset[str]:
    """The shortest way to write these levels: "*" if they are all there is."""
    if all(levels.get(area) == "admin" for area in AREAS):
        return frozenset({EVERYTHING})
    return frozenset(f"{area}:{level}" for area, level in levels.items() if level != "none")


def levels_from_scopes(scopes: Collection[str]) -> dict[str, str]:
    return levels_of(scopes, AREAS)


def covers(held: frozenset[str], wanted: Iterable[str]) -> bool:
    """Return whether the held token scopes include all that is wanted. Only "*" covers "*"."""
    return all(each in held or (each != EVERYTHING and allows(held, each)) for each in wanted)


def checked_role(role: str, allowed: Collection[str] = tuple(RANK)) -> str:
    if role not in allowed:
        raise InvalidInput(f"A role is one of {', '.join(allowed)}.", field="role")
    return role


def checked_levels(levels: Mapping[str, str], field: str = "servicePermissions") -> dict[str, str]:
    for area, level in levels.items():
        if area not in AREAS:
            raise InvalidInput(f"There is no area of that name. Areas are {', '.join(AREAS)}.", field=field)
        if level not in LEVELS:
            raise InvalidInput(f"The level of {area} must be one of {', '.join(LEVELS)}.", field=field)
    return dict(levels)


def checked_scopes(scopes: Iterable[str], field: str = "scopes") -> frozenset[str]:
    """Scopes as somebody asked for them, brought to their shortest form; "*" stays as it is."""
    asked = frozenset(scopes)
    for scope in asked - {EVERYTHING}:
        area, _, level = scope.partition(":")
        if area not in AREAS or level not in LEVELS[1:]:
            raise InvalidInput('A scope is "*" or "area:level" with the level read, write or admin.', field=field)
    return frozenset({EVERYTHING}) if EVERYTHING in asked else scopes_from_levels(levels_from_scopes(asked))
