"""Views of a text in which the same thing is always spelled the same way, with the way back to the original.

Every character is mapped by itself, so that a text can be folded in parts.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple


class View(NamedTuple):
    """A folded text. `starts` tells where in the original each character begins, and after them where the text ends;
    None: every character is where it was."""

    text: str
    starts: Sequence[int] | None = None

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The place in the original of a place in the view."""
        if self.starts is None or end <= start:
            return self.at(start), self.at(end)
        return self.starts[start], max(self.starts[end], self.starts[end - 1] + 1)

    def at(self, position: int) -> int:
        """The position in the original of a position in the view."""
        return position if self.starts is None else self.starts[position]


_MAX_FOLDS = 20_000
"""Characters whose folded form is kept: more than the texts of a language have, a few MiB at most."""


class _Folds(dict[int, str]):
    """Folded form of each character, found out when first met."""

    def __init__(self, fold: Callable[[str], str]) -> None:
        self._fold = fold

    def __missing__(self, code: int) -> str:
        folded = self._fold(chr(code))
        if len(self) < _MAX_FOLDS:
            self[code] = folded
        return folded


_DASHES = frozenset("‐‑‒–—―−﹣－")  # the point of it


def _compatible(char: str) -> str:
    """Compatibility forms as plain characters, all digits as ASCII's, all dashes as hyphens, nothing invisible."""
    category = unicodedata.category(char)
    if category == "Cf":
        return ""
    if category == "Cs":
        return "\N{REPLACEMENT CHARACTER}"
    if char in _DASHES:
        return "-"
    value = unicodedata.decimal(char, None)
    return unicodedata.normalize("NFKC", char) if value is None else str(value)


def _caseless(char: str) -> str:
    """Letters without case and diacritics."""
    category = unicodedata.category(char)
    if category in ("Cf", "Mn"):
        return ""
    if category == "Cs":
        return "\N{REPLACEMENT CHARACTER}"
    if char in "ıİ":
        return "i"
    plain = unicodedata.normalize("NFKD", char)
    return "".join(each for each in plain if unicodedata.category(each) != "Mn").casefold()


_COMPATIBLE, _CASELESS = _Folds(_compatible), _Folds(_caseless)


def compatible(text: str) -> View:
    """The text as patterns of PII read it."""
    return View(text) if text.isascii() else _folded(text, _COMPATIBLE)


def caseless(text: str) -> View:
    """The text as word lists read it."""
    return View(text.lower()) if text.isascii() else _folded(text, _CASELESS)


def _folded(text: str, folds: _Folds) -> View:
    folded = text.translate(folds)
    if len(folded) == len(text) and all(len(folds[ord(char)]) == 1 for char in set(text)):
        return View(folded)
    parts = [folds[ord(char)] for char in text]
    starts = [at for at, part in enumerate(parts) for _ in part]
    return View(folded, [*starts, len(text)])


_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{4}|[^u])")
_ESCAPED: Mapping[str, str] = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
OPEN_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?\Z")
"""An escape of JSON that is not complete."""


def unescaped(json: str) -> View:
    """JSON text as its reader sees it: escapes as the characters that they stand for."""
    if "\\" not in json:
        return View(json)
    parts: list[str] = []
    starts: list[int] = []
    position = 0
    for escape in _ESCAPE.finditer(json):
        parts += json[position : escape.start()]
        starts += range(position, escape.start())
        parts.append(_meaning(escape.group()))
        starts.append(escape.start())
        position = escape.end()
    parts += json[position:]
    starts += range(position, len(json))
    return View("".join(parts), [*starts, len(json)])


def _meaning(escape: str) -> str:
    return chr(int(escape[2:], 16)) if escape[1] == "u" else _ESCAPED.get(escape[1], escape[1])


def without(view: View, spans: Iterable[tuple[int, int]]) -> View:
    """The view without some of its places, which follow each other."""
    text, starts = view.text, view.starts or range(len(view.text) + 1)
    parts: list[str] = []
    kept: list[int] = []
    position = 0
    for start, end in spans:
        parts.append(text[position:start])
        kept += starts[position:start]
        position = end
    return View("".join([*parts, text[position:]]), [*kept, *starts[position:]])
