"""Enforcement of changed rights: sessions end, and API tokens and invitations beyond the new rights are revoked."""

from core.revocations import Revocation
from core.storage.ports import Cond, Op
from core.tenancy import Tenant
from services.auth.domain.permissions import covers, scopes_of
from services.auth.domain.records import ACTIVE, ApiToken, User
from services.auth.domain.revocation_log import RevocationLog
from services.auth.domain.sessions import Sessions
from services.auth.domain.tables import Tables
from services.auth.ports import Clock

_TICK = 1e-6
"""Seconds; what a float still tells apart at present times, several times over."""


_DELETED_AT_A_TIME = 500


class Members:
    def __init__(self, tables: Tables, revocations: RevocationLog, sessions: Sessions, clock: Clock) -> None:
        self._tables = tables
        self._revocations = revocations
        self._sessions = sessions
        self._clock = clock

    def cutoff(self, user: User) -> float:
        """A new `sessions_from`: later than any session of the user so far, not later than the next."""
        return max(self._clock(), user.sessions_from) + _TICK

    async def end_sessions(self, tenant: Tenant, user: User) -> None:
        """Refuse every session that was issued before the user's `sessions_from`."""
        await self._sessions.end_before(tenant, user.id, user.sessions_from)

    async def enforce(self, tenant: Tenant, user: User) -> None:
        """End sessions and revoke tokens that exceed the user's rights as they are now. The account itself is already
        changed."""
        await self.end_sessions(tenant, user)
        theirs = {"userId": user.id}
        excess = [token async for token in self._tables.tokens.scan(tenant, theirs) if not _may_hold(user, token)]
        await self.take_back(tenant, excess)
        async for invitation in self._tables.invitations.scan(tenant, {"invitedBy": user.id}):
            granted = scopes_of(invitation.role, invitation.overrides)
            projects = all(map(user.in_project, invitation.project_ids))
            if user.status != ACTIVE or not projects or not covers(user.scopes, granted):
                await self._tables.invitations.delete(tenant, invitation.id)

    async def take_back(self, tenant: Tenant, tokens: list[ApiToken]) -> int:
        """Revoke API tokens and all that was made with them, then remove them. Returns how many tokens.

        Each generation is revoked before the next is looked for, and whoever makes a token looks for the revocation of
        its parent afterwards, so that none is missed. Parents are forgotten last: a repetition finds what is left.
        """
        family: list[ApiToken] = []
        generation = tokens
        while generation:
            family += generation
            await self._revocations.revoke(*(_revocation(tenant, token) for token in generation))
            ids = Cond(Op.IN, [token.id for token in generation])
            await self._tables.invitations.delete_where(tenant, {"tokenId": ids})
            generation = [token async for token in self._tables.tokens.scan(tenant, {"parentId": ids})]
        doomed = [token.id for token in reversed(family)]
        for start in range(0, len(doomed), _DELETED_AT_A_TIME):
            batch = doomed[start : start + _DELETED_AT_A_TIME]
            await self._tables.tokens.delete_where(tenant, {"id": Cond(Op.IN, batch)})
        return len(doomed)


def _revocation(tenant: Tenant, token: ApiToken) -> Revocation:
    return Revocation(tenant.slug, token.id, api=True, issued_at=token.created_at, expires_at=token.expires_at or 0.0)


def _may_hold(user: User, token: ApiToken) -> bool:
    return user.status == ACTIVE and user.in_project(token.project_id) and covers(user.scopes, token.scopes)
