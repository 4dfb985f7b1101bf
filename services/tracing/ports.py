"""The ports of tracing."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from core.tenancy import Project


class FetchMetrics(Protocol):
    """Read the metrics page of an inference server, whose base URL and API key (empty: none) a tenant has given."""

    async def __call__(self, project: Project, base_url: str, api_key: str) -> bytes:
        """The body. Raises Unavailable, DeadlineExceeded or UpstreamFailed where there is none; the message names no
        address."""


class MetricSource(Protocol):
    """The values of one module's metrics, as alert rules look at them."""

    async def measure(
        self, project: Project, metric: str, scope: Mapping[str, str], start: float, end: float
    ) -> float | None:
        """The metric over a time (Unix seconds), in the unit that it has in rules; None: there was no data. Raises
        PorticoError where it cannot be had now."""


class Administrators(Protocol):
    """The people whom alerts without recipients go to."""

    async def __call__(self, project: Project) -> Sequence[str]:
        """Addresses of the active owners and admins of the tenant. Raises PorticoError where they cannot be had now."""


class PostWebhook(Protocol):
    """Post to a URL that a tenant has given."""

    async def __call__(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Return once the server has answered with success. Raises Unavailable, DeadlineExceeded or UpstreamFailed
        where another attempt may succeed, and another PorticoError where none will."""
