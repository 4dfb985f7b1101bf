"""Callers: a token's identity together with the account behind it.

A caller's reach is that of the token, not of the account behind it. A session reaches what its account does. An API
token is bound to its project and reaches that one alone, whoever made it: nothing that it hands out reaches further.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf

from core import context
from core.context import Identity, Kind
from core.errors import NotFound, PermissionDenied, Unauthenticated
from core.storage.table import Table
from core.tenancy import MAIN, Tenant
from services.auth.domain.permissions import LIMITED, RANK, SEE_ALL_PROJECTS, covers
from services.auth.domain.records import ACTIVE, ProjectRecord, User
from services.auth.domain.revocation_log import record_id
from services.auth.domain.tables import Tables
from services.auth.domain.tenants import Tenants


@dataclass(frozen=True, slots=True)
class Caller:
    """`user` is None for Portico's own services, which hold no account."""

    identity: Identity
    user: User | None

    @property
    def tenant(self) -> Tenant:
        return self.identity.tenant

    @property
    def person(self) -> User:
        """The account behind the token. Raises PermissionDenied for services."""
        if self.user is None:
            raise PermissionDenied("This call is for people and their API tokens.")
        return self.user

    @property
    def sees_all(self) -> bool:
        """True if the caller sees every project of the tenant: sessions of owners and admins."""
        return self.identity.kind is Kind.SESSION and self.user is not None and self.user.role in SEE_ALL_PROJECTS

    @property
    def project_ids(self) -> tuple[str, ...]:
        """The projects of a caller that does not see all."""
        if self.user is not None and self.identity.kind is Kind.SESSION:
            return self.user.project_ids
        return (self.identity.project.id,)

    @property
    def api_token_id(self) -> str:
        """The API token that calls, which what it makes is a child of; empty for a session."""
        return self.identity.token_id if self.identity.kind is Kind.API else ""

    @property
    def lives_until(self) -> float:
        """Latest expiry, in Unix seconds, of tokens that the caller makes: that of the API token itself. What a
        person makes who has signed in is the account's and may outlive the session."""
        ends = self.identity.expires_at if self.identity.kind is Kind.API else None
        return inf if ends is None else ends

    def may_see(self, project_id: str) -> bool:
        return self.sees_all or project_id in self.project_ids

    def may_see_member(self, role: str, project_ids: Iterable[str]) -> bool:
        """Return whether a member with this role and these projects shares a project with the caller."""
        return self.sees_all or role in SEE_ALL_PROJECTS or any(map(self.may_see, project_ids))

    def holds(self, scopes: frozenset[str]) -> bool:
        """Return whether both the token and the account behind it hold all of these."""
        return covers(self.identity.scopes, scopes) and covers(self.person.scopes, scopes)

    def outranks(self, role: str) -> bool:
        return RANK[self.person.role] >= RANK[role]


class Callers:
    def __init__(self, tables: Tables, tenants: Tenants) -> None:
        self._users = tables.users
        self._projects = tables.projects
        self._tokens = tables.tokens
        self._revocations = tables.revocations
        self._tenants = tenants

    async def current(self) -> Caller:
        """The caller of the present request. Raises Unauthenticated when the account is gone or disabled."""
        identity = context.identity()
        if LIMITED in identity.scopes:
            raise PermissionDenied(
                "Choose a password first: POST /v1/auth/change-password.", reason="PASSWORD_CHANGE_REQUIRED"
            )
        return await self.load(identity)

    async def load(self, identity: Identity) -> Caller:
        if await self._tenants.get(identity.tenant.slug) is None:
            raise _gone()
        if identity.kind is Kind.SERVICE:
            return Caller(identity, None)
        user = await self._users.get(identity.tenant, identity.subject)
        if user is None or user.status != ACTIVE:
            raise _gone()
        return Caller(identity, user)

    async def still_holds(self, caller: Caller) -> bool:
        """Return whether account and token are as they were when the call began, none of them revoked. To ask
        after handing out rights, so that a change of rights at the same time either sees what was handed out or is seen
        here."""
        user = await self._users.get(caller.tenant, caller.person.id)
        unchanged = user is not None and user.status == ACTIVE and user.revision == caller.person.revision
        return unchanged and (caller.identity.kind is not Kind.API or await self._lives(caller.identity))

    async def _lives(self, token: Identity) -> bool:
        """Return whether an API token exists and is not being revoked."""
        if await self._tokens.get(token.tenant, token.token_id) is None:
            return False
        return await self._revocations.get(MAIN, record_id(token.tenant.slug, token.token_id)) is None

    async def project(self, caller: Caller, reference: str, *, field: str | None = None) -> ProjectRecord:
        """One of the caller's projects, by id or key. Raises NotFound alike for what is not there and not theirs."""
        found = await find_project(self._projects, caller.tenant, reference)
        if found is None or not caller.may_see(found.id):
            raise NotFound("There is no such project.", field=field)
        return found


async def find_project(projects: Table[ProjectRecord], tenant: Tenant, reference: str) -> ProjectRecord | None:
    """Find a project by id, else by key. An id goes first: a project cannot hide another by taking its id for a key."""
    return await projects.get(tenant, reference) or await projects.find_one(tenant, {"key": reference})


def _gone() -> Unauthenticated:
    return Unauthenticated("This account is no longer active.", reason="ACCOUNT_INACTIVE")
