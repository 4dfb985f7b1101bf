"""Quota policies of a tenant: who may make them, for whose calls, and with which limits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core import fields
from core.audit import changes as audit
from core.errors import FailedPrecondition, InvalidInput, NotFound
from core.quotas.limits import BUDGETS, OF_TENANT, STANDING, Limits
from core.quotas.plans import Plan
from core.quotas.policies import (
    DOMAINS,
    EACH,
    GLOBAL,
    PROJECT,
    PROVIDER,
    RESOURCE,
    SCOPES,
    TENANT,
    TOKEN,
    USER,
    QuotaPolicy,
)
from core.quotas.source import PolicySource
from core.storage.ports import Cond, Op
from services.auth.domain import inputs
from services.auth.domain.callers import Caller, Callers
from services.auth.domain.issuing import new_id
from services.auth.domain.tables import Tables
from services.auth.ports import Clock

MAX_POLICIES = 200
"""Policies of a tenant: each of its calls is held against all of them once."""
MAX_PRIORITY = 1000
_LONGEST_ID = 200
_NAMES: Mapping[str, str] = {}
_LABEL = inputs.Text("label", 0, 100)


@dataclass(frozen=True, slots=True)
class NewPolicy:
    """The values of a new policy, as the caller gave them; empty ones have a default."""

    scope: str
    scope_id: str = ""
    domain: str = ""
    project: str = ""
    priority: int = 0
    enabled: bool = True
    label: str = ""
    description: str = ""
    limits: Limits = field(default_factory=dict)
    thresholds: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """Changes of a policy; None: unchanged. `limits` are all limits."""

    priority: int | None = None
    enabled: bool | None = None
    label: str | None = None
    description: str | None = None
    limits: Limits | None = None
    thresholds: tuple[int, ...] | None = None


class QuotaPolicies:
    """Use cases. A caller reaches the policies of its own projects; one that sees all projects those of the tenant."""

    def __init__(self, tables: Tables, callers: Callers, source: PolicySource, clock: Clock) -> None:
        self._table = tables.quota_policies
        self._tables = tables
        self._callers = callers
        self._source = source
        self._clock = clock

    async def plan(self) -> Plan:
        """The plan of the caller's tenant."""
        caller = await self._callers.current()
        return (await self._source.of(caller.tenant)).plan

    async def page(
        self, size: int, token: str, *, scope: str = "", domain: str = "", budgets: bool = False
    ) -> tuple[list[QuotaPolicy], str]:
        """One page, newest first, and the token of the next. Raises InvalidInput."""
        caller = await self._callers.current()
        where = dict(_within(caller))
        if scope:
            where["scope"] = fields.one_of("scope", scope, SCOPES)
        if domain:
            where["domain"] = fields.one_of("domain", domain, DOMAINS)
        if budgets:
            where["budget"] = True
        return await self._table.page(
            caller.tenant, where, page_size=fields.page_size(size, fields.MAX_PAGE), page_token=token
        )

    async def get(self, id: str) -> QuotaPolicy:
        """Raises NotFound, also for what the caller does not reach."""
        return await self._find(await self._callers.current(), id)

    async def create(self, new: NewPolicy, *, names: Mapping[str, str] = _NAMES) -> QuotaPolicy:
        """Make a policy. `names` are fields' names in errors where they are not those of QuotaService. Raises
        InvalidInput, NotFound (the project), FailedPrecondition."""
        caller = await self._callers.current()
        id_field, project_field = names.get("scopeId", "scopeId"), names.get("projectId", "projectId")
        scope = fields.one_of("scope", new.scope or TENANT, SCOPES)
        domain = fields.one_of("domain", new.domain or GLOBAL, DOMAINS)
        project = await self._project_of(caller, scope, new, id_field, project_field)
        scope_id = await self._scope_id(caller, scope, new.scope_id, project, id_field)
        now = self._clock()
        policy = QuotaPolicy(
            id=f"qpo_{new_id()}",
            created_at=now,
            updated_at=now,
            scope=scope,
            scope_id=scope_id,
            domain=domain,
            project_id=project,
            created_by=caller.identity.subject,
            updated_by=caller.identity.subject,
            **_checked(new.priority, new.label, new.description),
            enabled=new.enabled,
            **_limits(new.limits, new.thresholds),
        )
        _check_countable(policy, policy.limits)
        if await self._table.count(caller.tenant) >= MAX_POLICIES:
            raise FailedPrecondition(
                f"Your tenant has {MAX_POLICIES} quota policies, which is the most it may have. Delete some first.",
                reason="TOO_MANY_POLICIES",
            )
        audit.change().metadata |= _told(policy)
        await self._table.insert(caller.tenant, policy)
        self._source.changed(caller.tenant)
        return policy

    async def update(self, id: str, change: PolicyChange) -> QuotaPolicy:
        """Change a policy. Raises NotFound, InvalidInput."""
        caller = await self._callers.current()
        old = await self._find(caller, id)
        changes: dict[str, Any] = _checked(
            old.priority if change.priority is None else change.priority,
            old.label if change.label is None else change.label,
            old.description if change.description is None else change.description,
        )
        if change.enabled is not None:
            changes["enabled"] = change.enabled
        limits = old.limits if change.limits is None else change.limits
        _check_countable(old, limits)
        changes |= _limits(limits, old.thresholds if change.thresholds is None else change.thresholds)
        updated = await self._table.update(
            caller.tenant,
            id,
            where={"updatedAt": old.updated_at},
            **changes,
            updated_by=caller.identity.subject,
            updated_at=max(self._clock(), old.updated_at + 1e-6),
        )
        self._source.changed(caller.tenant)
        if updated is None:
            raise FailedPrecondition(
                "The policy was changed at the same moment. Try again.", reason="CHANGED_MEANWHILE"
            )
        audit.change().metadata |= _told(updated)
        return updated

    async def delete(self, id: str) -> None:
        """Delete a policy. Raises NotFound."""
        caller = await self._callers.current()
        policy = await self._find(caller, id)
        audit.change().metadata |= _told(policy)
        await self._table.delete(caller.tenant, policy.id)
        self._source.changed(caller.tenant)

    async def delete_budget(self, id: str) -> None:
        """Delete the budget of a policy, and the policy if nothing else is in it. Raises NotFound."""
        policy = await self.budget(id)
        others = {path: limit for path, limit in policy.limits.items() if path not in BUDGETS}
        if others:
            await self.update(id, PolicyChange(limits=others, thresholds=()))
        else:
            await self.delete(id)

    async def budget(self, id: str) -> QuotaPolicy:
        """A policy that is a budget. Raises NotFound."""
        policy = await self.get(id)
        if not policy.budget:
            raise _not_found()
        return policy

    async def _find(self, caller: Caller, id: str) -> QuotaPolicy:
        policy = await self._table.get(caller.tenant, id)
        if policy is None or not (caller.sees_all or caller.may_see(policy.project_id)):
            raise _not_found()
        return policy

    async def _project_of(self, caller: Caller, scope: str, new: NewPolicy, id_field: str, project_field: str) -> str:
        """Id of the project whose calls a new policy is for; empty: all of the tenant's."""
        own = caller.identity.project.id
        if scope == PROJECT:
            if new.scope_id == EACH:
                if not caller.sees_all:
                    raise InvalidInput("Name one project: your token reaches no other than its own.", field=id_field)
                return ""
            return (await self._callers.project(caller, new.scope_id or own, field=id_field)).id
        if new.project:
            return (await self._callers.project(caller, new.project, field=project_field)).id
        return "" if caller.sees_all and scope not in (RESOURCE, PROVIDER) else own

    async def _scope_id(self, caller: Caller, scope: str, given: str, project: str, name: str) -> str:
        """The checked scope id. Raises InvalidInput."""
        if scope == TENANT:
            if given:
                raise InvalidInput("A policy of the tenant has no scope id. Leave it out.", field=name)
            return ""
        if scope == PROJECT:
            return project or EACH
        id = fields.text(name, given, at_most=_LONGEST_ID)
        if not id:
            raise InvalidInput(f'Say whose calls: the {scope}, or "*" for each of them by itself.', field=name)
        if id != EACH and not await self._is_there(caller, scope, id, project):
            raise InvalidInput(f"There is no {scope} of this id that you reach.", field=name)
        return id

    async def _is_there(self, caller: Caller, scope: str, id: str, project: str) -> bool:
        """Return whether a user or token exists within the caller's reach. Resources and providers are other
        services'; a policy may be made before them."""
        if scope == USER:
            user = await self._tables.users.get(caller.tenant, id)
            return user is not None and caller.may_see_member(user.role, user.project_ids)
        if scope == TOKEN:
            token = await self._tables.tokens.get(caller.tenant, id)
            return token is not None and caller.may_see(token.project_id) and project in ("", token.project_id)
        return True


def _within(caller: Caller) -> Mapping[str, Any]:
    """The policies that the caller reaches."""
    return {} if caller.sees_all else {"projectId": Cond(Op.IN, list(caller.project_ids))}


def _checked(priority: int, label: str, description: str) -> dict[str, Any]:
    if not -MAX_PRIORITY <= priority <= MAX_PRIORITY:
        raise InvalidInput(f"A priority is a number of -{MAX_PRIORITY} to {MAX_PRIORITY}.", field="priority")
    return {
        "priority": priority,
        "label": _LABEL.check(label),
        "description": inputs.DESCRIPTION.check(description),
    }


def _limits(limits: Limits, thresholds: Sequence[int]) -> dict[str, Any]:
    if not limits:
        raise InvalidInput("A policy needs at least one limit.", field="limits")
    budget = any(path in BUDGETS for path in limits)
    return {"limits": dict(limits), "thresholds": tuple(thresholds) if budget else (), "budget": budget}


def _check_countable(policy: QuotaPolicy, limits: Limits) -> None:
    """Check that what the limits count can be counted for those whom the policy is for. Raises InvalidInput."""
    for path in limits:
        if path.startswith(STANDING):
            if policy.scope not in (TENANT, PROJECT):
                raise InvalidInput("What there is can be limited for the tenant or a project.", field=f"limits.{path}")
            if path in OF_TENANT and (policy.project_id or policy.scope == PROJECT):
                raise InvalidInput("This can be limited for the whole tenant alone.", field=f"limits.{path}")


def _told(policy: QuotaPolicy) -> dict[str, str]:
    """Values of a policy for the audit log."""
    limits = " ".join(f"{path}={limit}" for path, limit in sorted(policy.limits.items()))
    told = {"scope": policy.scope, "scopeId": policy.scope_id, "domain": policy.domain, "limits": limits}
    return {name: value for name, value in told.items() if value}


def _not_found() -> NotFound:
    return NotFound("There is no such policy.", reason="POLICY_NOT_FOUND", field="id")
