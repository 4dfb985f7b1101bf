"""How large a call may be, whatever brings it. The edge's limits are lower, so that it is the one that refuses."""

MAX_MESSAGE_BYTES = 40 * 1024 * 1024
"""The edge takes bodies of 32 MiB."""
MAX_HEAD_BYTES = 96 * 1024
"""For all metadata; the edge takes 60 KiB of headers. gRPC's own limit is 8 KiB, which cookies and traces exceed."""
