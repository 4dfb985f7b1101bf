"""The limits on requests to tracing, from the constants and settings that enforce them."""

from core.limits import Limit
from services.tracing.domain.alerts.channels import MAX_CHANNELS, MAX_RECIPIENTS
from services.tracing.domain.alerts.incidents import MAX_INCIDENT_NOTES
from services.tracing.domain.alerts.rules import MAX_RULES
from services.tracing.domain.monitoring.servers import MAX_SERVERS
from services.tracing.settings import Settings


def limits(settings: Settings) -> tuple[Limit, ...]:
    return (
        Limit("A body of spans or events, unpacked", settings.max_body_mb, "MiB", "request", "413"),
        Limit("Spans and events that wait to be written", settings.waiting_mb, "MiB", "tenant", "429"),
        Limit("Inference servers", MAX_SERVERS, "servers", "project", "400 too_many_servers"),
        Limit("Alert rules", MAX_RULES, "rules", "project", "400 too_many_rules"),
        Limit("Channels", MAX_CHANNELS, "channels", "alert rule", "400"),
        Limit("Recipients", MAX_RECIPIENTS, "addresses", "channel", "400"),
        Limit("Notes", MAX_INCIDENT_NOTES, "notes", "incident", "400 too_many_notes"),
    )
