"""Targets: a provider's model, compiled for calls."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from core.http.ports import Timeouts
from services.inference.domain.catalogue.prices import Pricing
from services.inference.domain.codecs.codec import Codec, TargetModel
from services.inference.ports import Client

ClientKey = tuple[str, str, str, float]
"""Tenant, project, provider, and when it was last changed."""


@dataclass(slots=True, eq=False)
class Target(TargetModel):
    """One model of one provider, ready to be called."""

    provider_key: str
    codec: Codec
    breaker: tuple[str, str, str, str]
    """Tenant, project, provider and its model: whose calls fail together. One model that is out of order says nothing
    of the provider's others."""
    client_key: ClientKey
    make_client: Callable[[], Awaitable[Client]]
    """Makes the client, where the pool has none of `client_key`."""
    path: bytes
    """With the query."""
    timeouts: Timeouts
    pricing: Pricing
    weight: float = 1.0
    priority: int = 0
    whole_seconds: float | None = None
    """The longest time for a whole answer, if it has a limit of its own."""
    first_token_seconds: float | None = None
    """The longest time until the first chunk of a stream. Until then the client hears nothing."""
    turn: float = 0.0
    """These change: how the target fares, for the policies."""
    in_progress: int = 0
    latency: float = float("inf")
    measured_at: float = float("-inf")
    cool_until: float = float("-inf")
    """Monotonic seconds; it is tried last until then."""
