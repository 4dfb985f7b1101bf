"""Bounds on the shape of a JSON text, counted without parsing it. Pure.

What a parser makes of a text costs by the number of its values, not by its length: 30 MiB may be one string, or ten
million lists that take a second and a gigabyte. Both counts are found slice by slice, each in about a millisecond, so
that a thread that counts gives way to others.
"""

from dataclasses import dataclass
from typing import Final

from core.errors import InvalidInput

_SLICE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Bounds:
    """`nodes`: members, objects and lists, which cost up to a microsecond each; `entries`: those of all lists and
    objects together, which cost less."""

    nodes: int
    entries: int


DEFAULT: Final = Bounds(nodes=100_000, entries=500_000)
"""A real chat with thousands of messages and hundreds of tools has a tenth of these."""


def check(text: bytes | bytearray, bounds: Bounds = DEFAULT, part: str = "") -> None:
    """Raise InvalidInput where the text has more than `bounds`. `part` is the field whose JSON this is, if it is not
    the whole body. What is no JSON passes or not: it is for the parser to refuse."""
    nodes = entries = 0
    in_string = 0
    held = b""
    with memoryview(text) as view:
        for at in range(0, len(view), _SLICE):
            chunk, held = _unescaped(held + view[at : at + _SLICE])
            quoted = chunk.split(b'"')
            outside = b"".join(quoted[in_string::2])
            in_string = (in_string + len(quoted) - 1) % 2
            nodes += outside.count(b":") + outside.count(b"[") + outside.count(b"{")
            entries += outside.count(b",")
            if nodes > bounds.nodes:
                raise _refused(part, f"{bounds.nodes} members, objects and lists")
            if entries > bounds.entries:
                raise _refused(part, f"{bounds.entries} entries in its lists and objects")


def _unescaped(chunk: bytes) -> tuple[bytes, bytes]:
    """The chunk without escaped quotation marks, and a backslash at its end whose other half is yet to come."""
    if b"\\" not in chunk:
        return chunk, b""
    held = b""
    if (len(chunk) - len(chunk.rstrip(b"\\"))) % 2:
        chunk, held = chunk[:-1], b"\\"
    return chunk.replace(b"\\\\", b"").replace(b'\\"', b""), held


def _refused(part: str, what: str) -> InvalidInput:
    return InvalidInput(
        f"{part or 'The body'} has more than {what}: send less at once.",
        reason="TOO_MANY_VALUES",
        field=part or "body",
    )
