"""Tokens: placeholders that stand for values, such as [EMAIL_1], until the values are put back."""

import json
import re
from collections.abc import Mapping
from typing import Final

from services.inference.domain.guardrails.findings import Match

TOKEN: Final = re.compile(r"\[[A-Z][A-Z0-9_]{0,39}_[0-9]{1,6}\]")
_OPEN = re.compile(r"\[[A-Z0-9_]{0,47}\Z")
MAX_TOKEN: Final = 49
"""Characters of the longest token: what a stream holds back at most."""


class Tokenizer:
    """Gives each value a token, the same one wherever it occurs. What already looks like a token in `text`, where the
    values come from, is given to none."""

    def __init__(self, text: str = "") -> None:
        self._taken = set(TOKEN.findall(text)) if "[" in text else set()
        self._tokens: dict[tuple[str, str], str] = {}
        self._numbers: dict[str, int] = {}

    def token(self, match: Match, value: str) -> str:
        """The token of a value: the replacement of `hold_back.HoldBack`."""
        known = self._tokens.get((match.category, value))
        if known is None:
            known = self._tokens[match.category, value] = self._new(match.category)
        return known

    @property
    def values(self) -> dict[str, str]:
        """The values by their tokens."""
        return {token: value for (_, value), token in self._tokens.items()}

    def _new(self, category: str) -> str:
        name = re.sub(r"[^A-Z0-9]+", "_", re.sub(r"([a-z])([A-Z])", r"\1_\2", category).upper()).strip("_")[:32]
        while True:
            number = self._numbers[name] = self._numbers.get(name, 0) + 1
            token = f"[{name or 'PII'}_{number}]"
            if token not in self._taken:
                return token


class Restorer:
    """Puts the values back into a text that comes in pieces. `in_json`: the text is JSON, and stays it."""

    __slots__ = ("_buffer", "_in_json", "_values")

    def __init__(self, values: Mapping[str, str], *, in_json: bool = False) -> None:
        self._values = values
        self._in_json = in_json
        self._buffer = ""

    @property
    def holds(self) -> bool:
        """True if something is held back."""
        return bool(self._buffer)

    def push(self, piece: str) -> str:
        """Take a delta of the text; returns all of the text but what may be the beginning of a token."""
        text = self._buffer + piece
        if "[" not in text:
            self._buffer = ""
            return text
        part = _OPEN.search(text, max(0, len(text) - MAX_TOKEN))
        end = part.start() if part else len(text)
        self._buffer = text[end:]
        return self._restored(text[:end])

    def flush(self) -> str:
        """Return what is held."""
        text, self._buffer = self._buffer, ""
        return self._restored(text)

    def _restored(self, text: str) -> str:
        return TOKEN.sub(self._value, text) if "[" in text else text

    def _value(self, token: re.Match[str]) -> str:
        value = self._values.get(token.group())
        if value is None:
            return token.group()
        return json.dumps(value, ensure_ascii=False)[1:-1] if self._in_json else value


def restore(text: str, values: Mapping[str, str], *, in_json: bool = False) -> str:
    """The whole text with the values in place of their tokens."""
    restorer = Restorer(values, in_json=in_json)
    return restorer.push(text) + restorer.flush()
