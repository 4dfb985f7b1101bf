"""Memories out of conversations."""

from collections.abc import Sequence

from core import fields
from core.errors import InvalidInput
from core.tenancy import Project
from services.rag.domain.memory import checks
from services.rag.domain.memory.additions import Added, Additions
from services.rag.domain.memory.checks import NewMemory
from services.rag.domain.memory.stores import MemoryStores
from services.rag.domain.memory.summaries import Summaries, exchange_text
from services.rag.ports import ChatMessage

ROLES = ("user", "assistant", "system")


class Conversations:
    """Use cases."""

    def __init__(self, stores: MemoryStores, additions: Additions, summaries: Summaries) -> None:
        self._stores = stores
        self._additions = additions
        self._summaries = summaries

    async def add(
        self,
        project: Project,
        key: str,
        messages: Sequence[ChatMessage],
        *,
        scope: str = "",
        scope_id: str = "",
        tags: Sequence[str] = (),
    ) -> list[Added]:
        """Remember a conversation: the facts that the store's chat model finds, or else the last question and its
        answer as one memory. Raises as Additions.add and Summaries.facts."""
        _check(messages)
        store = await self._stores.active(project, key)
        like = checks.check_new(NewMemory("x", scope, scope_id, tags=tags, source="chat"), store)
        if store.config.extraction:
            facts = await self._summaries.facts(store, exchange_text(messages, checks.MAX_CONVERSATION))
            new = [NewMemory(each.content, importance=each.importance) for each in facts]
        else:
            new = [NewMemory(exchange_text(_last_exchange(messages)))]
        if not new:
            return []
        return await self._additions.add_batch(
            project,
            key,
            [
                NewMemory(
                    each.content, like.scope, like.scope_id, tags=like.tags, source="chat", importance=each.importance
                )
                for each in new
            ],
        )


def _check(messages: Sequence[ChatMessage]) -> None:
    if not 1 <= len(messages) <= checks.MAX_MESSAGES:
        raise InvalidInput(f"messages must hold 1 to {checks.MAX_MESSAGES} entries.", field="messages")
    for at, message in enumerate(messages):
        fields.one_of(f"messages[{at}].role", message.role, ROLES)
    if sum(len(message.content) for message in messages) > checks.MAX_CONVERSATION:
        raise InvalidInput(f"messages must have at most {checks.MAX_CONVERSATION} characters in all.", field="messages")
    if not any(message.content.strip() for message in messages if message.role != "system"):
        raise InvalidInput("messages must hold a question or an answer.", field="messages")


def _last_exchange(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """The last message of the user and what follows it."""
    said = [message for message in messages if message.role != "system"]
    asked = [at for at, message in enumerate(said) if message.role == "user"]
    return said[asked[-1] :] if asked else said
