"""Rewriter of scalar values in a JSON text, with all other bytes kept."""

import re
from collections.abc import Callable, Collection

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+|\s+')

Path = tuple[str, ...]
"""Member names from the root to a value, without list positions."""


def rewrite(text: str, scalar: Callable[[Path, str], str], unordered: Collection[str]) -> str:
    """Replace each scalar of the text by `scalar(path, written)`, where `written` is its JSON source.

    Objects below a member named in `unordered` get their members sorted. Raises ValueError for a text that is not JSON.
    """
    reader = _Reader(text, scalar, unordered)
    rewritten = reader.value((), is_sorted=False) + reader.space()
    if reader.left:
        raise ValueError("text after the JSON value")
    return rewritten


class _Reader:
    def __init__(self, text: str, scalar: Callable[[Path, str], str], unordered: Collection[str]) -> None:
        self.left: list[str] = _TOKEN.findall(text)[::-1]
        if sum(map(len, self.left)) != len(text):
            raise ValueError("not JSON")
        self._scalar = scalar
        self._unordered = unordered

    def space(self) -> str:
        return self.left.pop() if self.left and self.left[-1].isspace() else ""

    def value(self, path: Path, *, is_sorted: bool) -> str:
        before = self.space()
        if not self.left:
            raise ValueError("a value is missing")
        token = self.left.pop()
        if token not in "{[":
            return before + self._scalar(path, token)
        end = "}" if token == "{" else "]"
        members: list[str] = []
        while True:
            if not self.left:
                raise ValueError(f"{end} is missing")
            space = self.space()
            if self.left[-1] == end:
                self.left.pop()
                shown = sorted(members) if is_sorted and end == "}" else members
                return before + token + ",".join(shown) + space + end
            if self.left[-1] == ",":
                self.left.pop()
                space += self.space()
            members.append(space + self._member(path, end, is_sorted=is_sorted))

    def _member(self, path: Path, end: str, *, is_sorted: bool) -> str:
        if end == "]":
            return self.value(path, is_sorted=is_sorted)
        name = self.left.pop()
        between = self.space()
        if not self.left or self.left.pop() != ":":
            raise ValueError(": is missing")
        inner = name.strip('"')
        return name + between + ":" + self.value((*path, inner), is_sorted=is_sorted or inner in self._unordered)
