"""Measure the CPU of guardrails in process: PII in a prompt and an answer of 2 KB, and on top of a streamed chunk.

python -m tests.load.bench_guardrails
"""

import time
from collections.abc import Callable, Sequence

from services.inference.domain.guardrails.checks import Check
from services.inference.domain.guardrails.conversation import texts_of_answer, texts_of_request
from services.inference.domain.guardrails.findings import REDACT
from services.inference.domain.guardrails.hold_back import HoldBack
from services.inference.domain.guardrails.pii import CATEGORIES, PiiCheck
from services.inference.domain.guardrails.streams import StreamedTexts
from services.inference.domain.guardrails.words import BUILT_IN, WordCheck, built_in

PROSE = (
    "The quick brown fox jumps over the lazy dog, and 23 more of them at noon. "
    "Please summarise the following report in three short sentences. "
)
PROMPT = (PROSE * 20)[:2048]
ANSWER = (PROSE * 2)[:200]
DELTA = 4
"""Characters of a chunk: about a token."""
_ROUNDS = 15


def best(work: Callable[[], object], times: int = 20) -> float:
    """Microseconds of CPU, the least of some rounds."""
    rounds = []
    for _ in range(_ROUNDS):
        began = time.process_time()
        for _ in range(times):
            work()
        rounds.append((time.process_time() - began) / times * 1e6)
    return min(rounds)


def whole(checks: Sequence[Check], prompt: str, answer: str) -> None:
    """Check a request and its answer."""
    request = {"messages": [{"role": "user", "content": prompt}]}
    completion = {"choices": [{"index": 0, "message": {"role": "assistant", "content": answer}}]}
    for text in (*texts_of_request(request), *texts_of_answer(completion)):
        held = HoldBack(checks, json=text.json)
        held.push(text.text)
        held.flush()


def streamed(checks: Sequence[Check], text: str) -> Callable[[], None]:
    """A stream of the text, chunk by chunk."""
    frame = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    chunks = [
        {**frame, "choices": [{"index": 0, "delta": {"content": text[at : at + DELTA]}, "finish_reason": None}]}
        for at in range(0, len(text), DELTA)
    ]

    def run() -> None:
        texts = StreamedTexts(lambda json: HoldBack(checks, json=json))
        for chunk in chunks:
            texts.change([chunk], last=False)

    return run


def main() -> None:
    defaults = [each for each in CATEGORIES.values() if each.default]
    words = [word for name in BUILT_IN for word in built_in(name)]
    cases: dict[str, Sequence[Check]] = {
        "PII, as by default": [PiiCheck(defaults, REDACT)],
        "PII, every category": [PiiCheck(CATEGORIES.values(), REDACT)],
        "both built-in word lists": [WordCheck(words, REDACT)],
    }
    print("microseconds of CPU, the least of some rounds")
    for name, checks in cases.items():
        in_and_out = best(lambda checks=checks: whole(checks, PROMPT, ANSWER))  # type: ignore[misc]  # bound now
        chunk = best(streamed(checks, PROMPT), 1) / (len(PROMPT) / DELTA)
        print(f"{name:26} 2 KB in, 200 characters out: {in_and_out:7.1f}    on top of a chunk: {chunk:6.1f}")


if __name__ == "__main__":
    main()
