"""Deployments: what promote, plan, activate and rollback do, and that each means what it says."""

from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from core.errors import FailedPrecondition, InvalidInput, PorticoError
from services.inference.domain.prompts.deployments import DeploymentRequest, deployed, rollout
from services.inference.domain.prompts.records import MAX_HISTORY, Deployment, Prompt, PromptVersion

VERSIONS = {number: PromptVersion(f"v{number}", "p", number, "N", "t") for number in range(1, 6)}


@dataclass
class Environments:
    """A prompt, and what is done to it."""

    prompt: Prompt = field(default_factory=lambda: Prompt("p", "p", VERSIONS[5], 5))

    def act(self, action: str, number: int | None = None, environment: str = "prod") -> dict[str, Any]:
        version = None if number is None else VERSIONS[number]
        changes = deployed(self.prompt, DeploymentRequest(action, environment, version, "", "me", 1.0))
        self.prompt = msgspec.structs.replace(self.prompt, **changes)
        return changes

    def state(self, environment: str = "prod") -> tuple[int | None, int | None, int | None]:
        """Numbers of the active, planned and previous version."""
        now = self.prompt.deployments.get(environment, Deployment())
        return tuple(each.number if each else None for each in (now.active, now.planned, now.previous))  # type: ignore[return-value]

    def history(self) -> list[tuple[str, int]]:
        return [(each.action, each.version.number) for each in reversed(self.prompt.history)]


def refused(environments: Environments, action: str, number: int | None = None) -> PorticoError:
    before = environments.prompt
    with pytest.raises((FailedPrecondition, InvalidInput)) as caught:
        environments.act(action, number)
    assert environments.prompt == before
    return caught.value


def test_promote_is_active_at_once() -> None:
    """It was said to be planned while every call got it."""
    environments = Environments()
    environments.act("promote", 1)
    assert environments.state() == (1, None, None)
    environments.act("promote", 2)
    assert environments.state() == (2, None, 1)
    assert environments.state("dev") == (None, None, None)


def test_plan_changes_nothing_that_is_served() -> None:
    """Plan and activate meant nothing: what was planned was served."""
    environments = Environments()
    environments.act("promote", 1)
    environments.act("plan", 2)
    assert environments.state() == (1, 2, None)
    environments.act("plan", 3)
    assert environments.state() == (1, 3, None)
    environments.act("activate")
    assert environments.state() == (3, None, 1)
    assert environments.history() == [("promote", 1), ("plan", 2), ("plan", 3), ("activate", 3)]


def test_a_first_version_may_be_planned() -> None:
    environments = Environments()
    environments.act("plan", 1)
    assert environments.state() == (None, 1, None)
    assert refused(environments, "rollback").reason == "NOTHING_TO_ROLL_BACK"
    environments.act("activate", 1)
    assert environments.state() == (1, None, None)


def test_rollback_goes_back_to_what_was_served() -> None:
    """A version that had been promoted and never activated was not remembered."""
    environments = Environments()
    environments.act("promote", 1)
    environments.act("promote", 2)
    environments.act("plan", 3)
    environments.act("rollback")
    assert environments.state() == (1, None, None)
    assert environments.history()[-1] == ("rollback", 1)


def test_a_rollback_that_is_repeated_goes_back_once() -> None:
    """Clients repeat a request whose answer got lost: the second one brought back what the first had taken away."""
    environments = Environments()
    for number in (1, 2, 3):
        environments.act("promote", number)
    environments.act("rollback")
    assert refused(environments, "rollback").reason == "NOTHING_TO_ROLL_BACK"
    assert environments.state() == (2, None, None)


@pytest.mark.parametrize(
    ("before", "action", "number"),
    [
        ([("promote", 1), ("promote", 2)], "promote", 2),
        ([("promote", 1), ("plan", 2)], "plan", 2),
        ([("promote", 1), ("plan", 2), ("activate", None)], "activate", None),
        ([("promote", 1), ("plan", 2), ("activate", None)], "activate", 2),
        ([("promote", 1)], "activate", None),
        ([("promote", 1)], "plan", 1),
    ],
)
def test_a_repeated_action_changes_nothing(
    before: list[tuple[str, int | None]], action: str, number: int | None
) -> None:
    environments = Environments()
    for each in before:
        environments.act(*each)
    assert environments.act(action, number) == {}


def test_to_plan_the_active_version_withdraws_the_plan() -> None:
    environments = Environments()
    environments.act("promote", 1)
    environments.act("plan", 2)
    environments.act("plan", 1)
    assert environments.state() == (1, None, None)


def test_promote_ends_a_plan() -> None:
    """Or a later activate would put an older decision in place of it."""
    environments = Environments()
    environments.act("plan", 2)
    environments.act("promote", 3)
    assert environments.state() == (3, None, None)


@pytest.mark.parametrize(
    ("before", "action", "number", "field", "reason"),
    [
        ([], "promote", None, "versionId", "INVALID_INPUT"),
        ([], "plan", None, "versionId", "INVALID_INPUT"),
        ([], "activate", None, "action", "NOTHING_PLANNED"),
        ([], "rollback", None, "action", "NOTHING_TO_ROLL_BACK"),
        ([("promote", 1)], "activate", 2, "action", "NOTHING_PLANNED"),
        ([("promote", 1)], "rollback", None, "action", "NOTHING_TO_ROLL_BACK"),
        ([("plan", 1)], "activate", 2, "versionId", "ANOTHER_VERSION"),
        ([("promote", 1), ("promote", 2)], "rollback", 3, "versionId", "ANOTHER_VERSION"),
    ],
)
def test_what_cannot_be_done_is_refused(
    before: list[tuple[str, int | None]], action: str, number: int | None, field: str, reason: str
) -> None:
    environments = Environments()
    for each in before:
        environments.act(*each)
    error = refused(environments, action, number)
    assert (error.field, error.reason) == (field, reason)


def test_the_history_is_bounded() -> None:
    environments = Environments()
    for at in range(MAX_HISTORY + 10):
        environments.act("promote", 1 + at % 2)
    assert len(environments.prompt.history) == MAX_HISTORY
    assert environments.state()[0] == environments.prompt.history[0].version.number


def test_the_rollout_is_of_the_planned_version_where_there_is_one() -> None:
    environments = Environments()
    environments.act("promote", 1)
    assert rollout(environments.prompt.deployments["prod"])[1] == "active"
    environments.act("plan", 2)
    version, status = rollout(environments.prompt.deployments["prod"])
    assert (version.number if version else None, status) == (2, "planned")
