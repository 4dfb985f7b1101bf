"""Scopes, which every storage call takes first: whose data it reads or writes.

A scope can only be made from a checked slug or id, so a path or a database name that is derived from one cannot
escape its folder. The four kinds are separate types: what is declared for one cannot be read with another by mistake.
"""

import re
from dataclasses import dataclass

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,46}[a-z0-9])?")
_PROJECT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Main:
    """The registry of tenants, shared by the whole installation. Holds no tenant's data."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """One tenant. `slug` is 1..48 of `a-z 0-9 -`, begins and ends with a letter or digit."""

    slug: str

    def __post_init__(self) -> None:
        if not _SLUG.fullmatch(self.slug):
            raise ValueError("a tenant's slug is 1 to 48 letters a-z, digits or inner hyphens")


@dataclass(frozen=True, slots=True)
class Project:
    """One project of one tenant: the scope of nearly every record."""

    tenant: Tenant
    id: str

    def __post_init__(self) -> None:
        if not _PROJECT_ID.fullmatch(self.id):
            raise ValueError("a project's id is 1 to 64 letters, digits, '_' or '-'")


@dataclass(frozen=True, slots=True)
class AllProjects:
    """All projects of one tenant, for its administrators' reports and for removing a project's remains."""

    tenant: Tenant


MAIN = Main()


Scope = Main | Tenant | Project | AllProjects
