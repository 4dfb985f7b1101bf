import pytest

from core.permissions import allows, levels_of


@pytest.mark.parametrize(
    ("scopes", "needed", "allowed"),
    [
        ({"*"}, "users:admin", True),
        ({"models:read"}, "models:read", True),
        ({"models:write"}, "models:read", True),
        ({"models:admin"}, "models:write", True),
        ({"models:read"}, "models:write", False),
        ({"models:write"}, "users:read", False),
        (set(), "models:read", False),
        ({"models:none"}, "models:read", False),
        ({"models"}, "models:read", False),
        ({"model:read"}, "models:read", False),
    ],
)
def test_levels(scopes: set[str], needed: str, allowed: bool) -> None:
    assert allows(frozenset(scopes), needed) is allowed


def test_levels_of_names_every_area() -> None:
    assert levels_of(["models:write", "users:read"], ["models", "users", "audit"]) == {
        "models": "write",
        "users": "read",
        "audit": "none",
    }
    assert levels_of(["*"], ["models"]) == {"models": "admin"}
