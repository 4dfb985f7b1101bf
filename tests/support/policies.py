"""Quota policies in the store of a service under test."""

from collections.abc import Mapping
from itertools import count
from typing import Any

from core.app import Platform
from core.quotas.policies import QUOTA_POLICIES, QuotaPolicy
from core.storage.table import to_document
from core.storage.tenant_registry import TENANTS
from core.tenancy import MAIN, Tenant

_NUMBERS = count(1)


async def set_policy(platform: Platform, limits: Mapping[str, int], tenant: str = "acme", **values: Any) -> None:
    """Write a policy, by default of the whole tenant and all domains, which holds for the next call."""
    number = next(_NUMBERS)
    given = {"scope": "tenant", "domain": "global", **values}
    policy = QuotaPolicy(id=f"q{number}", created_at=float(number), updated_at=1.0, limits=limits, **given)
    await platform.store.insert(Tenant(tenant), QUOTA_POLICIES, to_document(policy))
    platform.policies.forget(Tenant(tenant))


async def set_plan(platform: Platform, plan: str, tenant: str = "acme") -> None:
    """Give the tenant another plan, from the next call on."""
    if await platform.store.update(MAIN, TENANTS, tenant, {"plan": plan}) is None:
        record = {"id": tenant, "slug": tenant, "createdAt": 1.0, "plan": plan}
        await platform.store.insert(MAIN, TENANTS, record)
    platform.policies.forget(Tenant(tenant))
