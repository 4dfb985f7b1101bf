"""Sparse vectors for keyword search (BM25), the same for the embedded engine and a Qdrant server.

Qdrant's tokenizer splits at spaces and punctuation, which scripts without spaces between words do not have. Their
text is cut into overlapping pairs of characters first, as Lucene's CJKBigramFilter does: 学生券 is found by its pairs
学生 and 生券 wherever it stands. Documents hold the single characters too, for queries of one character.
"""

import re
import unicodedata

import qdrant_edge as edge

_UNSPACED = re.compile(
    "["
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f"  # Myanmar
    "\u1780-\u17ff"  # Khmer
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"  # iteration marks, Hiragana, Katakana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
    "\uac00-\ud7af\u1100-\u11ff"  # Hangul: spaced, but words carry particles
    "]+"
)


class Bm25:
    """Documents and queries as sparse vectors of token weights; `indices` is empty where a text has no token."""

    def __init__(self) -> None:
        self._model = edge.Bm25()

    def document(self, text: str) -> edge.SparseVector:
        return self._model.embed_document(_normal(text, singles=True))

    def query(self, text: str) -> edge.SparseVector:
        return self._model.embed_query(_normal(text, singles=False))


def _normal(text: str, *, singles: bool) -> str:
    """Normalize to Unicode's form NFKC, so that one word is one word however its accents and widths are written."""
    if text.isascii():
        return text

    def cut(run: re.Match[str]) -> str:
        characters = run[0]
        pairs = [characters[at : at + 2] for at in range(len(characters) - 1)]
        return f" {' '.join([*characters, *pairs] if singles or not pairs else pairs)} "

    return _UNSPACED.sub(cut, unicodedata.normalize("NFKC", text))
