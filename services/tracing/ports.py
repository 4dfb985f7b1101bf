"""The ports of tracing."""

from typing import Protocol

from core.tenancy import Project


class FetchMetrics(Protocol):
    """Read the metrics page of an inference server, whose base URL and API key (empty: none) a tenant has given."""

    async def __call__(self, project: Project, base_url: str, api_key: str) -> bytes:
        """The body. Raises Unavailable, DeadlineExceeded or UpstreamFailed where there is none; the message names no
        address."""
