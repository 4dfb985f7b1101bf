"""Metrics of a project's models."""

import time
from collections.abc import Iterable, Mapping

from prometheus_client.core import GaugeMetricFamily, Metric

from core.project_metrics import documents, gauge
from core.storage.ports import Cond, DocumentStore, Op
from core.tenancy import Project
from services.inference.domain.prompts.tables import PROMPTS
from services.inference.domain.tables import EVALUATIONS, GUARDRAILS, MODELS, PII_POLICIES, PROVIDERS, WORD_LISTS
from services.inference.domain.usage.calls import CANCELLED, ERROR, SUCCESS
from services.inference.domain.usage.metering import NANOS
from services.inference.domain.usage.overview import percentile_ms
from services.inference.domain.usage.periods import checked_span
from services.inference.domain.usage.rollups import DAY, LATENCY
from services.inference.domain.usage.rollups import MODELS as BY_MODEL
from services.inference.domain.usage.totals import Total, UsageTotals

_DAYS = 30
_MODEL = ("model", "provider")
_QUANTILES = (0.5, 0.95, 0.99)
_TOKENS: Mapping[str, str] = {
    "inputTokens": "input",
    "outputTokens": "output",
    "cachedInputTokens": "cached_input",
    "reasoningTokens": "reasoning",
}


class InferenceMetrics:
    """Reads the metrics of a project."""

    def __init__(self, store: DocumentStore, totals: UsageTotals) -> None:
        self._store = store
        self._totals = totals

    async def collect(self, project: Project) -> Iterable[Metric]:
        """All families."""
        return [*await self._records(project), *await self._usage(project), await self._latency(project)]

    async def _records(self, project: Project) -> list[Metric]:
        store, since = self._store, {"createdAt": Cond(Op.GTE, time.time() - _DAYS * DAY)}
        return [
            await documents(store, project, MODELS, "portico_models", "Models.", {"category": "category"}),
            await documents(store, project, PROVIDERS, "portico_model_providers", "Providers of models."),
            await documents(store, project, PROMPTS, "portico_prompts", "Prompts."),
            await documents(store, project, GUARDRAILS, "portico_guardrails", "Guardrails.", {"type": "type"}),
            await documents(store, project, WORD_LISTS, "portico_guardrail_word_lists", "Word lists of guardrails."),
            await documents(store, project, PII_POLICIES, "portico_pii_policies", "PII policies."),
            await documents(
                store,
                project,
                EVALUATIONS,
                "portico_guardrail_evaluations_30d",
                "Evaluations of guardrails in the last 30 days that are kept.",
                {"guardrail": "guardrailKey", "passed": "passed"},
                since,
            ),
        ]

    async def _usage(self, project: Project) -> list[GaugeMetricFamily]:
        requests = gauge("portico_model_requests_30d", "Calls of the last 30 days.", (*_MODEL, "status"))
        tokens = gauge("portico_model_tokens_30d", "Tokens of the last 30 days.", (*_MODEL, "type"))
        cost = gauge("portico_model_cost_30d", "Cost of the last 30 days, in the currency.", (*_MODEL, "currency"))
        mean = gauge("portico_model_latency_mean_seconds_30d", "Mean time of a call of the last 30 days.", _MODEL)
        group_by = ["model", "providerKey", "currency", "status"]
        found: dict[tuple[str, str], list[Total]] = {}
        span = checked_span(None, None, default_days=_DAYS)
        for total in await self._totals.read(project, BY_MODEL, {}, span.period, group_by):
            found.setdefault((total.group["model"], total.group["providerKey"]), []).append(total)
        for model, totals in found.items():
            for status in (SUCCESS, ERROR, CANCELLED):
                requests.add_metric((*model, status), _sum(totals, "requests", status=status))
            for name, type_ in _TOKENS.items():
                tokens.add_metric((*model, type_), _sum(totals, name))
            for currency in sorted({each.group["currency"] for each in totals}):
                cost.add_metric((*model, currency), _sum(totals, "costNanos", currency=currency) / NANOS)
            mean.add_metric(model, _sum(totals, "latencyMicros") / _sum(totals, "requests") / 1e6)
        return [requests, tokens, cost, mean]

    async def _latency(self, project: Project) -> GaugeMetricFamily:
        family = gauge(
            "portico_model_latency_seconds_30d",
            "Time that this share of the successful calls of the last 30 days took at most, to 5 %.",
            (*_MODEL, "quantile"),
        )
        span = checked_span(None, None, default_days=_DAYS).whole_hours()
        buckets: dict[tuple[str, str], dict[int, int]] = {}
        group_by = ["model", "providerKey", "bucket"]
        for total in await self._totals.read(project, LATENCY, {"status": SUCCESS}, span.period, group_by):
            model = total.group["model"], total.group["providerKey"]
            buckets.setdefault(model, {})[total.group["bucket"]] = total.sums["requests"]
        for model, counts in buckets.items():
            for share in _QUANTILES:
                family.add_metric((*model, str(share)), percentile_ms(counts, share) / 1000)
        return family


def _sum(totals: Iterable[Total], name: str, **group: str) -> int:
    return sum(each.sums[name] for each in totals if group.items() <= each.group.items())
