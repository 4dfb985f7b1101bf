"""Bounds of what is called on behalf of tenants, over HTTP and before. Times are in seconds."""

from core.limits import Limit

MAX_HEAD_BYTES = 64 * 1024
"""Most bytes in a row that are not body: headers, interim responses, trailers, chunk extensions."""
MAX_FRAMING = 32
"""Bytes of framing that one byte of the body makes up for; a chunk of one byte has 5 or 6."""
MAX_BUFFERED_BYTES = 256 * 1024
"""Most bytes of a stream buffered for a slow reader before the socket is no longer read."""

BAD = "502 upstream_bad_response"
BUSY = "503 upstream_busy"
LATE = "504 upstream_timeout"

POOL_SECONDS = 5.0
CONNECT_SECONDS = 10.0
FIRST_BYTE_SECONDS = 120.0
IDLE_SECONDS = 60.0
BODY_SECONDS = 600.0
READ_SECONDS = 30.0
"""Time to read a short body, such as the text of an error."""

LOOKUP_SECONDS = 5.0
"""The longest a name lookup may take; a name that takes longer has no address."""
REFUSAL_SECONDS = 0.5
"""The least time until a host is refused, so that the time does not tell a name that exists from one that does not."""
LOOKUP_THREADS = 64
LOOKUPS_PER_TENANT = 8
"""Lookups of one tenant at a time. A name server that a tenant runs may answer late or never, and each such lookup
holds a thread."""


def rows() -> tuple[Limit, ...]:
    """The limits of calls to servers that tenants name, in every service."""
    refused = "400 address_refused when it is configured, 503 upstream_address_refused when it is called"
    waits = "it waits"
    return (
        Limit("Outbound name lookup: time", LOOKUP_SECONDS, "seconds", "name", refused),
        Limit("Outbound name lookup: least time of a refusal", REFUSAL_SECONDS, "seconds", "refusal", "it waits"),
        Limit("Outbound name lookups at a time", LOOKUPS_PER_TENANT, "lookups", "tenant", waits),
        Limit("Outbound name lookups at a time", LOOKUP_THREADS, "lookups", "process", waits),
        Limit("Outbound HTTP: headers, trailers, interim answers", MAX_HEAD_BYTES, "bytes", "answer", BAD),
        Limit("Outbound HTTP: framing beyond these", MAX_FRAMING, "bytes", "byte of the body", BAD),
        Limit("Outbound HTTP: body not yet read", MAX_BUFFERED_BYTES, "bytes", "stream", "the server waits"),
    )
