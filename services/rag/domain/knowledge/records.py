"""The records of knowledge modules.

A document has a version, which grows with everything that is asked of it, and is done by one job. Its chunks and
vectors carry the version and the generation of the index that they were made for, so that those of two versions never
mix: a match counts only if its chunk is of the document's `indexed_version`.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from core.storage.table import Record
from services.rag.domain.knowledge.chunking.config import ChunkConfig
from services.rag.ports import IndexRef

ACTIVE, DISABLED, DELETING = "active", "disabled", "deleting"
COSINE, EUCLIDEAN = "cosine", "euclidean"
PENDING, PROCESSING, INDEXED, FAILED = "pending", "processing", "indexed", "failed"
_LINK = re.compile(r"!?\[([^\[\]]{0,1000})\]\([^()\s]{0,2000}(?:\([^()\s]{0,200}\))?(?: \"[^\"]{0,500}\")?\)")
RUNNING, COMPLETED, CANCELLED = "running", "completed", "cancelled"
DOCUMENT_STATUSES = (PENDING, PROCESSING, INDEXED, FAILED, CANCELLED)


class Hybrid(msgspec.Struct, frozen=True, rename="camel"):
    """Keyword search beside vector search. `alpha` is the share of the vector search with the mode weighted, `k` the
    constant of the mode rrf; 0: the default."""

    enabled: bool = False
    mode: str = "rrf"
    alpha: float = 0.5
    k: int = 0


class Module(Record, frozen=True):
    """One module. Times are Unix seconds."""

    id: str
    key: str
    name: str
    embedding_model_key: str
    vector_provider_key: str
    vector_index_key: str
    dimension: int
    chunk_config: ChunkConfig
    created_at: float
    updated_at: float
    live_key: str | None = None
    """The key, or None while the module is being deleted, which frees the key."""
    own_index: bool = True
    """True if the index is the module's alone, and goes with it."""
    generation: int = 1
    """Number of the index; grows with every re-index."""
    metric: str = COSINE
    """Metric of the index: cosine, dot or euclidean."""
    status: str = ACTIVE
    description: str = ""
    file_bucket_key: str = ""
    file_provider_key: str = ""
    reranker_key: str = ""
    reranker_oversample: int = 3
    default_top_k: int = 5
    default_min_score: float = 0.0
    default_filter: Mapping[str, Any] = {}
    filterable_fields: tuple[str, ...] = ()
    response_detail: str = "full"
    hybrid: Hybrid = Hybrid()
    isolate_by_module: bool = True
    metadata: Mapping[str, Any] = {}
    created_by: str = ""
    vector_store_id: str | None = None
    """Id among OpenAI's vector stores, in the order of time; None: it is none."""
    expires_days: int | None = None
    """Days without use after which a vector store expires; None: never."""
    last_active_at: float | None = None
    """Time of a vector store's last use."""

    @property
    def expires_at(self) -> float | None:
        if self.expires_days is None:
            return None
        return (self.last_active_at or self.created_at) + self.expires_days * 86_400

    @property
    def index(self) -> IndexRef:
        return IndexRef(self.vector_provider_key, self.vector_index_key)


class FileRef(msgspec.Struct, frozen=True, rename="camel"):
    """A file of the project, by the keys of its bucket and itself."""

    bucket_key: str
    object_key: str


class Source(msgspec.Struct, frozen=True, rename="camel"):
    """Source of a document's content: a file, or the text itself. `owned`: the file was uploaded to the module,
    and goes with the document. `id`: of the job that was submitted when the content came."""

    id: str
    file: FileRef | None = None
    owned: bool = False


class Document(Record, frozen=True):
    """One document of a module. Times are Unix seconds."""

    id: str
    module_id: str
    module_key: str
    file_name: str
    content_type: str
    size: int
    source_hash: str
    source: Source
    created_at: float
    updated_at: float
    job_id: str
    """The job that does `version`."""
    version: int = 1
    status: str = PENDING
    identity: str | None = None
    """Name and content, by which a repeated ingestion is told; None while the document is being deleted."""
    text_source: str = ""
    """The newest source whose text is kept; empty: none yet."""
    text_length: int = 0
    """Characters of the indexed text."""
    indexed_version: int = 0
    """Version whose chunks are found by queries; 0: none."""
    indexed_source: str = ""
    """The source whose text these chunks are parts of."""
    indexed_generation: int = 0
    """Generation of the module's index in which the indexed version is known to be."""
    next_version: int = 0
    """Version that is in the index of a re-index."""
    next_generation: int = 0
    """Generation of that index."""
    next_chunk_count: int = 0
    chunk_count: int = 0
    stale_files: tuple[FileRef, ...] = ()
    """Files of former contents, to be deleted when the present content is indexed."""
    error_message: str = ""
    error_reason: str = ""
    """Reason of the error with this message."""
    last_indexed_at: float | None = None
    chunk_config: ChunkConfig | None = None
    metadata: Mapping[str, Any] = {}
    created_by: str = ""
    position: str = ""
    """Orders the module's documents by the time they were added; unique."""
    file_id: str | None = None
    """In a vector store: id of the file among OpenAI's files."""
    batch_id: str | None = None
    """In a vector store: the files that were added together."""

    @property
    def path(self) -> str:
        """Keys of module and document, as the audit log names a document."""
        return f"{self.module_key}/{self.id}"


class Chunk(Record, frozen=True):
    """One chunk. Its id is that of its vector. The offsets are characters of the document's text."""

    id: str
    module_id: str
    document_id: str
    generation: int
    version: int
    chunk_index: int
    content: str
    content_hash: str
    char_start: int
    char_end: int
    token_count: int
    file_name: str
    heading_path: tuple[str, ...] = ()
    header: str = ""

    @property
    def embedded_text(self) -> str:
        """The text that is embedded, and that keyword search reads: the content without the targets of its links,
        behind what says where it belongs."""
        before = self.header or " > ".join(self.heading_path)
        return _LINK.sub(r"\1", f"{before}\n\n{self.content}" if before else self.content)


class TextPiece(Record, frozen=True):
    """A part of a document's text, which begins at the character `start`."""

    id: str
    module_id: str
    document_id: str
    source_id: str
    start: int
    text: str


class Reindex(Record, frozen=True):
    """A re-index of a module: what it changes over to, and from what."""

    id: str
    module_id: str
    job_id: str
    reason: str
    generation: int
    embedding_model_key: str
    dimension: int
    vector_provider_key: str
    vector_index_key: str
    chunk_config: ChunkConfig
    old_generation: int
    old_index_key: str
    old_own_index: bool
    created_at: float
    updated_at: float
    status: str = PENDING
    error_message: str = ""

    @property
    def index(self) -> IndexRef:
        return IndexRef(self.vector_provider_key, self.vector_index_key)

    @property
    def old_index(self) -> IndexRef:
        return IndexRef(self.vector_provider_key, self.old_index_key)
