"""Quotas of traces: the events and sessions of a call."""

from collections.abc import Sequence

from core.quotas.calls import CallQuotas
from core.quotas.rules import Dimension
from services.tracing.domain.records import Patch

DOMAIN = "tracing"
_FIELDS = {Dimension.EVENTS: "events", Dimension.DURATION: "durationMs"}


class TraceQuotas:
    """Reserves for calls that write traces."""

    def __init__(self, calls: CallQuotas) -> None:
        self._calls = calls

    async def use(self, patches: Sequence[Patch]) -> None:
        """Reserve for what has come for some sessions. Raises InvalidInput, RateLimited."""
        counts = [len(patch.events) for patch in patches]
        amounts = {
            Dimension.TRACES: sum(counts),
            Dimension.EVENTS: max(counts, default=0),
            Dimension.DURATION: int(max((patch.duration_ms or 0 for patch in patches), default=0)),
        }
        await self._calls.use(DOMAIN, amounts, fields=_FIELDS)
