"""Metrics of one project, in Prometheus' text format, for the token that asks.

A service says what its families are (`Collect`); how they are served is in `core.rpc.metrics`.
Sums over a moving window go down as well as up, so they are gauges, and their names say how long it is.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from core.storage.ports import Collection, DocumentStore, Where
from core.tenancy import Project

Collect = Callable[[Project], Awaitable[Iterable[Metric]]]
"""The families of a project."""


class _Families(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def text_of(families: Iterable[Metric]) -> bytes:
    """Prometheus' text format 0.0.4."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(families))
    return generate_latest(registry)


def gauge(name: str, help: str, labels: Sequence[str] = ()) -> GaugeMetricFamily:
    """An empty family; `add_metric(values, number)` fills it."""
    return GaugeMetricFamily(name, help, labels=labels)


async def documents(
    store: DocumentStore,
    project: Project,
    collection: Collection,
    name: str,
    help: str,
    by: dict[str, str] | None = None,
    where: Where | None = None,
    of: str = "",
) -> GaugeMetricFamily:
    """The number of a project's documents, or the sum of their field `of`, by fields: label -> field."""
    by = by or {}
    family = gauge(name, help, list(by))
    fields = list(by.values())
    for row in await store.totals(project, collection, where, group_by=fields, sums=[of] if of else []):
        values = [_label(row[each]) for each in fields]
        family.add_metric(values, row[of] if of else row["count"])
    return family


def _label(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
