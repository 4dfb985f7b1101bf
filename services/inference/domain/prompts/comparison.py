"""Comparison of two versions: lines of their templates, members of their metadata. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

import orjson

from services.inference.domain.prompts.records import PromptVersion

ADDED, REMOVED, UNCHANGED = "added", "removed", "unchanged"
_MAX_COST = 1_000_000
"""Most work to find the lines that two texts share, in steps of the matcher at worst; above that a changed part counts
as replaced altogether."""


@dataclass(frozen=True, slots=True)
class LineChange:
    """One line of either template: added, removed or unchanged."""

    type: str
    line: str


@dataclass(frozen=True, slots=True)
class MemberChange:
    """One member of the metadata of either version. None where one has no such member."""

    name: str
    old: Any
    new: Any
    changed: bool


def compare_lines(old: str, new: str) -> list[LineChange]:
    """The lines of both texts in order; those that went come before those that came in their place."""
    before, after = old.split("\n"), new.split("\n")
    start = 0
    while start < min(len(before), len(after)) and before[start] == after[start]:
        start += 1
    end = 0
    while end < min(len(before), len(after)) - start and before[-1 - end] == after[-1 - end]:
        end += 1
    same = [LineChange(UNCHANGED, line) for line in before[:start]]
    changed = _changes(before[start : len(before) - end], after[start : len(after) - end])
    return [*same, *changed, *(LineChange(UNCHANGED, line) for line in before[len(before) - end :])]


def _changes(before: Sequence[str], after: Sequence[str]) -> Iterator[LineChange]:
    steps = [("replace", 0, len(before), 0, len(after))]
    counts = Counter(before)
    if sum(counts[line] for line in after) * min(len(before), len(after)) <= _MAX_COST:
        steps = SequenceMatcher(None, before, after, autojunk=False).get_opcodes()  # type: ignore[assignment]  # its names are texts
    for what, begin, end, new_begin, new_end in steps:
        if what == "equal":
            yield from (LineChange(UNCHANGED, line) for line in before[begin:end])
        else:
            yield from (LineChange(REMOVED, line) for line in before[begin:end])
            yield from (LineChange(ADDED, line) for line in after[new_begin:new_end])


def compare_metadata(old: PromptVersion, new: PromptVersion) -> list[MemberChange]:
    """Every member of either metadata, by name."""
    names = sorted(old.metadata.keys() | new.metadata.keys())
    return [_member_change(name, old.metadata, new.metadata) for name in names]


def _member_change(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> MemberChange:
    same = name in old and name in new and _json(old[name]) == _json(new[name])
    return MemberChange(name, old.get(name), new.get(name), not same)


def _json(value: Any) -> bytes:
    """In one spelling, in which 1 and true are not the same."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
