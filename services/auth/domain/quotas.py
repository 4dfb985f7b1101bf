"""Quotas of a tenant: how much it may have, and how fast it may change what all services have to learn."""

from dataclasses import dataclass

from core.context import Kind
from core.errors import FailedPrecondition, RateLimited
from core.rate_limits.ports import RateLimits
from core.tenancy import Tenant
from services.auth.domain.callers import Caller
from services.auth.domain.tables import Tables


@dataclass(frozen=True, slots=True)
class TenantLimits:
    """Numbers, and rates as "10/15 minutes"."""

    tokens: int
    users: int
    token_rate: str
    invitation_rate: str
    change_rate: str


class Quotas:
    """Every method raises RateLimited or FailedPrecondition when it is one too many."""

    def __init__(self, tables: Tables, rate_limits: RateLimits, limits: TenantLimits) -> None:
        self._tables = tables
        self._rate_limits = rate_limits
        self._limits = limits

    async def new_token(self, tenant: Tenant) -> None:
        """Check that the tenant may have one more API token."""
        if await self._tables.tokens.count(tenant, {}) >= self._limits.tokens:
            raise FailedPrecondition(
                f"Your tenant has {self._limits.tokens} API tokens, which is the most it may have. Delete some first.",
                reason="TOO_MANY_TOKENS",
            )
        await self._hit(tenant, "tokens", self._limits.token_rate, "API tokens were made in your tenant")

    async def new_user(self, tenant: Tenant) -> None:
        """Check that the tenant may have one more user. Open invitations count as users."""
        count = await self._tables.users.count(tenant, {}) + await self._tables.invitations.count(tenant, {})
        if count >= self._limits.users:
            raise FailedPrecondition(
                f"Your tenant has {self._limits.users} users and invitations, which is the most it may have.",
                reason="TOO_MANY_USERS",
            )
        await self._hit(tenant, "invitations", self._limits.invitation_rate, "people were invited to your tenant")

    async def change(self, caller: Caller) -> None:
        """Check that the caller may revoke or change rights once more.

        All API tokens of the tenant share one budget and each person has their own: whoever has stolen a token cannot
        keep people from deleting it.
        """
        whose = "api" if caller.identity.kind is Kind.API else caller.identity.subject
        await self._hit(caller.tenant, f"changes:{whose}", self._limits.change_rate, "changes were made")

    async def _hit(self, tenant: Tenant, bucket: str, limit: str, what: str) -> None:
        try:
            await self._rate_limits.hit(tenant, bucket, limit)
        except RateLimited as refused:
            raise RateLimited(
                f"Too many {what} in a short time. Try again later.", retry_after=refused.retry_after
            ) from None
