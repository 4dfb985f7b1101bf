"""The prompts of answers: messages for a chat model, in which documents are fenced. Pure, but for the fence's code."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.rag.domain.retrieval.fence import Fence
from services.rag.ports import ChatMessage

_RULES = (
    "Answer the question from the documents alone, in the language of the question. After each statement, name the "
    "documents that it rests on by their numbers in square brackets, such as [1] or [2][3]. Where the documents do not "
    "hold the answer, say that they do not."
)
_PART = (
    "The documents are one part of many. Write down everything in them that helps to answer the question, with their "
    "numbers in square brackets, such as [1]. Write NOTHING if there is nothing."
)
_JOIN = (
    "The documents are notes that were made, part by part, from many documents; numbers in square brackets in the "
    "notes, such as [1], name those documents. Answer the question from the notes alone, in the language of the "
    "question, and keep these numbers behind each statement. Where the notes do not hold the answer, say that the "
    "documents do not."
)
_REFINE = (
    "The document with the number 0 is an answer so far, in which numbers in square brackets name documents. Improve "
    "it by what the other documents say, in the language of the question. Keep the numbers behind each statement, and "
    "name the other documents by their numbers in the same way. Where they add nothing, repeat the answer so far."
)


@dataclass(frozen=True, slots=True)
class Source:
    """A text that an answer is made from, with its number."""

    number: int
    name: str
    text: str


def answer(question: str, sources: Sequence[Source], instructions: str = "") -> list[ChatMessage]:
    return _messages(_RULES, question, sources, instructions)


def notes(question: str, sources: Sequence[Source]) -> list[ChatMessage]:
    """The first step of map_reduce."""
    return _messages(_PART, question, sources)


def join(question: str, parts: Sequence[Source], instructions: str = "") -> list[ChatMessage]:
    """The second step of map_reduce, over what the first has written."""
    return _messages(_JOIN, question, parts, instructions)


def refine(question: str, so_far: str, sources: Sequence[Source], instructions: str = "") -> list[ChatMessage]:
    """A later step of refine. What a model wrote from documents is fenced like these."""
    return _messages(_REFINE, question, [Source(0, "answer so far", so_far), *sources], instructions)


def expansions(question: str, count: int) -> list[ChatMessage]:
    """Ask for rephrasings of a question, one a line."""
    return [
        ChatMessage(
            "system",
            f"Rewrite the question of the user in {count} other ways that help to find passages which answer it: other "
            "words, more general, more specific. Write each on a line of its own, in the language of the question, "
            "without numbers. Do not answer it.",
        ),
        ChatMessage("user", question),
    ]


def _messages(rules: str, question: str, sources: Sequence[Source], instructions: str = "") -> list[ChatMessage]:
    fence = Fence()
    documents = "\n\n".join(fence.document(each.number, each.name, each.text) for each in sources)
    system = "\n\n".join(each for each in (rules, fence.rule, instructions) if each)
    return [ChatMessage("system", system), ChatMessage("user", f"{documents}\n\nQuestion: {question}")]
