"""A model call from its start to its usage record."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from core import context
from core.context import Identity
from core.errors import Unauthenticated
from core.quotas.admission import Reservation
from services.inference.domain.catalogue import models
from services.inference.domain.catalogue.prices import Pricing
from services.inference.domain.usage.tokens import NO_USAGE, TokenUsage

SUCCESS, ERROR, CANCELLED = STATUSES = "success", "error", "cancelled"
CHAT, EMBEDDING, RERANK, SHADOW = "chat", "embedding", "rerank", "shadow"
CATEGORIES = {CHAT: models.LLM, EMBEDDING: models.EMBEDDING, RERANK: models.RERANK}
"""The category of model that an operation needs."""
SINGLE = "single"
"""The policy of a model with one target."""
FIRST, FAILOVER, NONE = "first", "failover", "none"
"""Reasons why a target answered: it was the policy's choice, others failed before it, or none did."""
_MAX_FAILURES = 32
MAX_TAGS = 16
"""Tags of a call; further ones are not recorded."""
MAX_TAG_KEY = 64
MAX_TAG_VALUE = 256
"""Characters of a tag's value; a longer one is cut."""
AGENT = "agent"
"""The tag that names the agent which makes a call."""


@dataclass(frozen=True, slots=True)
class DynamicChoice:
    """The choice of a dynamic model, and why: `decision` is rule, model, default or fallback."""

    router_key: str
    decision: str
    chosen_key: str
    label: str = ""
    decider_ms: float = 0.0


@dataclass(slots=True)
class Decision:
    """The choice of the target of a call."""

    policy: str = SINGLE
    reason: str = NONE
    dynamic: tuple[DynamicChoice, ...] = ()


class FailedAttempt(NamedTuple):
    """An attempt that failed."""

    provider_key: str
    model_id: str
    reason: str


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
    """The target that was asked last."""
    first_byte: float = 0.0
    ended: float = 0.0
    status: str = SUCCESS
    error_reason: str = ""
    finish_reason: str = ""
    usage: TokenUsage = NO_USAGE
    attempts: int = 0
    """Requests sent to providers."""
    failures: tuple[FailedAttempt, ...] = ()
    decision: Decision | None = None
    """None: there was nothing to choose."""
    tags: Mapping[str, str] | None = None
    """The caller's own metadata; None: there is none."""
    reservation: Reservation | None = None
    """The reservation under quotas; None: no limit holds for the call."""
    memory: str = ""
    """Outcome of the recall of memories, for the caller; empty: none was asked for."""

    def failed_at(self, model: CalledModel, reason: str) -> None:
        """Note an attempt that failed."""
        if len(self.failures) < _MAX_FAILURES:
            self.failures += (FailedAttempt(model.provider_key, model.model_id, reason),)

    def decided(self) -> Decision:
        """The decision, to be filled in."""
        if self.decision is None:
            self.decision = Decision()
        return self.decision

    def shadow(self) -> "ModelCall":
        """A call of the same caller whose answer nobody reads."""
        call = ModelCall(
            self.identity, self.request_id, SHADOW, self.model, time.time(), time.monotonic(), None, self.streamed
        )
        call.tags = self.tags
        return call


def tags_of(metadata: object) -> Mapping[str, str] | None:
    """The tags in a request's `metadata`: texts, numbers and booleans, as texts. What is none is left out, because
    providers define what else the field may hold."""
    if not isinstance(metadata, dict):
        return None
    tags: dict[str, str] = {}
    for key, value in metadata.items():
        if len(tags) < MAX_TAGS and 0 < len(key) <= MAX_TAG_KEY and isinstance(value, str | int | float):
            tags[key] = (value if isinstance(value, str) else json.dumps(value))[:MAX_TAG_VALUE]
    return tags or None


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
