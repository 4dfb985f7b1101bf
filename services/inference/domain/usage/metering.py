"""Usage records: the tokens and cost of each model call."""

import time
from collections.abc import Iterable, Sequence
from functools import partial

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from core import logs
from core.errors import Unavailable
from core.quotas.rules import Amounts, Dimension
from core.storage.ports import Document, DocumentStore
from core.storage.write_ahead import RecordScope, WriteAhead
from core.storage.write_behind import WriteBehind
from core.tasks import Tasks
from services.inference.domain.catalogue.prices import Pricing
from services.inference.domain.tables import ROLLUPS, USAGE
from services.inference.domain.usage.calls import AGENT, Decision, ModelCall
from services.inference.domain.usage.rollups import Rollups, day_of
from services.inference.domain.usage.tokens import TokenUsage

FLUSH_SECONDS = 0.5
NANOS = 1_000_000_000
_MAX_MODEL = 256
_MAX_FINISH_REASON = 64
"""Characters; providers send what they like."""
_SCRUB_ATTEMPTS = 20
_UNPRICED = Pricing()
"""Prices of a call that no target was found for."""

log = logs.get(__name__)


def cost_nanos(usage: TokenUsage, pricing: Pricing) -> int:
    """In billionths of the currency. A price per million tokens is a thousand times as many of them per token, one per
    thousand searches a million times as many per search."""
    cached_price = pricing.input if pricing.cached is None else pricing.cached
    cost = (usage.input - usage.cached_input) * pricing.input + usage.cached_input * cached_price
    if usage.cache_write and pricing.cache_write is not None:
        cost += usage.cache_write * (pricing.cache_write - pricing.input)
    return round((cost + usage.output * pricing.output) * 1000 + usage.searches * pricing.search * 1_000_000)


class Meter:
    """Takes ended calls and writes their records, off the calls' path, together with the roll-ups of them.

    With a journal, the record of a call is in a file when `add` returns, before the client has the end of its answer:
    a process that is killed loses none of an answered call.
    """

    def __init__(
        self,
        store: DocumentStore,
        tasks: Tasks,
        *,
        capacity: int,
        journal: WriteAhead | None = None,
        sync: bool = False,
    ) -> None:
        self._store = store
        self._journal = journal
        self._rollups = Rollups()
        self.records = WriteBehind(
            store, USAGE, tasks, "use", _document, capacity=capacity, journal=journal, insert=self._insert
        )
        self.synced = journal.synced if sync and journal is not None else None
        """Waits until the records of ended calls are on the disk; None: nobody is to wait for that."""

    def add(self, call: ModelCall) -> None:
        """Add an ended call. Never waits and never raises."""
        call.ended = time.monotonic()
        self.records.add(call.identity.project, call)
        if call.reservation is not None:
            call.reservation.settle(_used(call))

    async def recover(self) -> None:
        """Take over the records that ended processes have left in their journals; `flush` writes them."""
        if self._journal is not None and (count := self._journal.adopt()):
            log.info("usage of an ended process found in its journal", segments=count)

    async def flush(self) -> None:
        await self.records.flush()

    def metrics(self) -> Iterable[Metric]:
        """Families for operators."""
        records, name = self.records, "portico_usage_records"
        yield GaugeMetricFamily(f"{name}_waiting", "Usage records that are not written yet.", records.waiting)
        yield CounterMetricFamily(f"{name}_lost", "Usage records that there was no room for.", records.lost)
        yield CounterMetricFamily(f"{name}_unwritable", "Usage records that no store can take.", records.unwritable)
        failures = 0 if self._journal is None else self._journal.failures
        yield CounterMetricFamily("portico_usage_journal_failures", "Usage records that are in no journal.", failures)

    async def close(self) -> None:
        """Write what there is, and leave the rest to the next process."""
        await self.flush()
        if self._journal is not None:
            self._journal.close()

    async def scrub(self) -> None:
        """Remove the bytes of written records from the journal. Raises Unavailable where some cannot be written now."""
        if self._journal is None:
            return
        await self.flush()
        self._journal.scrub()
        for _ in range(_SCRUB_ATTEMPTS):
            if self._journal.scrubbed:
                return
            await self.flush()
        raise Unavailable("The usage journal holds records that cannot be written now. Try again.", retry_after=1.0)

    async def _insert(
        self, scope: RecordScope, documents: Sequence[Document], texts: Sequence[str] | None = None
    ) -> None:
        counting = partial(self._rollups.increments, scope)
        await self._store.insert_counted(scope, USAGE, documents, ROLLUPS, counting, texts=texts)


def amounts_of(usage: TokenUsage, pricing: Pricing) -> Amounts:
    """The amounts of one call that count under quotas."""
    return {
        Dimension.REQUESTS: 1,
        Dimension.TOKENS: usage.total,
        Dimension.INPUT_TOKENS: usage.input,
        Dimension.OUTPUT_TOKENS: usage.output,
        Dimension.SPEND: cost_nanos(usage, pricing),
    }


def _used(call: ModelCall) -> Amounts:
    return amounts_of(call.usage, _UNPRICED if call.target is None else call.target.pricing)


def _document(call: ModelCall) -> Document:
    target, usage = call.target, call.usage
    pricing = _UNPRICED if target is None else target.pricing
    document: Document = {
        "createdAt": call.began,
        "day": day_of(call.began),
        "requestId": call.request_id,
        "tokenId": call.identity.token_id,
        "userId": call.identity.subject,
        "model": call.model[:_MAX_MODEL],
        "modelId": "" if target is None else target.model_id,
        "providerKey": "" if target is None else target.provider_key,
        "operation": call.operation,
        "status": call.status,
        "errorReason": call.error_reason,
        "finishReason": call.finish_reason[:_MAX_FINISH_REASON],
        "streamed": call.streamed,
        "latencyMs": round((call.ended - call.started) * 1000, 3),
        "firstByteMs": round((call.first_byte - call.started) * 1000, 3) if call.first_byte else 0.0,
        "inputTokens": usage.input,
        "outputTokens": usage.output,
        "cachedInputTokens": usage.cached_input,
        "cacheWriteInputTokens": usage.cache_write,
        "reasoningTokens": usage.reasoning,
        "totalTokens": usage.total,
        "estimated": usage.estimated,
        "costNanos": cost_nanos(usage, pricing),
        "currency": pricing.currency,
    }
    if call.tags:
        document |= {"tags": dict(call.tags), "agent": call.tags.get(AGENT, "")}
    if usage.searches:
        document["searchUnits"] = usage.searches
    if call.attempts != 1 or call.failures or call.decision:
        document |= _attempts(call)
    return document


def _attempts(call: ModelCall) -> Document:
    """Further fields of the record of a call that was not simply answered by the only target at the first attempt."""
    decision = call.decision
    return {
        "attempts": call.attempts,
        "failedAttempts": [
            {"providerKey": each.provider_key, "modelId": each.model_id, "reason": each.reason}
            for each in call.failures
        ],
        "decision": None if decision is None else _decision(decision),
    }


def _decision(decision: Decision) -> Document:
    choices = [
        {
            "routerKey": each.router_key,
            "decision": each.decision,
            "chosenModelKey": each.chosen_key,
            "label": each.label,
            "deciderLatencyMs": each.decider_ms,
        }
        for each in decision.dynamic
    ]
    return {"policy": decision.policy, "reason": decision.reason, "dynamic": choices}
