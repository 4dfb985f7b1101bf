"""Invitations to join a tenant, accepted with a secret that the inviter passes on."""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from core import logs
from core.audit import changes as audit
from core.errors import Conflict, NotFound, PermissionDenied, PorticoError
from core.mail.mailer import Mails
from core.mail.mails import UserInvitation
from core.mail.rendering import time_text
from core.tenancy import Tenant
from services.auth.domain import inputs
from services.auth.domain.accounts import SignedIn
from services.auth.domain.attempts import Attempts, networks_for
from services.auth.domain.callers import Caller, Callers
from services.auth.domain.grants import checked_projects, require_authority, require_projects_of
from services.auth.domain.issuing import new_id
from services.auth.domain.passwords import Passwords
from services.auth.domain.permissions import ADMIN, PROJECT_ADMIN, USER, checked_levels, checked_role
from services.auth.domain.quotas import Quotas
from services.auth.domain.records import Invitation, TenantRecord, User
from services.auth.domain.sessions import Sessions
from services.auth.domain.tables import Tables
from services.auth.domain.tenants import Tenants
from services.auth.ports import Clock

log = logs.get(__name__)

_LIFE_SECONDS = 7 * 86_400.0
_ROLES = (ADMIN, PROJECT_ADMIN, USER)
_SECRET_BYTES = 32
_MAX_SECRET = 256


@dataclass(frozen=True, slots=True)
class NewInvitation:
    """The values of a new invitation. No projects means the one of the inviter's token."""

    email: str
    name: str = ""
    role: str = ""
    overrides: Mapping[str, str] | None = None
    project_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Invited:
    """A new invitation with its secret. `mailed`: the secret goes to the person by mail, too."""

    invitation: Invitation
    secret: str
    mailed: bool


class Invitations:
    def __init__(
        self,
        tables: Tables,
        tenants: Tenants,
        callers: Callers,
        sessions: Sessions,
        passwords: Passwords,
        attempts: Attempts,
        quotas: Quotas,
        mails: Mails,
        clock: Clock,
    ) -> None:
        self._invitations = tables.invitations
        self._users = tables.users
        self._tenants = tenants
        self._callers = callers
        self._sessions = sessions
        self._passwords = passwords
        self._attempts = attempts
        self._quotas = quotas
        self._mails = mails
        self._clock = clock

    async def invite(self, asked: NewInvitation) -> Invited:
        """Create an invitation and its secret. One that was made with an API token ends with it."""
        caller = await self._callers.current()
        tenant, now = caller.tenant, self._clock()
        email = inputs.email(asked.email)
        name = inputs.OPTIONAL_NAME.check(asked.name)
        role = checked_role(asked.role or USER, _ROLES)
        overrides = checked_levels(asked.overrides or {})
        audit.change().metadata |= {"role": role}
        require_authority(caller, role, overrides)
        await self._quotas.change(caller)
        project_ids = asked.project_ids or (caller.identity.project.id,)
        secret = f"{tenant.slug}.{secrets.token_urlsafe(_SECRET_BYTES)}"
        invitation = Invitation(
            id=new_id(),
            email=email,
            email_lower=inputs.email_key(email),
            name=name,
            role=role,
            invited_by=caller.person.id,
            created_at=now,
            expires_at=min(now + _LIFE_SECONDS, caller.lives_until),
            secret_hash=_digest(secret),
            overrides=overrides,
            project_ids=await checked_projects(self._callers, caller, project_ids),
            token_id=caller.api_token_id,
        )
        async with self._quotas.new_user(caller.identity.project):
            await self._insert(tenant, invitation)
        if not await self._callers.still_holds(caller):
            await self._invitations.delete(tenant, invitation.id)
            raise PermissionDenied("Your rights were changed at the same time. Try again.")
        return Invited(invitation, secret, await self._mail(caller, invitation, secret))

    async def page(self, page_size: int, page_token: str) -> tuple[list[Invitation], str]:
        """One page of the invitations that the caller sees: a page may have fewer than `page_size`, and more may follow
        all the same."""
        caller = await self._callers.current()
        found, following = await self._invitations.page(caller.tenant, page_size=page_size, page_token=page_token)
        return [each for each in found if caller.may_see_member(each.role, each.project_ids)], following

    async def revoke(self, id: str) -> None:
        caller = await self._callers.current()
        invitation = await self._invitations.get(caller.tenant, id)
        if invitation is None or not caller.may_see_member(invitation.role, invitation.project_ids):
            raise _unknown()
        require_authority(caller, invitation.role, invitation.overrides)
        require_projects_of(caller, invitation.project_ids)
        if not await self._invitations.delete(caller.tenant, id):
            raise _unknown()

    async def accept(self, secret: str, password: str, name: str) -> SignedIn:
        """Accept an invitation. The account is made under the invitation's own id, so that of several acceptances one
        alone can make it."""
        found = await self._find(secret)
        if found is None:
            await self._attempts.unknown_invitation()
            raise _unknown()
        tenant_record, invitation = found
        tenant = Tenant(tenant_record.slug)
        inputs.password(password)
        chosen_name = inputs.OPTIONAL_NAME.check(name) or invitation.name or invitation.email.partition("@")[0]
        await self._attempts.accept(tenant, invitation.id)
        read_at = self._clock()
        user = User(
            id=invitation.id,
            email=invitation.email,
            email_lower=invitation.email_lower,
            name=chosen_name,
            role=invitation.role,
            created_at=read_at,
            password_hash=await self._passwords.hash(password, invitation.email_lower),
            overrides=invitation.overrides,
            project_ids=invitation.project_ids,
            last_login_at=read_at,
            known_networks=networks_for(invitation.id),
        )
        await self._tenants.list_email(tenant, user.email_lower)
        try:
            await self._users.insert(tenant, user)
        except Conflict:  # somebody else was faster
            raise _unknown() from None
        if not await self._invitations.delete(tenant, invitation.id):  # it was taken back in this very moment
            await self._users.delete(tenant, user.id)
            await self._tenants.unlist_email(tenant, user.email_lower)
            raise _unknown()
        audit.change().about(tenant, user.id, user.id)
        project = await self._sessions.choose_project(tenant, user)
        session = await self._sessions.issue(tenant, user, project.id, read_at)
        return SignedIn(tenant_record, user, session)

    async def _mail(self, caller: Caller, invitation: Invitation, secret: str) -> bool:
        """Mail the invitation; True if that is done. It stands without the mail: the caller has its secret."""
        tenant_record = await self._tenants.get(caller.tenant.slug)
        content = UserInvitation(
            name=invitation.name,
            inviter_name=caller.person.name,
            company_name=tenant_record.company_name if tenant_record else caller.tenant.slug,
            slug=caller.tenant.slug,
            token=secret,
            expires_at=time_text(invitation.expires_at),
        )
        try:
            return await self._mails.send(
                caller.identity.project, invitation.email, content, until=invitation.expires_at
            )
        except PorticoError as error:
            log.warning("an invitation is not mailed", tenant=caller.tenant.slug, reason=error.reason)
            return False

    async def _insert(self, tenant: Tenant, invitation: Invitation) -> None:
        same = {"emailLower": invitation.email_lower}
        if await self._users.find_one(tenant, same) is not None:
            raise Conflict("Somebody with this email has an account already.", field="email")
        try:
            await self._invitations.insert(tenant, invitation)
        except Conflict:
            raise Conflict("Somebody with this email is invited already.", field="email") from None

    async def _find(self, secret: str) -> tuple[TenantRecord, Invitation] | None:
        slug, _, rest = secret[:_MAX_SECRET].partition(".")
        tenant_record = await self._tenants.get(slug) if rest else None
        if tenant_record is None:
            return None
        invitation = await self._invitations.find_one(Tenant(tenant_record.slug), {"secretHash": _digest(secret)})
        return None if invitation is None else (tenant_record, invitation)


def _digest(secret: str) -> str:
    """The secret is 256 random bits, so a plain hash is as good as any."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _unknown() -> NotFound:
    return NotFound("There is no such invitation: it is unknown, used, revoked or expired.", field="token")
