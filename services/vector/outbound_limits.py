"""The limits on answers of Qdrant and PostgreSQL servers, from the constants and settings that enforce them."""

from core.http.limits import BUSY
from core.limits import Limit
from services.vector.adapters import answers
from services.vector.adapters import postgres_limits as postgres
from services.vector.adapters import qdrant_limits as qdrant
from services.vector.settings import Settings

_AWAY = "503"
_MALFORMED = "502 upstream_malformed"
_TOO_LARGE = "502 answer_too_large"


def rows(settings: Settings) -> tuple[Limit, ...]:
    """Besides those of `core.http.limits`, of which names and addresses concern these servers."""
    return (
        Limit("Vector provider: answer", settings.max_answer_mb, "MiB", "call", _TOO_LARGE),
        Limit("Vector provider: point", answers.MAX_POINT_BYTES, "bytes of JSON", "point", _MALFORMED),
        *_qdrant(),
        *_postgres(),
    )


def _qdrant() -> tuple[Limit, ...]:
    return (
        Limit("Qdrant: calls at a time", qdrant.CALLS, "calls", "provider", BUSY),
        Limit("Qdrant: wait for one's turn", qdrant.WAIT_SECONDS, "seconds", "call", BUSY),
        Limit("Qdrant: call", qdrant.CALL_SECONDS, "seconds", "call", _AWAY),
        Limit("Qdrant: answer without points", qdrant.MAX_SMALL_BYTES, "bytes", "answer", _TOO_LARGE),
        Limit("Qdrant: fields", qdrant.MAX_FIELDS, "fields", "answer", _MALFORMED),
        Limit("Qdrant: further fields", qdrant.MAX_FIELDS_PER_POINT, "fields", "point asked for", _MALFORMED),
        Limit("Qdrant: headers, or trailers", qdrant.MAX_METADATA_BYTES, "bytes", "answer", _TOO_LARGE),
    )


def _postgres() -> tuple[Limit, ...]:
    return (
        Limit("PostgreSQL: connections", postgres.CONNECTIONS, "connections", "provider", _AWAY),
        Limit("PostgreSQL: name lookup, TCP, TLS and sign-in", postgres.CONNECT_SECONDS, "seconds", "host", _AWAY),
        Limit("PostgreSQL: wait for a connection", postgres.ACQUIRE_SECONDS, "seconds", "operation", _AWAY),
        Limit("PostgreSQL: statement", postgres.STATEMENT_SECONDS, "seconds", "statement", _AWAY),
        Limit("PostgreSQL: operation", postgres.OPERATION_SECONDS, "seconds", "operation", _AWAY),
        Limit(
            "PostgreSQL: end of a cancelled statement", postgres.RELEASE_SECONDS, "seconds", "operation", "disconnected"
        ),
        Limit("PostgreSQL: row", postgres.MAX_ROW_BYTES, "bytes", "row", _TOO_LARGE),
        Limit("PostgreSQL: columns", postgres.MAX_COLUMNS, "columns", "row", _MALFORMED),
        Limit("PostgreSQL: other message", postgres.MAX_MESSAGE_BYTES, "bytes", "message", _TOO_LARGE),
        Limit("PostgreSQL: messages", postgres.MAX_MESSAGES, "messages", "operation", _TOO_LARGE),
        Limit("PostgreSQL: further messages", postgres.MAX_MESSAGES_PER_ROW, "messages", "row asked for", _TOO_LARGE),
        Limit("PostgreSQL: answers without rows", postgres.MAX_QUIET_BYTES, "bytes", "operation", _TOO_LARGE),
        Limit("PostgreSQL: messages to sign in", postgres.MAX_SIGN_IN_MESSAGES, "messages", "connection", "502"),
        Limit("PostgreSQL: hashing of the password", postgres.MAX_SCRAM_ITERATIONS, "rounds", "connection", "502"),
    )
