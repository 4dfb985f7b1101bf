"""Evaluation of a project's rules: a recurring job, which one replica holds at a time.

What a rule has led to is in its incident alone, so an evaluation that is broken off is gone on with by the next one. A
metric that cannot be had, because a service is away, changes nothing: that is not the silence that a rule may fire on.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

from core import logs
from core.errors import Conflict, PorticoError
from core.jobs.jobs import Jobs
from core.jobs.run import JobRun, Postponed
from core.tenancy import Project
from services.tracing.domain.alerts.incidents import Incidents, resolved_itself
from services.tracing.domain.alerts.metrics import OPERATORS
from services.tracing.domain.alerts.notifications import Notifications
from services.tracing.domain.alerts.records import AUTO, FIRE, RESOLVE, AlertRule, Incident
from services.tracing.domain.alerts.rules import AlertRules, StartEvaluation
from services.tracing.ports import MetricSource

log = logs.get(__name__)

KIND = "tracing.alerts"
_NEVER = 1_000_000_000
"""Failed attempts of a recurring job: it ends by itself."""
_AT_A_TIME = 8
_LONGEST_ERROR = 300

Acting = Callable[[], AbstractAsyncContextManager[None]]
"""Gives the present job an identity to call other services with."""


def evaluation(jobs: Jobs) -> StartEvaluation:
    """The start of the evaluation of a project's rules, which goes on until the project is deleted."""

    async def start(project: Project) -> None:
        with suppress(Conflict):  # it goes on already
            await jobs.submit(project, KIND, {}, unique_key=KIND, max_attempts=_NEVER)

    return start


class Evaluator:
    """`sources` by module; `seconds` between two evaluations."""

    def __init__(
        self,
        jobs: Jobs,
        rules: AlertRules,
        incidents: Incidents,
        notifications: Notifications,
        sources: Mapping[str, MetricSource],
        acting: Acting,
        *,
        seconds: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._rules = rules
        self._incidents = incidents
        self._notifications = notifications
        self._sources = sources
        self._acting = acting
        self._seconds = seconds
        self._clock = clock
        jobs.handle(KIND, self._run, None, recurring=True)

    async def _run(self, run: JobRun) -> None:
        async with _if_possible(self._acting()):
            await self.evaluate(run.scope)
        await run.checkpoint(run.done + 1)  # which says that it gets on: earlier failures do not count
        raise Postponed(self._seconds)

    async def evaluate(self, project: Project) -> None:
        """Evaluate the enabled rules once, and announce what has changed."""
        rules = await self._rules.enabled(project)
        unresolved = await self._incidents.open_of(project, [rule.id for rule in rules])
        turns = asyncio.Semaphore(_AT_A_TIME)

        async def in_turn(rule: AlertRule) -> None:
            async with turns:
                await self._evaluate(project, rule, unresolved.get(rule.id))

        async with asyncio.TaskGroup() as group:
            for rule in rules:
                group.create_task(in_turn(rule))
        async for incident in self._incidents.unannounced(project):
            try:
                await self._notifications.announce(project, incident)
            except PorticoError as error:  # the next evaluation tries again
                log.warning("an incident is announced later", incident=incident.id, reason=error.reason)

    async def _evaluate(self, project: Project, rule: AlertRule, incident: Incident | None) -> None:
        """Evaluate one rule. Its failure is noted in it, and keeps no other from its turn."""
        now, problem = self._clock(), ""
        try:
            start = now - 60.0 * rule.window_minutes
            value = await self._sources[rule.module].measure(project, rule.metric, rule.filters, start, now)
            await self._act(project, rule, incident, value)
        except PorticoError as error:
            problem = error.message[:_LONGEST_ERROR]
        except Exception:  # a fault in one rule must not end the evaluation of the others
            log.exception("evaluating an alert rule failed", rule=rule.id)
            problem = "Something went wrong on our side."
        changes = {"last_error": problem} if problem else {"last_error": "", "last_value": value}
        await self._rules.note(project, rule, last_evaluated_at=now, **changes)

    async def _act(self, project: Project, rule: AlertRule, incident: Incident | None, value: float | None) -> None:
        """Open, keep or resolve the rule's incident, as its condition is met or not."""
        met = _is_met(rule, value)
        if incident is None:
            if met:
                await self._fire(project, rule, value)
        elif met:
            await self._incidents.table.update(project, incident.id, last_value=value)
        elif met is False and rule.auto_resolve:
            await self._incidents.resolve(project, incident, AUTO, last_value=value)

    async def _fire(self, project: Project, rule: AlertRule, value: float | None) -> None:
        """Open an incident; within the cooldown the last one again, if it had resolved by itself, and no other."""
        now = self._clock()
        if rule.last_triggered_at is not None and now < rule.last_triggered_at + 60.0 * rule.cooldown_minutes:
            last = await self._incidents.last(project, rule.id)
            if last is not None and resolved_itself(last):
                await self._incidents.reopen(project, last, value)
            return
        if await self._incidents.fire(project, rule, value) is not None:
            log.info("alert fired", rule=rule.id, metric=rule.metric)
            await self._rules.note(project, rule, last_triggered_at=now)


def _is_met(rule: AlertRule, value: float | None) -> bool | None:
    """Return whether the rule's condition is met; None: there is no telling, and nothing changes."""
    if value is None:
        return {FIRE: True, RESOLVE: False}.get(rule.no_data)
    return OPERATORS[rule.operator](value, rule.threshold)


@asynccontextmanager
async def _if_possible(acting: AbstractAsyncContextManager[None]) -> AsyncIterator[None]:
    """Enter the block with an identity, or without one while auth is away: what needs none goes on."""
    try:
        await acting.__aenter__()
    except (Postponed, PorticoError):
        yield
        return
    try:
        yield
    finally:
        await acting.__aexit__(None, None, None)
