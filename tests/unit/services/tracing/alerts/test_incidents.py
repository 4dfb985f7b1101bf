"""States, notes and severity of incidents."""

import asyncio

import pytest

from core.errors import FailedPrecondition, InvalidInput, NotFound
from services.tracing.domain.alerts.metrics import METRICS, sentence, severity
from tests.support.alerts_harness import ACME, Process


async def opened(process: Process) -> str:
    await process.rule(cooldown_minutes=0)
    await process.evaluate(50.0)
    return (await process.all_incidents())[-1].id


async def test_an_incident_goes_through_its_states(process: Process) -> None:
    id = await opened(process)
    for status in ("acknowledged", "investigating", "resolved", "closed"):
        incident = await process.incidents.update(ACME, id, "u1", status=status)
        assert incident.status == status
    assert incident.acknowledged_at is not None
    assert incident.resolved_by == "u1"
    assert incident.closed_at is not None
    assert incident.expires_at is not None
    again = await process.incidents.update(ACME, id, "u1", status="open", assigned_to="u2", severity="info")
    assert (again.resolved_at, again.expires_at, again.assigned_to, again.severity) == (None, None, "u2", "info")


async def test_a_closed_incident_is_not_acknowledged(process: Process) -> None:
    id = await opened(process)
    await process.incidents.update(ACME, id, "u1", status="closed")
    with pytest.raises(FailedPrecondition):
        await process.incidents.update(ACME, id, "u1", status="acknowledged")
    with pytest.raises(InvalidInput):
        await process.incidents.update(ACME, id, "u1", status="done")


async def test_a_second_incident_of_a_rule_cannot_be_opened(process: Process) -> None:
    id = await opened(process)
    await process.incidents.update(ACME, id, "u1", status="resolved")
    await process.evaluate(50.0)
    assert len(await process.all_incidents()) == 2
    with pytest.raises(FailedPrecondition) as caught:
        await process.incidents.update(ACME, id, "u1", status="open")
    assert caught.value.reason == "INCIDENT_OPEN"


async def test_notes_at_the_same_time_are_all_kept(process: Process) -> None:
    id = await opened(process)
    await asyncio.gather(*(process.incidents.add_note(ACME, id, "u1", f"note {n}") for n in range(20)))
    incident = await process.incidents.get(ACME, id)
    assert sorted(note.content for note in incident.notes) == sorted(f"note {n}" for n in range(20))
    with pytest.raises(InvalidInput):
        await process.incidents.add_note(ACME, id, "u1", " ")
    with pytest.raises(NotFound):
        await process.incidents.add_note(ACME, "inc_none", "u1", "text")


@pytest.mark.parametrize(
    ("metric", "operator", "threshold", "value", "expected"),
    [
        (("models", "error_rate"), "gt", 10.0, 12.0, "info"),
        (("models", "error_rate"), "gt", 10.0, 15.0, "warning"),
        (("models", "error_rate"), "gt", 10.0, 20.0, "critical"),
        (("models", "avg_latency_ms"), "gt", 100.0, 200.0, "warning"),
        (("models", "avg_latency_ms"), "gt", 100.0, 300.0, "critical"),
        (("models", "total_requests"), "lt", 30.0, 10.0, "critical"),
        (("models", "total_requests"), "lt", 30.0, 0.0, "critical"),
        (("models", "total_requests"), "lt", 30.0, 29.0, "info"),
        (("models", "error_rate"), "gte", 0.0, 0.0, "info"),
        (("inference", "server_up"), "lt", 1.0, 0.0, "critical"),
        (("models", "error_rate"), "gt", 10.0, None, "warning"),
    ],
)
def test_severity_grows_with_the_distance_from_the_threshold(
    metric: tuple[str, str], operator: str, threshold: float, value: float | None, expected: str
) -> None:
    assert severity(METRICS[metric], operator, threshold, value) == expected


def test_a_condition_is_a_sentence() -> None:
    metric = METRICS["models", "p95_latency_ms"]
    assert sentence(metric, "gte", 1500.0, 15) == "95th percentile of the latency at least 1500 ms over 15 minutes"
    assert sentence(METRICS["spend", "spend"], "gt", 12.5, 1440) == "Spend above 12.5 over 1 day"
