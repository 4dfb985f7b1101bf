"""The matches of a query. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Match:
    """A chunk that was found, the better the higher its `score`."""

    id: str
    """Id of the chunk's vector."""
    score: float
    """Score of the last step that judged it: search, fusion or reranking."""
    vector_score: float
    """As the vector service has it."""
    document_id: str
    file_name: str
    chunk_index: int
    content: str
    char_start: int
    char_end: int
    text_source: str = ""
    """Id of the source whose text the chunk is a part of."""
    text_length: int = 0
    """Characters of that text."""
    token_count: int = 0
    heading_path: Sequence[str] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    file_id: str = ""
    """In a vector store: id of the file."""
    window: str = ""
    """The text around the chunk, where the module has parent windows."""

    @property
    def text(self) -> str:
        """The text to read: the window where there is one."""
        return self.window or self.content


@dataclass(frozen=True, slots=True)
class Result:
    """The answer of a query."""

    matches: list[Match]
    query: str
    module_key: str
    top_k: int
    latency_ms: float
    detail: str
    """full or text."""
    warnings: tuple[str, ...] = ()
