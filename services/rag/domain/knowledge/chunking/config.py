"""The chunking of a module or document, and its checks."""

import msgspec

from core import fields
from core.errors import InvalidInput

RECURSIVE, TOKEN, MARKDOWN, SENTENCE, SEMANTIC = "recursive_character", "token", "markdown", "sentence", "semantic"
STRATEGIES = (RECURSIVE, TOKEN, MARKDOWN, SENTENCE, SEMANTIC)
ENCODINGS = ("cl100k_base", "p50k_base", "o200k_base")
DEFAULT_SEPARATORS = ("\n\n", "\n", ". ", ", ", " ")
MAX_SIZE = 20_000
MAX_TOKENS = 8_192
MAX_SEPARATORS = 32
MAX_WINDOW = 100_000
MAX_HEADER_CHARS = 100_000
_DEFAULT_SIZE = 1_000
_DEFAULT_TOKENS = 256
_DEFAULT_HEADER_CHARS = 8_000
_DEFAULT_THRESHOLD = 0.35


class ContextualHeader(msgspec.Struct, frozen=True, rename="camel"):
    """A sentence in front of each chunk that says where it belongs, written by a chat model."""

    enabled: bool = False
    model_key: str = ""
    max_document_chars: int = 0


class ChunkConfig(msgspec.Struct, frozen=True, rename="camel"):
    """Configuration of chunking. Sizes are in characters, or in tokens with the strategy token. What is 0, None or
    empty is left to the default, which `checked` fills in."""

    strategy: str = RECURSIVE
    chunk_size: int = 0
    chunk_overlap: int | None = None
    separators: tuple[str, ...] = ()
    encoding: str = ""
    semantic_threshold: float | None = None
    parent_window_size: int = 0
    contextual_header: ContextualHeader = ContextualHeader()

    def checked(self, path: str = "chunkConfig") -> "ChunkConfig":
        """Return the chunking with every default filled in. Raises InvalidInput, naming the field within `path`."""
        strategy = fields.one_of(f"{path}.strategy", self.strategy or RECURSIVE, STRATEGIES)
        by_token = strategy == TOKEN
        most = MAX_TOKENS if by_token else MAX_SIZE
        default = _DEFAULT_TOKENS if by_token else _DEFAULT_SIZE
        size = fields.between(f"{path}.chunkSize", self.chunk_size, 1, most, default=default)
        overlap = size // 10 if self.chunk_overlap is None else self.chunk_overlap
        if not 0 <= overlap < size:
            raise InvalidInput(
                f"{path}.chunkOverlap must be at least 0 and less than the chunk size, {size}.",
                field=f"{path}.chunkOverlap",
            )
        return ChunkConfig(
            strategy=strategy,
            chunk_size=size,
            chunk_overlap=overlap,
            separators=self._separators(path),
            encoding=fields.one_of(f"{path}.encoding", self.encoding or ENCODINGS[0], ENCODINGS),
            semantic_threshold=self._threshold(path),
            parent_window_size=self._window(path, size),
            contextual_header=_header(self.contextual_header, f"{path}.contextualHeader"),
        )

    def alike(self, other: "ChunkConfig") -> bool:
        """Return whether both cut a text in the same way, and embed the same."""
        return msgspec.structs.replace(self, parent_window_size=0) == msgspec.structs.replace(
            other, parent_window_size=0
        )

    def _separators(self, path: str) -> tuple[str, ...]:
        name = f"{path}.separators"
        fields.count(name, self.separators, MAX_SEPARATORS)
        for each in self.separators:
            if not 1 <= len(each) <= 64:
                raise InvalidInput(f"{name} must be texts of 1 to 64 characters.", field=name)
        return tuple(self.separators) or DEFAULT_SEPARATORS

    def _threshold(self, path: str) -> float:
        threshold = _DEFAULT_THRESHOLD if self.semantic_threshold is None else self.semantic_threshold
        if not 0 <= threshold <= 2:
            raise InvalidInput(f"{path}.semanticThreshold must be 0 to 2.", field=f"{path}.semanticThreshold")
        return threshold

    def _window(self, path: str, size: int) -> int:
        window = self.parent_window_size
        if window and not size <= window <= MAX_WINDOW:
            raise InvalidInput(
                f"{path}.parentWindowSize must be 0, or from the chunk size, {size}, to {MAX_WINDOW}.",
                field=f"{path}.parentWindowSize",
            )
        return window


def _header(header: ContextualHeader, path: str) -> ContextualHeader:
    if header.enabled and not header.model_key:
        raise InvalidInput(
            f"{path}.modelKey must name the chat model that writes the headers.", field=f"{path}.modelKey"
        )
    chars = fields.between(
        f"{path}.maxDocumentChars", header.max_document_chars, 100, MAX_HEADER_CHARS, default=_DEFAULT_HEADER_CHARS
    )
    return ContextualHeader(header.enabled, header.model_key, chars)
