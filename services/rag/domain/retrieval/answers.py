"""Answers of a chat model to questions, from what their queries find.

stuff        one call, with as many of the best matches as fit
map_reduce   notes of each group of matches, at the same time, then one answer from the notes
refine       an answer from the first group of matches, improved group by group
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from core.tenancy import Project
from services.rag.domain.retrieval import budget, prompts
from services.rag.domain.retrieval.citations import cited
from services.rag.domain.retrieval.matches import Match, Result
from services.rag.domain.retrieval.prompts import Source
from services.rag.domain.retrieval.requests import MAP_REDUCE, REFINE, STUFF, AnswerRequest
from services.rag.domain.retrieval.retriever import Retriever
from services.rag.domain.retrieval.together import together
from services.rag.ports import ChatAnswer, ChatMessage, ChatModel

_AT_A_TIME = 4
"""Calls for notes at a time."""
_NOTE_TOKENS = 500
"""Tokens of the notes of one group."""
_NOTHING_FOUND = "The documents do not hold an answer to this question: nothing in them matches it."


@dataclass(slots=True)
class Usage:
    """Tokens of all calls of one answer, as far as the providers tell."""

    input_tokens: int = 0
    output_tokens: int = 0

    def add(self, answer: ChatAnswer) -> None:
        self.input_tokens += answer.input_tokens
        self.output_tokens += answer.output_tokens


@dataclass(slots=True)
class Answer:
    """An answer while it is written: read `deltas` to the end, then the rest is there."""

    result: Result
    mode: str
    model: str
    deltas: AsyncGenerator[str, None] = field(init=False)
    text: str = ""
    citations: list[tuple[int, Match]] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)


class Answers:
    """Answers questions with chat models, on behalf of the present caller."""

    def __init__(self, retriever: Retriever, chat: ChatModel) -> None:
        self._retriever = retriever
        self._chat = chat

    async def answer(self, project: Project, module_key: str, request: AnswerRequest) -> Answer:
        """Find what the question asks for, and begin its answer. Raises as `Retriever.query`; the deltas raise the
        chat model's errors."""
        result = await self._retriever.query(project, module_key, request, kind="answer")
        answer = Answer(result, request.mode, request.model)
        answer.deltas = self._written(answer, request)
        return answer

    async def _written(self, answer: Answer, request: AnswerRequest) -> AsyncGenerator[str, None]:
        matches = answer.result.matches
        if not matches:
            answer.text = _NOTHING_FOUND
            yield _NOTHING_FOUND
            return
        shown = budget.fitting(matches, request.max_context_tokens) if request.mode == STUFF else matches
        messages = await _PREPARED[request.mode](self, shown, request, answer.usage)
        pieces = self._chat.stream(
            request.model, messages, temperature=request.temperature, max_tokens=request.max_tokens
        )
        async with aclosing(pieces):
            async for piece in pieces:
                answer.usage.add(piece)
                if piece.text:
                    answer.text += piece.text
                    yield piece.text
        answer.citations = cited(answer.text, shown)

    async def _stuff(self, matches: Sequence[Match], request: AnswerRequest, usage: Usage) -> list[ChatMessage]:
        return prompts.answer(request.query, _sources(matches, request), request.instructions)

    async def _map_reduce(self, matches: Sequence[Match], request: AnswerRequest, usage: Usage) -> list[ChatMessage]:
        groups = _grouped(matches, request)
        if len(groups) == 1:
            return prompts.answer(request.query, groups[0], request.instructions)

        async def noted(sources: Sequence[Source]) -> str:
            return await self._complete(request, prompts.notes(request.query, sources), _NOTE_TOKENS, usage)

        notes = await together(noted, groups, _AT_A_TIME)
        parts = [Source(0, f"notes, part {part}", text) for part, text in enumerate(notes, 1)]
        return prompts.join(request.query, _clipped(parts, request), request.instructions)

    async def _refine(self, matches: Sequence[Match], request: AnswerRequest, usage: Usage) -> list[ChatMessage]:
        first, *rest = _grouped(matches, request)
        messages = prompts.answer(request.query, first, request.instructions)
        for group in rest:
            so_far = await self._complete(request, messages, request.max_tokens, usage)
            messages = prompts.refine(request.query, so_far, group, request.instructions)
        return messages

    async def _complete(
        self, request: AnswerRequest, messages: Sequence[ChatMessage], max_tokens: int | None, usage: Usage
    ) -> str:
        answer = await self._chat.answer(
            request.model, messages, temperature=request.temperature, max_tokens=max_tokens
        )
        usage.add(answer)
        return answer.text


_PREPARED = {STUFF: Answers._stuff, MAP_REDUCE: Answers._map_reduce, REFINE: Answers._refine}
"""Preparations by mode: each makes all calls but the last, and returns the messages of that one."""


def _sources(matches: Sequence[Match], request: AnswerRequest, first: int = 1) -> list[Source]:
    numbered = enumerate(matches, first)
    return _clipped([Source(number, match.file_name, match.text) for number, match in numbered], request)


def _grouped(matches: Sequence[Match], request: AnswerRequest) -> list[list[Source]]:
    sizes = [budget.tokens_of(match) for match in matches]
    ranges = budget.groups(sizes, request.max_context_tokens)
    return [_sources(matches[each.start : each.stop], request, each.start + 1) for each in ranges]


def _clipped(sources: Sequence[Source], request: AnswerRequest) -> list[Source]:
    """The sources, each cut to its share of the budget where they do not fit together."""
    if sum(budget.tokens(each.text) for each in sources) <= request.max_context_tokens:
        return list(sources)
    share = request.max_context_tokens // len(sources)
    return [Source(each.number, each.name, budget.clipped(each.text, share)) for each in sources]
