"""Bounds of what a Qdrant server may do. Times are in seconds; the longest answer is a setting."""

CALL_SECONDS = 30
"""One call, from its beginning to the last byte of its answer."""
CALLS = 16
"""Most calls at a time to one server."""
WAIT_SECONDS = 5.0
"""Time that a call waits for its turn."""
MAX_SMALL_BYTES = 64 * 1024
"""Most bytes of an answer without points."""
MAX_METADATA_BYTES = 16 * 1024
"""Most bytes of the headers of an answer, and of its trailers."""
MAX_FIELDS = 256
MAX_FIELDS_PER_POINT = 24
"""Most fields of a point in an answer, nested ones included. A point with its vector has 16."""
