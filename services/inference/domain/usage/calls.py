"""A model call from its start to its usage record."""

import time
from dataclasses import dataclass

from core import context
from core.context import Identity
from core.errors import PorticoError, Unauthenticated
from services.inference.domain.codecs.headers import Pairs
from services.inference.domain.routing.routes import Route
from services.inference.domain.usage.tokens import NO_USAGE, TokenUsage

SUCCESS, ERROR, CANCELLED = "success", "error", "cancelled"
CHAT, EMBEDDING = "chat", "embedding"


@dataclass(slots=True)
class ModelCall:
    """Filled in while the call runs. The meter makes the record of it later, off the path."""

    identity: Identity
    request_id: str
    operation: str
    model: str
    began: float
    """Unix seconds."""
    started: float
    """Monotonic seconds, as `first_byte` and `ended`."""
    deadline: float | None
    streamed: bool = False
    route: Route | None = None
    first_byte: float = 0.0
    ended: float = 0.0
    status: str = SUCCESS
    error_reason: str = ""
    finish_reason: str = ""
    usage: TokenUsage = NO_USAGE
    limits: Pairs = ()
    """What the provider's answer said of its rate limits."""

    def failed(self, error: PorticoError) -> None:
        self.status, self.error_reason = ERROR, error.reason


now = time.monotonic
"""The clock of `started`, `first_byte` and `ended`."""


def begin(operation: str, model: str) -> ModelCall:
    """Begin a model call of the present caller. Raises Unauthenticated outside of one."""
    request = context.current()
    if request is None or request.identity is None:
        raise Unauthenticated("This call needs an identity.")
    return ModelCall(
        request.identity, request.request_id, operation, model, time.time(), time.monotonic(), request.deadline
    )
