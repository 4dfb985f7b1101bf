"""The limits on answers of model providers, from the constants and settings that enforce them."""

from core.http import limits as http
from core.http.limits import BAD, BUSY, LATE
from core.limits import Limit
from services.inference.domain.routing import sending
from services.inference.settings import Settings


def rows(settings: Settings) -> tuple[Limit, ...]:
    """Besides those of `core.http.limits`."""
    event = settings.provider_max_response_mb
    return (
        Limit("Model provider: connections", settings.provider_connections, "connections", "provider", BUSY),
        Limit("Model provider: wait for a connection", http.POOL_SECONDS, "seconds", "call", BUSY),
        Limit("Model provider: name lookup, TCP and TLS", http.CONNECT_SECONDS, "seconds", "connection", LATE),
        Limit("Model provider: pause", settings.provider_idle_seconds, "seconds", "answer", LATE),
        Limit("Model provider: body of a whole answer", http.BODY_SECONDS, "seconds", "answer", LATE),
        Limit("Model provider: event of a stream", event, "MiB", "event", "502 upstream_malformed"),
        Limit("Model provider: error to a streamed call", sending.MAX_ERROR_BYTES, "bytes", "answer", BAD),
        Limit("Model provider: error to a streamed call", http.READ_SECONDS, "seconds", "answer", LATE),
    )
