"""Names of keys: every one begins with the tenant, and no two things share one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.redis.keys import RedisKeys
from core.tenancy import MAIN, AllProjects, Project, Scope, Tenant

KEYS = RedisKeys("portico")
ACME, GLOBEX = Tenant("acme"), Tenant("globex")
SCOPES: list[Scope] = [MAIN, ACME, AllProjects(ACME), Project(ACME, "red"), Project(ACME, "p"), GLOBEX]


def test_every_key_begins_with_the_prefix_and_the_tenant() -> None:
    assert KEYS.of(Project(ACME, "red"), "cache", "models") == b"portico:{t:acme}:p:red:cache:models"
    assert KEYS.of(ACME, "rate", "chat") == b"portico:{t:acme}:rate:chat"
    assert KEYS.of(MAIN, "lock", "sweep") == b"portico:{main}:lock:sweep"


@given(st.lists(st.tuples(st.sampled_from(SCOPES), st.sampled_from(["cache", "rate"]), st.text()), unique=True))
def test_no_two_share_a_key(named: list[tuple[Scope, str, str]]) -> None:
    keys = [KEYS.of(*each) for each in named]
    assert len(set(keys)) == len(keys)
    assert all(len(key) < 400 for key in keys)


@pytest.mark.parametrize("name", ["", "a:b {c} *", "\0\r\n", "\ud800", "ключ", "x" * 1_000_000, "#" + "0" * 32])
def test_names_of_any_kind(name: str) -> None:
    keys = {KEYS.of(ACME, "cache", name), KEYS.of(ACME, "cache", name + "x"), KEYS.of(GLOBEX, "cache", name)}
    assert len(keys) == 3
    assert all(len(key) < 300 for key in keys)


def test_a_long_name_cannot_be_met_by_the_name_of_its_digest() -> None:
    long = KEYS.of(ACME, "cache", "x" * 1000).removeprefix(b"portico:{t:acme}:cache:").decode()
    assert KEYS.of(ACME, "cache", long) != KEYS.of(ACME, "cache", "x" * 1000)


@pytest.mark.parametrize("use", ["p", "*", "", "Cache", "a:b", "a{b"])
def test_a_use_is_a_word(use: str) -> None:
    with pytest.raises(ValueError, match="use"):
        KEYS.of(ACME, use, "x")
