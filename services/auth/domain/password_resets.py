"""New passwords for those who have forgotten theirs, by a token that is mailed to the account."""

import hashlib
import secrets

from core import logs
from core.audit import changes as audit
from core.errors import NotFound, PorticoError
from core.mail.mailer import Mails
from core.mail.mails import PasswordReset
from core.mail.rendering import time_text
from core.tenancy import Project, Tenant
from services.auth.domain import inputs
from services.auth.domain.attempts import Attempts, networks_for
from services.auth.domain.issuing import new_id
from services.auth.domain.members import Members
from services.auth.domain.passwords import Passwords
from services.auth.domain.records import ACTIVE, PasswordResetRecord, TenantRecord, User
from services.auth.domain.sessions import Sessions
from services.auth.domain.tables import Tables
from services.auth.domain.tenants import Tenants
from services.auth.domain.timing import answered_after
from services.auth.ports import Clock

log = logs.get(__name__)

_LIFE_SECONDS = 3600.0
_SECRET_BYTES = 32
_MAX_SECRET = 256


class PasswordResets:
    """`answer_seconds`: a request is answered no sooner than that, so that its time does not tell an account."""

    def __init__(
        self,
        tables: Tables,
        tenants: Tenants,
        members: Members,
        sessions: Sessions,
        passwords: Passwords,
        attempts: Attempts,
        mails: Mails,
        clock: Clock,
        answer_seconds: float,
    ) -> None:
        self._resets = tables.password_resets
        self._users = tables.users
        self._tenants = tenants
        self._members = members
        self._sessions = sessions
        self._passwords = passwords
        self._attempts = attempts
        self._mails = mails
        self._clock = clock
        self._answer_seconds = answer_seconds

    @property
    def enabled(self) -> bool:
        return self._mails.enabled

    async def request(self, email: str, slug: str) -> None:
        """Mail a token to every active account of the email, in the tenant of the slug or in all. Nothing tells whether
        there is any. Raises InvalidInput for what is no address, RateLimited."""
        async with answered_after(self._answer_seconds):
            email_key = inputs.email_key(inputs.email(email))
            await self._attempts.forgot_password(email_key)
            if not self._mails.enabled:
                return
            for tenant_record in await self._tenants_of(email_key, slug):
                user = await self._users.find_one(Tenant(tenant_record.slug), {"emailLower": email_key})
                if user is not None and user.status == ACTIVE:
                    await self._mail(tenant_record, user)

    async def reset(self, secret: str, password: str) -> None:
        """Set a new password, and end every session of the account. Raises NotFound for a token that is unknown, used
        or expired, and InvalidInput for a weak password, which does not use the token up."""
        found = await self._find(secret)
        if found is None:
            await self._attempts.unknown_reset()
            raise _unknown()
        tenant, reset, user = found
        inputs.password(password, "newPassword")
        password_hash = await self._passwords.hash(password, user.email_lower)
        if not await self._resets.delete(tenant, reset.id):  # it was used in this very moment
            raise _unknown()
        changed = await self._users.update(
            tenant,
            user.id,
            where={"passwordHash": user.password_hash, "status": ACTIVE},
            password_hash=password_hash,
            must_change_password=False,
            known_networks=networks_for(user.id),
            sessions_from=self._members.cutoff(user),
        )
        if changed is None:
            raise _unknown()
        audit.change().about(tenant, user.id, user.id)
        await self._members.end_sessions(tenant, changed)
        await self._resets.delete_where(tenant, {"userId": user.id})

    async def _tenants_of(self, email_key: str, slug: str) -> list[TenantRecord]:
        if not slug:
            return await self._tenants.of_email(email_key)
        tenant_record = await self._tenants.get(slug)
        return [] if tenant_record is None else [tenant_record]

    async def _mail(self, tenant_record: TenantRecord, user: User) -> None:
        """Mail a token. Never fails: the answer must not tell that there was an account to fail for."""
        tenant, now = Tenant(tenant_record.slug), self._clock()
        audit.change().about(tenant, user.id)
        secret = f"{tenant.slug}.{secrets.token_urlsafe(_SECRET_BYTES)}"
        reset = PasswordResetRecord(
            id=new_id(),
            user_id=user.id,
            secret_hash=_digest(secret),
            password_mark=_digest(user.password_hash),
            created_at=now,
            expires_at=now + _LIFE_SECONDS,
        )
        content = PasswordReset(user.name, tenant_record.company_name, secret, time_text(reset.expires_at))
        try:
            project = await self._sessions.choose_project(tenant, user)
            await self._resets.insert(tenant, reset)
            await self._mails.send(Project(tenant, project.id), user.email, content, until=reset.expires_at)
        except PorticoError as error:
            log.warning("a mail for a new password is not sent", tenant=tenant.slug, reason=error.reason)

    async def _find(self, secret: str) -> tuple[Tenant, PasswordResetRecord, User] | None:
        """The reset of a token and its account; None where the account has another password since."""
        slug, _, rest = secret[:_MAX_SECRET].partition(".")
        tenant_record = await self._tenants.get(slug) if rest else None
        if tenant_record is None:
            return None
        tenant = Tenant(tenant_record.slug)
        reset = await self._resets.find_one(tenant, {"secretHash": _digest(secret)})
        user = None if reset is None else await self._users.get(tenant, reset.user_id)
        if reset is None or user is None or user.status != ACTIVE:
            return None
        return (tenant, reset, user) if reset.password_mark == _digest(user.password_hash) else None


def _digest(secret: str) -> str:
    """The secret is 256 random bits, so a plain hash is as good as any."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def _unknown() -> NotFound:
    return NotFound("There is no such token: it is unknown, used or expired. Ask for a new mail.", field="token")
