"""Chunking: offsets are exact, no chunk is longer than allowed, and nothing is lost but white space."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InvalidInput
from services.rag.domain.knowledge.chunking import chunker
from services.rag.domain.knowledge.chunking.chunker import Piece, join_similar, sentences, split
from services.rag.domain.knowledge.chunking.config import ChunkConfig, ContextualHeader

PIECES = st.sampled_from(
    (
        *("word ", "Sentence one. ", "Dr. Who? ", "a, b, ", "\n", "\n\n", "# Title\n", "## Part\n", "```\n# no\n```\n"),
        *("x" * 50, "日本語のテキスト。", "😀", "é́ ", "\t", "\r\n", "\u2028", "!", "   "),
    )
)
TEXTS = st.lists(PIECES, max_size=60).map("".join)
CONFIGS = st.builds(
    lambda strategy, size, share: ChunkConfig(strategy, size, int(size * share)).checked(),
    st.sampled_from(["recursive_character", "token", "markdown", "sentence"]),
    st.integers(1, 120),
    st.floats(0, 0.9),
)


def lost(text: str, pieces: list[Piece]) -> str:
    """The text that is in no piece."""
    rest, at = [], 0
    for piece in sorted(pieces, key=lambda each: each.start):
        rest.append(text[at : piece.start])
        at = max(at, piece.end)
    return "".join([*rest, text[at:]])


@settings(max_examples=6 * settings().max_examples)
@given(TEXTS, CONFIGS)
def test_offsets_are_exact_and_nothing_is_lost(text: str, config: ChunkConfig) -> None:
    pieces = split(text, config)
    assert not lost(text, pieces).strip()
    ends = [piece.end for piece in pieces]
    assert ends == sorted(set(ends))
    for piece in pieces:
        content = piece.of(text)
        assert content
        assert content == content.strip()
        if config.strategy != "token":
            assert len(content) <= config.chunk_size


@settings(max_examples=2 * settings().max_examples)
@given(TEXTS, st.integers(5, 100))
def test_semantic_chunks_are_exact_too(text: str, size: int) -> None:
    config = ChunkConfig("semantic", size).checked()
    parts = sentences(text, size)
    assert "".join(text[start:end] for start, end in parts) == text
    pieces = join_similar(text, parts, [[float(at % 3 == 0), 1.0] for at in range(len(parts))], config)
    assert not lost(text, pieces).strip()
    assert all(len(piece.of(text)) <= size for piece in pieces)


def test_tokens_are_counted_by_the_encoding() -> None:
    config = ChunkConfig("token", 4, 0).checked()
    text = "One two three four five six seven eight nine ten"
    assert [piece.of(text) for piece in split(text, config)] == [
        "One two three four", "five six seven eight", "nine ten",
    ]  # fmt: skip


def test_recursive_chunks_end_at_the_coarsest_separator() -> None:
    text = "First paragraph.\n\nSecond one, with two parts. And more.\n\nThird."
    config = ChunkConfig(chunk_size=42, chunk_overlap=0).checked()
    assert [piece.of(text) for piece in split(text, config)] == [
        "First paragraph.", "Second one, with two parts. And more.", "Third.",
    ]  # fmt: skip


def test_a_chunk_repeats_the_end_of_the_one_before() -> None:
    text = "Alpha beta gamma. Delta epsilon zeta. Eta theta iota. Kappa lambda."
    config = ChunkConfig(chunk_size=40, chunk_overlap=25).checked()
    assert [piece.of(text) for piece in split(text, config)] == [
        "Alpha beta gamma. Delta epsilon zeta.", "Delta epsilon zeta. Eta theta iota.", "Eta theta iota. Kappa lambda.",
    ]  # fmt: skip


def test_own_separators() -> None:
    text = "a|b|c"
    config = ChunkConfig(chunk_size=2, chunk_overlap=0, separators=("|",)).checked()
    assert [piece.of(text) for piece in split(text, config)] == ["a|", "b|", "c"]


def test_markdown_crosses_no_heading() -> None:
    text = "Intro.\n\n# A\nText of A.\n\n## B\nText of B.\n\n```\n# no heading\n```\n\n# C\nText of C."
    pieces = split(text, ChunkConfig("markdown", 500).checked())
    assert [(piece.heading_path, piece.of(text)) for piece in pieces] == [
        ((), "Intro."),
        (("A",), "# A\nText of A."),
        (("A", "B"), "## B\nText of B.\n\n```\n# no heading\n```"),
        (("C",), "# C\nText of C."),
    ]


def test_sentences_are_not_cut() -> None:
    text = "Dr. Smith pays 3.5 dollars. He is happy! Is he?"
    pieces = split(text, ChunkConfig("sentence", 30, 0).checked())
    assert [piece.of(text) for piece in pieces] == ["Dr. Smith pays 3.5 dollars.", "He is happy! Is he?"]


def test_semantic_cuts_where_sentences_differ() -> None:
    text = "Cats purr. Cats sleep. Stars shine. Stars burn."
    parts = sentences(text, 1000)
    vectors = [[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]]
    pieces = join_similar(text, parts, vectors, ChunkConfig("semantic").checked())
    assert [piece.of(text) for piece in pieces] == ["Cats purr. Cats sleep.", "Stars shine. Stars burn."]


@pytest.mark.parametrize("text", ["a" * 100_000, "\n" * 100_000, "." * 100_000, "# " * 50_000, "```\n" * 25_000])
@pytest.mark.parametrize("strategy", ["recursive_character", "token", "markdown", "sentence"])
def test_hostile_texts_end(text: str, strategy: str) -> None:
    """The tokenizer's library took minutes for a long run without white space."""
    assert not lost(text, split(text, ChunkConfig(strategy).checked())).strip()


@pytest.mark.parametrize(
    ("config", "field"),
    [
        (ChunkConfig("recursive"), "chunkConfig.strategy"),
        (ChunkConfig(chunk_size=-1), "chunkConfig.chunkSize"),
        (ChunkConfig(chunk_size=100, chunk_overlap=100), "chunkConfig.chunkOverlap"),
        (ChunkConfig(chunk_size=100, chunk_overlap=-1), "chunkConfig.chunkOverlap"),
        (ChunkConfig("token", encoding="gpt2"), "chunkConfig.encoding"),
        (ChunkConfig("semantic", semantic_threshold=3), "chunkConfig.semanticThreshold"),
        (ChunkConfig(chunk_size=100, parent_window_size=50), "chunkConfig.parentWindowSize"),
        (ChunkConfig(separators=("",)), "chunkConfig.separators"),
        (ChunkConfig(contextual_header=ContextualHeader(enabled=True)), "chunkConfig.contextualHeader.modelKey"),
    ],
)
def test_a_chunking_that_cannot_be_is_refused(config: ChunkConfig, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        config.checked()
    assert caught.value.field == field


def test_a_checked_chunking_stays_as_it_is() -> None:
    config = ChunkConfig("token", 100, encoding="o200k_base").checked()
    assert config.checked() == config
    assert config.alike(msgspec.structs.replace(config, parent_window_size=900))
    assert not config.alike(msgspec.structs.replace(config, chunk_size=101))
    assert chunker.estimated_tokens("12345") == 2
