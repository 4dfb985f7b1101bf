"""Revocations in memory: single tokens, cut-offs, and what a cut-off leaves of the single ones."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.context import Identity, Kind
from core.revocations import Revocation, Revocations
from core.tenancy import Project, Tenant


def api(token_id: str, issued_at: float = 50.0, tenant: str = "acme") -> Identity:
    return Identity(Project(Tenant(tenant), "p1"), "u1", Kind.API, frozenset({"*"}), token_id, issued_at, None)


def session(token_id: str, issued_at: float = 50.0, user: str = "u1") -> Identity:
    return Identity(Project(Tenant("acme"), "p1"), user, Kind.SESSION, frozenset({"*"}), token_id, issued_at, None)


def revoked(token_id: str, issued_at: float = 50.0, **fields: Any) -> Revocation:
    return Revocation("acme", token_id, api=True, issued_at=issued_at, **fields)


def cut_off(before: float, *kept: str, **fields: Any) -> Revocation:
    return Revocation("acme", api=True, issued_before=before, kept=kept, **fields)


def holding(*added: Revocation) -> Revocations:
    revocations = Revocations()
    revocations.replace(added)
    return revocations


def test_a_cut_off_takes_the_place_of_what_it_covers() -> None:
    """A tenant that deletes tokens again and again would fill the memory of every service."""
    revocations = holding(*(revoked(f"t{number}", number) for number in range(1000)))
    revocations.add([cut_off(900.0)])
    assert revocations.size == 101
    assert revocations.is_revoked(api("t5", 5.0))
    assert revocations.is_revoked(api("t950", 950.0))
    assert not revocations.is_revoked(api("new", 900.0))


def test_a_cut_off_keeps_the_tokens_that_exist() -> None:
    revocations = holding(cut_off(100.0, "alive"))
    assert not revocations.is_revoked(api("alive"))
    assert revocations.is_revoked(api("deleted"))


def test_a_kept_token_can_be_revoked_later_and_earlier() -> None:
    """Whichever arrives first: a token that is deleted while the list of those to keep is made."""
    for order in ([cut_off(100.0, "t"), revoked("t")], [revoked("t"), cut_off(100.0, "t")]):
        assert holding(*order).is_revoked(api("t"))


def test_an_earlier_cut_off_changes_nothing() -> None:
    revocations = holding(cut_off(100.0, "a"))
    assert revocations.add([cut_off(90.0, "b"), cut_off(100.0, "b")]) == []
    assert not revocations.is_revoked(api("a"))
    assert revocations.is_revoked(api("b"))


def test_groups_are_apart() -> None:
    revocations = holding(cut_off(100.0), Revocation("acme", subject="u1", issued_before=60.0))
    assert revocations.is_revoked(session("s", 59.0))
    assert not revocations.is_revoked(session("s", 60.0))
    assert not revocations.is_revoked(session("s", 59.0, "u2"))
    assert revocations.is_revoked(api("t", 99.0))
    assert not revocations.is_revoked(api("t", 99.0, "globex"))


def test_the_service_tokens_of_a_project_are_a_group() -> None:
    """They could not be revoked at all: auth does not keep them."""

    def service(issued_at: float, project: str = "p1") -> Identity:
        scope = Project(Tenant("acme"), project)
        return Identity(scope, "rag", Kind.SERVICE, frozenset({"rag:read"}), "t", issued_at, None)

    revocations = holding(Revocation("acme", subject="p1", issued_before=60.0))
    assert revocations.is_revoked(service(59.0))
    assert not revocations.is_revoked(service(60.0))
    assert not revocations.is_revoked(service(59.0, "p2"))
    assert not revocations.is_revoked(session("s", 59.0))
    assert not revocations.is_revoked(api("t", 59.0))


def test_a_users_cut_off_takes_the_place_of_single_sessions() -> None:
    ended = [Revocation("acme", f"s{number}", "u1", issued_at=number) for number in range(100)]
    revocations = holding(*ended)
    revocations.add([Revocation("acme", subject="u1", issued_before=95.0)])
    assert revocations.size == 6
    assert revocations.is_revoked(session("s3", 3.0))
    assert revocations.is_revoked(session("s97", 97.0))


def test_a_token_of_which_the_time_is_not_known_outlives_cut_offs() -> None:
    revocations = holding(Revocation("acme", "t", api=True), cut_off(100.0))
    assert [each.token_id for each in revocations.of("acme") if each.token_id] == ["t"]
    assert revocations.is_revoked(api("t", 200.0))


@pytest.mark.parametrize("identity", [api("t"), session("t")])
def test_a_token_of_no_known_group_is_refused_whatever_it_is(identity: Identity) -> None:
    assert holding(Revocation("acme", "t")).is_revoked(identity)


def test_only_news_is_told() -> None:
    revocations = Revocations()
    assert revocations.add([revoked("a"), revoked("a"), Revocation("acme", "b"), Revocation("acme", "b")]) == [
        revoked("a"),
        Revocation("acme", "b"),
    ]


def test_pruning_forgets_what_has_expired_and_whole_tenants() -> None:
    revocations = holding(
        revoked("old", expires_at=10.0),
        Revocation("acme", "loose", expires_at=10.0),
        Revocation("acme", subject="u1", issued_before=60.0, expires_at=10.0),
        cut_off(20.0, "x", expires_at=10.0),
    )
    revocations.prune(20.0)
    assert (revocations.size, revocations.tenants) == (0, ())
    forever = holding(revoked("t"), cut_off(20.0, "x"))
    forever.prune(1e12)
    assert forever.size == 3


_REVOCATION = st.builds(
    Revocation,
    st.sampled_from(["acme", "globex"]),
    st.sampled_from(["", "a", "b", "c"]),
    st.sampled_from(["", "u1", "u2"]),
    st.booleans(),
    issued_at=st.sampled_from([1.0, 2.0, 3.0]),
    issued_before=st.sampled_from([0.0, 1.5, 2.5, 3.5]),
    kept=st.sampled_from([(), ("a",), ("a", "b")]),
)


@settings(deadline=None)
@given(st.lists(_REVOCATION, max_size=12))
def test_what_is_told_of_a_state_makes_the_same_state(given_: list[Revocation]) -> None:
    """A follower that begins anew knows what one knows that has followed from the start."""
    one, other = holding(*given_), Revocations()
    other.replace([each for tenant in one.tenants for each in one.of(tenant)])
    for tenant in ("acme", "globex"):
        for token_id in "abcd":
            for issued_at in (1.0, 2.0, 3.0, 4.0):
                identity = api(token_id, issued_at, tenant)
                assert one.is_revoked(identity) == other.is_revoked(identity)
    assert one.size == other.size


def suspension(suspended: bool, changed_at: float, tenant: str = "acme", **fields: Any) -> Revocation:
    return Revocation(tenant, suspended=suspended, issued_before=changed_at, **fields)


def everything(before: float) -> Revocation:
    return Revocation("acme", everything=True, issued_before=before)


def test_a_suspended_tenants_tokens_are_refused_until_it_is_resumed() -> None:
    revocations = holding(suspension(True, 10.0))
    assert revocations.is_suspended("acme")
    assert not revocations.is_suspended("globex")
    assert revocations.is_revoked(api("t", 50.0))
    assert revocations.is_revoked(session("s", 50.0))
    assert not revocations.is_revoked(api("t", tenant="globex"))
    assert revocations.add([suspension(False, 20.0)])
    assert not revocations.is_suspended("acme")
    assert not revocations.is_revoked(api("t", 50.0))


def test_an_older_suspension_does_not_undo_a_later_one() -> None:
    """Replicas read the store's newest again and again, and in any order."""
    revocations = holding(suspension(False, 20.0))
    assert revocations.add([suspension(True, 10.0), suspension(False, 20.0)]) == []
    assert not revocations.is_suspended("acme")


def test_an_erased_tenants_tokens_stay_refused_and_those_of_its_successor_are_taken() -> None:
    """A tenant that is registered under the slug of an erased one must not be open to the old one's tokens."""
    revocations = holding(everything(100.0))
    assert revocations.is_revoked(api("old", 99.0))
    assert revocations.is_revoked(session("old", 99.0))
    assert not revocations.is_revoked(api("new", 100.0))
    revocations.prune(1e12)
    assert revocations.is_revoked(api("old", 99.0))


def test_a_snapshot_tells_what_concerns_the_whole_tenant() -> None:
    told = holding(everything(100.0), suspension(True, 10.0)).of("acme")
    assert holding(*told).is_suspended("acme")
    assert holding(*[each for each in told if each.everything]).is_revoked(api("old", 99.0))


def test_it_is_forgotten_in_time_that_a_tenant_was_resumed_and_never_that_it_is_suspended() -> None:
    revocations = holding(suspension(False, 20.0, expires_at=60.0), suspension(True, 20.0, "globex"))
    revocations.prune(61.0)
    assert revocations.tenants == ("globex",)
