"""Guards: guardrails compiled for use."""

from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass, field

from core.offload import offload, offload_in_parts
from core.tenancy import Project
from services.inference.domain.guardrails import judges
from services.inference.domain.guardrails.checks import Check, enabled
from services.inference.domain.guardrails.findings import BLOCK, LOW, WORDS, Finding
from services.inference.domain.guardrails.hold_back import HoldBack
from services.inference.domain.guardrails.judges import Judge, JudgeCheck, NoVerdict
from services.inference.domain.guardrails.pii import CATEGORIES, DEFAULTS, PiiCheck
from services.inference.domain.guardrails.records import CLOSED, CUSTOM, Guardrail
from services.inference.domain.guardrails.regexes import Pattern, RegexCheck, compile_pattern
from services.inference.domain.guardrails.words import BUILT_IN, WordCheck, built_in

_LARGE = 4096
"""Characters that are searched in the worker thread."""


@dataclass(slots=True)
class Outcome:
    """The result of a guard for some texts."""

    findings: list[Finding] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    """The texts, redacted; up to where something blocks."""
    scores: dict[str, float] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return not any(each.block for each in self.findings)


@dataclass(frozen=True, slots=True)
class Guard:
    """A guardrail, ready for use."""

    record: Guardrail
    checks: Sequence[Check]
    judges: Sequence[JudgeCheck]

    @property
    def holds(self) -> bool:
        """True if a judge may block, so that nothing can go out before it has judged."""
        fails = self.record.fail_mode == CLOSED
        return any(each.action == BLOCK or fails for each in self.judges)

    async def evaluate(
        self, judge: Judge, project: Project, texts: Sequence[str], json: Sequence[bool] = ()
    ) -> Outcome:
        """Check texts, of which `json` tells which are JSON. A judge sees all of them as one."""
        outcome = await offload_in_parts(self.search(texts, json), sum(map(len, texts)), above=_LARGE)
        if self.judges and outcome.passed:
            await self.ask(judge, project, "\n\n".join(text for text in texts if text), outcome)
        return outcome

    def search(self, texts: Sequence[str], json: Sequence[bool] = ()) -> Generator[int, None, Outcome]:
        """Run the checks that need no model, chunk by chunk; yields the length of each."""
        outcome = Outcome()
        for at, text in enumerate(texts):
            held = HoldBack(self.checks, json=bool(json) and json[at])
            outcome.texts.append((yield from held.whole(text)))
            outcome.findings += held.found
        return outcome

    async def ask(self, judge: Judge, project: Project, text: str, outcome: Outcome) -> None:
        """Ask the judges, one after the other until one blocks."""
        for each in self.judges if text.strip() else ():
            try:
                judged = await each.judge(judge, project, text)
            except NoVerdict:
                if self.record.fail_mode == CLOSED:
                    outcome.findings.append(each.failure())
                    return
                continue
            outcome.scores.update(judged.scores)
            outcome.findings += judged.findings
            if not outcome.passed:
                return


async def compile_guard(record: Guardrail, words_of: Callable[[str], Awaitable[Sequence[str]]]) -> Guard:
    """Compile a guardrail. `words_of` reads the word list of a key."""
    if record.type == CUSTOM:
        return Guard(record, (), (judges.custom(record.action, record.model_key, record.custom_prompt),))
    policy = record.policy
    checks: list[Check] = []
    if policy.pii.enabled:
        ids = enabled(policy.pii.categories, DEFAULTS)
        checks.append(PiiCheck([CATEGORIES[id] for id in ids], policy.pii.action or record.action))
    filter_ = policy.word_filter
    if filter_.enabled:
        action = filter_.action or record.action
        words = list(filter_.words)
        for name in enabled(filter_.builtin_lists, dict.fromkeys(BUILT_IN, True)):
            words += built_in(name)
        for key in filter_.custom_list_keys:
            words += await words_of(key)
        checks.append(await offload(lambda: WordCheck(words, action), len(words), above=500))
        patterns = [
            Pattern("regex", LOW, "Pattern", compile_pattern(f"policy.wordFilter.regexes[{at}]", each))
            for at, each in enumerate(filter_.regexes)
        ]
        if patterns:
            checks.append(RegexCheck(patterns, WORDS, action))
    asked = []
    if policy.moderation.enabled:
        part = policy.moderation
        categories = enabled(part.categories, judges.MODERATION_DEFAULTS)
        asked.append(judges.moderation(part.action or record.action, part.model_key or record.model_key, categories))
    if policy.prompt_shield.enabled:
        shield = policy.prompt_shield
        asked.append(
            judges.prompt_shield(
                shield.action or record.action, shield.model_key or record.model_key, shield.sensitivity
            )
        )
    return Guard(record, checks, asked)
