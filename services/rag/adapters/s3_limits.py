"""Bounds of what an S3 server may do. Times are in seconds."""

CONNECTIONS = 50
POOL_SECONDS = 30.0
"""Time that a call waits for one of them."""
CONNECT_SECONDS = 5.0
FIRST_BYTE_SECONDS = 60.0
"""Time from sending a request, a part of an upload with it, to the answer's head."""
IDLE_SECONDS = 60.0
"""Seconds between two chunks of an answer."""
CALL_SECONDS = 60.0
"""One call with all its attempts, but for the content of an object, which takes as long as its reader does."""
UPLOAD_SECONDS = 300.0
"""One call that brings a part of an upload."""
CLEAR_SECONDS = 300.0
"""Time for a removal of a deleted project's objects; the next try goes on where it ended."""
ATTEMPTS = 3

MAX_ERROR_BYTES = 16 * 1024
"""Most bytes of an error's body. Beyond it the status alone says what is wrong."""
MAX_ANSWER_BYTES = 64 * 1024
"""Most bytes of an answer that is not the content of an object."""
MAX_TAGS = 600
"""Most tags of the XML in either: reading one costs thousands of times what sending it does."""
MAX_LISTED = 16
"""Objects, or unfinished uploads, of one list: what is removed at a time."""
MAX_HOSTS = 4
"""Most hosts that one store talks to: its own, and those of other regions that Amazon names."""
