"""The limits on requests to tracing, from the constants and settings that enforce them."""

from core.limits import Limit
from services.tracing.settings import Settings


def limits(settings: Settings) -> tuple[Limit, ...]:
    return (
        Limit("A body of spans or events, unpacked", settings.max_body_mb, "MiB", "request", "413"),
        Limit("Spans and events that wait to be written", settings.waiting_mb, "MiB", "tenant", "429"),
    )
