"""The conversation of a Messages request in canonical form.

A turn of the user's with tool results becomes several messages, as every result is one of its own. Whatever has a
canonical form keeps its original beside it. Blocks without one are noted: as `exclusive` where the answer would be
another without them, as `hints` where it would not.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from core.fields import count
from services.inference.domain.frontends.anthropic.fields import text, word, wrong
from services.inference.domain.json_values import NotJson, encode
from services.inference.domain.pipeline.native import Native
from services.inference.domain.pipeline.requests import MAX_PARTS, too_deep

Body = dict[str, Any]
_ROLES = ("user", "assistant", "system")
_PLAIN_HINTS = ("cache_control", "citations", "transformations")


class Conversation:
    """Reads system prompt and messages. Raises InvalidInput."""

    def __init__(self, system: Any, messages: Sequence[Any]) -> None:
        self.messages: list[Body] = []
        self.exclusive: list[str] = []
        self.hints: list[str] = []
        self._parts = 0
        if system:
            self._add({"role": "system", "content": _joined(self._content(system, "system"), "\n\n")}, system)
        for at, message in enumerate(messages):
            field = f"messages.{at}"
            if not isinstance(message, dict):
                raise wrong(field, "must be an object")
            role, content = message.get("role"), message.get("content")
            if role not in _ROLES:
                raise wrong(f"{field}.role", "must be user or assistant")
            if role == "assistant":
                self._assistant(message, content, f"{field}.content")
            elif role == "user" and isinstance(content, list):
                self._user(message, content, f"{field}.content")
            else:
                said = self._content(content, f"{field}.content")
                self._add({"role": role, "content": _joined(said, "\n\n") if role == "system" else said}, message)

    def _add(self, canonical: Body, native: Any) -> None:
        self.messages.append(canonical if native is None else Native.of(canonical, native))

    def _user(self, message: Mapping[str, Any], content: list[Any], field: str) -> None:
        blocks = self._blocks(content, field)
        results = [(at, block) for at, block in enumerate(blocks) if block.get("type") == "tool_result"]
        for at, block in results:
            self._add(self._result(block, f"{field}.{at}"), block)
        rest = [(at, block) for at, block in enumerate(blocks) if block.get("type") != "tool_result"]
        if rest or not results:
            native = {**message, "content": [block for _, block in rest]} if results else message
            parts = [self._part(block, f"{field}.{at}") for at, block in rest]
            self._add({"role": "user", "content": _joined(parts) if parts else ""}, native)

    def _result(self, block: Mapping[str, Any], field: str) -> Body:
        self._hint(block)
        content = block.get("content")
        said = "" if content is None else _joined(self._content(content, f"{field}.content"), "\n")
        if block.get("is_error") and isinstance(said, str):
            said = f"Error: {said}"
        return {"role": "tool", "tool_call_id": text(block, "tool_use_id", field), "content": said}

    def _assistant(self, message: Mapping[str, Any], content: Any, field: str) -> None:
        if not isinstance(content, list):
            self._add({"role": "assistant", "content": self._content(content, field)}, message)
            return
        said, thought, calls, own = list[Body](), list[str](), list[Body](), True
        for at, block in enumerate(self._blocks(content, field)):
            match block.get("type"):
                case "thinking" if not block.get("signature"):  # not Anthropic's: of a provider that takes it back
                    thought.append(str(block.get("thinking") or ""))
                    own = False
                case "thinking" | "redacted_thinking":
                    self.hints.append("messages.content.thinking")
                case "tool_use":
                    calls.append(Native.of(_call(block, f"{field}.{at}"), block))
                    self._hint(block)
                case _:
                    said.append(self._part(block, f"{field}.{at}"))
        canonical: Body = {"role": "assistant", "content": _joined(said, "") if said else None}
        if thought:
            canonical["reasoning_content"] = "".join(thought)
        if calls:
            canonical["tool_calls"] = calls
        elif not said:
            canonical["content"] = ""
        self._add(canonical, message if own else None)

    def _blocks(self, content: list[Any], field: str) -> list[Body]:
        self._parts += len(content)
        count("messages.content", range(self._parts), MAX_PARTS)
        for at, block in enumerate(content):
            if not isinstance(block, dict):
                raise wrong(f"{field}.{at}", "must be an object")
        return content

    def _content(self, content: Any, field: str) -> Any:
        """A text, or blocks as parts."""
        if isinstance(content, str):
            return content
        if not isinstance(content, list):
            raise wrong(field, "must be a text or a list of blocks")
        return [self._part(each, f"{field}.{at}") for at, each in enumerate(self._blocks(content, field))]

    def _part(self, block: Mapping[str, Any], field: str) -> Body:
        self._hint(block)
        make = _PARTS.get(word(block, "type"))
        part = None if make is None else make(block, field)
        if part is None:
            self.exclusive.append(field)
            part = dict(block)
        return Native.of(part, dict(block))

    def _hint(self, block: Mapping[str, Any]) -> None:
        self.hints += [f"messages.content.{name}" for name in _PLAIN_HINTS if block.get(name)]


def _joined(content: Any, glue: str | None = None) -> Any:
    """Parts that are all texts as one text, which is what most dialects take; without `glue` only a single one."""
    if not isinstance(content, list) or any(part.get("type") != "text" for part in content):
        return content
    if glue is None and len(content) > 1:
        return content
    return (glue or "").join(part["text"] for part in content)


def _call(block: Mapping[str, Any], field: str) -> Body:
    given = block.get("input")
    if not isinstance(given, dict):
        raise wrong(f"{field}.input", "must be an object")
    try:
        arguments = encode(given).decode()
    except NotJson:
        raise too_deep() from None
    function = {"name": text(block, "name", field), "arguments": arguments}
    return {"id": text(block, "id", field), "type": "function", "function": function}


def _text(block: Mapping[str, Any], field: str) -> Body:
    if not isinstance(said := block.get("text"), str):
        raise wrong(f"{field}.text", "must be a string")
    return {"type": "text", "text": said}


def _image(block: Mapping[str, Any], field: str) -> Body | None:
    source = _source(block, field)
    match source.get("type"):
        case "url":
            url = text(source, "url", f"{field}.source")
        case "base64":
            kind, data = text(source, "media_type", f"{field}.source"), text(source, "data", f"{field}.source")
            url = f"data:{kind};base64,{data}"
        case _:
            return None
    return {"type": "image_url", "image_url": {"url": url}}


def _document(block: Mapping[str, Any], field: str) -> Body | None:
    source = _source(block, field)
    title = block.get("title")
    match source.get("type"):
        case "base64":
            kind, data = text(source, "media_type", f"{field}.source"), text(source, "data", f"{field}.source")
            name = title if isinstance(title, str) and title else "document.pdf"
            return {"type": "file", "file": {"filename": name, "file_data": f"data:{kind};base64,{data}"}}
        case "text":
            said = text(source, "data", f"{field}.source")
            return {"type": "text", "text": f"{title}\n\n{said}" if isinstance(title, str) and title else said}
        case _:
            return None


def _search_result(block: Mapping[str, Any], field: str) -> Body:
    content = block.get("content")
    said = [_text(each, f"{field}.content")["text"] for each in content] if isinstance(content, list) else []
    heading = [each for each in (block.get("title"), block.get("source")) if isinstance(each, str)]
    return {"type": "text", "text": "\n".join([*heading, *said])}


def _source(block: Mapping[str, Any], field: str) -> Body:
    source = block.get("source")
    if not isinstance(source, dict):
        raise wrong(f"{field}.source", "must be an object")
    return source


_PARTS: dict[str, Callable[[Mapping[str, Any], str], Body | None]] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "search_result": _search_result,
}
