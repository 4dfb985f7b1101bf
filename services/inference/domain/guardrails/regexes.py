"""Patterns of tenants, on RE2: their time is linear in the text, whatever the pattern."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import re2

from core.errors import InvalidInput
from services.inference.domain.guardrails import held
from services.inference.domain.guardrails.checks import Found
from services.inference.domain.guardrails.findings import Match

MAX_PATTERNS: Final = 50
"""Most patterns of one guardrail or policy."""
MAX_PATTERN: Final = 500
"""Characters of one."""
_MAX_MEMORY: Final = 1 << 20
"""Bytes of one compiled pattern and of its automaton."""
_MAX_MATCHES: Final = 10_000
"""Most matches of one pattern in one search."""
_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern. Upper and lower case are the same to it."""

    category: str
    severity: str
    label: str
    compiled: Any


def compile_pattern(field: str, text: str) -> Any:
    """Compile a pattern in RE2's syntax. Raises InvalidInput, which names the field."""
    if not text or len(text) > MAX_PATTERN:
        raise InvalidInput(f"{field} must have 1 to {MAX_PATTERN} characters.", field=field)
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = _MAX_MEMORY
    try:
        compiled = re2.compile(text, options)
    except (re2.error, UnicodeEncodeError):
        raise InvalidInput(
            f"{field} is not a regular expression of RE2, or too large. "
            "Lookaround and references to groups are not part of its syntax.",
            field=field,
        ) from None
    if compiled.fullmatch(""):
        raise InvalidInput(f"{field} matches the empty text, and so everywhere.", field=field)
    return compiled


class RegexCheck:
    """Searches for patterns. In a stream, and in long texts, a match is found as far as it has 256 characters."""

    def __init__(self, patterns: Sequence[Pattern], type: str, action: str) -> None:
        self.type = type
        self.action = action
        self._patterns = patterns
        self._labels = {each.category: each.label for each in patterns}

    def scan(self, text: str) -> Found:
        subject = text if text.isascii() else _SURROGATES.sub("\ufffd", text)
        matches = []
        for pattern in self._patterns:
            if pattern.compiled.search(subject) is None:
                continue
            for number, match in enumerate(pattern.compiled.finditer(subject)):
                start, end = match.span()
                if end > start:
                    matches.append(Match(start, end, pattern.category, pattern.severity))
                if number >= _MAX_MATCHES:  # hide the rest rather than search on
                    matches.append(Match(end, len(text), pattern.category, pattern.severity))
                    break
        return Found(matches, max(0, len(text) - held.MAX_HELD))

    def label(self, category: str) -> str:
        return self._labels[category]
