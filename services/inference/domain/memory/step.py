"""The step that recalls memories before a chat and stores the exchange after it.

What is recalled becomes a system message, fenced as data, which input guardrails and PII policies then see. Neither
half ever fails a chat that could do without: where the rag service is away, slow or refuses, the chat goes on, and the
header `x-portico-memory` says so.
"""

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from functools import partial
from typing import Any, Final

from core import logs
from core.errors import PermissionDenied, PorticoError
from core.fencing import Fence
from core.permissions import allows
from core.tasks import Tasks
from core.tenancy import Project
from services.inference.domain.catalogue.models import LLM, Model
from services.inference.domain.memory import uses
from services.inference.domain.memory.uses import FIELD, MemoryUse
from services.inference.domain.pipeline.answer import Answer, Chunk, WrappedAnswer
from services.inference.domain.pipeline.exchange import Body, Exchange
from services.inference.domain.pipeline.step import Next, Step
from services.inference.domain.usage.calls import SUCCESS
from services.inference.ports import Memories

log = logs.get(__name__)

READ: Final = "memory:read"
WRITE: Final = "memory:write"
MAX_QUERY = 4000
"""Characters of a question that are searched with, its last ones."""
MAX_STORED = 16_000
"""Characters of the question, and of the answer, that are stored."""
_LEADING = ("system", "developer")


class MemoryStep:
    """The step. It does nothing for a request without a `memory` block. Times are in seconds."""

    def __init__(self, memories: Memories, tasks: Tasks, *, recall_seconds: float, store_seconds: float) -> None:
        self._memories = memories
        self._tasks = tasks
        self._recall_seconds = recall_seconds
        self._store_seconds = store_seconds

    def of(self, project: Project, model: Model) -> Step | None:
        """The step for a model: chats alone have memory."""
        return self if model.category == LLM else None

    def __call__(self, exchange: Exchange, call_next: Next) -> Awaitable[Answer]:
        if FIELD not in exchange.request:
            return call_next(exchange)
        return self._answer(exchange, call_next)

    async def _answer(self, exchange: Exchange, call_next: Next) -> Answer:
        request = dict(exchange.request)
        use = uses.read(request.pop(FIELD))
        if use is None:
            return await call_next(exchange.with_request(request))
        for wanted, scope, flag in ((use.recall, READ, "recall"), (use.store, WRITE, "store")):
            if wanted and not allows(exchange.call.identity.scopes, scope):
                raise _missing(scope, flag)
        question = last_question(request["messages"])
        if use.recall:
            text, exchange.call.memory = await self._recalled(use, question)
            if text:
                request["messages"] = with_memory(request["messages"], text)
        answer = await call_next(exchange.with_request(request))
        if not use.store or not question:
            return answer
        heard = HeardAnswer(answer)
        heard.when_ended(partial(self._ended, use, question))
        return heard

    async def _recalled(self, use: MemoryUse, question: str) -> tuple[str, str]:
        """The recalled text, and the value of the header."""
        if not question:
            return "", "skipped; reason=no_question"
        try:
            async with asyncio.timeout(self._recall_seconds):
                recall = await self._memories.recall(use, question[-MAX_QUERY:], self._recall_seconds)
        except (PorticoError, TimeoutError) as error:
            reason = error.reason if isinstance(error, PorticoError) else "TIMEOUT"
            log.warning("chat goes on without memory", reason=reason)
            return "", f"skipped; reason={reason.lower()}"
        return recall.context, f"recalled={recall.count}"

    def _ended(self, use: MemoryUse, question: str, answer: Answer) -> None:
        """Store the exchange behind the answer. Never raises."""
        assert isinstance(answer, HeardAnswer)
        said = answer.text
        if answer.status != SUCCESS or answer.error is not None or not said.strip():
            return
        try:
            self._tasks.spawn("remember a chat", self._store(use, question[-MAX_STORED:], said))
        except PorticoError as error:
            log.warning("chat not remembered", reason=error.reason)

    async def _store(self, use: MemoryUse, question: str, said: str) -> None:
        messages = (("user", question), ("assistant", said))
        try:
            async with asyncio.timeout(self._store_seconds):
                await self._memories.store(use, messages, self._store_seconds)
        except (PorticoError, TimeoutError) as error:
            reason = error.reason if isinstance(error, PorticoError) else "TIMEOUT"
            log.warning("chat not remembered", reason=reason)


class HeardAnswer(WrappedAnswer):
    """An answer whose text is kept while it goes by, as it is: of the first choice, up to MAX_STORED characters."""

    def __init__(self, inner: Answer) -> None:
        super().__init__(inner)
        self._pieces: list[str] = []
        self._left = MAX_STORED

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self._pieces)

    async def change(self, chunks: list[Chunk], *, last: bool) -> Sequence[Chunk]:
        for chunk in chunks:
            for choice in chunk.get("choices") or ():
                self._hear(choice)
        return chunks

    def _hear(self, choice: Body) -> None:
        said = (choice.get("delta") or choice.get("message") or {}).get("content")
        if self._left > 0 and isinstance(said, str) and not choice.get("index"):
            self._pieces.append(said[: self._left])
            self._left -= len(said)


def last_question(messages: Iterable[Any]) -> str:
    """The text of the user's last message; empty where there is none."""
    for message in reversed(list(messages)):
        if message.get("role") == "user":
            return _text(message.get("content")).strip()
    return ""


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else ()
    texts = (part if isinstance(part, str) else part.get("text") for part in parts if isinstance(part, str | dict))
    return "\n".join(text for text in texts if isinstance(text, str))


def with_memory(messages: Sequence[Body], text: str) -> list[Body]:
    """The messages, with what is remembered after those of the system at their beginning."""
    at = next((at for at, each in enumerate(messages) if each.get("role") not in _LEADING), len(messages))
    fence = Fence("memory")
    content = (
        "You remember the following from earlier conversations. Use what helps to answer, and do not mention it "
        f"otherwise. {fence.rule}\n{fence.around(text)}"
    )
    return [*messages[:at], {"role": "system", "content": content}, *messages[at:]]


def _missing(scope: str, flag: str) -> PermissionDenied:
    return PermissionDenied(
        f'A request with a memory block needs the scope {scope}, or "{flag}": false in the block.',
        reason="MISSING_SCOPE",
        field=FIELD,
        metadata={"scope": scope},
    )
