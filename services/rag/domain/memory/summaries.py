"""Summaries of memories and facts out of conversations, which a store's chat model writes."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from core import logs
from core.errors import PorticoError, UpstreamFailed
from core.fencing import Fence
from services.rag.domain.memory.checks import MAX_CONTENT
from services.rag.domain.memory.records import MemoryStore
from services.rag.ports import ChatMessage, ChatModel

log = logs.get(__name__)

SUMMARIZED_CHARACTERS = 500
"""Least length of a content that gets a summary."""
MAX_SUMMARY = 1000
MAX_FACTS = 20
MAX_FACT = 1000
_AT_A_TIME = 4
_SUMMARY_SECONDS = 60.0

_SUMMARIZE: Final = (
    "Summarize the text between the marks in at most three sentences, in its own language. Answer with the summary "
    "alone."
)
_EXTRACT: Final = (
    "Between the marks is a conversation. Write down what is worth remembering about the people in it for later "
    "conversations: facts, preferences, decisions and plans. Each must be understood on its own. Leave out small talk "
    "and what was only asked. Answer with JSON alone, in this form: "
    '{"facts": [{"content": "...", "importance": 0.5}]}. The importance is 0 to 1. No facts: {"facts": []}.'
)
_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "facts": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"content": {"type": "string"}, "importance": {"type": "number"}},
                "required": ["content", "importance"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["facts"],
    "additionalProperties": False,
}


class Fact(msgspec.Struct, frozen=True):
    """Something worth remembering. `importance` is 0 to 1."""

    content: str
    importance: float = 0.5


class _Facts(msgspec.Struct, frozen=True):
    facts: list[Fact]


_DECODER = msgspec.json.Decoder(_Facts)


class Summaries:
    """Asks chat models on behalf of the present caller."""

    def __init__(self, chat: ChatModel) -> None:
        self._chat = chat
        self._turns = asyncio.Semaphore(_AT_A_TIME)

    async def of(self, store: MemoryStore, texts: Sequence[str]) -> list[str]:
        """A summary of each text; empty where the store makes none, the text is short or the model fails: a memory is
        worth keeping without one."""
        if not store.config.auto_summarize:
            return [""] * len(texts)
        return list(await asyncio.gather(*(self._summary(store, text) for text in texts)))

    async def _summary(self, store: MemoryStore, text: str) -> str:
        if len(text) < SUMMARIZED_CHARACTERS:
            return ""
        messages = _about("text", text, _SUMMARIZE)
        try:
            async with self._turns, asyncio.timeout(_SUMMARY_SECONDS):
                answer = await self._chat.answer(store.config.chat_model_key, messages)
        except (PorticoError, TimeoutError) as error:
            reason = error.reason if isinstance(error, PorticoError) else "TIMEOUT"
            log.warning("memory kept without a summary", reason=reason)
            return ""
        return answer.text.strip()[:MAX_SUMMARY]

    async def facts(self, store: MemoryStore, conversation: str) -> list[Fact]:
        """The facts in a conversation, at most MAX_FACTS. Raises as ChatModel.answer, and UpstreamFailed for an answer
        that is no list of facts."""
        messages = _about("conversation", conversation, _EXTRACT)
        answer = await self._chat.answer(store.config.chat_model_key, messages, json_schema=_SCHEMA)
        return read_facts(answer.text)


def _about(label: str, text: str, task: str) -> list[ChatMessage]:
    """The messages that give a model a task about a text, which is data."""
    fence = Fence(label)
    return [ChatMessage("system", f"{task} {fence.rule}"), ChatMessage("user", fence.around(text))]


def read_facts(text: str) -> list[Fact]:
    """The facts in a model's answer, with or without text around the JSON. Raises UpstreamFailed."""
    try:
        found = _DECODER.decode(text[text.index("{") : text.rindex("}") + 1])
    except (ValueError, msgspec.MsgspecError, RecursionError):
        raise UpstreamFailed("The chat model did not answer with a list of facts.", reason="NO_FACTS") from None
    return [
        Fact(each.content.strip()[:MAX_FACT], min(max(each.importance, 0.0), 1.0))
        for each in found.facts[:MAX_FACTS]
        if each.content.strip()
    ]


def exchange_text(messages: Sequence[ChatMessage], longest: int = MAX_CONTENT) -> str:
    """Messages as the text of one memory, cut where it is too long."""
    names = {"user": "User", "assistant": "Assistant"}
    text = "\n".join(f"{names.get(each.role, each.role)}: {each.content}" for each in messages)
    return text[:longest]
