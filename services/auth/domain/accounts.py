"""Users' own accounts: signing in and out, switching projects, changing the password."""

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
from core.mail.mailer import Mails
from core.mail.mails import Welcome
from core.tenancy import Project, Tenant
from services.auth.domain import inputs
from services.auth.domain.attempts import Attempts, networks_for
from services.auth.domain.callers import Caller, Callers
from services.auth.domain.members import Members
from services.auth.domain.passwords import Passwords
from services.auth.domain.quotas import Quotas
from services.auth.domain.records import ACTIVE, TenantRecord, User
from services.auth.domain.registration import NewTenant, Registered, Registration
from services.auth.domain.sessions import Session, Sessions
from services.auth.domain.tables import Tables
from services.auth.domain.tenants import Tenants
from services.auth.domain.timing import answered_after
from services.auth.ports import Clock

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class SignedIn:
    tenant: TenantRecord
    user: User
    session: Session


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A tenant that a sign-in may mean, and the account of that email in it."""

    tenant: TenantRecord
    user: User | None

    @property
    def active(self) -> User | None:
        return self.user if self.user is not None and self.user.status == ACTIVE else None


@dataclass(frozen=True, slots=True)
class SignInSettings:
    """`sign_in_seconds`: a sign-in is answered no sooner than that, whatever its outcome."""

    registration_open: bool
    sign_in_seconds: float


class Accounts:
    def __init__(
        self,
        tables: Tables,
        tenants: Tenants,
        callers: Callers,
        members: Members,
        sessions: Sessions,
        registration: Registration,
        passwords: Passwords,
        attempts: Attempts,
        quotas: Quotas,
        mails: Mails,
        clock: Clock,
        settings: SignInSettings,
    ) -> None:
        self._users = tables.users
        self._tenants = tenants
        self._callers = callers
        self._members = members
        self._sessions = sessions
        self._registration = registration
        self._passwords = passwords
        self._attempts = attempts
        self._quotas = quotas
        self._mails = mails
        self._clock = clock
        self._settings = settings

    async def register(self, asked: NewTenant) -> SignedIn:
        """Register a tenant. Raises PermissionDenied, RateLimited, InvalidInput, Conflict."""
        if not self._settings.registration_open:
            raise PermissionDenied("Registration is closed here. Ask the operator for a tenant.")
        asked = asked.checked()
        await self._attempts.register()
        read_at = self._clock()
        made = await self._registration.register(asked)
        session = await self._sessions.issue(Tenant(made.tenant.slug), made.owner, made.project.id, read_at)
        await self._welcome(made)
        return SignedIn(made.tenant, made.owner, session)

    async def _welcome(self, made: Registered) -> None:
        """Mail a welcome to the owner of a new tenant. Never fails: the tenant is there."""
        content = Welcome(made.owner.name, made.owner.email, made.tenant.company_name, made.tenant.slug)
        try:
            await self._mails.send(Project(Tenant(made.tenant.slug), made.project.id), made.owner.email, content)
        except PorticoError as error:
            log.warning("a welcome is not mailed", tenant=made.tenant.slug, reason=error.reason)

    async def login(self, email: str, password: str, slug: str = "", project: str = "") -> SignedIn:
        """Sign a user in. One answer, after one time and one hash, for an unknown account, a disabled one and a wrong
        password, whatever the number of tenants in which somebody has this email."""
        async with answered_after(self._settings.sign_in_seconds):
            return await self._login(email, password, slug, project)

    async def _login(self, email: str, password: str, slug: str, project: str) -> SignedIn:
        read_at = self._clock()
        email_key = _key_of(email)
        candidates = await self._candidates(email_key, slug)
        tenant_record, user = await self._matching(candidates, email_key, password)
        tenant = Tenant(tenant_record.slug)
        await self._attempts.sign_in(tenant, user)
        chosen = await self._sessions.choose_project(tenant, user, project)
        session = await self._sessions.issue(tenant, user, chosen.id, read_at)
        user = await self._remember_login(tenant, user, password)
        audit.change().about(tenant, user.id, user.id)
        return SignedIn(tenant_record, user, session)

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
        await self._quotas.change(caller)
        project = await self._callers.project(caller, reference, field="projectId")
        session = await self._sessions.issue(caller.tenant, caller.person, project.id, read_at)
        await self._sessions.end(caller.identity)
        return session

    async def change_password(self, current: str, new: str) -> Session:
        """Change the caller's password, and end every other session of theirs; the one that is returned takes the place
        of the caller's."""
        caller = await self._own_session()
        tenant, user = caller.tenant, caller.person
        audit.change().resource_id = user.id
        async with self._attempts.password(user.email_lower, known=self._attempts.knows(user)) as attempt:
            (attempt.right,) = await self._passwords.fits(current, user.email_lower, [user.password_hash])
        if not attempt.right:
            raise Unauthenticated("The current password is wrong.", reason="WRONG_CREDENTIALS")
        inputs.password(new, "newPassword")
        if new == current:
            raise InvalidInput("The new password must be another one.", field="newPassword")
        changed = await self._users.update(
            tenant,
            user.id,
            where={"passwordHash": user.password_hash, "status": ACTIVE},
            password_hash=await self._passwords.hash(new, user.email_lower),
            must_change_password=False,
            known_networks=networks_for(user.id),
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

    async def _candidates(self, email_key: str, slug: str) -> list[_Candidate]:
        """The accounts that a sign-in may mean: the tenant of the slug or else every one in which somebody has this
        email. If the caller's network is known to some of these accounts, they alone are meant: otherwise somebody who
        has registered another's email could try the other's password from a network that is known to his own
        account."""
        if slug:
            tenant_record = await self._tenants.get(slug)
            tenants = [] if tenant_record is None else [tenant_record]
        else:
            tenants = await self._tenants.of_email(email_key)
        found = [
            _Candidate(each, await self._users.find_one(Tenant(each.slug), {"emailLower": email_key}))
            for each in tenants
        ]
        return [each for each in found if each.active and self._attempts.knows(each.active)] or found

    async def _matching(self, candidates: list[_Candidate], email_key: str, password: str) -> tuple[TenantRecord, User]:
        """The account that the password matches. A password that fits some of the accounts and not the others counts as
        a wrong one for these, or registering another's email would be a way to guess without being counted."""
        accounts = [(each.tenant, each.active) for each in candidates if each.active]
        known = bool(accounts) and all(self._attempts.knows(user) for _, user in accounts)
        async with self._attempts.password(email_key, known=known) as attempt:
            fits = await self._passwords.fits(password, email_key, [user.password_hash for _, user in accounts])
            attempt.right = bool(fits) and all(fits)
        matches = [account for account, right in zip(accounts, fits, strict=True) if right]
        if not matches:
            _name_candidates(candidates)
            raise Unauthenticated(
                "Wrong email or password. If the email belongs to several tenants, say which in slug.",
                reason="WRONG_CREDENTIALS",
            )
        if len(matches) > 1:
            raise FailedPrecondition(
                "This email belongs to several tenants. Say which in slug.", reason="SLUG_REQUIRED", field="slug"
            )
        return matches[0]

    async def _remember_login(self, tenant: Tenant, user: User, password: str) -> User:
        changes: dict[str, object] = {
            "last_login_at": self._clock(),
            "known_networks": self._attempts.remember(user),
        }
        if self._passwords.needs_rehash(user.password_hash, user.email_lower):
            changes["password_hash"] = await self._passwords.hash(password, user.email_lower)
        updated = await self._users.update(tenant, user.id, where={"passwordHash": user.password_hash}, **changes)
        return updated or user


def _key_of(email: str) -> str:
    """The key of an email as somebody signs in with it; empty, which is nobody's, for what is no address."""
    try:
        return inputs.email_key(inputs.email(email))
    except InvalidInput:
        return ""


def _name_candidates(candidates: list[_Candidate]) -> None:
    """Name the candidates for the audit logs of the tenants that a sign-in may have meant."""
    if not candidates:
        log.info("sign-in refused: no such account")
    for each in candidates:
        audit.change().about(Tenant(each.tenant.slug), each.user.id if each.user else "")


def _require_session(identity: Identity) -> None:
    if identity.kind is not Kind.SESSION:
        raise FailedPrecondition("This is for sessions. An API token is deleted instead, and needs no password.")
