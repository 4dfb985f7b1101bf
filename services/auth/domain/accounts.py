"""People's own accounts: signing in and out, switching projects, changing the password."""

import asyncio
from dataclasses import dataclass

from core import context, logs
from core.audit import changes as audit
from core.context import Identity, Kind
from core.errors import (
    Conflict,
    FailedPrecondition,
    InvalidInput,
    PermissionDenied,
    PorticoError,
    Unauthenticated,
)
from core.tenancy import Tenant
from services.auth.domain import inputs
from services.auth.domain.attempts import Attempts
from services.auth.domain.callers import Caller, Callers
from services.auth.domain.companies import Companies
from services.auth.domain.members import Members
from services.auth.domain.passwords import Passwords
from services.auth.domain.records import ACTIVE, Company, User
from services.auth.domain.registration import NewCompany, Registration
from services.auth.domain.sessions import Session, Sessions
from services.auth.domain.tables import Tables
from services.auth.ports import Clock

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class SignedIn:
    company: Company
    user: User
    session: Session


@dataclass(frozen=True, slots=True)
class _Candidate:
    """An account that a sign-in may mean."""

    company: Company
    user: User | None
    fits: bool


class Accounts:
    def __init__(
        self,
        tables: Tables,
        companies: Companies,
        callers: Callers,
        members: Members,
        sessions: Sessions,
        registration: Registration,
        passwords: Passwords,
        attempts: Attempts,
        clock: Clock,
        *,
        registration_open: bool,
    ) -> None:
        self._users = tables.users
        self._companies = companies
        self._callers = callers
        self._members = members
        self._sessions = sessions
        self._registration = registration
        self._passwords = passwords
        self._attempts = attempts
        self._clock = clock
        self._registration_open = registration_open

    async def register(self, asked: NewCompany) -> SignedIn:
        """Errors are the contract's: PermissionDenied, RateLimited, InvalidInput, Conflict."""
        if not self._registration_open:
            raise PermissionDenied("Registration is closed here. Ask the operator for a company.")
        asked = asked.checked()
        await self._attempts.register()
        read_at = self._clock()
        made = await self._registration.register(asked)
        session = await self._sessions.issue(Tenant(made.company.slug), made.owner, made.project.id, read_at)
        return SignedIn(made.company, made.owner, session)

    async def login(self, email: str, password: str, slug: str = "", project: str = "") -> SignedIn:
        """One answer, after one time, for an unknown account, a disabled one and a wrong password."""
        await self._attempts.login(email)
        read_at = self._clock()
        candidates = await self._candidates(email, password, slug)
        matches = [each for each in candidates if each.fits]
        if not matches:
            _name_candidates(candidates)
            raise Unauthenticated("Wrong email or password.", reason="WRONG_CREDENTIALS")
        if len(matches) > 1:
            raise FailedPrecondition(
                "This email belongs to several companies. Say which in slug.", reason="SLUG_REQUIRED", field="slug"
            )
        company, user = matches[0].company, matches[0].user
        assert user is not None
        tenant = Tenant(company.slug)
        chosen = await self._sessions.choose_project(tenant, user, project)
        session = await self._sessions.issue(tenant, user, chosen.id, read_at)
        user = await self._remember_login(tenant, user, password)
        audit.change().about(tenant, user.id, user.id)
        return SignedIn(company, user, session)

    async def logout(self) -> None:
        caller = await self._own_session()
        audit.change().resource_id = caller.person.id
        await self._sessions.end(caller.identity)

    async def switch_project(self, reference: str) -> Session:
        read_at = self._clock()
        caller = await self._callers.current()
        _require_session(caller.identity)
        audit.change().resource_id = caller.person.id
        if not reference:
            raise InvalidInput("Say which project to work in.", field="projectId")
        project = await self._callers.project(caller, reference, field="projectId")
        session = await self._sessions.issue(caller.tenant, caller.person, project.id, read_at)
        await self._sessions.end(caller.identity)
        return session

    async def change_password(self, current: str, new: str) -> Session:
        """Ends every other session of the caller; the one that is returned takes the place of the caller's."""
        caller = await self._own_session()
        tenant, user = caller.tenant, caller.person
        audit.change().resource_id = user.id
        await self._attempts.password(tenant, user.id)
        if not await self._passwords.verify(current, user.password_hash):
            raise Unauthenticated("The current password is wrong.", reason="WRONG_CREDENTIALS")
        inputs.password(new, "newPassword")
        if new == current:
            raise InvalidInput("The new password must be another one.", field="newPassword")
        changed = await self._users.update(
            tenant,
            user.id,
            where={"passwordHash": user.password_hash, "status": ACTIVE},
            password_hash=await self._passwords.hash(new),
            must_change_password=False,
            sessions_from=self._members.cutoff(user),
        )
        if changed is None:
            raise Conflict("The account was changed at the same time. Try again.")
        await self._members.end_sessions(tenant, changed)
        project = await self._sessions.choose_project(tenant, changed, caller.identity.project.id)
        return await self._sessions.issue(tenant, changed, project.id, changed.sessions_from)

    async def _own_session(self) -> Caller:
        """The caller, who may have a password to choose first."""
        identity = context.identity()
        _require_session(identity)
        return await self._callers.load(identity)

    async def _candidates(self, email: str, password: str, slug: str) -> list[_Candidate]:
        """The accounts of that email, each with whether the password fits. Where there is none, one that is nobody's
        is verified all the same."""
        try:
            email_lower = inputs.email(email).lower()
        except PorticoError:  # what is no address is nobody's
            email_lower = ""
        if slug:
            company = await self._companies.get(slug)
            companies = [] if company is None else [company]
        else:
            companies = await self._companies.of_email(email_lower)
        users = [await self._users.find_one(Tenant(each.slug), {"emailLower": email_lower}) for each in companies]
        hashes = [user.password_hash if user and user.status == ACTIVE else None for user in users] or [None]
        fits = await asyncio.gather(*(self._passwords.verify(password, each) for each in hashes))
        return [_Candidate(*each) for each in zip(companies, users, fits, strict=False)]

    async def _remember_login(self, tenant: Tenant, user: User, password: str) -> User:
        changes: dict[str, object] = {"last_login_at": self._clock()}
        if self._passwords.needs_rehash(user.password_hash):
            changes["password_hash"] = await self._passwords.hash(password)
        updated = await self._users.update(tenant, user.id, where={"passwordHash": user.password_hash}, **changes)
        return updated or user


def _name_candidates(candidates: list[_Candidate]) -> None:
    """For the audit logs of the companies that the sign-in may have meant."""
    if not candidates:
        log.info("sign-in refused: no such account")
    for each in candidates:
        audit.change().about(Tenant(each.company.slug), each.user.id if each.user else "")


def _require_session(identity: Identity) -> None:
    if identity.kind is not Kind.SESSION:
        raise FailedPrecondition("This is for sessions. An API token is deleted instead, and needs no password.")
