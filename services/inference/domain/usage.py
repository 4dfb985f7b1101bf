"""Usage records: what each call took and cost, written in batches off the calls' path."""

import asyncio
import time
from collections import deque
from datetime import UTC, datetime
from itertools import count
from secrets import token_hex

from core import logs
from core.errors import FailedPrecondition, PorticoError
from core.storage.ports import Document, DocumentStore
from core.tasks import Tasks
from core.tenancy import Project
from services.inference.domain.calls import Call
from services.inference.domain.models import Pricing
from services.inference.domain.tables import USAGE
from services.inference.domain.tokens import TokenUsage

FLUSH_SECONDS = 0.5
BATCH = 500
NANOS = 1_000_000_000
_MAX_MODEL = 256

log = logs.get(__name__)


def cost_nanos(usage: TokenUsage, pricing: Pricing) -> int:
    """In billionths of the currency. A price per million tokens is a thousandth of that in billionths per token."""
    cached_price = pricing.input if pricing.cached is None else pricing.cached
    fresh = usage.input - usage.cached_input
    return round((fresh * pricing.input + usage.cached_input * cached_price + usage.output * pricing.output) * 1000)


class Meter:
    """Takes ended calls and writes their records. Holds at most `capacity` unwritten ones; more are counted as lost."""

    def __init__(self, store: DocumentStore, tasks: Tasks, *, capacity: int) -> None:
        self._store = store
        self._tasks = tasks
        self._capacity = capacity
        self._ended: deque[Call] = deque()
        self._unwritten: dict[Project, list[Document]] = {}
        self._waiting = 0
        self._flushing = asyncio.Lock()
        self._called = False
        self._ids = (f"use_{token_hex(6)}{number:010x}" for number in count())
        self.lost = 0
        """Records that could not be kept, since the start."""

    def add(self, call: Call) -> None:
        """Never waits and never raises."""
        call.ended = time.monotonic()
        if len(self._ended) + self._waiting >= self._capacity:
            self.lost += 1
            return
        self._ended.append(call)
        if len(self._ended) >= BATCH and not self._called:
            self._called = True
            try:
                self._tasks.spawn("write usage", self.flush())
            except PorticoError:  # too much background work: the periodic flush comes anyway
                log.debug("usage is written later")

    async def flush(self) -> None:
        """Writes what there is. What the store does not take now is kept for the next time."""
        async with self._flushing:
            self._called = False
            self._collect()
            lost = self.lost
            for project in list(self._unwritten):
                await self._write(project)
            if self.lost > lost:
                log.error("usage records lost", lost=self.lost - lost)

    def _collect(self) -> None:
        while self._ended:
            call = self._ended.popleft()
            self._unwritten.setdefault(call.identity.project, []).append(_document(next(self._ids), call))
            self._waiting += 1

    async def _write(self, project: Project) -> None:
        documents = self._unwritten[project]
        while documents:
            batch = documents[:BATCH]
            try:
                await self._store.insert_many(project, USAGE, batch)
            except FailedPrecondition as error:  # the tenant has been removed meanwhile, and its usage with it
                log.warning("usage of a removed tenant dropped", reason=error.reason, count=len(documents))
                self._waiting -= len(documents)
                break
            except PorticoError as error:
                log.warning("usage not written yet", reason=error.reason, waiting=len(documents))
                return
            except Exception:  # a store's own trouble, whatever its driver calls it: these records must outlive it
                log.exception("usage not written yet", waiting=len(documents))
                return
            del documents[: len(batch)]
            self._waiting -= len(batch)
        del self._unwritten[project]


def _document(id: str, call: Call) -> Document:
    route, usage = call.route, call.usage
    pricing = Pricing() if route is None else route.pricing
    return {
        "id": id,
        "createdAt": call.began,
        "day": datetime.fromtimestamp(call.began, UTC).strftime("%Y-%m-%d"),
        "requestId": call.request_id,
        "tokenId": call.identity.token_id,
        "userId": call.identity.subject,
        "model": call.model[:_MAX_MODEL],
        "modelId": "" if route is None else route.model_id,
        "providerKey": "" if route is None else route.provider_key,
        "operation": call.operation,
        "status": call.status,
        "errorReason": call.error_reason,
        "finishReason": call.finish_reason,
        "streamed": call.streamed,
        "latencyMs": round((call.ended - call.started) * 1000, 3),
        "firstByteMs": round((call.first_byte - call.started) * 1000, 3) if call.first_byte else 0.0,
        "inputTokens": usage.input,
        "outputTokens": usage.output,
        "cachedInputTokens": usage.cached_input,
        "reasoningTokens": usage.reasoning,
        "totalTokens": usage.total,
        "estimated": usage.estimated,
        "costNanos": cost_nanos(usage, pricing),
        "currency": pricing.currency,
    }
