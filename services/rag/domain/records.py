"""The records of files. A change names the content that it is about: a file replaced meanwhile stays as it is."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.errors import Conflict
from core.storage.ports import Cond, Document, DocumentStore, Op, Order
from core.tenancy import Project
from services.rag.domain.tables import FILES
from services.rag.ports import etag_of

NONE, PENDING, RUNNING, SUCCEEDED, FAILED, SKIPPED = "none", "pending", "running", "succeeded", "failed", "skipped"


@dataclass(frozen=True, slots=True)
class Markdown:
    """What has become of the conversion. `object_id` is where the Markdown lies, once there is some."""

    status: str = NONE
    error: str = ""
    object_id: str = ""
    size: int = 0

    def fields(self) -> Document:
        return {
            "markdownStatus": self.status,
            "markdownError": self.error or None,
            "markdownObjectId": self.object_id or None,
            "markdownSize": self.size or None,
        }


@dataclass(frozen=True, slots=True)
class File:
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
    metadata: Mapping[str, Any] = field(default_factory=dict)
    markdown: Markdown = Markdown()
    stored_at: float = 0.0
    """When its content was stored; 0: not known."""

    @property
    def path(self) -> str:
        """Bucket and key, as the audit log names a file."""
        return f"{self.bucket_key}/{self.key}"

    @property
    def etag(self) -> str:
        return etag_of(self.checksum)

    @property
    def objects(self) -> tuple[str, ...]:
        """Everything of it that lies in the store."""
        return tuple(each for each in (self.object_id, self.markdown.object_id) if each)

    def fields(self) -> Document:
        """All but its id; None for what it does not have."""
        return {
            "key": self.key,
            "bucketId": self.bucket_id,
            "bucketKey": self.bucket_key,
            "providerKey": self.provider_key,
            "name": self.name,
            "size": self.size,
            "contentType": self.content_type,
            "checksum": self.checksum,
            "objectId": self.object_id,
            "position": self.position,
            "createdBy": self.created_by,
            "createdAt": self.created_at,
            "updatedAt": self.updated_at,
            "purpose": self.purpose,
            "metadata": dict(self.metadata),
            "storedAt": self.stored_at or None,
            **self.markdown.fields(),
        }


def file_of(document: Document) -> File:
    return File(
        id=document["id"],
        key=document["key"],
        bucket_id=document["bucketId"],
        bucket_key=document["bucketKey"],
        provider_key=document["providerKey"],
        name=document["name"],
        size=document["size"],
        content_type=document["contentType"],
        checksum=document["checksum"],
        object_id=document["objectId"],
        position=document["position"],
        created_by=document["createdBy"],
        created_at=document["createdAt"],
        updated_at=document["updatedAt"],
        purpose=document.get("purpose", ""),
        metadata=document.get("metadata") or {},
        markdown=Markdown(
            document["markdownStatus"],
            document.get("markdownError", ""),
            document.get("markdownObjectId", ""),
            document.get("markdownSize", 0),
        ),
        stored_at=document.get("storedAt", 0.0),
    )


def position_at(seconds: float) -> str:
    return f"{int(seconds * 1e6):016x}{secrets.token_hex(4)}"


class FileRecords:
    """Each method takes the project first; what is another's is not there."""

    def __init__(self, store: DocumentStore) -> None:
        self._store = store

    async def find(self, project: Project, bucket_id: str, key: str) -> File | None:
        return await self._find(project, {"bucketId": bucket_id, "key": key})

    async def get(self, project: Project, id: str) -> File | None:
        document = await self._store.get(project, FILES, id)
        return file_of(document) if document else None

    async def with_object(self, project: Project, object_id: str) -> File | None:
        """The file whose content or Markdown this is."""
        found = await self._find(project, {"objectId": object_id})
        return found or await self._find(project, {"markdownObjectId": object_id})

    async def insert(self, project: Project, file: File) -> bool:
        """False: there is a file with its key."""
        kept = {name: value for name, value in file.fields().items() if value is not None}
        try:
            await self._store.insert(project, FILES, {"id": file.id, **kept})
        except Conflict:
            return False
        return True

    async def replace(self, project: Project, old: File, new: File) -> File | None:
        """`old`, whose id stays, becomes `new`; None: it is not there any more as it was, Markdown included."""
        where = {"objectId": old.object_id, "markdownObjectId": old.markdown.object_id or None}
        changed = await self._store.update(project, FILES, old.id, new.fields(), where=where)
        return file_of(changed) if changed else None

    async def set_markdown(
        self, project: Project, file: File, markdown: Markdown, now: float, *, untouched: bool = False
    ) -> File | None:
        """None: the file is not there any more with this content and this Markdown; `untouched`: it has changed."""
        where: dict[str, Any] = {"objectId": file.object_id, "markdownObjectId": file.markdown.object_id or None}
        if untouched:
            where["updatedAt"] = file.updated_at
        changes = {**markdown.fields(), "updatedAt": now}
        changed = await self._store.update(project, FILES, file.id, changes, where=where)
        return file_of(changed) if changed else None

    async def remove(self, project: Project, file: File) -> bool:
        """False: it is not there any more as it was."""
        where = {"id": file.id, "objectId": file.object_id, "markdownObjectId": file.markdown.object_id or None}
        return await self._store.delete_where(project, FILES, where) > 0

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
        return await self._store.count(project, FILES, {"bucketId": bucket_id})

    async def _page(
        self, project: Project, where: Mapping[str, Any], order: Order, size: int
    ) -> tuple[list[File], bool]:
        page = await self._store.find(project, FILES, where, order=order, page_size=size)
        return [file_of(each) for each in page.items], bool(page.next_token)

    async def _find(self, project: Project, where: Mapping[str, Any]) -> File | None:
        document = await self._store.find_one(project, FILES, where)
        return file_of(document) if document else None
