"""Estimates of the tokens of a call, before it is sent."""

from collections.abc import Iterable, Mapping
from typing import Any

from services.inference.domain.usage import tokens
from services.inference.domain.usage.calls import CHAT, EMBEDDING

MEDIA_TOKENS = 1_000
"""Tokens of an image, a recording or a file, whatever its size: more than most of them take."""
_MEDIA = frozenset({"image_url", "image", "input_audio", "file", "document", "video_url"})
_MOST = ("max_completion_tokens", "max_tokens")
"""Fields that bound the tokens of an answer; the first of them that is there holds."""


def input_tokens(operation: str, request: Mapping[str, Any]) -> int:
    """Tokens that the model will read."""
    if operation == CHAT:
        messages = request.get("messages") or ()
        return tokens.estimate(tokens.request_characters(request)) + MEDIA_TOKENS * _media(messages)
    if operation == EMBEDDING:
        return tokens.estimate(tokens.input_characters(request.get("input")))
    documents = request.get("documents") or ()
    return tokens.estimate(tokens.text_characters(request.get("query")) * len(documents)) + tokens.estimate(
        tokens.text_characters(documents)
    )


def most_output(request: Mapping[str, Any]) -> int | None:
    """Tokens that the request allows the answer, over all choices; None: it names no limit."""
    for name in _MOST:
        most = request.get(name)
        if type(most) is int and most > 0:
            count = request.get("n")
            return most * (count if type(count) is int and 0 < count <= tokens.MAX_TOKENS else 1)
    return None


def _media(messages: Iterable[Any]) -> int:
    """Parts of the messages that are media."""
    count = 0
    for message in messages:
        content = message.get("content")
        if type(content) is list:
            count += sum(type(part) is dict and part.get("type") in _MEDIA for part in content)
    return count
