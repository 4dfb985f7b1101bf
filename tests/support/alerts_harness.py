"""Alerts on a store in memory, with a clock that stands still until told, and metrics that the test sets."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from core.errors import PorticoError
from core.http.guard import OutboundGuard
from core.jobs.jobs import Jobs
from core.jobs.limits import JobLimits
from core.lifecycle import Lifecycle
from core.mail.mails import MailContent
from core.sealing import Sealer, generate_key
from core.tasks import Tasks
from core.tenancy import Project, Tenant
from services.tracing.domain.alerts.channels import Channels
from services.tracing.domain.alerts.evaluator import Evaluator, evaluation
from services.tracing.domain.alerts.incidents import Incidents
from services.tracing.domain.alerts.notifications import History, Notifications
from services.tracing.domain.alerts.records import AlertRule, Incident
from services.tracing.domain.alerts.rules import AlertRules, RuleChanges
from tests.support.stores import MemoryStore

ACME = Project(Tenant("acme"), "p1")
LIMITS = JobLimits(heartbeat=0.05, poll=0.02, first_retry=0.01, longest_retry=0.05)


@dataclass
class Clock:
    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Source:
    """A MetricSource: what `value` says, or raises."""

    value: float | Exception | None = None
    asked: list[tuple[str, Mapping[str, str], float, float]] = field(default_factory=list)

    async def measure(
        self, project: Project, metric: str, scope: Mapping[str, str], start: float, end: float
    ) -> float | None:
        self.asked.append((metric, scope, start, end))
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


@dataclass
class Mail:
    """Mails that were delivered, and errors for the next ones."""

    enabled: bool = True
    sent: list[tuple[str, MailContent]] = field(default_factory=list)
    errors: list[PorticoError] = field(default_factory=list)

    async def send(self, project: Project, to: str, content: MailContent, **more: Any) -> bool:
        raise AssertionError("alerts queue their mails by themselves")

    async def deliver(self, to: str, content: MailContent, *, key: str) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.sent.append((to, content))

    async def forget(self, project: Project) -> None: ...


@dataclass
class Webhook:
    posted: list[tuple[str, bytes, Mapping[str, str]]] = field(default_factory=list)
    errors: list[PorticoError] = field(default_factory=list)

    async def __call__(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.posted.append((url, body, headers))


@dataclass
class Admins:
    found: Sequence[str] | PorticoError = ("owner@acme.example.com", "admin@acme.example.com")

    async def __call__(self, project: Project) -> Sequence[str]:
        if isinstance(self.found, PorticoError):
            raise self.found
        return self.found


class Process:
    """One process of the service, on a store that others may share."""

    def __init__(self, store: MemoryStore, clock: Clock, source: Source, sealer: Sealer) -> None:
        self.tasks, self.lifecycle = Tasks(), Lifecycle()
        self.jobs = Jobs(store, self.tasks, self.lifecycle, limits=LIMITS)
        self.mail, self.webhook, self.admins = Mail(), Webhook(), Admins()
        self.clock, self.source = clock, source
        channels = Channels(sealer, OutboundGuard(enabled=False, lookup=_lookup))
        self.incidents = Incidents(store, keep_seconds=1e6, clock=clock)
        self.history = History(store)
        self.rules = AlertRules(store, channels, self.incidents, evaluation(self.jobs), clock)
        self.notifications = Notifications(
            self.jobs,
            self.history,
            self.rules,
            self.incidents,
            channels,
            self.mail,
            self.webhook,
            self.admins,
            keep_seconds=1e6,
            clock=clock,
        )
        sources = dict.fromkeys(("models", "inference", "guardrails", "spend"), source)
        self.evaluator = Evaluator(
            self.jobs, self.rules, self.incidents, self.notifications, sources, _nobody, seconds=0.05, clock=clock
        )

    async def rule(self, **changes: Any) -> AlertRule:
        """A rule that fires above 10 % of errors, unless `changes` say otherwise."""
        whole = {
            "name": "Errors",
            "module": "models",
            "metric": "error_rate",
            "operator": "gt",
            "threshold": 10.0,
            **changes,
        }
        return (await self.rules.create(ACME, RuleChanges(**whole))).rule

    async def evaluate(self, value: float | Exception | None, minutes: float = 1.0) -> None:
        """Evaluate once, some minutes later, with this value of the metric."""
        self.clock.now += 60 * minutes
        self.source.value = value
        await self.evaluator.evaluate(ACME)

    async def all_incidents(self) -> list[Incident]:
        return [each async for each in self.incidents.table.scan(ACME)]

    async def statuses(self) -> list[str]:
        """The history, oldest first."""
        events, _ = await self.history.events.page(ACME)
        return [event.status for event in reversed(events)]

    async def stop(self) -> None:
        await self.lifecycle.stop()
        await self.tasks.drain(0.1)


async def _lookup(host: str, port: int) -> list[str]:
    return ["192.0.2.1"]


@asynccontextmanager
async def _nobody() -> AsyncIterator[None]:
    yield


@dataclass
class Installation:
    """A store, and processes on it."""

    clock: Clock = field(default_factory=Clock)
    store: MemoryStore = field(init=False)
    source: Source = field(default_factory=Source)
    sealer: Sealer = field(default_factory=lambda: Sealer.from_settings(generate_key()))
    processes: list[Process] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = MemoryStore(clock=self.clock)

    def process(self) -> Process:
        self.processes.append(Process(self.store, self.clock, self.source, self.sealer))
        return self.processes[-1]
