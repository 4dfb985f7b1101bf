"""Bounds of what a PostgreSQL server may do. Times are in seconds; the longest answer is a setting."""

CONNECTIONS = 8
"""Most connections to one server, and so operations at a time."""
CONNECT_SECONDS = 10.0
"""Name lookup, TCP, TLS and signing in together, for each host."""
ACQUIRE_SECONDS = 30.0
"""Time to get a connection, one's turn and all of its hosts included."""
STATEMENT_SECONDS = 30.0
OPERATION_SECONDS = 60.0
"""All statements of one operation."""
RELEASE_SECONDS = 5.0
"""Time for a server to end what was cancelled."""

MAX_ROW_BYTES = 2 * 1024 * 1024
"""Most bytes of one row: an id, 65 KB of numbers, metadata and text."""
MAX_MESSAGE_BYTES = 64 * 1024
"""Most bytes of every other message: errors, notices, descriptions."""
MAX_MESSAGES = 200
"""Most messages of one operation, besides those of its rows."""
MAX_MESSAGES_PER_ROW = 3
MAX_QUIET_BYTES = 256 * 1024
"""Most bytes while a connection is set up, ended or idle, and of an operation that reads no rows."""
MAX_SIGN_IN_MESSAGES = 8
MAX_SCRAM_ITERATIONS = 65_536
"""Most iterations of hashing a password, which the loop waits for. PostgreSQL's default is 4,096."""
MAX_COLUMNS = 16
