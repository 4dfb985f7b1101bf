"""Judges see all of a text, and nothing grows with what they are shown."""

from typing import Any

import pytest

from core.tenancy import Project, Tenant
from services.inference.domain.guardrails import answers, judges
from services.inference.domain.guardrails.answers import GuardedStream
from services.inference.domain.guardrails.findings import BLOCK
from services.inference.domain.guardrails.guards import Guard
from services.inference.domain.guardrails.judges import MAX_JUDGED, MAX_SHOWN, NoVerdict
from services.inference.domain.guardrails.records import CLOSED, CUSTOM, OPEN, Guardrail
from services.inference.domain.pipeline.answer import Answer, Chunk
from services.inference.domain.usage.calls import SUCCESS
from tests.unit.services.inference.guardrails.test_streams import chunk

PROJECT = Project(Tenant("acme"), "p")
CHECK = judges.custom(BLOCK, "judge", "No cats.")


class Listening:
    """A judge that finds cats, and remembers how much it was shown."""

    def __init__(self) -> None:
        self.shown: list[int] = []

    async def ask(self, project: Project, model: str, system: str, text: str) -> str:
        self.shown.append(len(text))
        return '{"allowed": false, "violations": [{"category": "cats"}]}' if "meow" in text else '{"allowed": true}'


class Said(Answer):
    """A stream that says each text in a chunk."""

    def __init__(self, texts: list[str]) -> None:
        super().__init__()
        self.left = texts

    async def next(self) -> list[Chunk]:
        text = self.left.pop(0)
        if not self.left:
            self._end(SUCCESS)
        return [chunk({"content": text})]


@pytest.mark.parametrize("at", [0, MAX_SHOWN // 2, MAX_SHOWN - 2, MAX_SHOWN, 3 * MAX_SHOWN, MAX_JUDGED - 4])
async def test_every_part_of_a_long_text_is_judged(at: int) -> None:
    """The middle of a long text was not shown to the judge."""
    text = "x" * at + "meow" + "x" * (MAX_JUDGED - at - 4)
    judge = Listening()
    judged = await CHECK.judge(judge, PROJECT, text)
    assert [each.category for each in judged.findings] == ["cats"]
    assert max(judge.shown) < MAX_SHOWN + 100


async def test_a_text_that_is_too_long_has_no_verdict() -> None:
    judge = Listening()
    with pytest.raises(NoVerdict):
        await CHECK.judge(judge, PROJECT, "x" * (MAX_JUDGED + 1))
    assert judge.shown == []
    assert (await CHECK.judge(judge, PROJECT, "x" * MAX_JUDGED)).findings == []


@pytest.mark.parametrize(("mode", "passes"), [(OPEN, True), (CLOSED, False)])
@pytest.mark.parametrize("text", ["x" * 500, "x"], ids=["long texts", "many chunks"])
async def test_a_stream_without_end_is_not_kept_for_a_judge(
    mode: str, passes: bool, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it was held in memory until its end."""
    most = 10_000
    monkeypatch.setattr(answers, "MAX_JUDGED", most)
    fields: dict[str, Any] = {"id": "1", "key": "g", "name": "G", "type": CUSTOM, "created_at": 0.0, "updated_at": 0.0}
    guard = Guard(Guardrail(**fields, action=BLOCK, fail_mode=mode), (), (CHECK,))
    count, judge = 2 * most // (len(text) + 8), Listening()
    inner = Said([text] * count)
    answer = GuardedStream(inner, guard, judge, PROJECT)
    first = await answer.next()
    left = len(inner.left)
    assert left > count // 3
    assert bool(first) is passes
    while not answer.ended:
        first += await answer.next()
    assert (answer.error is None) is passes
    assert len(first) == (count if passes else 0)
    assert judge.shown == []
