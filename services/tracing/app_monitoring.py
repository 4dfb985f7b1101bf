"""Wires the tracing service's inference monitoring and alerts."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.app import Platform
from core.http.guard import OutboundGuard
from core.jobs.identity import acting
from core.jobs.jobs import Jobs
from core.lifecycle import Phase
from core.mail.mailer import make_mails
from core.rpc.client import ServiceClient
from core.rpc.server import ServiceRegistration
from core.sealing import Sealer
from core.tenancy import Project
from portico.tracing.v1 import alert_service_pb2_grpc, monitoring_service_pb2_grpc
from services.tracing.adapters import neighbours
from services.tracing.adapters.http import MetricsOverHttp, Webhooks
from services.tracing.adapters.rag_metrics import RagMetrics
from services.tracing.domain.alerts.channels import Channels
from services.tracing.domain.alerts.evaluator import Evaluator, evaluation
from services.tracing.domain.alerts.incidents import Incidents
from services.tracing.domain.alerts.notifications import History, Notifications
from services.tracing.domain.alerts.rules import AlertRules
from services.tracing.domain.alerts.server_metrics import ServerMetrics
from services.tracing.domain.monitoring.poller import Poller, polling
from services.tracing.domain.monitoring.servers import InferenceServers
from services.tracing.ports import MetricSource
from services.tracing.servicers.alerts import AlertServicer
from services.tracing.servicers.monitoring import MonitoringServicer
from services.tracing.settings import Settings

_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Monitoring:
    """The parts of monitoring and alerts, assembled."""

    servers: InferenceServers
    poller: Poller
    rules: AlertRules
    incidents: Incidents
    history: History
    evaluator: Evaluator
    mail_enabled: bool

    async def remove_all(self, project: Project) -> None:
        """Remove what there is of a deleted project."""
        for each in (self.servers, self.rules, self.incidents, self.history):
            await each.remove_all(project)

    def registrations(self) -> Sequence[ServiceRegistration]:
        return [
            ServiceRegistration(
                "portico.tracing.v1.MonitoringService",
                monitoring_service_pb2_grpc.add_MonitoringServiceServicer_to_server,
                MonitoringServicer(self.servers, self.poller),
            ),
            ServiceRegistration(
                "portico.tracing.v1.AlertService",
                alert_service_pb2_grpc.add_AlertServiceServicer_to_server,
                AlertServicer(self.rules, self.incidents, self.history, mail_enabled=self.mail_enabled),
            ),
        ]


def monitoring_of(platform: Platform, settings: Settings, jobs: Jobs) -> Monitoring:
    """The parts on the platform's store, their kinds of jobs registered. Nothing works in the background yet."""
    options, guard, sealer = settings.monitoring, settings.outbound.guard(), settings.sealing.sealer()
    servers = InferenceServers(
        platform.store, sealer, guard, polling(jobs), min_interval_seconds=options.min_poll_seconds
    )
    poller = Poller(
        jobs,
        servers,
        MetricsOverHttp(guard, seconds=options.poll_timeout_seconds),
        platform.shared.rate_limits,
        retention_seconds=options.retention_days * _DAY,
    )
    return _with_alerts(platform, settings, jobs, servers, poller, guard, sealer)


def _with_alerts(
    platform: Platform,
    settings: Settings,
    jobs: Jobs,
    servers: InferenceServers,
    poller: Poller,
    guard: OutboundGuard,
    sealer: Sealer,
) -> Monitoring:
    options, store = settings.monitoring, platform.store
    keep = options.history_days * _DAY
    mails = make_mails("tracing", jobs, sealer, settings.mail)
    inference = ServiceClient("inference", settings.neighbours.inference_address)
    auth = ServiceClient("auth", platform.settings.rpc.auth_address)
    rag = ServiceClient("rag", settings.neighbours.rag_address)
    for name, client in (("inference", inference), ("auth", auth), ("rag", rag)):
        platform.lifecycle.on_stop(Phase.POOLS, f"channel to {name}", client.close, 5.0)
    channels = Channels(sealer, guard)
    incidents, history = Incidents(store, keep_seconds=keep), History(store)
    rules = AlertRules(store, channels, incidents, evaluation(jobs))
    notifications = Notifications(
        jobs,
        history,
        rules,
        incidents,
        channels,
        mails,
        Webhooks(guard, seconds=options.webhook_seconds),
        neighbours.TenantAdministrators(auth),
        keep_seconds=keep,
    )
    usage = neighbours.UsageMetrics(inference)
    sources: dict[str, MetricSource] = {
        "inference": ServerMetrics(servers),
        "models": usage,
        "spend": usage,
        "guardrails": neighbours.GuardrailMetrics(inference),
        "rag": RagMetrics(rag),
    }
    evaluator = Evaluator(
        jobs,
        rules,
        incidents,
        notifications,
        sources,
        lambda: acting(platform.service_tokens, neighbours.SCOPES),
        seconds=options.alert_seconds,
    )
    return Monitoring(servers, poller, rules, incidents, history, evaluator, mails.enabled)
