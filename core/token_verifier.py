"""Verification of Portico's bearer tokens, without a call to another service.

A token is `ptc_` and an ES256 JWT. Its key comes from auth's JWKS, and revoked ids from auth's stream; both are held in
memory (`KeyRing`, `Revocations`), filled by auth itself in its own process and by `core.rpc.trust_feed` in every other.
"""

import time
from collections.abc import Mapping

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from jwt.types import Options

from core.bounded import BoundedDict
from core.context import Identity, Kind
from core.errors import PermissionDenied, Unauthenticated, Unavailable
from core.revocations import Revocations
from core.tenancy import Project, Tenant

PREFIX = "ptc_"
ISSUER = "portico"
ALGORITHM = "ES256"
NO_FEATURES = "-"
"""Claim of a plan without any feature: the edge takes an empty one for absent."""
FEATURES = "features"
"""Claim with the features of the tenant's plan, separated by spaces; absent where it has all of them."""
TENANT_SUSPENDED = "TENANT_SUSPENDED"
_CHECKS: Options = {
    "require": ["iss", "tenant", "project", "sub", "kind", "scopes", "jti", "iat"],
    "verify_iat": False,  # auth's clock may be ahead of ours, and a signed token from the future harms nobody
}
_MAX_TOKEN = 4096


class KeyRing:
    """Public keys by key id. Replaced as a whole, so a reader never sees half of a change.

    `withdrawals` grows whenever a key disappears, so that a cache of what the keys verified can notice.
    """

    def __init__(self) -> None:
        self._keys: Mapping[str, EllipticCurvePublicKey] = {}
        self.withdrawals = 0

    def replace(self, keys: Mapping[str, EllipticCurvePublicKey]) -> None:
        if any(keys.get(key_id) != key for key_id, key in self._keys.items()):
            self.withdrawals += 1
        self._keys = dict(keys)

    def get(self, key_id: str) -> EllipticCurvePublicKey | None:
        return self._keys.get(key_id)

    def __bool__(self) -> bool:
        return bool(self._keys)


class TokenVerifier:
    """Verifies bearer tokens; a token that was verified once costs a look-up until it expires or leaves the cache."""

    def __init__(self, keys: KeyRing, revocations: Revocations, *, capacity: int = 10_000) -> None:
        self._keys = keys
        self._revocations = revocations
        self._verified: BoundedDict[str, Identity] = BoundedDict(capacity)
        self._withdrawals = keys.withdrawals

    def verify(self, bearer: str) -> Identity:
        """The identity of `bearer`. Raises Unauthenticated, PermissionDenied while its tenant is suspended, or
        Unavailable while no key has been learned yet."""
        if self._withdrawals != self._keys.withdrawals:  # what a withdrawn key verified is worth nothing any more
            self._withdrawals = self._keys.withdrawals
            self._verified.clear()
        identity = self._verified.get(bearer)
        if identity is None:
            identity = self._decode(bearer)
            self._verified[bearer] = identity
        if identity.expires_at is not None and identity.expires_at <= time.time():
            self._verified.pop(bearer, None)
            raise Unauthenticated(
                "The token has expired. Sign in again, or create a new token.", reason="TOKEN_EXPIRED"
            )
        if self._revocations.is_revoked(identity):
            if self._revocations.is_suspended(identity.project.tenant.slug):
                raise PermissionDenied(
                    "This tenant is suspended. Ask the operator of this installation.", reason=TENANT_SUSPENDED
                )
            raise Unauthenticated("The token has been revoked.", reason="TOKEN_REVOKED")
        return identity

    def _decode(self, bearer: str) -> Identity:
        if not self._keys or not self._revocations.known:
            raise Unavailable("Portico is starting. Try again in a moment.", retry_after=1.0)
        if not bearer.startswith(PREFIX) or len(bearer) > _MAX_TOKEN:
            raise _invalid()
        token = bearer[len(PREFIX) :]
        try:
            key = self._keys.get(str(jwt.get_unverified_header(token).get("kid")))
            if key is None:
                raise _invalid()
            claims = jwt.decode(token, key, algorithms=[ALGORITHM], issuer=ISSUER, options=_CHECKS)
            return Identity(
                project=Project(Tenant(claims["tenant"]), claims["project"]),
                subject=str(claims["sub"]),
                kind=Kind(claims["kind"]),
                scopes=frozenset(map(str, claims["scopes"])),
                token_id=str(claims["jti"]),
                issued_at=float(claims["iat"]),
                expires_at=float(claims["exp"]) if "exp" in claims else None,
                features=frozenset(str(claims[FEATURES]).split()) if FEATURES in claims else None,
            )
        except jwt.ExpiredSignatureError:
            raise _expired() from None
        except (jwt.InvalidTokenError, ValueError, TypeError):
            raise _invalid() from None


def _invalid() -> Unauthenticated:
    return Unauthenticated("The token is not valid here. Send one of ours as 'Authorization: Bearer ptc_...'.")


def _expired() -> Unauthenticated:
    return Unauthenticated("The token has expired. Sign in again, or create a new token.", reason="TOKEN_EXPIRED")
