"""Finds the rules that hold for a call, from the plan and the policies in the tenant's store."""

import asyncio
import time
from collections.abc import Callable, Sequence
from math import inf

from core import logs
from core.bounded import BoundedDict
from core.errors import Unavailable
from core.fanout.none import NoFanout
from core.fanout.ports import Fanout
from core.quotas.plans import Plan, Plans
from core.quotas.policies import QUOTA_POLICIES, QuotaPolicy, in_order, rules_for
from core.quotas.rules import Rule, Subject
from core.storage.ports import DocumentStore
from core.storage.table import Table
from core.storage.tenant_registry import TENANTS
from core.tenancy import MAIN, Scope, Tenant

log = logs.get(__name__)

FRESH_SECONDS = 5.0
"""A change of a policy or plan in another process holds no later than this."""
_TOPIC = "quota-policies"
_MAX_TENANTS = 10_000
_MAX_SUBJECTS = 1_000
"""Subjects of a tenant whose rules are held."""


class TenantQuotas:
    """The plan and the policies of a tenant, and the rules that were compiled of them."""

    def __init__(self, plan: Plan, policies: Sequence[QuotaPolicy]) -> None:
        self.plan = plan
        self.policies = policies
        self.read_at = -inf
        self._none = not plan.limits and not policies
        self._rules: BoundedDict[Subject, tuple[Rule, ...]] = BoundedDict(_MAX_SUBJECTS)

    def rules(self, subject: Subject) -> tuple[Rule, ...]:
        """The rules of a subject: the same tuple each time."""
        if self._none:
            return ()
        rules = self._rules.get(subject)
        if rules is None:
            rules = self._rules[subject] = rules_for(self.policies, self.plan, subject)
        return rules


class PolicySource:
    """The RuleSource of a process. What was read is used for `FRESH_SECONDS`, and longer while the store does not
    answer."""

    def __init__(self, store: DocumentStore, plans: Plans, clock: Callable[[], float] = time.monotonic) -> None:
        self.plans = plans
        self._store = store
        self._table = Table(store, QUOTA_POLICIES, QuotaPolicy)
        self._clock = clock
        self._tenants: BoundedDict[Tenant, TenantQuotas] = BoundedDict(_MAX_TENANTS)
        self._reads: dict[Tenant, asyncio.Task[TenantQuotas]] = {}
        self._changes = 0
        self._fanout: Fanout = NoFanout()

    def known(self, subject: Subject) -> tuple[Rule, ...] | None:
        """The rules, if they are in memory; else `find` them."""
        quotas = self._fresh(subject.project.tenant)
        return None if quotas is None else quotas.rules(subject)

    async def find(self, subject: Subject) -> tuple[Rule, ...]:
        """The rules. Raises Unavailable."""
        return (await self.of(subject.project.tenant)).rules(subject)

    def known_plan(self, tenant: Tenant) -> Plan | None:
        """The tenant's plan, if it is in memory."""
        quotas = self._fresh(tenant)
        return None if quotas is None else quotas.plan

    async def of(self, tenant: Tenant) -> TenantQuotas:
        """The plan and policies of a tenant. Raises Unavailable where they were never read and cannot be now."""
        if (quotas := self._fresh(tenant)) is not None:
            return quotas
        read = self._reads.get(tenant)
        if read is None:
            read = self._reads[tenant] = asyncio.create_task(self._read(tenant))
            read.add_done_callback(lambda done: self._ended(tenant, done))
        return await asyncio.shield(read)

    def share(self, fanout: Fanout) -> None:
        """Tell other processes of changes, and hear of theirs."""
        self._fanout = fanout
        fanout.subscribe(_TOPIC, self._heard, self._missed)

    def changed(self, tenant: Tenant) -> None:
        """Read the tenant's policies anew for the next call, here and in the other processes."""
        self.forget(tenant)
        self._fanout.publish(_TOPIC, tenant)

    def forget(self, tenant: Tenant) -> None:
        """Read the tenant's policies anew for the next call in this process."""
        self._changes += 1  # what is being read now may be from before
        self._reads.pop(tenant, None)
        if (quotas := self._tenants.get(tenant)) is not None:
            quotas.read_at = -inf

    def _heard(self, scope: Scope, text: str) -> None:
        if isinstance(scope, Tenant):
            self.forget(scope)

    def _missed(self) -> None:
        for tenant in list(self._tenants):
            self.forget(tenant)

    def _ended(self, tenant: Tenant, read: "asyncio.Task[TenantQuotas]") -> None:
        if self._reads.get(tenant) is read:
            del self._reads[tenant]
        if not read.cancelled():
            read.exception()  # those who wait have it

    def _fresh(self, tenant: Tenant) -> TenantQuotas | None:
        quotas = self._tenants.get(tenant)
        return None if quotas is None or self._clock() - quotas.read_at >= FRESH_SECONDS else quotas

    async def _read(self, tenant: Tenant) -> TenantQuotas:
        old, now, changes = self._tenants.get(tenant), self._clock(), self._changes
        try:
            document = await self._store.get(MAIN, TENANTS, tenant.slug)
            policies = in_order([policy async for policy in self._table.scan(tenant)])
        except Unavailable as error:
            if old is None:
                raise Unavailable(
                    "The limits of your organisation cannot be read now. Try again in a moment.", retry_after=1.0
                ) from error
            log.warning("quota policies not read anew", tenant=tenant.slug, reason=error.reason)
            old.read_at = now
            return old
        plan = self.plans.of(str((document or {}).get("plan") or ""))
        if old is None or (old.plan, old.policies) != (plan, policies):
            old = self._tenants[tenant] = TenantQuotas(plan, policies)
        old.read_at = now if changes == self._changes else -inf
        return old
