"""Evaluations of texts outside of calls to models: by request, and as moderations."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from core import context, fields
from core.errors import InvalidInput, NotFound
from core.tenancy import Project
from services.inference.domain.guardrails.compiled import CompiledRecords
from services.inference.domain.guardrails.evaluations import Evaluation, EvaluationLog
from services.inference.domain.guardrails.findings import MODERATION, SCORES, Finding
from services.inference.domain.guardrails.guards import Guard, Outcome
from services.inference.domain.guardrails.judges import MODERATION_CATEGORIES, Judge
from services.inference.domain.guardrails.records import Guardrail
from services.inference.domain.guardrails.store import Guardrails

MAX_CHARACTERS: Final = 1_000_000
"""Most characters of all texts of one request."""
MAX_INPUTS: Final = 100
"""Texts of one moderation."""


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The result of a guardrail for a text. `redacted` is None where nothing is redacted."""

    guardrail: Guardrail
    findings: Sequence[Finding]
    passed: bool
    redacted: str | None


@dataclass(frozen=True, slots=True)
class Moderated:
    """The result of a guardrail for one input of a moderation."""

    findings: Sequence[Finding]
    categories: dict[str, bool]
    scores: dict[str, float]


class Evaluator:
    """Evaluates texts of the present caller."""

    def __init__(
        self, guardrails: Guardrails, guards: CompiledRecords[Guard], judge: Judge, log: EvaluationLog
    ) -> None:
        self._guardrails = guardrails
        self._guards = guards
        self._judge = judge
        self._log = log

    async def evaluate(self, project: Project, key: str, text: str, target: str) -> Evaluated:
        """Evaluate a text. Raises NotFound, InvalidInput."""
        fields.text("guardrail_key", key, at_least=1, at_most=128)
        if not text:
            raise InvalidInput("text must not be empty.", field="text")
        _check_length("text", text)
        target = fields.one_of("target", target or "input", ("input", "output", "both"))
        guard = await self._guard(project, key, "guardrail_key")
        if not guard.record.enabled:
            return Evaluated(guard.record, (), True, None)
        outcome = await self._run(project, guard, text, target, "api:evaluate")
        redacted = outcome.texts[0] if outcome.passed and outcome.texts[0] != text else None
        return Evaluated(guard.record, outcome.findings, outcome.passed, redacted)

    async def moderate(
        self, project: Project, texts: Sequence[str], key: str
    ) -> tuple[str, Guardrail, list[Moderated]]:
        """Classify texts: an id, the guardrail, and a result for each. Raises NotFound, InvalidInput."""
        fields.count("input", texts, MAX_INPUTS)
        _check_length("input", *texts)
        if not key:
            moderating = await self._guardrails.moderating(project)
            if moderating is None:
                raise InvalidInput(
                    "The project has no enabled guardrail that moderates. Name one in model, or create one.",
                    reason="NO_MODERATION_GUARDRAIL",
                    field="model",
                )
            key = moderating.key
        guard = await self._guard(project, key, "model")
        if not guard.record.enabled:
            raise InvalidInput(f"The guardrail {key} is not enabled.", reason="GUARDRAIL_DISABLED", field="model")
        results = []
        for text in texts:
            outcome = await self._run(project, guard, text, "input", "api:moderations")
            results.append(_moderated(outcome))
        return f"modr_{uuid4().hex}", guard.record, results

    async def _guard(self, project: Project, key: str, field: str) -> Guard:
        if await self._guardrails.by_key(project, key) is None:
            raise NotFound("There is no such guardrail in this project.", reason="GUARDRAIL_NOT_FOUND", field=field)
        return await self._guards.find(project, key)

    async def _run(self, project: Project, guard: Guard, text: str, target: str, source: str) -> Outcome:
        began = time.monotonic()
        outcome = await guard.evaluate(self._judge, project, [text])
        latency = round((time.monotonic() - began) * 1000, 3)
        request = context.current()
        self._log.add(
            Evaluation(
                context.identity(),
                request.request_id if request else "",
                guard.record,
                target,
                source,
                outcome.findings,
                latency,
            )
        )
        return outcome


def _moderated(outcome: Outcome) -> Moderated:
    scores = dict.fromkeys(MODERATION_CATEGORIES, 0.0)
    for each in outcome.findings:
        known = outcome.scores.get(each.category, 0.0) if each.type == MODERATION else 0.0
        scores[each.category] = max(scores.get(each.category, 0.0), known or SCORES[each.severity])
    for category, score in outcome.scores.items():
        scores[category] = max(scores.get(category, 0.0), score)
    found = {each.category for each in outcome.findings}
    return Moderated(outcome.findings, {each: each in found for each in scores}, scores)


def _check_length(field: str, *texts: str) -> None:
    if sum(map(len, texts)) > MAX_CHARACTERS:
        raise InvalidInput(f"{field} must have at most {MAX_CHARACTERS} characters.", field=field)
