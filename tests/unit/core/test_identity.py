import time
from typing import Any

import jwt
import pytest

from core.context import Kind
from core.errors import Unauthenticated, Unavailable
from core.revocations import Revocation, Revocations
from core.token_verifier import PREFIX, KeyRing, TokenVerifier
from tests.support.tokens import Signer


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer()


def test_a_good_token_says_who_calls(signer: Signer) -> None:
    identity = signer.verifier().verify(signer.token(scopes=["inference:write"], jti="t1"))
    assert (identity.tenant.slug, identity.project.id, identity.subject) == ("acme", "p1", "u1")
    assert identity.kind is Kind.API
    assert identity.scopes == {"inference:write"}
    assert identity.token_id == "t1"


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "somebody"},
        {"tenant": None},
        {"tenant": "../evil"},
        {"tenant": ""},
        {"tenant": 7},
        {"project": "a/b"},
        {"kind": "root"},
        {"scopes": None},
        {"scopes": 5},
        {"jti": None},
        {"iat": "yesterday"},
        {"exp": time.time() - 1},
    ],
)
def test_a_wrong_claim_is_refused(signer: Signer, claims: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated):
        signer.verifier().verify(signer.token(**claims))


def test_a_clock_of_auth_that_is_ahead_refuses_nobody(signer: Signer) -> None:
    """PyJWT refuses an `iat` in the future, which made fresh sessions 401 on machines whose clock was behind."""
    signer.verifier().verify(signer.token(iat=time.time() + 30))


def test_a_foreign_key_is_refused_even_under_a_known_id(signer: Signer) -> None:
    with pytest.raises(Unauthenticated):
        signer.verifier().verify(Signer(signer.key_id).token())


def test_an_unknown_key_id_is_refused(signer: Signer) -> None:
    with pytest.raises(Unauthenticated):
        signer.verifier().verify(signer.token(kid="another"))


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_another_algorithm_is_refused(signer: Signer, algorithm: str) -> None:
    claims = jwt.decode(signer.token()[len(PREFIX) :], options={"verify_signature": False})
    key = "" if algorithm == "none" else "k" * 32
    forged = jwt.encode(claims, key, algorithm, headers={"kid": signer.key_id})
    with pytest.raises(Unauthenticated):
        signer.verifier().verify(PREFIX + forged)


@pytest.mark.parametrize("bearer", ["", "ptc_", "ptc_a.b.c", "ptc_" + "x" * 100_000, "é", "Bearer ptc_x"])
def test_garbage_is_refused(signer: Signer, bearer: str) -> None:
    with pytest.raises(Unauthenticated):
        signer.verifier().verify(bearer)


def test_a_token_without_the_prefix_is_refused(signer: Signer) -> None:
    with pytest.raises(Unauthenticated):
        signer.verifier().verify(signer.token()[len(PREFIX) :])


def test_a_cached_token_still_expires(signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    verifier, token = signer.verifier(), signer.token(exp=time.time() + 60)
    verifier.verify(token)
    now = time.time()
    monkeypatch.setattr("core.token_verifier.time.time", lambda: now + 61)
    with pytest.raises(Unauthenticated, match="expired"):
        verifier.verify(token)


def test_a_cached_token_is_refused_once_revoked(signer: Signer) -> None:
    revocations = Revocations()
    verifier, token = signer.verifier(revocations), signer.token(jti="t1")
    verifier.verify(token)
    revocations.add([Revocation("acme", token_id="t1")])
    with pytest.raises(Unauthenticated, match="revoked"):
        verifier.verify(token)


def test_another_tenants_revocation_concerns_nobody_else(signer: Signer) -> None:
    revocations = Revocations()
    verifier = signer.verifier(revocations)
    revocations.add([Revocation("globex", token_id="t1"), Revocation("globex", subject="u1", issued_before=2e9)])
    verifier.verify(signer.token(jti="t1"))
    verifier.verify(signer.token(kind="session"))


def test_a_subjects_sessions_end_but_not_later_ones_nor_its_api_tokens(signer: Signer) -> None:
    revocations = Revocations()
    verifier, now = signer.verifier(revocations), time.time()
    revocations.add([Revocation("acme", subject="u1", issued_before=now)])
    with pytest.raises(Unauthenticated):
        verifier.verify(signer.token(kind="session", iat=now - 1))
    verifier.verify(signer.token(kind="session", iat=now))
    verifier.verify(signer.token(kind="api", iat=now - 1))


def test_an_older_revocation_does_not_shorten_a_newer_one() -> None:
    revocations = Revocations()
    revocations.replace([])
    revocations.add([Revocation("acme", subject="u1", issued_before=200.0)])
    revocations.add([Revocation("acme", subject="u1", issued_before=100.0)])
    assert [each.issued_before for each in revocations.of("acme")] == [200.0]


def test_pruning_forgets_only_what_has_expired(signer: Signer) -> None:
    revocations = Revocations()
    verifier = signer.verifier(revocations)
    revocations.add([Revocation("acme", token_id="old", expires_at=10.0), Revocation("acme", token_id="forever")])
    revocations.prune(now=20.0)
    verifier.verify(signer.token(jti="old"))
    with pytest.raises(Unauthenticated):
        verifier.verify(signer.token(jti="forever"))


def test_before_anything_is_known_nobody_is_trusted_and_nobody_is_blamed(signer: Signer) -> None:
    keys, revocations = KeyRing(), Revocations()
    verifier = TokenVerifier(keys, revocations)
    with pytest.raises(Unavailable):
        verifier.verify(signer.token())
    keys.replace({signer.key_id: signer.private.public_key()})
    with pytest.raises(Unavailable):  # keys alone are not enough: the token may be revoked
        verifier.verify(signer.token())


def test_the_cache_is_bounded(signer: Signer) -> None:
    keys, revocations = KeyRing(), Revocations()
    keys.replace({signer.key_id: signer.private.public_key()})
    revocations.replace([])
    verifier = TokenVerifier(keys, revocations, capacity=3)
    for _ in range(10):
        verifier.verify(signer.token())
    assert len(verifier._verified) == 3


def test_what_a_withdrawn_key_has_verified_is_forgotten(signer: Signer) -> None:
    """A token that had been verified once was taken from the cache, whatever became of its key."""
    other, keys, revocations = Signer("other"), KeyRing(), Revocations()
    both = {each.key_id: each.private.public_key() for each in (signer, other)}
    keys.replace(both)
    revocations.replace([])
    verifier, token, others = TokenVerifier(keys, revocations), signer.token(), other.token()
    verifier.verify(token)
    keys.replace(dict(both))
    assert token in verifier._verified  # the same keys once more, as every few seconds
    keys.replace({**both, "new": Signer("new").private.public_key()})
    assert token in verifier._verified
    keys.replace({other.key_id: both[other.key_id]})
    with pytest.raises(Unauthenticated):
        verifier.verify(token)
    verifier.verify(others)


def test_a_key_that_is_replaced_under_its_own_id_verifies_nothing_any_more(signer: Signer) -> None:
    keys, revocations = KeyRing(), Revocations()
    keys.replace({signer.key_id: signer.private.public_key()})
    revocations.replace([])
    verifier, token = TokenVerifier(keys, revocations), signer.token()
    verifier.verify(token)
    keys.replace({signer.key_id: Signer().private.public_key()})
    with pytest.raises(Unauthenticated):
        verifier.verify(token)
