"""Tokens for tests that have no auth service: signed with a key of their own, or wrong on purpose."""

import time
import uuid
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from core.revocations import Revocations
from core.token_verifier import ALGORITHM, ISSUER, PREFIX, KeyRing, TokenVerifier


class Signer:
    """One signing key, as auth holds them."""

    def __init__(self, key_id: str = "test-key") -> None:
        self.key_id = key_id
        self.private = ec.generate_private_key(ec.SECP256R1())

    def token(self, *, kid: str | None = None, **claims: Any) -> str:
        """A token that is good in every respect but what `claims` change; a claim of None is left out."""
        whole: dict[str, Any] = {
            "iss": ISSUER,
            "tenant": "acme",
            "project": "p1",
            "sub": "u1",
            "kind": "api",
            "scopes": ["*"],
            "jti": str(uuid.uuid4()),
            "iat": time.time(),
            "exp": time.time() + 600,
            **claims,
        }
        kept = {name: value for name, value in whole.items() if value is not None}
        return PREFIX + jwt.encode(kept, self.private, ALGORITHM, headers={"kid": kid or self.key_id})

    def verifier(self, revocations: Revocations | None = None) -> TokenVerifier:
        keys, known = KeyRing(), revocations or Revocations()
        keys.replace({self.key_id: self.private.public_key()})
        if not known.known:
            known.replace([])
        return TokenVerifier(keys, known)
