"""The steps of the pipeline: input guardrails, PII policies, output guardrails."""

import time
from collections.abc import Generator
from contextvars import ContextVar
from functools import partial
from typing import Protocol

from core.errors import ContentBlocked, Unavailable
from core.offload import offload_in_parts
from core.tenancy import Project
from services.inference.domain.catalogue.models import LLM, Model
from services.inference.domain.guardrails.answers import (
    GuardedStream,
    GuardedWhole,
    NotedAnswer,
    RestoredStream,
    RestoredWhole,
)
from services.inference.domain.guardrails.blocked import blocked
from services.inference.domain.guardrails.compiled import CompiledRecords
from services.inference.domain.guardrails.conversation import Text, texts_of_request, with_texts
from services.inference.domain.guardrails.evaluations import Evaluation, EvaluationLog
from services.inference.domain.guardrails.findings import Finding
from services.inference.domain.guardrails.guards import Guard
from services.inference.domain.guardrails.hold_back import HoldBack
from services.inference.domain.guardrails.judges import Judge
from services.inference.domain.guardrails.pii_policies import BLOCK, DETECT, TOKENIZE, replacement
from services.inference.domain.guardrails.sources import CompiledPolicy
from services.inference.domain.guardrails.tokens import Tokenizer
from services.inference.domain.pipeline.answer import Answer, read_whole
from services.inference.domain.pipeline.exchange import Body, Exchange
from services.inference.domain.pipeline.step import Next, Step
from services.inference.domain.usage.calls import CANCELLED, CHAT, RERANK

_LARGE = 4096
_judging: ContextVar[bool] = ContextVar("portico_judging", default=False)
"""True if the present call is a judge's: guardrails do not judge judges, which would never end."""


class Chats(Protocol):
    """The pipeline."""

    async def chat(self, request: Body) -> tuple[Exchange, Answer]: ...


class PipelineJudge:
    """Asks models through the pipeline, so that what they cost is metered. Set `pipeline` before the first call."""

    pipeline: "Chats"

    async def ask(self, project: Project, model: str, system: str, text: str) -> str:
        """See judges.Judge."""
        messages = [{"role": "system", "content": system}, {"role": "user", "content": text}]
        judging = _judging.set(True)
        try:
            _, answer = await self.pipeline.chat({"model": model, "messages": messages})
            completion = await read_whole(answer)
        finally:
            _judging.reset(judging)
        content = completion["choices"][0]["message"].get("content")
        if not isinstance(content, str):
            raise Unavailable("The judge gave no answer.", reason="NO_VERDICT")
        return content


class GuardrailSteps:
    """Makes the steps of guardrails for models that have them."""

    def __init__(self, guards: CompiledRecords[Guard], judge: Judge, log: EvaluationLog) -> None:
        self._guards = guards
        self._judge = judge
        self._log = log

    def input(self, project: Project, model: Model) -> Step | None:
        """See step.StepFactory."""
        return partial(self._input, project, model.input_guardrail_key) if model.input_guardrail_key else None

    def output(self, project: Project, model: Model) -> Step | None:
        """See step.StepFactory."""
        if not model.output_guardrail_key or model.category != LLM:
            return None
        return partial(self._output, project, model.output_guardrail_key)

    async def _input(self, project: Project, key: str, exchange: Exchange, call_next: Next) -> Answer:
        if _judging.get():
            return await call_next(exchange)
        guard = await self._guards.find(project, key)
        if not guard.record.enabled:
            return await call_next(exchange)
        began = time.monotonic()
        texts = texts_of_request(exchange.request)
        outcome = await guard.evaluate(
            self._judge, project, [each.text for each in texts], [each.json for each in texts]
        )
        self._add(exchange, guard, "input", outcome.findings, began, _source(exchange))
        if not outcome.passed:
            raise blocked(guard.record, outcome.findings)
        answer = await call_next(_changed(exchange, texts, outcome.texts))
        if outcome.findings and exchange.call.operation == CHAT:
            return NotedAnswer(answer, guard, outcome.findings)
        return answer

    async def _output(self, project: Project, key: str, exchange: Exchange, call_next: Next) -> Answer:
        if _judging.get():
            return await call_next(exchange)
        guard = await self._guards.find(project, key)
        if not guard.record.enabled:
            return await call_next(exchange)
        inner = await call_next(exchange.with_canonical_answer())
        answer = (GuardedStream if exchange.stream else GuardedWhole)(inner, guard, self._judge, project)
        began = time.monotonic()

        def ended(_: Answer) -> None:
            source = _source(exchange) + (":cancelled" if answer.status == CANCELLED else "")
            self._add(exchange, guard, "output", answer.findings, began, source)

        answer.when_ended(ended)
        return answer

    def _add(
        self, exchange: Exchange, guard: Guard, target: str, findings: list[Finding], began: float, source: str
    ) -> None:
        call = exchange.call
        latency = round((time.monotonic() - began) * 1000, 3)
        self._log.add(
            Evaluation(call.identity, call.request_id, guard.record, target, source, findings, latency, call.model)
        )


class PiiSteps:
    """Makes the step of PII policies for models that have one."""

    def __init__(self, policies: CompiledRecords[CompiledPolicy]) -> None:
        self._policies = policies

    def step(self, project: Project, model: Model) -> Step | None:
        """See step.StepFactory."""
        return partial(self._step, project, model.pii_policy_key) if model.pii_policy_key else None

    async def _step(self, project: Project, key: str, exchange: Exchange, call_next: Next) -> Answer:
        policy = await self._policies.find(project, key)
        action = policy.record.default_action
        if not policy.record.enabled or action == DETECT:
            return await call_next(exchange)
        texts = texts_of_request(exchange.request)
        size = sum(len(each.text) for each in texts)
        tokenizer = Tokenizer("\n".join(each.text for each in texts)) if action == TOKENIZE else None

        def apply() -> Generator[int, None, tuple[list[str], list[Finding]]]:
            changed, findings = [], []
            for each in texts:
                held = HoldBack(policy.checks, json=each.json, replace=replacement(action, tokenizer))
                changed.append((yield from held.whole(each.text)))
                findings += held.found
            return changed, findings

        changed, findings = await offload_in_parts(apply(), size, above=_LARGE)
        if findings and action == BLOCK:
            raise _policy_blocked(policy, findings)
        changed_exchange = _changed(exchange, texts, changed)
        if tokenizer is None or not tokenizer.values or exchange.call.operation != CHAT:
            return await call_next(changed_exchange)
        answer = await call_next(changed_exchange.with_canonical_answer())
        return (RestoredStream if exchange.stream else RestoredWhole)(answer, tokenizer.values)


def _policy_blocked(policy: CompiledPolicy, findings: list[Finding]) -> ContentBlocked:
    categories = sorted({each.category for each in findings})
    return ContentBlocked(
        f"The messages hold personal data that the policy does not let pass: {', '.join(categories)}. Remove it.",
        reason="PII_BLOCKED",
        field="messages",
        details={"pii_policy_key": policy.record.key, "categories": categories},
    )


def _changed(exchange: Exchange, texts: list[Text], new: list[str]) -> Exchange:
    changes = {each.path: text for each, text in zip(texts, new, strict=True) if text != each.text}
    return exchange.with_request(with_texts(exchange.request, changes)) if changes else exchange


def _source(exchange: Exchange) -> str:
    if exchange.call.operation != CHAT:
        return "rerank" if exchange.call.operation == RERANK else "embeddings"
    return "chat.completions:stream" if exchange.stream else "chat.completions"
