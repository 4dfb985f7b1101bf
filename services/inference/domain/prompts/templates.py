"""Mustache templates over JSON data: variables, sections, comments and delimiters, without HTML escaping. Pure.

A template reads its data and nothing else: there are no partials, no lambdas and no attributes. What it may cost is
bounded when it is parsed (tags, depth) and when it is rendered (steps, characters), so that any tenant's template may
be rendered beside others' calls. Every error is an InvalidInput of the field `template` or `data`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from core.errors import InvalidInput
from core.offload import offload
from services.inference.domain.prompts.parsing import Node, Path, Section, Variable, parse

MAX_OUTPUT: Final = 1024 * 1024
"""Characters of a rendered template."""
MAX_STEPS: Final = 50_000
"""Most steps of one rendering: texts, turns of sections, and for each name the contexts that it is looked up in."""
_QUICK_STEPS = 2_000
"""Most steps of a rendering on the event loop, which take a millisecond or two. One that needs more goes to the worker
thread."""

_MISSING = object()


class _TooManySteps(Exception):
    """More steps than were allowed."""


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template."""

    nodes: Sequence[Node]

    def render(self, data: Mapping[str, Any]) -> str:
        """The text for this JSON object. A variable that is missing or null renders as nothing, an object or list as
        JSON. Raises InvalidInput where the text is too long, or too many steps away."""
        try:
            return self._render(data, MAX_STEPS)
        except _TooManySteps:
            raise InvalidInput(
                f"To render this takes more than {MAX_STEPS} steps. Send shorter lists, or nest fewer sections.",
                reason="PROMPT_TOO_COSTLY",
                field="data",
            ) from None

    async def render_fairly(self, data: Mapping[str, Any]) -> str:
        """As `render`, in the worker thread where it takes long, so that others' calls go on meanwhile."""
        try:
            return self._render(data, _QUICK_STEPS)
        except _TooManySteps:
            return await offload(lambda: self.render(data), 1, above=0)

    def _render(self, data: Mapping[str, Any], steps: int) -> str:
        renderer = _Renderer(data, steps)
        renderer.render(self.nodes)
        return "".join(renderer.parts)


def compile_template(text: str) -> Template:
    """Parse a template. Raises InvalidInput, which says in which line it is wrong."""
    return Template(parse(text))


class _Renderer:
    """One rendering. `parts` is the text so far."""

    __slots__ = ("_left", "_stack", "_steps", "parts")

    def __init__(self, data: Mapping[str, Any], steps: int) -> None:
        self.parts: list[str] = []
        self._stack: list[Any] = [data]
        self._left = MAX_OUTPUT
        self._steps = steps

    def render(self, nodes: Sequence[Node]) -> None:
        for node in nodes:
            if isinstance(node, str):
                self._count(1)
                self._write(node)
            elif isinstance(node, Variable):
                self._write(_text_of(self._find(node.path)))
            else:
                self._section(node)

    def _section(self, section: Section) -> None:
        value = self._find(section.path)
        # What is false is so in JavaScript too, where these templates come from: 0 and "" are, an empty object is not.
        false = value is _MISSING or (not value and not isinstance(value, dict))
        if section.inverted:
            if false:
                self.render(section.nodes)
        elif false:
            return
        elif isinstance(value, list):
            for item in value:
                self._count(1)
                self._within(item, section)
        elif value is True:
            self.render(section.nodes)
        else:
            self._within(value, section)

    def _within(self, context: Any, section: Section) -> None:
        self._stack.append(context)
        self.render(section.nodes)
        self._stack.pop()

    def _find(self, path: Path) -> Any:
        """The value of a dotted name: its first part in the innermost context that has it, the others within that."""
        self._count(len(self._stack))
        if not path:
            return self._stack[-1]
        first, *others = path
        for context in reversed(self._stack):
            value = _member(context, first)
            if value is not _MISSING:
                break
        else:
            return _MISSING
        for name in others:
            value = _member(value, name)
        return value

    def _write(self, text: str) -> None:
        self._left -= len(text)
        if self._left < 0:
            raise InvalidInput(
                f"The prompt would have more than {MAX_OUTPUT} characters. Send less data.",
                reason="PROMPT_TOO_LONG",
                field="data",
            )
        self.parts.append(text)

    def _count(self, steps: int) -> None:
        self._steps -= steps
        if self._steps < 0:
            raise _TooManySteps


def _member(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return value.get(name, _MISSING)
    if isinstance(value, list) and name.isascii() and name.isdigit() and len(name) < 7 and int(name) < len(value):
        return value[int(name)]
    return _MISSING


def _text_of(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None or value is _MISSING:
        return ""
    try:
        return orjson.dumps(value).decode()
    except (TypeError, RecursionError):  # nested deeper than 254, an integer beyond 64 bits, or half a surrogate pair
        raise InvalidInput("data holds a value that is no JSON.", field="data") from None
