"""Parser of Mustache templates. Pure; takes time in proportion to the template's length."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NoReturn, TypeAlias, Union

from core.errors import InvalidInput

MAX_CHARACTERS: Final = 64 * 1024
"""Most characters of a template."""
MAX_TAGS: Final = 2_000
MAX_DEPTH: Final = 32
"""Sections inside each other."""
MAX_NAME: Final = 256
"""Characters of the dotted name of a variable."""

Path: TypeAlias = tuple[str, ...]
"""The parts of a dotted name; none: the context itself, "{{.}}"."""
Node: TypeAlias = Union[str, "Variable", "Section"]

_NAME = re.compile(r"""[^\s.,;!?'"`()\[\]{}<>=|\\*+%~^#&]+(?:\.[^\s.,;!?'"`()\[\]{}<>=|\\*+%~^#&]+)*""")
_DELIMITERS = re.compile(r"\s*([^\s=]{1,16})\s+([^\s=]{1,16})\s*")
_REST_OF_LINE = re.compile(r"[ \t]*(?:\r?\n|\Z)")
_KINDS = frozenset("#^/!={&><$")
_ALONE = frozenset("#^/!=")
"""Kinds of tags that take their whole line with them where they stand alone on it."""
_REFUSED = {">": "a partial", "<": "a parent", "$": "a block"}


@dataclass(frozen=True, slots=True)
class Variable:
    """The text of a value."""

    path: Path


@dataclass(frozen=True, slots=True)
class Section:
    """Nodes that are rendered once for each entry of a list, or once where the value is true; inverted: where it is
    false."""

    path: Path
    inverted: bool
    nodes: Sequence[Node]


@dataclass(slots=True)
class _Open:
    """A section whose end has not been seen. `name` is as it was written."""

    name: str
    path: Path
    inverted: bool
    line: int
    nodes: list[Node]


def parse(text: str) -> tuple[Node, ...]:
    """The nodes of a template. Raises InvalidInput, which says in which line it is wrong."""
    if len(text) > MAX_CHARACTERS:
        raise InvalidInput(f"template must have at most {MAX_CHARACTERS} characters.", field="template")
    return _Parser(text).parse()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        """Position up to which the text has been read."""
        self._line = 1
        self._counted = 0
        """Position up to which lines have been counted."""
        self._opening, self._closing = "{{", "}}"
        self._open = [_Open("", (), False, 0, [])]
        """The sections around what comes next; the first stands for the template."""
        self._tags = 0

    def parse(self) -> tuple[Node, ...]:
        while (start := self._text.find(self._opening, self._at)) >= 0:
            self._count_lines(start)
            self._tags += 1
            if self._tags > MAX_TAGS:
                raise InvalidInput(f"template must have at most {MAX_TAGS} tags.", field="template")
            self._read_tag(start)
        self._add(self._text[self._at :])
        if len(self._open) > 1:
            left = self._open[-1]
            self._line = left.line
            self._refuse(f"the section {left.name} is not closed. Add {{{{/{left.name}}}}}")
        return tuple(self._open[0].nodes)

    def _read_tag(self, start: int) -> None:
        begin = start + len(self._opening)
        kind = self._text[begin : begin + 1]
        closing = {"{": "}" + self._closing, "=": "=" + self._closing}.get(kind, self._closing)
        inside = begin + 1 if kind in _KINDS else begin
        end = self._text.find(closing, inside)
        if end < 0:
            self._refuse(f"a tag is not closed. Add {closing}")
        content, after = self._text[inside:end].strip(), end + len(closing)
        alone = self._line_of_its_own(start, after) if kind in _ALONE else None
        self._add(self._text[self._at : alone[0] if alone else start])
        self._at = alone[1] if alone else after
        if kind in _REFUSED:
            self._refuse(f"{self._opening}{kind} would be {_REFUSED[kind]}, and templates have none")
        self._apply(kind, content)

    def _apply(self, kind: str, content: str) -> None:
        match kind:
            case "#" | "^":
                if len(self._open) > MAX_DEPTH:
                    self._refuse(f"sections must be nested at most {MAX_DEPTH} deep")
                self._open.append(_Open(content, self._path(content), kind == "^", self._line, []))
            case "/":
                self._close(content)
            case "=":
                self._set_delimiters(content)
            case "!":
                pass
            case _:
                self._open[-1].nodes.append(Variable(self._path(content)))

    def _close(self, name: str) -> None:
        if len(self._open) == 1 or self._open[-1].path != self._path(name):
            within = f"the section {self._open[-1].name} is open" if len(self._open) > 1 else "no section is open"
            self._refuse(f"{name} is closed where {within}")
        section = self._open.pop()
        self._open[-1].nodes.append(Section(section.path, section.inverted, tuple(section.nodes)))

    def _set_delimiters(self, content: str) -> None:
        given = _DELIMITERS.fullmatch(content)
        if given is None:
            self._refuse("delimiters are two texts of 1 to 16 characters, such as {{=<% %>=}}")
        self._opening, self._closing = given[1], given[2]

    def _path(self, name: str) -> Path:
        if name == ".":
            return ()
        if len(name) > MAX_NAME or _NAME.fullmatch(name) is None:
            self._refuse(
                f"{name[:40]!r} is not a name: a name has letters, digits and _ - $ @ : /, dots between its parts, and "
                f"at most {MAX_NAME} characters. To write {{{{ itself, choose other delimiters: {{{{=<% %>=}}}}"
            )
        return tuple(name.split("."))

    def _line_of_its_own(self, start: int, end: int) -> tuple[int, int] | None:
        """Beginning and end of the line that holds nothing but this tag; None where it holds more."""
        line = self._text.rfind("\n", self._at, start) + 1
        if line == 0:  # the line begins before what has been read so far
            if self._at and self._text[self._at - 1] != "\n":
                return None
            line = self._at
        rest = _REST_OF_LINE.match(self._text, end)
        return None if rest is None or self._text[line:start].strip(" \t") else (line, rest.end())

    def _add(self, text: str) -> None:
        if text:
            self._open[-1].nodes.append(text)

    def _count_lines(self, until: int) -> None:
        self._line += self._text.count("\n", self._counted, until)
        self._counted = until

    def _refuse(self, why: str) -> NoReturn:
        raise InvalidInput(f"Line {self._line} of the template: {why}.", reason="INVALID_TEMPLATE", field="template")
