import dataclasses

import pytest

from core.cache.ports import key_of
from core.tenancy import MAIN, AllProjects, Project, Scope, Tenant


@pytest.mark.parametrize("slug", ["a", "0", "acme", "acme-2", "a--b", "a" * 48])
def test_slugs(slug: str) -> None:
    assert Tenant(slug).slug == slug


@pytest.mark.parametrize(
    "slug",
    ["", "-", "-a", "a-", "A", "a_b", "a.b", "a/b", "..", "../a", "a\\b", "a b", "a\n", "a\0", "ä", "a" * 49, "\u0430"],
)
def test_a_slug_cannot_leave_its_folder_or_be_another(slug: str) -> None:
    with pytest.raises(ValueError):
        Tenant(slug)


@pytest.mark.parametrize("id", ["a", "A_b-9", "x" * 64])
def test_project_ids(id: str) -> None:
    assert Project(Tenant("acme"), id).id == id


@pytest.mark.parametrize("id", ["", "a b", "a/b", "a:b", "*", "a\n", "ä", "x" * 65])
def test_a_project_id_is_plain(id: str) -> None:
    with pytest.raises(ValueError):
        Project(Tenant("acme"), id)


def test_scopes_are_values_and_never_equal_across_kinds() -> None:
    acme = Tenant("acme")
    scopes: list[Scope] = [MAIN, acme, Project(acme, "acme"), AllProjects(acme), Tenant("main")]
    assert len(set(scopes)) == len(scopes)
    assert len({key_of(scope, "k") for scope in scopes}) == len(scopes)
    assert Tenant("acme") == acme
    with pytest.raises(dataclasses.FrozenInstanceError):
        acme.slug = "other"  # type: ignore[misc]
