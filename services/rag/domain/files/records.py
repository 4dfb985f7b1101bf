"""The records of files. A change names the content that it is about: a file replaced meanwhile stays as it is."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from core.errors import Conflict
from core.storage.ports import Cond, DocumentStore, Op, Order
from core.storage.table import Record, Table
from core.tenancy import Project
from services.rag.domain.files.tables import FILES
from services.rag.ports import etag_of

NONE, PENDING, RUNNING, SUCCEEDED, FAILED, SKIPPED = "none", "pending", "running", "succeeded", "failed", "skipped"


@dataclass(frozen=True, slots=True)
class Markdown:
    """The state of the conversion. `object_id` is where the Markdown lies, once there is some."""

    status: str = NONE
    error: str = ""
    object_id: str = ""
    size: int = 0

    def fields(self) -> dict[str, Any]:
        """Fields of the file's record; None for those that it lacks."""
        return {
            "markdown_status": self.status,
            "markdown_error": self.error or None,
            "markdown_object_id": self.object_id or None,
            "markdown_size": self.size or None,
        }


class File(Record, frozen=True):
    """One record. `object_id` names its content in the store, and is new with every content."""

    id: str
    key: str
    bucket_id: str
    bucket_key: str
    provider_key: str
    name: str
    size: int
    content_type: str
    checksum: str
    object_id: str
    position: str
    """Orders the bucket's files by the time they were made; unique."""
    created_by: str
    created_at: float
    updated_at: float
    purpose: str = ""
    metadata: Mapping[str, Any] = {}
    markdown_status: str = NONE
    markdown_error: str | None = None
    markdown_object_id: str | None = None
    markdown_size: int | None = None
    stored_at: float | None = None
    """Time at which its content was stored; None: not known."""

    @property
    def markdown(self) -> Markdown:
        return Markdown(
            self.markdown_status, self.markdown_error or "", self.markdown_object_id or "", self.markdown_size or 0
        )

    @property
    def path(self) -> str:
        """Bucket and key, as the audit log names a file."""
        return f"{self.bucket_key}/{self.key}"

    @property
    def etag(self) -> str:
        return etag_of(self.checksum)

    @property
    def objects(self) -> tuple[str, ...]:
        """Ids of all its objects in the file store."""
        return tuple(each for each in (self.object_id, self.markdown.object_id) if each)


def position_at(seconds: float) -> str:
    return f"{int(seconds * 1e6):016x}{secrets.token_hex(4)}"


class FileRecords:
    """Each method takes the project first; what is another's is not there."""

    def __init__(self, store: DocumentStore) -> None:
        self._table = Table(store, FILES, File)

    async def find(self, project: Project, bucket_id: str, key: str) -> File | None:
        return await self._table.find_one(project, {"bucketId": bucket_id, "key": key})

    async def get(self, project: Project, id: str) -> File | None:
        return await self._table.get(project, id)

    async def with_object(self, project: Project, object_id: str) -> File | None:
        """The file whose content or Markdown this is."""
        found = await self._table.find_one(project, {"objectId": object_id})
        return found or await self._table.find_one(project, {"markdownObjectId": object_id})

    async def insert(self, project: Project, file: File) -> bool:
        """False: there is a file with its key."""
        try:
            await self._table.insert(project, file)
        except Conflict:
            return False
        return True

    async def replace(self, project: Project, old: File, new: File) -> File | None:
        """`old`, whose id stays, becomes `new`; None: it is not there any more as it was, Markdown included."""
        fields = msgspec.structs.asdict(new)
        del fields["id"]
        return await self._table.update(project, old.id, where=_as_it_was(old), **fields)

    async def set_markdown(
        self, project: Project, file: File, markdown: Markdown, now: float, *, untouched: bool = False
    ) -> File | None:
        """None: the file is not there any more with this content and this Markdown; `untouched`: it has changed."""
        where = _as_it_was(file)
        if untouched:
            where["updatedAt"] = file.updated_at
        return await self._table.update(project, file.id, where=where, **markdown.fields(), updated_at=now)

    async def remove(self, project: Project, file: File) -> bool:
        """False: it is not there any more as it was."""
        return await self._table.delete_where(project, {"id": file.id, **_as_it_was(file)}) > 0

    async def by_key(self, project: Project, bucket_id: str, after: str, size: int) -> tuple[list[File], bool]:
        """Files of a bucket whose keys come after one, at most `size`, and whether there are more."""
        where = {"bucketId": bucket_id, "key": Cond(Op.GT, after)}
        return await self._page(project, where, Order("key", descending=False), size)

    async def by_time(
        self, project: Project, bucket_id: str, purpose: str, after: str, size: int, *, descending: bool
    ) -> tuple[list[File], bool]:
        """Files of a bucket behind a position (empty: all), at most `size`, and whether there are more."""
        where: dict[str, Any] = {"bucketId": bucket_id}
        if purpose:
            where["purpose"] = purpose
        if after:
            where["position"] = Cond(Op.LT if descending else Op.GT, after)
        return await self._page(project, where, Order("position", descending=descending), size)

    async def count(self, project: Project, bucket_id: str) -> int:
        return await self._table.count(project, {"bucketId": bucket_id})

    async def _page(
        self, project: Project, where: Mapping[str, Any], order: Order, size: int
    ) -> tuple[list[File], bool]:
        files, following = await self._table.page(project, where, order=order, page_size=size)
        return files, bool(following)


def _as_it_was(file: File) -> dict[str, Any]:
    """A `where` that holds while the file has this content and this Markdown."""
    return {"objectId": file.object_id, "markdownObjectId": file.markdown_object_id}
