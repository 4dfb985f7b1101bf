"""Vector stores, files and batches as callers see them: views of modules and documents. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.rag.domain.vector_stores.values import StaticChunks

IN_PROGRESS, COMPLETED, FAILED, CANCELLED, EXPIRED = "in_progress", "completed", "failed", "cancelled", "expired"
FILE_STATUSES = (IN_PROGRESS, COMPLETED, FAILED, CANCELLED)


@dataclass(frozen=True, slots=True)
class Counts:
    """Number of files by their status."""

    in_progress: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0

    @property
    def total(self) -> int:
        return self.in_progress + self.completed + self.failed + self.cancelled


@dataclass(frozen=True, slots=True)
class Store:
    """A vector store. Times are Unix seconds."""

    id: str
    name: str
    description: str
    metadata: Mapping[str, Any]
    created_at: float
    last_active_at: float
    expires_days: int | None
    expired: bool
    counts: Counts
    usage_bytes: int

    @property
    def expires_at(self) -> float | None:
        return None if self.expires_days is None else self.last_active_at + self.expires_days * 86_400

    @property
    def status(self) -> str:
        if self.expired:
            return EXPIRED
        return IN_PROGRESS if self.counts.in_progress else COMPLETED


@dataclass(frozen=True, slots=True)
class FileError:
    """`code`: server_error, unsupported_file or invalid_file."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class StoreFile:
    """A file of a vector store."""

    id: str
    store_id: str
    created_at: float
    status: str
    attributes: Mapping[str, Any]
    chunks: StaticChunks
    usage_bytes: int
    error: FileError | None


@dataclass(frozen=True, slots=True)
class Batch:
    """Files that were added together."""

    id: str
    store_id: str
    created_at: float
    counts: Counts

    @property
    def status(self) -> str:
        if self.counts.in_progress:
            return IN_PROGRESS
        if self.counts.cancelled:
            return CANCELLED
        return COMPLETED if self.counts.completed or not self.counts.failed else FAILED
