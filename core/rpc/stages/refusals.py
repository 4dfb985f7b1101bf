"""Audit entries for calls that are refused because of who makes them."""

from functools import lru_cache

from core.audit import changes
from core.audit.changes import Change
from core.audit.log import AuditLog
from core.audit.records import DENIED, FAILURE, actor_of
from core.errors import PermissionDenied, PorticoError, Unauthenticated
from core.rpc.audit_entries import entries_of_subjects, entry_for
from core.rpc.audit_rules import AuditRule
from core.rpc.call import RpcCall
from core.rpc.stages.stage import Outcome


class Refusals:
    """A stage of the chain: records calls that were refused because of who makes them."""

    def __init__(self, audit_log: AuditLog) -> None:
        self._log = audit_log

    def begin(self, call: RpcCall) -> None:
        pass

    def end(self, call: RpcCall, outcome: Outcome) -> None:
        error = outcome.error
        if isinstance(error, PermissionDenied):
            self._refuse(call, DENIED, error)
        elif isinstance(error, Unauthenticated) and changes.current() is not None:  # a wrong password
            self._refuse(call, FAILURE, error)

    def _refuse(self, call: RpcCall, outcome: str, error: PorticoError) -> None:
        rule, change = call.policy.audit or _rule_of_scope(call.policy.scope), changes.current()
        if rule is None:
            return
        if change is None:  # refused before the handler began
            change = Change(rule.named_by_request(call.message), {**error.metadata})
        request, now, identity = call.request, self._log.clock(), call.request.identity
        if identity is not None:
            self._log.refuse(identity.tenant, entry_for(rule, change, actor_of(request), outcome, now, error.reason))
            return
        for tenant, entry in entries_of_subjects(rule, change, request, outcome, now, error.reason):
            self._log.refuse(tenant, entry)


@lru_cache
def _rule_of_scope(scope: str) -> AuditRule | None:
    """Return the rule for refusals of what would have changed nothing: "audit:read" is told as audit.read."""
    area, _, level = scope.partition(":")
    return AuditRule(f"{area}.{level}", area) if scope else None
