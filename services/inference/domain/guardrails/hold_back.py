"""The hold-back: a text that is checked while it comes in pieces, and given out as far as it is settled."""

import re
from collections.abc import Callable, Generator, Sequence
from typing import Final

from services.inference.domain.guardrails.checks import Check, finding
from services.inference.domain.guardrails.findings import BLOCK, REDACT, Finding, Match, merged
from services.inference.domain.guardrails.folding import OPEN_ESCAPE, View, unescaped

PIECE: Final = 8192
"""Characters that are searched at a time, so that no search keeps other work waiting for long."""
MAX_FOUND: Final = 1000
"""Findings that are kept of a text, or of all texts of a stream, which may go on without end."""
_CONTEXT = 64
"""Characters of the text before, that are searched with what comes: what stands before a match can tell what it is."""
_BELONGS = re.compile(r"[^\s\"'<>\\]*")
_QUOTE_OR_ESCAPE = re.compile(r'\\.|"', re.DOTALL)

Replace = Callable[[Match, str], str]
"""Replacement in a text for a match. Takes the match, whose positions are in the whole text, and what it matched."""


def redacted(match: Match, value: str) -> str:
    """The replacement where an action is `redact`."""
    return f"[REDACTED:{match.category}]"


class HoldBack:
    """One text, such as the content of one choice. Give it piece after piece; it gives back what may go out.

    `json`: the text is JSON, such as the arguments of a tool call. What its reader will see is searched, and it stays
    JSON.
    """

    __slots__ = (
        "_base", "_buffer", "_checks", "_context", "_in_string", "_json", "_replace", "_swallowing", "blocked", "found"
    )  # fmt: skip

    def __init__(
        self,
        checks: Sequence[Check],
        *,
        json: bool = False,
        replace: Replace = redacted,
        found: list[Finding] | None = None,
    ) -> None:
        """`found`: where findings are added, which several texts may share."""
        self._checks = checks
        self._json = json
        self._replace = replace
        self._buffer = ""
        self._context = ""
        self._base = 0
        """Characters of the text before the buffer."""
        self._in_string = False
        """True if the buffer begins within a string of JSON."""
        self._swallowing = False
        """True if what comes still belongs to a match that was replaced."""
        self.found: list[Finding] = [] if found is None else found
        """Findings in what is settled: the first `MAX_FOUND`, and those that block."""
        self.blocked = False
        """Something blocks: nothing more comes out."""

    @property
    def holds(self) -> bool:
        """True if something is held back."""
        return bool(self._buffer)

    def push(self, piece: str) -> str:
        """Take a delta of the text; returns what is settled, with replacements."""
        if len(piece) > PIECE:
            return "".join(self.push(piece[at : at + PIECE]) for at in range(0, len(piece), PIECE))
        if self.blocked:
            return ""
        if self._swallowing:
            belongs = _BELONGS.match(piece).end()  # type: ignore[union-attr]  # it matches the empty text
            self._base += belongs
            piece = piece[belongs:]
            self._swallowing = not piece
        self._buffer += piece
        return self._release(final=False) if self._buffer else ""

    def whole(self, text: str) -> Generator[int, None, str]:
        """Take all of a text, chunk by chunk; yields the length of each, and returns what comes out."""
        given = []
        for at in range(0, len(text), PIECE):
            piece = text[at : at + PIECE]
            given.append(self.push(piece))
            yield len(piece)
        given.append(self.flush())
        return "".join(given)

    def flush(self) -> str:
        """Return what is held: the text is at its end, or something else comes between."""
        return self._release(final=True) if self._buffer else ""

    def _release(self, *, final: bool) -> str:
        text, context = self._context + self._buffer, len(self._context)
        view = unescaped(text) if self._json else None
        seen = view.text if view else text
        settled = len(seen)
        matches: list[tuple[Match, Check]] = []
        for check in self._checks:
            found = check.scan(seen)
            settled = min(settled, found.settled)
            if found.matches:
                matches += [(each, check) for each in found.matches]
        limit = len(text) if final else max(context, view.at(settled) if view else settled)
        if self._json and not final and (escape := OPEN_ESCAPE.search(text)):
            limit = min(limit, max(context, escape.start()))
        if matches:
            return self._replaced(text, view or View(text), matches, context, limit)
        return self._take(text, context, limit, ())

    def _replaced(self, text: str, view: View, matches: list[tuple[Match, Check]], context: int, limit: int) -> str:
        """Take what is settled, with the matches that begin there."""
        places: list[Match] = []
        for match, check in sorted(matches, key=lambda each: each[0]):
            start, end = view.span(match.start, match.end)
            if end <= context or start >= limit:
                continue
            start = max(start, context)
            if len(self.found) < MAX_FOUND or check.action == BLOCK:
                self.found.append(finding(check, match, view.text[match.start : match.end]))
            if check.action == BLOCK:
                self.blocked = True
                given = self._take(text, context, start, merged(places))
                self._buffer = ""
                return given
            limit = max(limit, end)
            if check.action == REDACT:
                places.append(match._replace(start=start, end=end))
        places = merged(places)
        self._swallowing = any(each.grows and each.end == len(text) for each in places)
        return self._take(text, context, limit, places)

    def _take(self, text: str, start: int, end: int, places: Sequence[Match]) -> str:
        """Take the buffer up to `end`, with the replacements of `places`, which end before; `start` is where it begins
        in the text."""
        parts: list[str] = []
        base, position = self._base - start, start
        for place in places:
            between = text[position : place.start]
            self._follow(between)
            whole = place._replace(start=place.start + base, end=place.end + base)
            new = self._replace(whole, text[place.start : place.end])
            parts += between, f'"{new}"' if self._json and not self._in_string else new
            position = place.end
        rest = text[position:end]
        if self._json:
            self._follow(rest)
        self._base += end - start
        self._context = text[max(position if places else 0, end - _CONTEXT) : end]
        self._buffer = text[end:]
        return "".join([*parts, rest]) if parts else rest

    def _follow(self, json: str) -> None:
        """Keep track of whether a string of JSON is open."""
        if self._json and '"' in json:
            quotes = sum(each.group() == '"' for each in _QUOTE_OR_ESCAPE.finditer(json))
            self._in_string ^= bool(quotes % 2)
