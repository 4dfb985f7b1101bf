"""The limits on inference servers and webhooks, from the constants and settings that enforce them."""

from core.http.limits import BAD, LATE
from core.limits import Limit
from services.tracing.adapters.http import MAX_ANSWER_BYTES, MAX_METRICS_BYTES
from services.tracing.domain.monitoring.exposition import MAX_LINE, MAX_SAMPLES
from services.tracing.settings import Settings


def rows(settings: Settings) -> tuple[Limit, ...]:
    """Besides those of `core.http.limits`."""
    options, left_out = settings.monitoring, "it is left out"
    return (
        Limit("Inference server: metrics page", MAX_METRICS_BYTES, "bytes", "answer", "it is down"),
        Limit("Inference server: line of a metric", MAX_LINE, "characters", "line", left_out),
        Limit("Inference server: series of wanted metrics", MAX_SAMPLES, "series", "answer", left_out),
        Limit("Inference server: each phase", options.poll_timeout_seconds, "seconds", "answer", "it is down"),
        Limit("Webhook: answer", MAX_ANSWER_BYTES, "bytes", "answer", BAD),
        Limit("Webhook: each phase", options.webhook_seconds, "seconds", "answer", LATE),
    )
