"""Issuer of tokens: `ptc_` and a JWT signed with the current key."""

import secrets
from collections.abc import Iterable

import jwt

from core.context import Kind
from core.quotas.source import PolicySource
from core.tenancy import Project
from core.token_verifier import ALGORITHM, FEATURES, ISSUER, NO_FEATURES, PREFIX
from services.auth.domain.keys import Keys


def new_id() -> str:
    """A new id for a record or token: 128 random bits."""
    return secrets.token_hex(16)


class Issuer:
    def __init__(self, keys: Keys, source: PolicySource) -> None:
        self._keys = keys
        self._source = source

    async def issue(
        self,
        project: Project,
        subject: str,
        kind: Kind,
        scopes: Iterable[str],
        *,
        token_id: str,
        issued_at: float,
        expires_at: float | None,
    ) -> tuple[str, str]:
        """Issue a token: the id of the key that signs it, and the token's text. `issued_at` keeps its fraction:
        sessions are ended by comparing with it. The token of a caller tells the features of the tenant's plan where
        it lacks some."""
        plan = None if kind is Kind.SERVICE else (await self._source.of(project.tenant)).plan
        signer = self._keys.signer
        claims: dict[str, object] = {
            "iss": ISSUER,
            "tenant": project.tenant.slug,
            "project": project.id,
            "sub": subject,
            "kind": kind.value,
            "scopes": sorted(scopes),
            "jti": token_id,
            "iat": issued_at,
        }
        if expires_at is not None:
            claims["exp"] = int(expires_at)
        if plan is not None and plan.features is not None:
            claims[FEATURES] = " ".join(sorted(plan.features)) or NO_FEATURES
        token = jwt.encode(claims, signer.private, algorithm=ALGORITHM, headers={"kid": signer.key_id})
        return signer.key_id, PREFIX + token
