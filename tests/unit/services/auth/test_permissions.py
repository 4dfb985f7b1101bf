"""Areas, levels, roles and scopes."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.permissions import LEVELS, allows
from services.auth.domain import permissions
from services.auth.domain.permissions import AREAS, RANK, ROLE_LEVELS, covers, scopes_from_levels, scopes_of

levels_of_all = st.fixed_dictionaries({area: st.sampled_from(LEVELS) for area in AREAS})
overrides = st.dictionaries(st.sampled_from(AREAS), st.sampled_from(LEVELS))


def test_every_role_says_something_of_every_area() -> None:
    assert set(RANK) == set(ROLE_LEVELS)
    for role in RANK:
        assert set(ROLE_LEVELS[role]) == set(AREAS)
        assert set(ROLE_LEVELS[role].values()) <= set(LEVELS)


def test_a_higher_rank_holds_whatever_a_lower_one_holds() -> None:
    ordered = sorted(RANK, key=lambda role: RANK[role])
    for lower, higher in pairwise(ordered):
        assert covers(scopes_of(higher, {}), scopes_of(lower, {}))


def test_only_owners_and_admins_hold_everything() -> None:
    assert [role for role in RANK if scopes_of(role, {}) == {"*"}] == ["admin", "owner"]


@settings(deadline=None)
@given(levels_of_all)
def test_levels_and_scopes_say_the_same(levels: dict[str, str]) -> None:
    assert permissions.levels_from_scopes(scopes_from_levels(levels)) == levels


@settings(deadline=None)
@given(st.sampled_from(sorted(RANK)), overrides)
def test_an_override_replaces_the_roles_level(role: str, overridden: dict[str, str]) -> None:
    scopes = scopes_of(role, overridden)
    for area, level in {**ROLE_LEVELS[role], **overridden}.items():
        held = LEVELS.index(level)
        assert [allows(scopes, f"{area}:{each}") for each in LEVELS[1:]] == [
            LEVELS.index(each) <= held for each in LEVELS[1:]
        ]


@settings(deadline=None)
@given(levels_of_all, levels_of_all)
def test_covering_means_no_area_is_higher(held: dict[str, str], wanted: dict[str, str]) -> None:
    rank = LEVELS.index
    expected = all(rank(held[area]) >= rank(wanted[area]) for area in AREAS)
    assert covers(scopes_from_levels(held), scopes_from_levels(wanted)) is expected


def test_everything_is_covered_by_everything_alone() -> None:
    each = frozenset(f"{area}:admin" for area in AREAS)
    assert not covers(each, ["*"])
    assert covers(frozenset({"*"}), ["*", *each])


def test_asked_scopes_come_in_their_shortest_form() -> None:
    assert permissions.checked_scopes(["models:read", "models:admin", "rag:write"]) == {"models:admin", "rag:write"}
    assert permissions.checked_scopes([f"{area}:admin" for area in AREAS]) == {"*"}
    assert permissions.checked_scopes(["rag:read", "*"]) == {"*"}


@pytest.mark.parametrize("scope", ["", ":", "rag", "rag:", "rag:none", "RAG:read", "rag:read:more", "x:read", "**"])
def test_what_is_no_scope(scope: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        permissions.checked_scopes([scope])
    assert caught.value.field == "scopes"


@pytest.mark.parametrize("levels", [{"rag": ""}, {"rag": "owner"}, {"": "read"}, {"agents": "read"}])
def test_what_is_no_level(levels: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as caught:
        permissions.checked_levels(levels)
    assert caught.value.field == "servicePermissions"


def test_the_limited_scope_opens_no_area() -> None:
    limited = frozenset({permissions.LIMITED})
    assert not any(allows(limited, f"{area}:read") for area in AREAS)
