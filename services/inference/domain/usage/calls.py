"""A model call from its start to its usage record."""

import time
from dataclasses import dataclass
from typing import Protocol

from core import context
from core.context import Identity
from core.errors import Unauthenticated
from services.inference.domain.catalogue import models
from services.inference.domain.catalogue.models import Pricing
from services.inference.domain.usage.tokens import NO_USAGE, TokenUsage

SUCCESS, ERROR, CANCELLED = "success", "error", "cancelled"
CHAT, EMBEDDING = "chat", "embedding"
CATEGORIES = {CHAT: models.LLM, EMBEDDING: models.EMBEDDING}
"""The category of model that an operation needs."""


class CalledModel(Protocol):
    """A provider's model, as far as a usage record names it."""

    provider_key: str
    model_id: str
    pricing: Pricing


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
    target: CalledModel | None = None
    """Who was asked last."""
    first_byte: float = 0.0
    ended: float = 0.0
    status: str = SUCCESS
    error_reason: str = ""
    finish_reason: str = ""
    usage: TokenUsage = NO_USAGE


now = time.monotonic
"""The clock of `started`, `first_byte` and `ended`."""


def begin(operation: str, model: str, *, streamed: bool = False) -> ModelCall:
    """Begin a model call of the present caller. Raises Unauthenticated outside of one."""
    request = context.current()
    if request is None or request.identity is None:
        raise Unauthenticated("This call needs an identity.")
    return ModelCall(
        request.identity,
        request.request_id,
        operation,
        model,
        time.time(),
        time.monotonic(),
        request.deadline,
        streamed,
    )
