"""Notifications: to whom they go, what they say, how webhooks are signed, and what the history keeps of them."""

import asyncio
import hashlib
import hmac
from typing import Any

import orjson
import pytest

from core.errors import FailedPrecondition, InvalidInput, Unavailable
from core.mail.mails import AlertFired, AlertResolved
from services.tracing.domain.alerts.channels import GivenChannel
from services.tracing.domain.alerts.records import Delivery
from services.tracing.domain.alerts.rules import RuleChanges
from tests.support.alerts_harness import ACME, Installation, Process

HOOK = "https://hooks.example.com/a/b?token=t"


@pytest.fixture
async def process(installation: Installation) -> Process:
    made = installation.process()
    await made.jobs.start()
    return made


async def deliveries(process: Process, count: int = 1) -> list[Delivery]:
    """All deliveries, once so many have come to an end."""
    async with asyncio.timeout(10):
        while True:
            found = [each async for each in process.history.deliveries.scan(ACME)]
            if len(found) >= count and all(each.ended_at for each in found):
                return found
            await asyncio.sleep(0.01)


def channel(type: str, **fields: Any) -> tuple[GivenChannel, ...]:
    return (GivenChannel(type, **fields),)


async def test_a_mail_says_what_was_measured_and_against_what(process: Process) -> None:
    """Operator and window were not given to the template once."""
    await process.rule(channels=channel("email", recipients=("ann@example.com",)), window_minutes=60)
    await process.evaluate(25.5)
    await process.evaluate(1.0)
    await deliveries(process, 2)
    (to, fired), (_, resolved) = process.mail.sent
    assert to == "ann@example.com"
    assert isinstance(fired, AlertFired)
    assert (fired.condition, fired.value) == ("Error rate above 10 % over 1 hour", "25.5 %")
    assert isinstance(resolved, AlertResolved)
    assert (resolved.value, resolved.incident_id) == ("1 %", fired.incident_id)


async def test_without_recipients_the_owners_and_admins_are_told(process: Process) -> None:
    await process.rule(channels=channel("email"))
    await process.evaluate(50.0)
    await deliveries(process, 2)
    assert [to for to, _ in process.mail.sent] == ["owner@acme.example.com", "admin@acme.example.com"]


async def test_while_these_cannot_be_looked_up_the_announcement_waits(process: Process) -> None:
    await process.rule(channels=channel("email"))
    known, process.admins.found = process.admins.found, Unavailable("The auth service cannot be reached.")
    await process.evaluate(50.0)
    assert await process.statuses() == []
    process.admins.found = known
    await process.evaluate(50.0)
    await deliveries(process, 2)
    assert await process.statuses() == ["fired"]


async def test_a_webhook_is_signed_with_a_secret_that_is_shown_once(process: Process) -> None:
    made = await process.rules.create(
        ACME,
        RuleChanges(
            name="Errors",
            module="models",
            metric="error_rate",
            operator="gt",
            threshold=10.0,
            channels=channel("webhook", url=HOOK),
        ),
    )
    (secret,) = made.secrets.values()
    await process.evaluate(50.0)
    (delivery,) = await deliveries(process)
    ((url, body, headers),) = process.webhook.posted
    assert url == HOOK
    stamp, _, given = headers["X-Portico-Signature"].partition(",v1=")
    at = stamp.removeprefix("t=")
    assert given == hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    sent = orjson.loads(body)
    assert (sent["type"], sent["alert"]["value"], sent["alert"]["operator"]) == ("alert.fired", 50.0, "gt")
    assert headers["X-Portico-Delivery"] == delivery.id
    assert (delivery.status, delivery.target) == ("delivered", "https://hooks.example.com")


async def test_a_slack_message_is_escaped(process: Process) -> None:
    await process.rule(name="<!channel> A & B", channels=channel("slack", url=HOOK))
    await process.evaluate(50.0)
    await deliveries(process)
    ((_, body, headers),) = process.webhook.posted
    text = orjson.loads(body)["text"]
    assert "&lt;!channel&gt; A &amp; B" in text
    assert "X-Portico-Signature" not in headers


async def test_what_fails_is_tried_again_and_kept_in_the_history(process: Process) -> None:
    process.webhook.errors += [Unavailable("The webhook answered 503."), Unavailable("The webhook answered 503.")]
    await process.rule(channels=channel("webhook", url=HOOK))
    await process.evaluate(50.0)
    (delivery,) = await deliveries(process)
    assert (delivery.status, process.webhook.errors) == ("delivered", [])


async def test_what_is_refused_for_good_is_kept_in_the_history(process: Process) -> None:
    process.mail.errors.append(FailedPrecondition("This installation sends no mail.", reason="MAIL_OFF"))
    await process.rule(channels=channel("email", recipients=("ann@example.com",)))
    await process.evaluate(50.0)
    (delivery,) = await deliveries(process)
    assert (delivery.status, delivery.error) == ("failed", "This installation sends no mail.")


async def test_an_incident_that_opened_again_is_not_told_of(process: Process) -> None:
    await process.rule(channels=channel("webhook", url=HOOK))
    for value in (50.0, 1.0, 50.0, 1.0):
        await process.evaluate(value)
    await deliveries(process, 2)
    assert await process.statuses() == ["fired", "resolved", "reopened", "resolved"]
    assert len(process.webhook.posted) == 2


async def test_urls_and_secrets_lie_sealed_and_are_kept_by_the_channels_id(process: Process) -> None:
    rule = await process.rule(channels=channel("webhook", url=HOOK, secret="my-own-secret-text"))
    (known,) = rule.channels
    assert "token=t" not in repr(rule) + known.sealed
    kept = (GivenChannel("webhook", id=known.id), GivenChannel("email", recipients=("ann@example.com",)))
    updated = await process.rules.update(ACME, rule.id, RuleChanges(channels=kept), "u1")
    assert updated.rule.channels[0] == known
    assert updated.secrets == {}
    moved = (GivenChannel("webhook", id=known.id, url="https://other.example.com"),)
    fresh = await process.rules.update(ACME, rule.id, RuleChanges(channels=moved), "u1")
    assert fresh.secrets[known.id] != "my-own-secret-text"  # the old secret signs nothing for another server


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (GivenChannel("pager"), "channels[0].type"),
        (GivenChannel("email", recipients=("ann",)), "channels[0].recipients"),
        (GivenChannel("email", recipients=("a@b.c\r\nBcc: d@e.f",)), "channels[0].recipients"),
        (GivenChannel("webhook"), "channels[0].url"),
        (GivenChannel("webhook", url="ftp://x"), "channels[0].url"),
        (GivenChannel("webhook", url="https://u:p@x"), "channels[0].url"),
        (GivenChannel("webhook", url="https://x.example.com", secret="short"), "channels[0].secret"),
        (GivenChannel("slack", url="https://x.example.com", secret="s" * 20), "channels[0].secret"),
    ],
)
async def test_bad_channels_are_refused_by_name(process: Process, given: GivenChannel, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        await process.rule(channels=(given,))
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": " "}, "name"),
        ({"module": "mcp"}, "module"),
        ({"metric": "gpu_cache_usage"}, "metric"),
        ({"operator": "ne"}, "condition.operator"),
        ({"threshold": float("nan")}, "condition.threshold"),
        ({"window_minutes": 0}, "windowMinutes"),
        ({"window_minutes": 50_000}, "windowMinutes"),
        ({"cooldown_minutes": -1}, "cooldownMinutes"),
        ({"filters": {"serverKey": "x"}}, "scope.serverKey"),
        ({"no_data": "maybe"}, "noData"),
    ],
)
async def test_bad_values_are_refused_by_name_when_a_rule_is_made_and_when_it_is_changed(
    process: Process, changes: dict[str, Any], field: str
) -> None:
    """Updates skipped the validation of module and metric once."""
    with pytest.raises(InvalidInput) as caught:
        await process.rule(**changes)
    assert caught.value.field == field
    rule = await process.rule()
    with pytest.raises(InvalidInput) as caught:
        await process.rules.update(ACME, rule.id, RuleChanges(**changes), "u1")
    assert caught.value.field == field
