"""Limits of what there is at any time: files, vectors, users. They are held against the service's own exact count.

async with totals.room(project, Dimension.FILES, count_files):
    ...  # make it
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from core.errors import BudgetExceeded
from core.quotas.policies import PROJECT
from core.quotas.rules import Dimension, Rule, RuleSource, Subject, Window
from core.tenancy import Project, Tenant

Count = Callable[[str], Awaitable[int]]
"""Counts what there is in a project, by its id; of an empty one in the whole tenant."""


class TotalQuotas:
    """Checks limits of what there is. Calls that make some wait for each other where a limit holds, so that several at
    once do not pass where there is room for one."""

    def __init__(self, source: RuleSource) -> None:
        self._source = source
        self._locks: dict[tuple[Tenant, str], asyncio.Lock] = {}
        self._users: Counter[tuple[Tenant, str]] = Counter()

    async def limits(self, project: Project, dimension: Dimension, domain: str = "global") -> list[Rule]:
        """The rules that limit a dimension, tightest first. Raises Unavailable."""
        subject = Subject(project, domain)
        rules = self._source.known(subject)
        if rules is None:
            rules = await self._source.find(subject)
        found = (rule for rule in rules if rule.dimension is dimension and rule.window is Window.TOTAL)
        return sorted(found, key=lambda rule: rule.limit)

    @asynccontextmanager
    async def room(
        self,
        project: Project,
        dimension: Dimension,
        count: Count,
        *,
        domain: str = "global",
        adding: int = 1,
        really_adding: Callable[[], Awaitable[int]] | None = None,
    ) -> AsyncIterator[None]:
        """Hold room for `adding` more while the block makes them. `really_adding` counts them exactly where that takes
        longer, and is asked only where the room is short. Raises BudgetExceeded."""
        rules = await self.limits(project, dimension, domain)
        if not rules:
            yield
            return
        async with AsyncExitStack() as locks:
            for rule in sorted(rules, key=lambda rule: rule.key):
                await locks.enter_async_context(self._locked(project.tenant, rule.key))
            for rule in rules:
                used = await count(_project_of(rule))
                if used + adding > rule.limit and really_adding is not None:
                    adding, really_adding = await really_adding(), None
                if adding > 0 and used + adding > rule.limit:
                    raise _exceeded(rule, used)
            yield

    @asynccontextmanager
    async def _locked(self, tenant: Tenant, key: str) -> AsyncIterator[None]:
        name = (tenant, key)
        self._users[name] += 1
        lock = self._locks.setdefault(name, asyncio.Lock())
        try:
            async with lock:
                yield
        finally:
            self._users[name] -= 1
            if not self._users[name]:
                del self._users[name], self._locks[name]


def _project_of(rule: Rule) -> str:
    """Id of the project that a limit is about; empty: it is about the tenant."""
    return rule.project or (rule.scope_id if rule.scope == PROJECT else "")


def _exceeded(rule: Rule, used: int) -> BudgetExceeded:
    whose = "Your project" if _project_of(rule) else "Your organisation"
    name = _NAMES.get(rule.dimension, rule.dimension.value)
    error = BudgetExceeded(
        f"{whose} may have {rule.limit:,} {name} and has {used:,}. Delete some, or ask an administrator for more"
        f"{f' ({rule.label})' if rule.label else ''}.",
        reason="QUOTA_EXCEEDED",
        metadata={"dimension": rule.dimension.value, "limit": str(rule.limit), "used": str(used)},
    )
    error.final = True
    return error


_NAMES = {
    Dimension.STORAGE: "bytes of files",
    Dimension.INDEXES: "vector indexes",
    Dimension.BUCKETS: "file buckets",
    Dimension.SESSIONS: "tracing sessions",
    Dimension.API_TOKENS: "API tokens",
    Dimension.USERS: "users and open invitations",
}
