"""Sessions: short-lived tokens of users, bound to one project.

A user has a bounded number of them, the ended ones included until they expire: their revocations are state that all
services hold. When one more begins, the oldest ends.
"""

from dataclasses import dataclass

from core.context import Identity, Kind
from core.errors import FailedPrecondition, NotFound
from core.revocations import Revocation
from core.storage.ports import Cond, Op, Order
from core.storage.references import referring
from core.tenancy import Project, Tenant
from services.auth.domain.callers import find_project
from services.auth.domain.issuing import Issuer, new_id
from services.auth.domain.permissions import LIMITED, SEE_ALL_PROJECTS
from services.auth.domain.records import ACTIVE, ProjectRecord, SessionRecord, User
from services.auth.domain.revocation_log import RevocationLog
from services.auth.domain.tables import Tables
from services.auth.ports import Clock

MAX_SESSION_SECONDS = 30 * 86_400.0
"""Longest life of any session, whatever the setting was when it began."""


@dataclass(frozen=True, slots=True)
class Session:
    """A new session. `expires_at` in Unix seconds."""

    token: str
    expires_at: float
    project_id: str


class Sessions:
    """`seconds` is how long a session lives, `per_user` how many a user has at one time."""

    def __init__(
        self,
        tables: Tables,
        issuer: Issuer,
        revocations: RevocationLog,
        clock: Clock,
        *,
        seconds: float,
        per_user: int,
    ) -> None:
        self._sessions = tables.sessions
        self._projects = tables.projects
        self._issuer = issuer
        self._revocations = revocations
        self._clock = clock
        self._seconds = seconds
        self._per_user = per_user

    async def issue(self, tenant: Tenant, user: User, project_id: str, read_at: float) -> Session:
        """Issue a session. `read_at`: when the account was read, or earlier. The session counts as issued then, so that
        a change of rights since has ended it already. Raises NotFound if the project was removed meanwhile."""
        issued_at = max(read_at, user.sessions_from)
        expires_at = float(int(issued_at + self._seconds))
        record = SessionRecord(new_id(), user.id, project_id, self._clock(), expires_at, issued_at)
        await referring(
            lambda: self._sessions.insert(tenant, record),
            check=lambda _: self._check_project(tenant, project_id),
            undo=lambda _: self._sessions.delete(tenant, record.id),
        )
        await self._end_oldest(tenant, user)
        _, token = await self._issuer.issue(
            Project(tenant, project_id),
            user.id,
            Kind.SESSION,
            {LIMITED} if user.must_change_password else user.scopes,
            token_id=record.id,
            issued_at=issued_at,
            expires_at=expires_at,
        )
        return Session(token, expires_at, project_id)

    async def _check_project(self, tenant: Tenant, project_id: str) -> None:
        """Raises NotFound where it is being removed."""
        project = await self._projects.get(tenant, project_id)
        if project is None or project.status != ACTIVE:
            raise _no_project()

    async def choose_project(self, tenant: Tenant, user: User, reference: str = "") -> ProjectRecord:
        """The project of that id or key, or else the user's first. Raises NotFound, or FailedPrecondition where the
        user has none."""
        if reference:
            found = await find_project(self._projects, tenant, reference)
            if found is None or not user.in_project(found.id):
                raise _no_project()
            return found
        theirs = {} if user.role in SEE_ALL_PROJECTS else {"id": Cond(Op.IN, list(user.project_ids))}
        projects, _ = await self._projects.page(
            tenant, {"status": ACTIVE, **theirs}, order=Order(descending=False), page_size=1
        )
        if not projects:
            raise FailedPrecondition("You are not a member of any project. Ask an administrator of your tenant.")
        return projects[0]

    async def end(self, identity: Identity) -> None:
        """Refuse this one session from now on."""
        await self._revocations.revoke(
            Revocation(
                identity.tenant.slug,
                identity.token_id,
                identity.subject,
                issued_at=identity.issued_at,
                expires_at=identity.expires_at or 0.0,
            )
        )
        await self._sessions.update(identity.tenant, identity.token_id, ended=True)

    async def end_in_project(self, tenant: Tenant, project_id: str) -> None:
        """Refuse all sessions in a project from now on."""
        records = [record async for record in self._sessions.scan(tenant, {"projectId": project_id})]
        living = [record for record in records if not record.ended]
        await self._revocations.revoke(*(_revocation(tenant, record) for record in living))
        for record in living:
            await self._sessions.update(tenant, record.id, ended=True)

    async def end_before(self, tenant: Tenant, user_id: str, issued_before: float) -> None:
        """Refuse all sessions of a user that were issued before a time."""
        await self._revocations.revoke(
            Revocation(
                tenant.slug,
                subject=user_id,
                issued_before=issued_before,
                expires_at=issued_before + MAX_SESSION_SECONDS,
            )
        )
        await self._sessions.delete_where(tenant, {"userId": user_id, "issuedAt": Cond(Op.LT, issued_before)})

    async def _end_oldest(self, tenant: Tenant, user: User) -> None:
        newest, _ = await self._sessions.page(
            tenant, {"userId": user.id}, order=Order("issuedAt"), page_size=self._per_user + 1
        )
        if len(newest) > self._per_user:
            await self.end_before(tenant, user.id, newest[self._per_user - 1].issued_at)


def _revocation(tenant: Tenant, session: SessionRecord) -> Revocation:
    # A record of an earlier version does not say when its session was issued, which is not long before it was made.
    issued_at = session.issued_at or session.created_at
    return Revocation(tenant.slug, session.id, session.user_id, issued_at=issued_at, expires_at=session.expires_at)


def _no_project() -> NotFound:
    return NotFound("There is no such project, or it is not one of yours.", field="projectId")
