"""Exchanges and models for tests of codecs and frontends, without a call around them."""

from typing import Any, cast

from core.resilience import RetryBudget
from services.inference.domain.codecs.codec import TargetModel
from services.inference.domain.codecs.scrubbing import scrubber
from services.inference.domain.pipeline.exchange import Exchange
from services.inference.domain.pipeline.native import NativeRequest
from services.inference.domain.usage.calls import ModelCall

SONNET = "claude-sonnet-4-6"
OLD = "claude-3-5-sonnet-20241022"


def exchange(request: dict[str, Any], native: NativeRequest | None = None) -> Exchange:
    """An exchange of a canonical request."""
    streamed = bool(request.get("stream"))
    usage = streamed and bool((request.get("stream_options") or {}).get("include_usage"))
    return Exchange(cast(ModelCall, None), request, "req-1", streamed, usage, RetryBudget(0), native)


def target(
    model_id: str = SONNET,
    *,
    defaults: dict[str, Any] | None = None,
    extra: dict[str, Any] | None = None,
    unsupported: tuple[str, ...] = (),
    whole_with_tools: bool = False,
) -> TargetModel:
    """A model with the public key `m`."""
    scrub = scrubber(("sk-secret",), model_id, "m")
    return TargetModel(
        "m", model_id, tuple((defaults or {}).items()), extra or {}, unsupported, whole_with_tools, scrub
    )
