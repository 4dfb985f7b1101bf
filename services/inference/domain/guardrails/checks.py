"""The check: one search for what a guardrail does not let pass, without a model."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from services.inference.domain.guardrails.findings import Finding, Match, mask


class Found(NamedTuple):
    """The result of a check on a text. Positions are in characters of the text."""

    matches: list[Match]
    settled: int
    """Up to here all matches are found, whatever follows the text."""


class Check(Protocol):
    """Keeps no state. A call takes time that is linear in the text, and some milliseconds for 8,192 characters."""

    type: str
    action: str

    def scan(self, text: str) -> Found: ...

    def label(self, category: str) -> str:
        """The name of a finding of this category in messages."""


def finding(check: Check, match: Match, value: str) -> Finding:
    return Finding(
        check.type, match.category, match.severity, f"{check.label(match.category)} found.", check.action, mask(value)
    )


def enabled(categories: Mapping[str, bool], defaults: Mapping[str, bool]) -> list[str]:
    """The ids that are on: as the guardrail says, or else by default."""
    return [id for id, default in defaults.items() if categories.get(id, default)]
