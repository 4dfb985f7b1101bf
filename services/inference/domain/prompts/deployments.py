"""Deployments of a prompt's versions to environments: what each action means. Pure.

    promote   makes a version active at once
    plan      says which version is to be active next; calls go on with the active one
    activate  makes the planned version active
    rollback  makes the version active again that was active before

What is served changes with promote, activate and rollback alone, and each of them ends a plan. A request that is
repeated, because its answer got lost, changes nothing more.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from core.errors import FailedPrecondition, InvalidInput
from services.inference.domain.prompts.records import (
    MAX_HISTORY,
    Deployment,
    DeploymentEvent,
    Prompt,
    PromptVersion,
    VersionRef,
)

PROMOTE, PLAN, ACTIVATE, ROLLBACK = "promote", "plan", "activate", "rollback"
MAX_NOTE = 500
"""Characters."""


@dataclass(frozen=True, slots=True)
class DeploymentRequest:
    """One action on an environment. `version` is the one that the caller named; `note` is for people."""

    action: str
    environment: str
    version: PromptVersion | None
    note: str
    by: str
    at: float


def deployed(prompt: Prompt, request: DeploymentRequest) -> dict[str, Any]:
    """The fields of the prompt that change; none where all is as it is to be. Raises InvalidInput,
    FailedPrecondition."""
    old = prompt.deployments.get(request.environment, Deployment())
    named = VersionRef(request.version.id, request.version.number) if request.version else None
    states = ACTIONS[request.action](old, named, request.environment)
    if states == (old.active, old.planned, old.previous):
        return {}
    active, planned, previous = states
    new = Deployment(active, planned, previous, request.note, request.by, request.at)
    subject = planned if request.action == PLAN and planned else active
    assert subject is not None
    event = DeploymentEvent(
        f"pde_{uuid4().hex}", request.environment, request.action, subject, request.note, request.by, request.at
    )
    return {
        "deployments": {**prompt.deployments, request.environment: new},
        "history": (event, *prompt.history)[:MAX_HISTORY],
    }


_States = tuple[VersionRef | None, VersionRef | None, VersionRef | None]
"""Active, planned, previous."""


def _promote(old: Deployment, named: VersionRef | None, environment: str) -> _States:
    version = _needed(named, PROMOTE)
    if version == old.active:
        return version, None, old.previous
    return version, None, old.active


def _plan(old: Deployment, named: VersionRef | None, environment: str) -> _States:
    version = _needed(named, PLAN)
    return old.active, None if version == old.active else version, old.previous


def _activate(old: Deployment, named: VersionRef | None, environment: str) -> _States:
    if old.planned is None:
        if old.active is None or (named is not None and named != old.active):
            raise FailedPrecondition(
                f"No version is planned for {environment}. Plan one, or promote it.",
                reason="NOTHING_PLANNED",
                field="action",
            )
        return old.active, None, old.previous  # repeated, or promoted before: it is active
    _check_named(named, old.planned, f"planned for {environment}")
    return old.planned, None, old.active


def _rollback(old: Deployment, named: VersionRef | None, environment: str) -> _States:
    if old.previous is None:
        raise FailedPrecondition(
            f"There is no version to roll {environment} back to. Promote the one that you want.",
            reason="NOTHING_TO_ROLL_BACK",
            field="action",
        )
    _check_named(named, old.previous, f"the one that {environment} rolls back to")
    return old.previous, None, None


ACTIONS: Mapping[str, Callable[[Deployment, VersionRef | None, str], _States]] = {
    PROMOTE: _promote,
    PLAN: _plan,
    ACTIVATE: _activate,
    ROLLBACK: _rollback,
}


def _needed(named: VersionRef | None, action: str) -> VersionRef:
    if named is None:
        raise InvalidInput(f"versionId is missing: name the version to {action}.", field="versionId")
    return named


def _check_named(named: VersionRef | None, expected: VersionRef, what: str) -> None:
    if named is not None and named != expected:
        raise FailedPrecondition(
            f"Version {named.number} is not {what}: that is version {expected.number}.",
            reason="ANOTHER_VERSION",
            field="versionId",
        )


def rollout(deployment: Deployment) -> tuple[VersionRef | None, str]:
    """The version that a deployment is about, and its status: the planned one where there is one, else the active."""
    if deployment.planned is not None:
        return deployment.planned, "planned"
    return deployment.active, "active"
