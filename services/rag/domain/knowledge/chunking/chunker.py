"""The strategies of chunking: a text and its configuration become pieces with exact offsets. Pure and CPU-bound; large
texts belong into `core.offload`."""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import sentencex  # type: ignore[import-untyped]  # it comes without types
from semantic_text_splitter import TextSplitter

from services.rag.domain.knowledge.chunking.config import (
    DEFAULT_SEPARATORS,
    MARKDOWN,
    RECURSIVE,
    SENTENCE,
    TOKEN,
    ChunkConfig,
)
from services.rag.domain.knowledge.chunking.spans import Span, cut, pack, trimmed

CHARACTERS_PER_TOKEN = 4
_SLICE = 16_000
"""Characters that a library is given at once: what it takes for a hostile text grows with the square."""
_LONG_RUN = re.compile(r"\S{1000,}")
_RUN = 1_000
_MODELS = {"cl100k_base": "gpt-4", "p50k_base": "text-davinci-003", "o200k_base": "gpt-4o"}
"""A model of each encoding, by which the library knows it."""
_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_LANGUAGE = "en"


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text, from one character to another; the end is excluded."""

    start: int
    end: int
    heading_path: tuple[str, ...] = ()

    def of(self, text: str) -> str:
        return text[self.start : self.end]


def split(text: str, config: ChunkConfig) -> list[Piece]:
    """Cut a text by any strategy but semantic, which takes `sentences`, their vectors and `join_similar`."""
    if config.strategy == MARKDOWN:
        return [
            Piece(*span, path)
            for section, path in _sections(text)
            for span in _recursive(text, section, config.chunk_size, config.chunk_overlap or 0, DEFAULT_SEPARATORS)
        ]
    return [Piece(*span) for span in _SPLITTERS[config.strategy](text, config)]


def sentences(text: str, at_most: int) -> list[Span]:
    """Sentences with the white space behind them, without gaps; one of more than `at_most` characters is cut."""
    found: list[Span] = []
    for start, end in cut(text, (0, len(text)), _SLICE, DEFAULT_SEPARATORS):
        for each in sentencex.get_sentence_boundaries(_LANGUAGE, text[start:end]):
            sentence = (start + each["start_index"], start + each["end_index"])
            found += cut(text, sentence, at_most, DEFAULT_SEPARATORS)
    return found


def join_similar(
    text: str, parts: Sequence[Span], vectors: Sequence[Sequence[float]], config: ChunkConfig
) -> list[Piece]:
    """Join neighbouring sentences, whose vectors these are, until the distance of two reaches the threshold."""
    threshold = config.semantic_threshold or 0.0
    groups: list[list[Span]] = [[part] for part in parts[:1]]
    for at in range(1, len(parts)):
        if _distance(vectors[at - 1], vectors[at]) >= threshold:
            groups.append([])
        groups[-1].append(parts[at])
    spans = [span for group in groups for span in pack(text, group, config.chunk_size, 0)]
    return [Piece(*span) for span in spans]


def estimated_tokens(text: str) -> int:
    return math.ceil(len(text) / CHARACTERS_PER_TOKEN)


def _recursive(text: str, span: Span, size: int, overlap: int, separators: Sequence[str]) -> list[Span]:
    return pack(text, cut(text, span, size, separators), size, overlap)


def _by_separators(text: str, config: ChunkConfig) -> list[Span]:
    return _recursive(text, (0, len(text)), config.chunk_size, config.chunk_overlap or 0, config.separators)


def _by_sentences(text: str, config: ChunkConfig) -> list[Span]:
    return pack(text, sentences(text, config.chunk_size), config.chunk_size, config.chunk_overlap or 0, whole=True)


def _by_tokens(text: str, config: ChunkConfig) -> list[Span]:
    splitter = _token_splitter(config.encoding, config.chunk_size, config.chunk_overlap or 0)
    return [
        (start + at, start + at + len(content))
        for start, end in _slices(text)
        for at, content in splitter.chunk_indices(text[start:end])
    ]


@lru_cache(maxsize=32)
def _token_splitter(encoding: str, size: int, overlap: int) -> TextSplitter:
    return TextSplitter.from_tiktoken_model(_MODELS[encoding], size, overlap)


def _slices(text: str) -> Iterator[Span]:
    """Slices for a tokenizer, which takes its time for long runs without white space."""
    at = 0
    for run in _LONG_RUN.finditer(text):
        yield from cut(text, (at, run.start()), _SLICE, DEFAULT_SEPARATORS)
        yield from cut(text, run.span(), _RUN, ())
        at = run.end()
    yield from cut(text, (at, len(text)), _SLICE, DEFAULT_SEPARATORS)


def _sections(text: str) -> Iterator[tuple[Span, tuple[str, ...]]]:
    """Parts of a Markdown text that each begin with a heading, and the headings above, the own one included."""
    path: list[tuple[int, str]] = []
    start = at = 0
    fence = ""
    for line in text.splitlines(keepends=True):
        bare = line.rstrip("\r\n")
        mark = _FENCE.match(bare)
        if fence:
            if mark and mark[1].startswith(fence) and not bare[mark.end() :].strip():
                fence = ""
        elif mark:
            fence = mark[1]
        elif heading := _HEADING.match(bare):
            if trimmed(text, (start, at)) is not None:
                yield (start, at), tuple(title for _, title in path)
            start, level = at, len(heading[1])
            path = [each for each in path if each[0] < level]
            path.append((level, (heading[2] or "").strip()))
        at += len(line)
    if trimmed(text, (start, at)) is not None:
        yield (start, at), tuple(title for _, title in path)


def _distance(a: Sequence[float], b: Sequence[float]) -> float:
    """Cosine distance, 0 to 2."""
    lengths = math.sqrt(math.fsum(x * x for x in a) * math.fsum(y * y for y in b))
    return 1.0 - math.fsum(x * y for x, y in zip(a, b, strict=True)) / lengths if lengths else 1.0


_SPLITTERS: Mapping[str, Callable[[str, ChunkConfig], list[Span]]] = {
    RECURSIVE: _by_separators,
    TOKEN: _by_tokens,
    SENTENCE: _by_sentences,
}
