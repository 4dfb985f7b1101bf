"""Judges of relevance: chat models that score each document, or put all of them in order.

Query and documents stand in a fence, and the judge is told that they are data. What it answers is read strictly:
whatever is not exactly the form asked for is no answer, so a document that talks the judge into something else gains
nothing.
"""

import asyncio
import re
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from core.errors import PorticoError
from core.fencing import Fence
from services.inference.domain.rerank.records import DOCUMENT, DOCUMENTS, QUERY, Reranker

MAX_JUDGED = 100
"""Documents of one call."""
MAX_SHOWN = 20_000
"""Characters of a document that a judge sees; of all documents of one question, ten times as many."""
_MAX_LISTED = 10 * MAX_SHOWN
_LABEL = "text"
_CODE_BLOCK = re.compile(r"\A\s*```(?:json)?\s*(.*?)\s*```\s*\Z", re.DOTALL)
_SCORE = (
    "Rate how well the document answers the query.\n\nQuery:\n{{query}}\n\nDocument:\n{{document}}",
    'Answer with one JSON object and nothing else: {"score": a number from 0.0 (not relevant) to 1.0 (answers it)}.',
)
_ORDER = (
    "Put the documents in order, the one that answers the query best first.\n\nQuery:\n{{query}}\n\n"
    "Documents:\n{{documents}}",
    'Answer with one JSON object and nothing else: {"order": [the numbers of the documents, each once]}.',
)


class Ask(Protocol):
    """Asks the judge. Raises PorticoError."""

    async def __call__(self, model: str, system: str, text: str, temperature: float) -> str: ...


class _Score(msgspec.Struct, frozen=True):
    score: float


class _Order(msgspec.Struct, frozen=True):
    order: list[int]


async def score_each(ask: Ask, reranker: Reranker, query: str, documents: Sequence[str]) -> list[float | None]:
    """The judge's score of each document; None where it gave none. At most `batch_size` questions at a time."""
    turns = asyncio.Semaphore(reranker.config.batch_size)

    async def score(document: str) -> float | None:
        async with turns:
            fence = Fence(_LABEL)
            texts = {QUERY: fence.around(query), DOCUMENT: fence.around(document[:MAX_SHOWN])}
            answer = await _asked(ask, reranker, _SCORE, texts, fence)
        found = _read(answer, _Score)
        return found.score if found is not None and 0 <= found.score <= 1 else None

    return await asyncio.gather(*map(score, documents))


async def order_all(ask: Ask, reranker: Reranker, query: str, documents: Sequence[str]) -> list[int] | None:
    """The places of the documents in the judge's order; those that it left out are not among them. None where it gave
    no order."""
    fence = Fence(_LABEL)
    most = min(MAX_SHOWN, _MAX_LISTED // len(documents))
    listed = "\n".join(f"Document {at}:\n{fence.around(text[:most])}" for at, text in enumerate(documents, 1))
    answer = await _asked(ask, reranker, _ORDER, {QUERY: fence.around(query), DOCUMENTS: listed}, fence)
    found = _read(answer, _Order)
    places = [number - 1 for number in found.order] if found is not None else []
    if not places or len(set(places)) != len(places) or not all(0 <= each < len(documents) for each in places):
        return None
    return places


async def _asked(ask: Ask, reranker: Reranker, question: tuple[str, str], texts: dict[str, str], fence: Fence) -> str:
    """The judge's answer; empty where it failed."""
    template, form = question
    text = _filled(reranker.config.prompt_template or template, texts)
    try:
        return await ask(reranker.model_key, f"{fence.rule} {form}", text, reranker.config.temperature)
    except PorticoError:
        return ""


def _filled(template: str, texts: dict[str, str]) -> str:
    """The template with the texts in their places, in one pass: a text that holds a placeholder is left as it is."""
    pattern = re.compile("|".join(map(re.escape, texts)))
    return pattern.sub(lambda found: texts[found[0]], template)


def _read(answer: str, form: type[Any]) -> Any:
    block = _CODE_BLOCK.match(answer)
    try:
        return msgspec.json.decode(block.group(1) if block else answer.strip(), type=form)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return None
