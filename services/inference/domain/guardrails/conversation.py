"""The texts of chats: of every message of a request, and of every choice of an answer."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from services.inference.domain.pipeline.native import native_of, without_natives

ORIGINAL: Final = "#original"
"""Stands in a path for what a message was in the caller's format: if that changes, the message has no original."""

Path = tuple[str | int, ...]


class Text(NamedTuple):
    """A text, and where in the JSON it stands."""

    path: Path
    text: str
    json: bool = False
    """True if the text is JSON in its turn."""


_TEXT_FIELDS = ("content", "reasoning_content", "reasoning", "reasoning_details", "refusal")


def texts_of_request(request: Mapping[str, Any]) -> list[Text]:
    """All that the messages of a chat say, or the texts of an embedding or rerank request."""
    found: list[Text] = []
    for at, message in enumerate(request.get("messages") or ()):
        if isinstance(message, dict):
            found += _of_message(message, ("messages", at))
            if hidden := list(_strings(native_of(message))):
                found.append(Text(("messages", at, ORIGINAL), "\n".join(hidden)))
    for name in ("input", "query", "documents"):
        found += _of_texts(name, request.get(name))
    return found


def texts_of_answer(completion: Mapping[str, Any]) -> list[Text]:
    """All that the choices of a whole answer say."""
    return [
        text
        for at, choice in enumerate(completion.get("choices") or ())
        if isinstance(choice, dict) and isinstance(choice.get("message"), dict)
        for text in _of_message(choice["message"], ("choices", at, "message"))
    ]


def with_texts(body: Mapping[str, Any], changes: Mapping[Path, str]) -> dict[str, Any]:
    """The body with other texts in some places. What lies on the way to them is copied, the rest shared."""
    copy = dict(body)
    copied: dict[Path, Any] = {(): copy}
    originals_first = sorted(changes.items(), key=lambda change: change[0][-1] != ORIGINAL)
    for path, text in originals_first:
        at: Any = copy
        for length, step in enumerate(path[:-1], start=1):
            known = copied.get(path[:length])
            if known is None:
                inner = at[step]
                known = copied[path[:length]] = dict(inner) if isinstance(inner, dict) else list(inner)
                at[step] = known
            at = known
        if path[-1] == ORIGINAL:  # nothing of the message has one any more: any of its parts may hold the text
            at.update(without_natives(at))
        else:
            at[path[-1]] = text
    return copy


def _strings(value: Any) -> Iterator[str]:
    """All texts in a JSON value but data of images and documents, which are encoded."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        encoded = value.get("type") == "base64"
        for name, each in value.items():
            if not (encoded and name == "data") and name not in ("type", "role", "signature", "id", "tool_use_id"):
                yield from _strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each)


def _of_message(message: Mapping[str, Any], path: Path) -> Iterator[Text]:
    for name in _TEXT_FIELDS:
        yield from _of_content(message.get(name), (*path, name))
    calls = message.get("tool_calls")
    for at, call in enumerate(calls if isinstance(calls, list) else ()):
        if isinstance(call, dict):
            yield from _of_call(call.get("function"), (*path, "tool_calls", at, "function"))
            custom = call.get("custom")
            if isinstance(custom, dict) and isinstance(custom.get("input"), str):
                yield Text((*path, "tool_calls", at, "custom", "input"), custom["input"])
    yield from _of_call(message.get("function_call"), (*path, "function_call"))


def _of_call(function: Any, path: Path) -> Iterator[Text]:
    if isinstance(function, dict) and isinstance(function.get("arguments"), str):
        yield Text((*path, "arguments"), function["arguments"], json=True)


def _of_content(content: Any, path: Path) -> Iterator[Text]:
    """A text, or the texts of a list of parts. Images and sounds have none."""
    if isinstance(content, str):
        yield Text(path, content)
    elif isinstance(content, list):
        for at, part in enumerate(content):
            if isinstance(part, str):
                yield Text((*path, at), part)
            elif isinstance(part, dict):
                for name in ("text", "summary", "refusal", "thinking", "content"):
                    yield from _of_content(part.get(name), (*path, at, name))


def _of_texts(name: str, given: Any) -> Iterator[Text]:
    """A text, or those of a list."""
    if isinstance(given, str):
        yield Text((name,), given)
    elif isinstance(given, list):
        for at, each in enumerate(given):
            if isinstance(each, str):
                yield Text((name, at), each)
