"""Spans of a text: cut at separators, and packed into chunks of a bounded size. Pure, and linear in the text's length.

A span is a pair of character offsets, the end excluded. Spans that are cut cover the text without gaps; those that are
packed may overlap, and lack nothing but white space at their ends.
"""

import re
from collections.abc import Iterable, Sequence

Span = tuple[int, int]

_SENTENCE = re.compile(r"[.!?]\s+(?=\S)")
_SPACE = re.compile(r"\s+(?=\S)")


def cut(text: str, span: Span, size: int, separators: Sequence[str]) -> list[Span]:
    """Cut a span into parts of at most `size` characters, each behind a separator, the coarsest that does. Where no
    separator does, a part has just `size` characters."""
    start, end = span
    if end - start <= size:
        return [span]
    if not separators:
        return [(at, min(at + size, end)) for at in range(start, end, size)]
    parts: list[Span] = []
    for part in _behind(text, span, separators[0]):
        parts += cut(text, part, size, separators[1:])
    return parts


def pack(text: str, parts: Iterable[Span], size: int, overlap: int, *, whole: bool = False) -> list[Span]:
    """Join neighbouring parts, of at most `size` characters each, into chunks of at most `size`. Each begins with the
    end of the one before: at most `overlap` characters, from a sentence or word on; `whole`: from a part on."""
    chunks: list[Span] = []
    held: list[Span] = []
    for part in parts:
        if held and part[1] - held[0][0] > size:
            _add(chunks, text, held)
            end = held[-1][1]
            earliest = max(end - overlap, part[1] - size)
            if whole:
                held = [each for each in held if each[0] >= earliest]
            else:
                start = _word_from(text, earliest, end) if overlap else end
                held = [(start, end)] if start < end else []
        held.append(part)
    if held:
        _add(chunks, text, held)
    return chunks


def trimmed(text: str, span: Span) -> Span | None:
    """The span without the white space at its ends; None: there is nothing else."""
    content = text[span[0] : span[1]]
    left = len(content) - len(content.lstrip())
    right = len(content.rstrip())
    return None if right <= left else (span[0] + left, span[0] + right)


def _behind(text: str, span: Span, separator: str) -> Iterable[Span]:
    start, end = span
    while start < end:
        found = text.find(separator, start, end)
        stop = end if found < 0 else found + len(separator)
        yield start, stop
        start = stop


def _word_from(text: str, start: int, end: int) -> int:
    """Offset at which the first sentence begins between two offsets, or else the first word; `end`: none does."""
    if start >= end:
        return end
    found = _SENTENCE.search(text, start, end) or _SPACE.search(text, start, end)
    return end if found is None else found.end()


def _add(chunks: list[Span], text: str, held: Sequence[Span]) -> None:
    chunk = trimmed(text, (held[0][0], held[-1][1]))
    if chunk is not None and (not chunks or chunk[1] > chunks[-1][1]):
        chunks.append(chunk)
