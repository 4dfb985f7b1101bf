"""Audit entries of RPCs, made from the rule of the contract and what is known of the call."""

from collections.abc import Iterator
from dataclasses import replace

import msgspec

from core.audit.changes import Change
from core.audit.records import Actor, AuditEntry, actor_of, new_entry
from core.context import RequestContext
from core.rpc.audit_rules import AuditRule
from core.tenancy import Tenant


def entry_for(
    rule: AuditRule, change: Change, actor: Actor, outcome: str, at: float, reason: str = "", id: str = ""
) -> AuditEntry:
    return new_entry(
        actor,
        rule.action,
        outcome,
        rule.resource_type,
        change.resource_id,
        at=at,
        id=id,
        reason=reason,
        metadata=change.metadata,
    )


def entries_of_subjects(
    rule: AuditRule, change: Change, request: RequestContext, outcome: str, at: float, reason: str
) -> Iterator[tuple[Tenant, AuditEntry]]:
    """The entries of a call without a token, one for each account that it was about."""
    for subject in change.subjects:
        actor = msgspec.structs.replace(actor_of(request), id=subject.actor_id)
        yield (
            subject.tenant,
            entry_for(rule, replace(change, resource_id=subject.resource_id), actor, outcome, at, reason),
        )
