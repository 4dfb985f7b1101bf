"""Thresholds of budgets: an entry of the audit log the first time in a window that so much of a budget is used."""

import time
from hashlib import blake2b

from core import logs
from core.audit.log import AuditLog
from core.audit.records import Actor, new_entry
from core.quotas.holdings import Held
from core.tenancy import Tenant

ACTION = "budget.threshold_reached"

log = logs.get(__name__)


class Thresholds:
    """Records thresholds that are reached. Whichever replica sees it first writes the entry: its id is made of the
    budget, the window and the threshold."""

    def __init__(self, audit: AuditLog) -> None:
        self._audit = audit

    def look(self, tenant: Tenant, held: Held) -> None:
        """Record the highest threshold that has been reached, if it was not. Never waits and never raises."""
        rule, limit = held.rule, held.rule.limit
        reached = [each for each in rule.thresholds if held.total * 100 >= each * limit]
        if not reached or reached[-1] <= held.alerted:
            return
        held.alerted = threshold = reached[-1]
        start = held.counter.span.start
        digest = blake2b(f"{held.counter.name}:{start}:{threshold}".encode(), digest_size=12).hexdigest()
        metadata = {
            "threshold": str(threshold),
            "window": rule.window.value,
            "windowStart": str(start),
            "scope": rule.scope,
            "scopeId": rule.scope_id,
            "domain": rule.domain,
            "limitNanos": str(limit),
            "usedNanos": str(held.total),
        }
        entry = new_entry(
            Actor(id="quotas"),
            ACTION,
            "success",
            "quota_policy",
            rule.policy,
            at=time.time(),
            id=f"aud_bud_{digest}",
            metadata=metadata,
        )
        log.warning("budget threshold reached", tenant=tenant.slug, policy=rule.policy, threshold=threshold)
        self._audit.add_once(tenant, entry)
