"""Tokens of some minutes for Portico's own background work, each for one project of one tenant."""

from collections.abc import Iterable

from core.context import Kind
from core.errors import FailedPrecondition, InvalidInput, NotFound
from core.revocations import Revocation
from core.tenancy import Project, Tenant
from core.token_verifier import TENANT_SUSPENDED
from services.auth.domain import inputs
from services.auth.domain.issuing import Issuer, new_id
from services.auth.domain.permissions import checked_scopes
from services.auth.domain.records import ACTIVE
from services.auth.domain.revocation_log import RevocationLog
from services.auth.domain.tables import Tables
from services.auth.domain.tenants import Tenants
from services.auth.ports import Clock

_LIFE_SECONDS = 300.0
_SKEW_SECONDS = 60.0
"""Largest difference between the clocks of two replicas."""


class ServiceTokens:
    def __init__(
        self, tables: Tables, tenants: Tenants, issuer: Issuer, revocations: RevocationLog, clock: Clock
    ) -> None:
        self._projects = tables.projects
        self._tenants = tenants
        self._issuer = issuer
        self._revocations = revocations
        self._clock = clock

    async def mint(self, service: str, slug: str, project_id: str, scopes: Iterable[str]) -> tuple[str, float]:
        """Mint a token; returns it and when it expires. Raises NotFound for a tenant or project that is not there,
        FailedPrecondition for a tenant that is suspended."""
        subject = inputs.SERVICE.check(service)
        wanted = checked_scopes(scopes)
        if not wanted:
            raise InvalidInput("A token needs at least one scope.", field="scopes")
        now = self._clock()
        tenant_record = await self._tenants.known(slug)
        if tenant_record is None:
            raise NotFound("There is no such tenant.", field="tenant")
        if tenant_record.status != ACTIVE:
            raise FailedPrecondition("The tenant is suspended. Try again later.", reason=TENANT_SUSPENDED)
        tenant = Tenant(tenant_record.slug)
        expires_at = float(int(now + _LIFE_SECONDS))
        project = await self._projects.update(tenant, project_id, service_tokens_until=expires_at)
        if project is None or project.status != ACTIVE:
            raise NotFound("There is no such project.", field="project")
        _, token = await self._issuer.issue(
            Project(tenant, project.id),
            subject,
            Kind.SERVICE,
            wanted,
            token_id=new_id(),
            issued_at=now,
            expires_at=expires_at,
        )
        return token, expires_at

    async def end_in_project(self, tenant: Tenant, project_id: str) -> None:
        """Refuse all service tokens of a project that is not active any more. Without any, nothing is written: each
        revocation is held in the memory of every service."""
        now = self._clock()
        project = await self._projects.get(tenant, project_id)
        if project is None or (project.service_tokens_until or 0.0) < now - _SKEW_SECONDS:
            return
        issued_before = now + _SKEW_SECONDS
        expires_at = issued_before + _LIFE_SECONDS
        await self._revocations.revoke(
            Revocation(tenant.slug, subject=project_id, issued_before=issued_before, expires_at=expires_at)
        )
