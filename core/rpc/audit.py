"""The audit of RPCs. What an RPC leaves is said in its contract, and nothing in a service can forget it.

changes     `recorded` stands around the handlers: it sees requests and answers
refusals    `Refusals` is a stage before the checks: it sees who was refused, by whatever refused them
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import msgspec

from core import context, logs
from core.audit import changes
from core.audit.changes import Change
from core.audit.log import AuditLog
from core.audit.records import DENIED, FAILURE, SUCCESS, UNKNOWN, Actor, AuditEntry, actor_of, new_entry
from core.context import RequestContext
from core.errors import PermissionDenied, PorticoError, Unauthenticated
from core.rpc.audit_rules import AuditRule
from core.rpc.call import Call
from core.rpc.errors import mapping_of
from core.rpc.policy import policies_of
from core.rpc.server import ServiceRegistration
from core.rpc.stages import Outcome
from core.tenancy import Tenant

log = logs.get(__name__)

Handle = Callable[[Any, Any], Awaitable[Any]]


def recorded(registration: ServiceRegistration, audit_log: AuditLog) -> ServiceRegistration:
    """The registration, with an entry for every call of an RPC whose contract asks for one."""
    rules = {
        method.rpartition("/")[2]: policy.audit
        for method, policy in policies_of(registration.descriptor).items()
        if policy.audit is not None
    }
    return replace(registration, servicer=_Recorded(registration.servicer, rules, audit_log)) if rules else registration


class _Recorded:
    """A servicer whose audited methods leave entries."""

    def __init__(self, servicer: object, rules: Mapping[str, AuditRule], audit_log: AuditLog) -> None:
        self._servicer = servicer
        self._rules = rules
        self._log = audit_log

    def __getattr__(self, name: str) -> Any:
        method, rule = getattr(self._servicer, name), self._rules.get(name)
        if rule is None:
            return method
        return partial(self._behind if rule.batched else self._ahead, rule, method)

    async def _behind(self, rule: AuditRule, handle: Handle, request: Any, servicer_context: Any) -> Any:
        """A change of data: its entry is written shortly after the answer."""
        change = Change(rule.named_by_request(request))
        changes.bind(change)
        try:
            response = await handle(request, servicer_context)
        except BaseException as error:
            if reason := _failure(error):
                self._add(rule, change, FAILURE, reason)
            raise
        self._add(rule, change, SUCCESS)
        return response

    async def _ahead(self, rule: AuditRule, handle: Handle, request: Any, servicer_context: Any) -> Any:
        """An administrative change: its entry is durable before it begins, and has its outcome before the answer."""
        change = Change(rule.named_by_request(request))
        if fields := rule.fields_of(request):
            change.metadata["fields"] = ",".join(fields)
        changes.bind(change)
        begun = await self._begin(rule, change)
        try:
            response = await handle(request, servicer_context)
        except BaseException as error:
            with suppress(PorticoError):  # the caller learns of the first one
                await self._log.to_the_end(self._end(rule, change, begun, error))
            raise
        change.resource_id = rule.named_by_response(response) or change.resource_id
        await self._log.to_the_end(self._end(rule, change, begun))
        return response

    def _add(self, rule: AuditRule, change: Change, outcome: str, reason: str = "") -> None:
        request = _request()
        if request.identity is not None:
            entry = _entry(rule, change, actor_of(request), outcome, self._log.clock(), reason)
            self._log.add(request.identity.tenant, entry)

    async def _begin(self, rule: AuditRule, change: Change) -> AuditEntry | None:
        """None for a call without a token, of which it is not known yet whose log it belongs to."""
        request = _request()
        if request.identity is None:
            return None
        entry = _entry(rule, change, actor_of(request), UNKNOWN, self._log.clock())
        await self._log.begin(request.identity.tenant, entry)
        return entry

    async def _end(
        self, rule: AuditRule, change: Change, begun: AuditEntry | None, error: BaseException | None = None
    ) -> None:
        """Raises what the store raises, for a call without a token."""
        request, reason = _request(), "" if error is None else _failure(error)
        if error is not None and not reason:
            if begun is not None and request.identity is not None:
                await self._log.withdraw(request.identity.tenant, begun)
            return
        outcome = FAILURE if reason else SUCCESS
        if begun is not None and request.identity is not None:
            entry = _entry(rule, change, actor_of(request), outcome, begun.created_at, reason, begun.id)
            await self._log.settle(request.identity.tenant, entry)
            return
        if not change.subjects and not reason:
            log.error("an audited call has named no account", action=rule.action)
        for tenant, entry in _of_subjects(rule, change, request, outcome, self._log.clock(), reason):
            await self._log.write(tenant, entry)


class Refusals:
    """A stage of the chain: records calls that were refused because of who makes them."""

    def __init__(self, audit_log: AuditLog) -> None:
        self._log = audit_log

    def begin(self, call: Call) -> None:
        pass

    def end(self, call: Call, outcome: Outcome) -> None:
        error = outcome.error
        if isinstance(error, PermissionDenied):
            self._refuse(call, DENIED, error)
        elif isinstance(error, Unauthenticated) and changes.current() is not None:  # a wrong password
            self._refuse(call, FAILURE, error)

    def _refuse(self, call: Call, outcome: str, error: PorticoError) -> None:
        rule, change = call.policy.audit or _rule_of_scope(call.policy.scope), changes.current()
        if rule is None:
            return
        if change is None:  # refused before the handler began
            change = Change(rule.named_by_request(call.message), {**error.metadata})
        request, now, identity = call.request, self._log.clock(), call.request.identity
        if identity is not None:
            self._log.refuse(identity.tenant, _entry(rule, change, actor_of(request), outcome, now, error.reason))
            return
        for tenant, entry in _of_subjects(rule, change, request, outcome, now, error.reason):
            self._log.refuse(tenant, entry)


def _entry(
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


def _of_subjects(
    rule: AuditRule, change: Change, request: RequestContext, outcome: str, at: float, reason: str
) -> Iterator[tuple[Tenant, AuditEntry]]:
    """Of a call without a token: an entry for each account that it was about."""
    for subject in change.subjects:
        actor = msgspec.structs.replace(actor_of(request), id=subject.actor_id)
        yield subject.tenant, _entry(rule, replace(change, resource_id=subject.resource_id), actor, outcome, at, reason)


@lru_cache
def _rule_of_scope(scope: str) -> AuditRule | None:
    """For refusals of what would have changed nothing: "audit:read" is told as audit.read."""
    area, _, level = scope.partition(":")
    return AuditRule(f"{area}.{level}", area) if scope else None


def _request() -> RequestContext:
    request = context.current()
    assert request is not None, "handlers run behind the chain"
    return request


def _failure(error: BaseException) -> str:
    """The reason of an error after which something may have been changed; empty for a call that was refused as it
    stood."""
    if isinstance(error, PorticoError):
        return error.reason if mapping_of(error).http >= 500 else ""
    return "CANCELLED" if isinstance(error, asyncio.CancelledError) else "INTERNAL"
