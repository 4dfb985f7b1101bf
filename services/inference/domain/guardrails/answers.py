"""Answers on their way out: guarded, and with values put back."""

from collections.abc import Mapping, Sequence

from core.tenancy import Project
from services.inference.domain.guardrails.blocked import blocked, noted
from services.inference.domain.guardrails.conversation import texts_of_answer, with_texts
from services.inference.domain.guardrails.findings import Finding
from services.inference.domain.guardrails.guards import Guard, Outcome
from services.inference.domain.guardrails.hold_back import HoldBack
from services.inference.domain.guardrails.judges import MAX_JUDGED, Judge
from services.inference.domain.guardrails.records import CLOSED
from services.inference.domain.guardrails.streams import StreamedTexts
from services.inference.domain.guardrails.tokens import Restorer, restore
from services.inference.domain.pipeline.answer import Answer, Chunk, WrappedAnswer

_CHUNK_CHARACTERS = 8
"""Characters that a chunk counts beside its texts, where chunks are held for a judge: small ones are mostly frame."""


class GuardedStream(WrappedAnswer):
    """A streamed answer behind an output guardrail. What a judge may block is held until it has judged."""

    __slots__ = ("_found", "_guard", "_holds", "_judge", "_judged", "_kept", "_project", "_texts", "findings")

    def __init__(self, inner: Answer, guard: Guard, judge: Judge, project: Project) -> None:
        super().__init__(inner)
        self.findings: list[Finding] = []
        self._guard = guard
        self._judge = judge
        self._project = project
        self._found: list[Finding] = []
        """Findings of the checks that need no model, of all texts."""
        self._texts = StreamedTexts(lambda json: HoldBack(guard.checks, json=json, found=self._found))
        self._judged = not guard.judges
        """True if there is nothing to judge, or none judges any more."""
        self._holds = guard.holds
        self._kept: list[Chunk] = []

    async def change(self, chunks: list[Chunk], *, last: bool) -> Sequence[Chunk]:
        given = await self._guarded(chunks, last=last)
        return noted(given, "output", self._guard.record, self.findings) if self.findings else given

    async def _guarded(self, chunks: list[Chunk], *, last: bool) -> Sequence[Chunk]:
        changed = self._texts.change(chunks, last=last)
        found = self._found
        if len(found) > len(self.findings):
            new, self.findings = found[len(self.findings) :], found.copy()
            if any(each.block for each in new):
                return await self._block([] if self._holds else changed)
        if self._judged:
            return changed
        self._kept += changed
        if self._texts.characters + _CHUNK_CHARACTERS * len(self._kept) > MAX_JUDGED:
            return await self._unjudged(changed)
        if last and self.inner.error is None:
            outcome = Outcome()
            await self._guard.ask(self._judge, self._project, _said(self._kept), outcome)
            self.findings = [*found, *outcome.findings]
            if not outcome.passed:
                return await self._block([])
        if not self._holds:
            return changed
        if not last:
            return ()
        changed, self._kept = self._kept, []
        return changed

    async def _unjudged(self, changed: Sequence[Chunk]) -> Sequence[Chunk]:
        """End the answer or let it pass, as `failMode` says: no judge reads so long a one."""
        if self._guard.record.fail_mode == CLOSED:
            self.findings = [*self._found, self._guard.judges[0].failure()]
            return await self._block([])
        self._judged = True
        kept, self._kept = self._kept, []
        return kept if self._holds else changed

    async def _block(self, chunks: list[Chunk]) -> list[Chunk]:
        await self.break_off(blocked(self._guard.record, self.findings))
        return chunks


class GuardedWhole(WrappedAnswer):
    """A whole answer behind an output guardrail."""

    __slots__ = ("_guard", "_judge", "_project", "findings")

    def __init__(self, inner: Answer, guard: Guard, judge: Judge, project: Project) -> None:
        super().__init__(inner)
        self.findings: list[Finding] = []
        self._guard = guard
        self._judge = judge
        self._project = project

    async def change(self, chunks: list[Chunk], *, last: bool) -> Sequence[Chunk]:
        return [changed for chunk in chunks if (changed := await self._changed(chunk)) is not None]

    async def _changed(self, chunk: Chunk) -> Chunk | None:
        texts = texts_of_answer(chunk)
        outcome = await self._guard.evaluate(
            self._judge, self._project, [each.text for each in texts], [each.json for each in texts]
        )
        self.findings += outcome.findings
        if not outcome.passed:
            self.fail(blocked(self._guard.record, self.findings))
            return None
        changes = {each.path: new for each, new in zip(texts, outcome.texts, strict=True) if new != each.text}
        changed = with_texts(chunk, changes) if changes else chunk
        return noted([changed], "output", self._guard.record, self.findings)[0] if self.findings else changed


class NotedAnswer(WrappedAnswer):
    """An answer that tells what an input guardrail found and let pass."""

    __slots__ = ("_findings", "_guard")

    def __init__(self, inner: Answer, guard: Guard, findings: Sequence[Finding]) -> None:
        super().__init__(inner)
        self._guard = guard
        self._findings = findings

    async def change(self, chunks: list[Chunk], *, last: bool) -> Sequence[Chunk]:
        return noted(chunks, "input", self._guard.record, self._findings)


class RestoredStream(WrappedAnswer):
    """A streamed answer with values in place of their tokens."""

    __slots__ = ("_texts",)

    def __init__(self, inner: Answer, values: Mapping[str, str]) -> None:
        super().__init__(inner)
        self._texts = StreamedTexts(lambda json: Restorer(values, in_json=json))

    async def change(self, chunks: list[Chunk], *, last: bool) -> Sequence[Chunk]:
        return self._texts.change(chunks, last=last)


class RestoredWhole(WrappedAnswer):
    """A whole answer with values in place of their tokens."""

    __slots__ = ("_values",)

    def __init__(self, inner: Answer, values: Mapping[str, str]) -> None:
        super().__init__(inner)
        self._values = values

    async def change(self, chunks: list[Chunk], *, last: bool) -> Sequence[Chunk]:
        return [self._restored(chunk) for chunk in chunks]

    def _restored(self, chunk: Chunk) -> Chunk:
        changes = {}
        for path, text, in_json in texts_of_answer(chunk):
            new = restore(text, self._values, in_json=in_json)
            if new != text:
                changes[path] = new
        return with_texts(chunk, changes) if changes else chunk


def _said(chunks: Sequence[Chunk]) -> str:
    """All texts of a stream's chunks, by choice and text."""
    parts: dict[tuple[object, ...], list[str]] = {}
    for chunk in chunks:
        for choice in chunk.get("choices") or ():
            for name, value in choice["delta"].items():
                if name == "tool_calls":
                    for call in value:
                        text = (call.get("function") or {}).get("arguments") or ""
                        parts.setdefault((choice["index"], name, call.get("index")), []).append(text)
                elif type(value) is str and name != "role":
                    parts.setdefault((choice["index"], name), []).append(value)
    return "\n\n".join("".join(each) for each in parts.values())
