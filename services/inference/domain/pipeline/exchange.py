"""The exchange: one call to a model, as the steps of the pipeline pass it on."""

from dataclasses import dataclass, replace
from typing import Any

from core.resilience import RetryBudget
from services.inference.domain.pipeline.native import NativeRequest
from services.inference.domain.usage.calls import ModelCall

Body = dict[str, Any]
"""A request in the canonical form: OpenAI's JSON, parsed."""


@dataclass(slots=True)
class Exchange:
    """A request and all that holds for it. Made by `Pipeline.begin`.

    `request` is never changed in place, so that every target is sent what the caller asked for, whatever another target
    dropped or added. A step that wants another request passes on `with_request(...)`; what is counted (`call`,
    `retries`) stays one for both.
    """

    call: ModelCall
    """The call: who made it, when, and what became of it; the usage record is made of this."""
    request: Body
    request_id: str
    """The caller's own `request_id` where the request has one."""
    stream: bool
    """True if the caller wants chunks; a whole answer otherwise."""
    with_usage: bool
    """True if a stream ends with a chunk that carries the usage."""
    retries: RetryBudget
    """Attempts left after the first one, over all targets."""
    native: NativeRequest | None = None
    """The request as the caller sent it, where that is another format than the canonical one."""
    native_answer: bool = True
    """True if a provider of the caller's format may answer with what the canonical form cannot hold."""

    def with_request(self, request: Body) -> "Exchange":
        """The exchange with another request."""
        return replace(self, request=request)

    def with_canonical_answer(self) -> "Exchange":
        """The exchange for a step that must see all that an answer says: what the canonical form cannot hold is left
        out of it."""
        return replace(self, native_answer=False)
