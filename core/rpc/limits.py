"""Limits of the RPC layer that no setting changes. `core.rpc.limit_table` lists them with all others."""

KIB = 1024
MIB = 1024 * KIB

MAX_REQUEST_BYTES = MIB
"""Most bytes of a request message, where the contract says nothing else."""
MAX_PUBLIC_REQUEST_BYTES = 64 * KIB
"""Most bytes of a request message of a call without a token; the edge's limit for these calls is the same."""
MAX_REQUEST_FIELDS = 250_000
"""Most fields of a request message, where the contract says nothing else."""
MAX_SENT_BYTES = 40 * MIB
"""Most bytes of an answer's message."""
MAX_HEAD_BYTES = 96 * KIB
"""Most bytes of all metadata; the edge takes 60 KiB of headers. gRPC's own limit is 8 KiB, which cookies and traces
exceed."""
LOOK_SECONDS = 2.0
"""Time for the request of a refused call to arrive, where the audit log says what the call was about."""
UNREAD_BYTES = 16 * KIB
"""Bytes of a stream that gRPC takes in before the service reads: held for every call that waits."""
MAX_WAITING = 1000
"""Calls of one caller, for one size limit, whose message waits for its turn to arrive. Each holds up to 64 KiB: what
HTTP/2 lets a client send before it has heard of `UNREAD_BYTES`."""
MAX_PROBES = 200
"""Calls of health at a time, and of reflection. They do not count among the others, so that a busy service answers its
probes, and strangers who hang in reflection take nothing from callers."""
MAX_PROBE_BYTES = 4 * KIB
"""Most bytes of a message to the health server that needs no certificate."""
PROBE_MESSAGES = 2
"""Messages to health, and to reflection, that one address may have arriving at a time."""
PROBE_SECONDS = 5.0
"""Time for such a message to arrive."""
ADDRESS_SHARE_PERCENT = 50
"""Share of the places for calls without a token that one address may hold while no other holds any."""
ANONYMOUS_PERCENT = 50
"""Share of all places for calls that calls without a token may hold together."""
