"""Bounds of what a Qdrant server may do. Times are in seconds; the longest answer is a setting."""

CALL_SECONDS = 30
"""One call, from its beginning to the last byte of its answer."""
CALLS = 16
"""At a time, to one server."""
WAIT_SECONDS = 5.0
"""For one's turn."""
MAX_SMALL_BYTES = 64 * 1024
"""Of an answer without points."""
MAX_METADATA_BYTES = 16 * 1024
"""Of the headers of an answer, and of its trailers."""
MAX_FIELDS = 256
MAX_FIELDS_PER_POINT = 24
"""That an answer may have, nested ones included. A point with its vector has 16."""
