"""Names of metadata between the edge and the services."""

EDGE_SECRET = "x-portico-edge"  # noqa: S105  # the name of a header
"""Proves that a call comes from the edge."""
SERVICE_SECRET = "x-portico-service-secret"  # noqa: S105  # the name of a header
"""Proves that a call comes from another service."""
REST = "x-portico-rest"
"""The edge has transcoded the call from REST."""
CLIENT_ADDRESS = "x-client-address"
"""IP address of the client, as the edge sees it."""
HTTP_STATUS = "x-http-status"
"""HTTP status of an answer over REST; the edge puts it in place of what its transcoder made of the gRPC status."""
ERROR_BODY = "x-error-body"
"""Body of an error over REST."""
SHOULD_RETRY = "x-should-retry"
"""Header that tells whether another attempt is of use. OpenAI's and Anthropic's clients obey it."""
EVENT_STREAM = (("cache-control", "no-cache, no-transform"), ("x-accel-buffering", "no"))
"""Headers of an answer that is a stream of server-sent events: nothing between may hold it back."""
