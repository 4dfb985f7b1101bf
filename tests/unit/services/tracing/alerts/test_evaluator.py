"""Rules on the schedule: one open incident, silence, cooldown, resolution, and crashes in between."""

import asyncio

import pytest

from core.errors import Unavailable
from services.tracing.domain.alerts.channels import GivenChannel
from services.tracing.domain.alerts.records import AUTO
from services.tracing.domain.alerts.rules import RuleChanges
from tests.support.alerts_harness import ACME, Installation, Process


async def test_a_rule_looks_at_its_window_and_scope(process: Process) -> None:
    await process.rule(window_minutes=15, filters={"modelKey": "gpt"})
    await process.evaluate(5.0)
    now = process.clock.now
    assert process.source.asked == [("error_rate", {"modelKey": "gpt"}, now - 900.0, now)]


async def test_one_incident_is_open_for_as_long_as_the_condition_is_met(process: Process) -> None:
    """A fresh incident was made after each cooldown once, while the first was still open."""
    rule = await process.rule(cooldown_minutes=1)
    for value in (50.0, 60.0, 70.0):
        await process.evaluate(value, minutes=5)
    (incident,) = await process.all_incidents()
    assert (incident.status, incident.severity, incident.last_value) == ("open", "critical", 70.0)
    assert await process.statuses() == ["fired"]
    assert (await process.rules.get(ACME, rule.id)).last_triggered_at == incident.fired_at


async def test_an_incident_resolves_by_itself(process: Process) -> None:
    await process.rule()
    await process.evaluate(50.0)
    await process.evaluate(5.0)
    (incident,) = await process.all_incidents()
    assert (incident.status, incident.resolved_by, incident.last_value) == ("resolved", AUTO, 5.0)
    assert await process.statuses() == ["fired", "resolved"]


async def test_a_rule_may_leave_that_to_people(process: Process) -> None:
    await process.rule(auto_resolve=False)
    await process.evaluate(50.0)
    await process.evaluate(5.0)
    assert [incident.status for incident in await process.all_incidents()] == ["open"]


@pytest.mark.parametrize(("no_data", "status"), [("ignore", None), ("fire", "open"), ("resolve", None)])
async def test_silence_fires_where_the_rule_says_so(process: Process, no_data: str, status: str | None) -> None:
    """A window without samples was skipped once, so that silence could not be alerted on."""
    await process.rule(no_data=no_data)
    await process.evaluate(None)
    assert [incident.status for incident in await process.all_incidents()] == ([status] if status else [])


@pytest.mark.parametrize(("no_data", "status"), [("ignore", "open"), ("fire", "open"), ("resolve", "resolved")])
async def test_silence_resolves_where_the_rule_says_so(process: Process, no_data: str, status: str) -> None:
    await process.rule(no_data=no_data)
    await process.evaluate(50.0)
    await process.evaluate(None)
    assert [incident.status for incident in await process.all_incidents()] == [status]


async def test_a_metric_that_cannot_be_had_is_no_silence(process: Process) -> None:
    rule = await process.rule(no_data="fire")
    await process.evaluate(Unavailable("The inference service cannot be reached now."))
    assert await process.all_incidents() == []
    assert "cannot be reached" in (await process.rules.get(ACME, rule.id)).last_error


async def test_the_failure_of_one_rule_keeps_no_other_from_its_turn(process: Process) -> None:
    broken = await process.rule(name="Broken")
    process.source.value = None
    original = process.source.measure

    async def measure(project, metric, scope, start, end):  # type: ignore[no-untyped-def]
        if scope:
            raise ZeroDivisionError
        return await original(project, metric, scope, start, end)

    process.source.measure = measure  # type: ignore[method-assign]
    await process.rules.update(ACME, broken.id, RuleChanges(filters={"modelKey": "x"}), "u1")
    await process.rule(name="Whole")
    await process.evaluate(50.0)
    assert [incident.rule_name for incident in await process.all_incidents()] == ["Whole"]
    assert (await process.rules.get(ACME, broken.id)).last_error


async def test_within_the_cooldown_an_incident_opens_again_without_a_word(process: Process) -> None:
    await process.rule(cooldown_minutes=60, channels=())
    await process.evaluate(50.0)
    await process.evaluate(5.0)
    await process.evaluate(50.0)
    (incident,) = await process.all_incidents()
    assert incident.status == "open"
    assert await process.statuses() == ["fired", "resolved", "reopened"]
    await process.evaluate(5.0)
    await process.evaluate(50.0, minutes=61)
    assert [incident.status for incident in await process.all_incidents()] == ["resolved", "open"]


async def test_what_somebody_has_resolved_stays_so_for_the_cooldown(process: Process) -> None:
    await process.rule(cooldown_minutes=60)
    await process.evaluate(50.0)
    (incident,) = await process.all_incidents()
    await process.incidents.update(ACME, incident.id, "u1", status="resolved")
    await process.evaluate(50.0)
    assert [each.status for each in await process.all_incidents()] == ["resolved"]
    await process.evaluate(50.0, minutes=61)
    assert [each.status for each in await process.all_incidents()] == ["resolved", "open"]


async def test_a_disabled_rule_is_not_evaluated_and_its_incident_is_resolved(process: Process) -> None:
    rule = await process.rule()
    await process.evaluate(50.0)
    await process.rules.update(ACME, rule.id, RuleChanges(enabled=False), "u1")
    await process.evaluate(50.0, minutes=500)
    (incident,) = await process.all_incidents()
    assert (incident.status, incident.resolved_by) == ("resolved", "u1")
    assert await process.statuses() == ["fired", "resolved"]


async def test_another_condition_resolves_the_incident_of_the_old_one(process: Process) -> None:
    rule = await process.rule()
    await process.evaluate(50.0)
    await process.rules.update(ACME, rule.id, RuleChanges(name="Another name"), "u1")
    assert [incident.status for incident in await process.all_incidents()] == ["open"]
    await process.rules.update(ACME, rule.id, RuleChanges(threshold=90.0), "u1")
    assert [incident.status for incident in await process.all_incidents()] == ["resolved"]


async def test_two_processes_open_one_incident(installation: Installation) -> None:
    one, two = installation.process(), installation.process()
    await one.rule()
    installation.source.value = 50.0
    await asyncio.gather(*(each.evaluator.evaluate(ACME) for each in (one, two, one, two)))
    assert len(await one.all_incidents()) == 1
    assert await one.statuses() == ["fired"]


@pytest.mark.parametrize("step", ["events.insert", "deliveries.insert_many", "announced"])
async def test_an_announcement_that_was_broken_off_is_made_good(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """A process that dies between the incident and its mail loses no mail and sends none twice."""
    first = installation.process()
    await first.rule(channels=_email("ann@example.com"))
    owner = first.incidents if step == "announced" else getattr(first.history, step.partition(".")[0])
    monkeypatch.setattr(owner, step.rpartition(".")[2], _killed)
    with pytest.raises(asyncio.CancelledError):
        await first.evaluate(50.0)
    second = installation.process()
    await second.jobs.start()
    await second.evaluate(50.0)
    await second.evaluate(50.0)
    async with asyncio.timeout(10):
        while not second.mail.sent:
            await asyncio.sleep(0.01)
    assert [to for to, _ in second.mail.sent] == ["ann@example.com"]
    assert await second.statuses() == ["fired"]


async def test_rules_are_evaluated_on_a_schedule_by_one_process(installation: Installation) -> None:
    one, two = installation.process(), installation.process()
    installation.source.value = 50.0
    await one.rule()
    await one.jobs.start()
    await two.jobs.start()
    async with asyncio.timeout(10):
        while len(installation.source.asked) < 5:
            await asyncio.sleep(0.01)
    assert len(await one.all_incidents()) == 1


async def _killed(*_: object, **__: object) -> None:
    raise asyncio.CancelledError


def _email(*recipients: str) -> tuple[GivenChannel, ...]:
    return (GivenChannel("email", recipients=recipients),)
