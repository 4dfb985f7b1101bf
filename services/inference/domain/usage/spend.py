"""Reports of what was spent, by model, period and entity."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from core.errors import InvalidInput
from core.storage.ports import Cond, DocumentStore, Op
from core.storage.scan import scan
from services.inference.domain.tables import MODELS as MODEL_RECORDS
from services.inference.domain.tables import UsageScope
from services.inference.domain.usage.calls import MAX_TAG_KEY
from services.inference.domain.usage.periods import PERIODS, Span, checked_period, period_name
from services.inference.domain.usage.rollups import TAGS
from services.inference.domain.usage.totals import Sums, Total, UsageTotals, cube_of

ENTITIES: Mapping[str, str] = {"user": "userId", "api_key": "tokenId", "agent": "agent"}
"""Entities of a report, and the dimension of each."""
TAG = "metadata."
"""Begins an entity that is a tag."""
DEFAULT_CURRENCY = "USD"
MAX_ENTITIES = 1_000
_MAX_CURRENCY = 3


@dataclass(frozen=True, slots=True)
class SpendFilter:
    """The calls of a report. Empty: any."""

    model: str = ""
    token_id: str = ""
    user_id: str = ""
    agent: str = ""

    def where(self) -> dict[str, str]:
        fields = {"model": self.model, "tokenId": self.token_id, "userId": self.user_id, "agent": self.agent}
        return {name: value for name, value in fields.items() if value}


@dataclass(frozen=True, slots=True)
class ModelNames:
    """Names and categories of models by key."""

    names: Mapping[str, str]
    categories: Mapping[str, str]


@dataclass(slots=True)
class SpendReport:
    """A report. The groups of the totals are by the names of dimensions; `by_entity` has the group "entity"."""

    span: Span
    period: str
    currency: str
    totals: Sums
    others: list[Total]
    by_model: list[Total]
    timeseries: list[tuple[str, Sums]]
    names: ModelNames
    by_entity: list[Total] = field(default_factory=list)


class Spend:
    """Makes reports of what was spent."""

    def __init__(self, store: DocumentStore, totals: UsageTotals) -> None:
        self._store = store
        self._totals = totals

    async def report(
        self,
        scope: UsageScope,
        span: Span,
        *,
        group_by: str = "",
        entity: str = "",
        wanted: SpendFilter = SpendFilter(),
        currency: str = "",
    ) -> SpendReport:
        """A report over the span. Raises InvalidInput."""
        period = checked_period(group_by, span, "day")
        tag, dimension = _entity(entity, wanted)
        if currency and (len(currency) != _MAX_CURRENCY or not currency.isalpha()):
            raise InvalidInput("currency must be an ISO 4217 code such as USD.", field="currency")
        if tag:
            span = span.whole_hours()
        where = wanted.where()
        by_model = await self._read(scope, where, span, ["model", "providerKey", "currency"])
        by_currency = _by_currency(by_model)
        chosen = currency.upper() or _usual_currency(by_currency)
        periods = await self._read(scope, {**where, "currency": chosen}, span, [PERIODS[period]])
        report = SpendReport(
            span=span,
            period=period,
            currency=chosen,
            totals=by_currency.pop(chosen, Total({})).sums,
            others=[by_currency[name] for name in sorted(by_currency)],
            by_model=_costliest(by_model),
            timeseries=[(period_name(each.group[PERIODS[period]]), each.sums) for each in periods],
            names=await self._names(scope, by_model),
        )
        if tag:
            read = {**where, "tagKey": tag}
            found = await self._totals.read(scope, TAGS, read, span.period, ["tagValue", "currency"])
            report.by_entity = _entities(found, "tagValue")
        elif dimension:
            report.by_entity = _entities(await self._read(scope, where, span, [dimension, "currency"]), dimension)
        return report

    async def _read(
        self, scope: UsageScope, where: Mapping[str, str], span: Span, group_by: Sequence[str]
    ) -> list[Total]:
        return await self._totals.read(scope, cube_of([*where, *group_by]), where, span.period, group_by)

    async def _names(self, scope: UsageScope, by_model: Sequence[Total]) -> ModelNames:
        keys = sorted({each.group["model"] for each in by_model})
        names: dict[str, str] = {}
        categories: dict[str, str] = {}
        if keys:
            async for model in scan(self._store, scope, MODEL_RECORDS, {"key": Cond(Op.IN, keys)}):
                names[model["key"]], categories[model["key"]] = model.get("name", ""), model.get("category", "")
        return ModelNames(names, categories)


def _entity(entity: str, wanted: SpendFilter) -> tuple[str, str]:
    """The tag or the dimension of an entity, the other empty. Raises InvalidInput."""
    if entity.startswith(TAG) and 0 < len(key := entity.removeprefix(TAG)) <= MAX_TAG_KEY:
        if wanted.token_id or wanted.user_id or wanted.agent:
            raise InvalidInput(
                "A report by metadata can be of one model, but not of one token, user or agent.",
                field="group_by_entity",
            )
        return key, ""
    if entity and entity not in ENTITIES:
        raise InvalidInput(f"group_by_entity must be {', '.join(ENTITIES)} or metadata.<key>.", field="group_by_entity")
    return "", ENTITIES.get(entity, "")


def _by_currency(totals: Sequence[Total]) -> dict[str, Total]:
    found: dict[str, Total] = {}
    for each in totals:
        currency = each.group["currency"]
        found.setdefault(currency, Total({"currency": currency})).add(each.sums)
    return found


def _usual_currency(totals: Mapping[str, Total]) -> str:
    """The currency of most calls."""
    return max(sorted(totals), key=lambda name: totals[name].sums["requests"], default=DEFAULT_CURRENCY)


def _costliest(totals: Sequence[Total]) -> list[Total]:
    return sorted(totals, key=lambda each: (-each.sums["costNanos"], -each.sums["requests"], *each.group.values()))


def _entities(totals: Sequence[Total], dimension: str) -> list[Total]:
    named = [Total({"entity": each.group[dimension], "currency": each.group["currency"]}, each.sums) for each in totals]
    return _costliest(named)[:MAX_ENTITIES]
