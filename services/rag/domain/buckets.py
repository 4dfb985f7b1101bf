"""Buckets: named sets of files in a provider."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from core import fields
from core.errors import Conflict, FailedPrecondition, NotFound
from core.providers.providers import DEFAULT
from core.providers.records import Provider
from core.storage.keys import insert_with_key
from core.storage.ports import Document, DocumentStore
from core.storage.unused import delete_unused
from core.tenancy import Project
from services.rag.domain import names
from services.rag.domain.providers import FileProviders
from services.rag.domain.tables import BUCKETS
from services.rag.ports import BucketLocation

OPENAI = "openai"
_UNASKED = {DEFAULT: "Default", OPENAI: "OpenAI files"}
"""Buckets that are there without having been made, with their names."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """One record."""

    id: str
    key: str
    name: str
    provider_id: str
    provider_key: str
    description: str = ""
    prefix: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    closing: bool = False
    """It is being deleted: no file begins in it any more."""
    created_at: float = 0.0
    updated_at: float = 0.0

    def location(self, project: Project) -> BucketLocation:
        return BucketLocation(project, self.id)

    def document(self) -> Document:
        return {
            "id": self.id,
            "key": self.key,
            "name": self.name,
            "providerId": self.provider_id,
            "providerKey": self.provider_key,
            "description": self.description,
            "prefix": self.prefix,
            "metadata": dict(self.metadata),
            "createdAt": self.created_at,
            "updatedAt": self.updated_at,
        }


def bucket_of(document: Document) -> Bucket:
    return Bucket(
        id=document["id"],
        key=document["key"],
        name=document["name"],
        provider_id=document["providerId"],
        provider_key=document["providerKey"],
        description=document["description"],
        prefix=document["prefix"],
        metadata=document["metadata"],
        closing=bool(document.get("closing")),
        created_at=document["createdAt"],
        updated_at=document["updatedAt"],
    )


@dataclass(frozen=True, slots=True)
class NewBucket:
    """What a bucket is made from; an empty key is made from the name."""

    name: str
    key: str = ""
    description: str = ""
    provider_key: str = ""
    prefix: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


class Buckets:
    """Use cases. Each takes the project first; what is another's is not there."""

    def __init__(self, store: DocumentStore, providers: FileProviders) -> None:
        self._store = store
        self._providers = providers

    async def create(self, project: Project, new: NewBucket) -> Bucket:
        """Raises Conflict (the key), NotFound (the provider), InvalidInput."""
        name = fields.text("name", new.name, at_least=1, at_most=200)
        key = fields.key("key", new.key) if new.key else ""
        description = fields.text("description", new.description, at_most=2000)
        prefix = names.prefix("prefix", new.prefix)
        metadata = fields.small_json("metadata", new.metadata)
        provider = await self._providers.active(project, new.provider_key or DEFAULT)
        now = time.time()
        bucket = Bucket(
            id=f"bkt_{uuid4().hex}",
            key=key,
            name=name,
            provider_id=provider.id,
            provider_key=provider.key,
            description=description,
            prefix=prefix,
            metadata=metadata,
            created_at=now,
            updated_at=now,
        )
        made = await self._insert(project, bucket, fields.slug(name, "bucket"))
        await self._confirm(project, made, provider)
        return made

    async def get(self, project: Project, key: str) -> Bucket:
        """Raises NotFound."""
        document = await self._store.find_one(project, BUCKETS, {"key": key})
        if document is not None:
            return bucket_of(document)
        if key in _UNASKED:
            return await self._make_unasked(project, key)
        raise NotFound("There is no such bucket in this project.", reason="BUCKET_NOT_FOUND", field="bucketKey")

    async def by_id(self, project: Project, id: str) -> Bucket | None:
        document = await self._store.get(project, BUCKETS, id)
        return bucket_of(document) if document else None

    async def page(self, project: Project, *, size: int = 0, token: str = "") -> tuple[list[Bucket], str]:
        """One page, newest first, and the token of the next. Raises InvalidInput."""
        limit = fields.page_size(size, fields.MAX_PAGE)
        await self.get(project, DEFAULT)
        page = await self._store.find(project, BUCKETS, page_size=limit, page_token=token)
        return [bucket_of(each) for each in page.items], page.next_token

    async def delete(self, project: Project, key: str, files_of: Callable[[str], Awaitable[int]]) -> None:
        """`files_of` counts the files of a bucket's id. Raises NotFound, FailedPrecondition, Conflict."""
        bucket = await self.get(project, key)
        if bucket.key == DEFAULT:
            raise FailedPrecondition("The default bucket stays.", reason="BUCKET_IS_DEFAULT")
        if await delete_unused(self._store, project, BUCKETS, bucket.id, lambda: files_of(bucket.id)):
            raise FailedPrecondition("The bucket still holds files. Delete them first.", reason="BUCKET_NOT_EMPTY")

    async def count_in(self, project: Project, provider: Provider) -> int:
        return await self._store.count(project, BUCKETS, {"providerId": provider.id})

    async def _make_unasked(self, project: Project, key: str) -> Bucket:
        provider = await self._providers.get(project, DEFAULT)
        now = time.time()
        bucket = Bucket(
            f"bkt_{uuid4().hex}", key, _UNASKED[key], provider.id, provider.key, created_at=now, updated_at=now
        )
        try:
            await self._store.insert(project, BUCKETS, bucket.document())
        except Conflict:  # made by another call at the same moment
            return await self.get(project, key)
        await self._confirm(project, bucket, provider)
        return bucket

    async def _insert(self, project: Project, bucket: Bucket, stem: str) -> Bucket:
        """Under its own key, or one made from `stem`. Raises Conflict."""
        for unasked in _UNASKED.keys() & {bucket.key, stem}:
            await self.get(project, unasked)  # so that nobody takes its key
        return bucket_of(await insert_with_key(self._store, project, BUCKETS, bucket.document(), stem))

    async def _confirm(self, project: Project, bucket: Bucket, provider: Provider) -> None:
        """Takes the new bucket back where its provider was being deleted meanwhile."""
        try:
            await self._providers.active(project, provider.key)
        except (NotFound, FailedPrecondition):
            await self._store.delete(project, BUCKETS, bucket.id)
            raise
