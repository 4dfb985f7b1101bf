"""Triggers: patterns that tell in one pass over a text which costly searches of it can find anything at all."""

from collections.abc import Iterable, Sequence

import re2


class Triggers:
    """Patterns in RE2's syntax, matched together. Their author keeps them free of long counted repetitions that can
    begin at many places at once: the automaton has a state for each set of open beginnings."""

    __slots__ = ("_all", "_set")

    def __init__(self, patterns: Iterable[str]) -> None:
        self._set = re2.Set.SearchSet()
        count = 0
        for pattern in patterns:
            self._set.Add(pattern)
            count += 1
        self._all = range(count)
        self._set.Add("")  # always matches, so that an automaton that gives up is no text without matches
        self._set.Compile()

    def met(self, text: str) -> Sequence[int]:
        """Numbers of the patterns that match somewhere in the text, ascending. The text has no lone surrogates."""
        found = self._set.Match(text)
        if found is None:
            return self._all
        return sorted(found)[:-1] if len(found) > 1 else ()
