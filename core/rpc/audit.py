"""The audit of RPCs: an entry for each call whose contract asks for one, written around the handlers.

What an RPC leaves is said in its contract, so no service can forget it. `core.rpc.stages.refusals` records the calls
that are refused before a handler runs.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from core import context, logs
from core.audit import changes
from core.audit.changes import Change
from core.audit.log import AuditLog
from core.audit.records import FAILURE, SUCCESS, UNKNOWN, AuditEntry, actor_of
from core.context import RequestContext
from core.errors import PorticoError
from core.rpc.audit_entries import entries_of_subjects, entry_for
from core.rpc.audit_rules import AuditRule
from core.rpc.call import CallContext
from core.rpc.errors import mapping_of
from core.rpc.server import ServiceRegistration

log = logs.get(__name__)

Handle = Callable[[Any, CallContext], Awaitable[Any]]


def recorded(registration: ServiceRegistration, audit_log: AuditLog) -> ServiceRegistration:
    """The registration, with an entry for every call of an RPC whose contract asks for one."""
    rules = {
        method.rpartition("/")[2]: policy.audit
        for method, policy in registration.rules().items()
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

    async def _behind(self, rule: AuditRule, handle: Handle, request: Any, servicer_context: CallContext) -> Any:
        """Audit a change of data: its entry is written shortly after the answer."""
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

    async def _ahead(self, rule: AuditRule, handle: Handle, request: Any, servicer_context: CallContext) -> Any:
        """Audit an administrative change: its entry is durable before it begins, and has its outcome before the
        answer."""
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
            entry = entry_for(rule, change, actor_of(request), outcome, self._log.clock(), reason)
            self._log.add(request.identity.tenant, entry)

    async def _begin(self, rule: AuditRule, change: Change) -> AuditEntry | None:
        """Write the entry before the change; None for a call without a token, of which it is not known yet whose log it
        belongs to."""
        request = _request()
        if request.identity is None:
            return None
        entry = entry_for(rule, change, actor_of(request), UNKNOWN, self._log.clock())
        await self._log.begin(request.identity.tenant, entry)
        return entry

    async def _end(
        self, rule: AuditRule, change: Change, begun: AuditEntry | None, error: BaseException | None = None
    ) -> None:
        """Write the outcome. Raises what the store raises, for a call without a token."""
        request, reason = _request(), "" if error is None else _failure(error)
        if error is not None and not reason:
            if begun is not None and request.identity is not None:
                await self._log.withdraw(request.identity.tenant, begun)
            return
        outcome = FAILURE if reason else SUCCESS
        if begun is not None and request.identity is not None:
            entry = entry_for(rule, change, actor_of(request), outcome, begun.created_at, reason, begun.id)
            await self._log.settle(request.identity.tenant, entry)
            return
        if not change.subjects and not reason:
            log.error("an audited call has named no account", action=rule.action)
        for tenant, entry in entries_of_subjects(rule, change, request, outcome, self._log.clock(), reason):
            await self._log.write(tenant, entry)


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
