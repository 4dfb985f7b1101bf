"""The evaluation log: what guardrails found, and statistics of it."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from core import fields
from core.context import Identity
from core.errors import InvalidInput
from core.storage.ports import Cond, Document, DocumentStore, Op
from core.storage.write_behind import WriteBehind
from core.tasks import Tasks
from core.tenancy import Project
from services.inference.domain.guardrails.findings import Finding, message_of
from services.inference.domain.guardrails.records import Guardrail
from services.inference.domain.tables import EVALUATIONS

KEEP_SECONDS: Final = 90 * 86_400.0
MAX_SPAN_DAYS: Final = 90
_MAX_FINDINGS = 50
"""Most findings of one evaluation in the log."""
_DAY = 86_400.0


@dataclass(slots=True)
class Evaluation:
    """One run of a guardrail."""

    identity: Identity
    request_id: str
    guardrail: Guardrail
    target: str
    source: str
    findings: list[Finding]
    latency_ms: float
    model: str = ""
    began: float = field(default_factory=time.time)


class EvaluationLog:
    """Takes evaluations and writes them a little later, off the path of the calls."""

    def __init__(self, store: DocumentStore, tasks: Tasks, *, capacity: int) -> None:
        self._store = store
        self._records = WriteBehind(
            store, EVALUATIONS, tasks, "gev", _document, capacity=capacity, keep_seconds=KEEP_SECONDS
        )

    def add(self, evaluation: Evaluation) -> None:
        """Never waits and never raises."""
        self._records.add(evaluation.identity.project, evaluation)

    async def flush(self) -> None:
        await self._records.flush()

    async def list(
        self, project: Project, key: str, *, passed: bool | None = None, size: int = 0, token: str = ""
    ) -> tuple[list[Document], str]:
        """One page of a guardrail's evaluations, newest first, and the token of the next. An empty key: of all."""
        where: dict[str, Any] = {"guardrailKey": key} if key else {}
        if passed is not None:
            where["passed"] = passed
        page = await self._store.find(project, EVALUATIONS, where, page_size=fields.page_size(size), page_token=token)
        return page.items, page.next_token

    async def statistics(self, project: Project, key: str, start: float | None, end: float | None) -> "Statistics":
        """Totals of a guardrail from `start`, inclusive, to `end`, exclusive, in Unix seconds. Raises InvalidInput."""
        end = time.time() + 1 if end is None else end
        start = end - 30 * _DAY if start is None else start
        if not start < end <= start + MAX_SPAN_DAYS * _DAY:
            raise InvalidInput(f"from must be before to, and at most {MAX_SPAN_DAYS} days.", field="from")
        where = {"guardrailKey": key, "createdAt": (Cond(Op.GTE, start), Cond(Op.LT, end))}
        rows = await self._store.totals(
            project, EVALUATIONS, where, group_by=["day", "passed", "categories"], sums=["latencyMs"]
        )
        statistics = Statistics()
        for row in rows:
            statistics.add(row)
        return statistics


@dataclass(slots=True)
class Statistics:
    """Totals of a guardrail."""

    evaluations: int = 0
    passed: int = 0
    latency_ms: float = 0.0
    findings: Counter[str] = field(default_factory=Counter)
    """Evaluations that found something of a category."""
    days: dict[str, Counter[str]] = field(default_factory=dict)
    """`evaluations` and `passed` by day, as YYYY-MM-DD in UTC."""

    def add(self, row: Mapping[str, Any]) -> None:
        count = row["count"]
        passed = count if row["passed"] else 0
        self.evaluations += count
        self.passed += passed
        self.latency_ms += row["latencyMs"] or 0.0
        for category in filter(None, (row["categories"] or "").split(",")):
            self.findings[category] += count
        self.days.setdefault(row["day"], Counter()).update(evaluations=count, passed=passed)

    @property
    def mean_latency_ms(self) -> float:
        return self.latency_ms / self.evaluations if self.evaluations else 0.0


def _document(evaluation: Evaluation) -> Document:
    guardrail, findings = evaluation.guardrail, evaluation.findings
    return {
        "createdAt": evaluation.began,
        "day": datetime.fromtimestamp(evaluation.began, UTC).strftime("%Y-%m-%d"),
        "guardrailId": guardrail.id,
        "guardrailKey": guardrail.key,
        "guardrailName": guardrail.name,
        "guardrailType": guardrail.type,
        "target": evaluation.target,
        "action": guardrail.action,
        "passed": not any(each.block for each in findings),
        "categories": ",".join(sorted({each.category.replace(",", " ") for each in findings}))[:1000],
        "findings": [{**msgspec.to_builtins(each), "block": each.block} for each in findings[:_MAX_FINDINGS]],
        "latencyMs": evaluation.latency_ms,
        "source": evaluation.source,
        "requestId": evaluation.request_id,
        "model": evaluation.model[:256],
        "message": message_of(findings) or "",
        "tokenId": evaluation.identity.token_id,
        "userId": evaluation.identity.subject,
    }
