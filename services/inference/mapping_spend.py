"""Spend reports and overviews as messages."""

from portico.inference.v1 import spend_service_pb2 as pb
from services.inference.domain.usage.metering import NANOS
from services.inference.domain.usage.overview import Figures, Overview, percentile_ms
from services.inference.domain.usage.periods import text_of
from services.inference.domain.usage.spend import ModelNames, SpendFilter, SpendReport
from services.inference.domain.usage.totals import Sums, Total


def spend_filter(request: pb.GetSpendReportRequest) -> SpendFilter:
    return SpendFilter(request.model, request.token_id, request.user_id, request.agent)


def spend_message(report: SpendReport) -> pb.GetSpendReportResponse:
    totals = report.totals
    message = pb.GetSpendReportResponse(
        object="spend.report",
        to=text_of(report.span.end),
        group_by=report.period,
        currency=report.currency,
        total_cost=_cost(totals),
        total_calls=totals["requests"],
        total_input_tokens=totals["inputTokens"],
        total_output_tokens=totals["outputTokens"],
        total_tokens=totals["totalTokens"],
        by_model=[_by_model(each, report.names) for each in report.by_model],
        timeseries=[_period(name, sums) for name, sums in report.timeseries],
        by_entity=[_by_entity(each) for each in report.by_entity],
        other_currencies=[
            pb.SpendTotals(
                currency=each.group["currency"], total_cost=_cost(each.sums), total_calls=each.sums["requests"]
            )
            for each in report.others
        ],
    )
    setattr(message, "from", text_of(report.span.start))
    return message


def _by_model(total: Total, names: ModelNames) -> pb.SpendByModel:
    key, sums = total.group["model"], total.sums
    return pb.SpendByModel(
        model_key=key,
        model_name=names.names.get(key),
        category=names.categories.get(key),
        provider_key=total.group["providerKey"] or None,
        calls=sums["requests"],
        input_tokens=sums["inputTokens"],
        output_tokens=sums["outputTokens"],
        total_tokens=sums["totalTokens"],
        cost=_cost(sums),
        currency=total.group["currency"],
    )


def _period(name: str, sums: Sums) -> pb.SpendPeriod:
    return pb.SpendPeriod(period=name, calls=sums["requests"], total_tokens=sums["totalTokens"], cost=_cost(sums))


def _by_entity(total: Total) -> pb.SpendByEntity:
    sums = total.sums
    return pb.SpendByEntity(
        entity=total.group["entity"],
        calls=sums["requests"],
        input_tokens=sums["inputTokens"],
        output_tokens=sums["outputTokens"],
        total_tokens=sums["totalTokens"],
        cost=_cost(sums),
        currency=total.group["currency"],
    )


def overview_message(overview: Overview) -> pb.GetUsageOverviewResponse:
    message = pb.GetUsageOverviewResponse(
        to=text_of(overview.span.end),
        group_by=overview.period,
        totals=_figures(overview.totals),
        timeseries=[_figures(each) for each in overview.timeseries],
        **{name: [_figures(each) for each in figures] for name, figures in overview.lists.items()},
    )
    setattr(message, "from", text_of(overview.span.start))
    return message


def _figures(figures: Figures) -> pb.UsageFigures:
    sums = figures.sums
    return pb.UsageFigures(
        key=figures.key,
        requests=figures.requests,
        errors=figures.errors,
        cancelled=figures.cancelled,
        error_rate=figures.error_rate,
        input_tokens=sums["inputTokens"],
        output_tokens=sums["outputTokens"],
        cached_input_tokens=sums["cachedInputTokens"],
        total_tokens=sums["totalTokens"],
        costs=[pb.UsageCost(cost=nanos / NANOS, currency=name) for name, nanos in sorted(figures.nanos.items())],
        mean_latency_ms=figures.mean_latency_ms,
        latency=_latency(figures) if figures.buckets else None,
    )


def _latency(figures: Figures) -> pb.UsageLatency:
    p50, p95, p99 = (percentile_ms(figures.buckets, share) for share in (0.5, 0.95, 0.99))
    return pb.UsageLatency(p50_ms=p50, p95_ms=p95, p99_ms=p99)


def _cost(sums: Sums) -> float:
    return sums["costNanos"] / NANOS
