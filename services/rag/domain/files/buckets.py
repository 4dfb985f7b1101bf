"""Buckets: named sets of files in a provider."""

import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import uuid4

import msgspec

from core import fields
from core.errors import Conflict, FailedPrecondition, NotFound
from core.providers.providers import DEFAULT
from core.providers.records import Provider
from core.storage.keys import insert_with_key
from core.storage.ports import DocumentStore
from core.storage.references import Closable, delete_unreferenced, referring
from core.storage.table import Table
from core.tenancy import Project
from services.rag.domain.files import names
from services.rag.domain.files.providers import FileProviders
from services.rag.domain.files.tables import BUCKETS
from services.rag.ports import BucketLocation

W = TypeVar("W")

OPENAI = "openai"
_UNASKED = {DEFAULT: "Default", OPENAI: "OpenAI files"}
"""Buckets that are there without having been made, with their names."""


Room = Callable[[Project], AbstractAsyncContextManager[None]]
"""Holds room for one more bucket in the project. Raises BudgetExceeded."""


class Bucket(Closable, frozen=True):
    """One record."""

    id: str
    key: str
    name: str
    provider_id: str
    provider_key: str
    description: str = ""
    prefix: str = ""
    metadata: Mapping[str, Any] = {}
    created_at: float = 0.0
    updated_at: float = 0.0

    def location(self, project: Project) -> BucketLocation:
        return BucketLocation(project, self.id)


@dataclass(frozen=True, slots=True)
class NewBucket:
    """The values that a bucket is made from; an empty key is made from the name."""

    name: str
    key: str = ""
    description: str = ""
    provider_key: str = ""
    prefix: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


class Buckets:
    """Use cases of buckets. Each takes the project first; another project's records do not exist for it."""

    def __init__(
        self, store: DocumentStore, providers: FileProviders, room: Room = lambda project: nullcontext()
    ) -> None:
        self._room = room
        self._table = Table(store, BUCKETS, Bucket)
        self._providers = providers

    async def create(self, project: Project, new: NewBucket) -> Bucket:
        """Create a bucket. Raises Conflict (the key), NotFound (the provider), InvalidInput."""
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
        stem = fields.slug(name, "bucket")
        for unasked in _UNASKED.keys() & {key, stem}:
            await self.get(project, unasked)  # so that nobody takes its key
        async with self._room(project):
            return await self._in_active_provider(
                project,
                bucket,
                lambda: insert_with_key(
                    self._table, project, lambda key: msgspec.structs.replace(bucket, key=key), key, stem
                ),
            )

    async def get(self, project: Project, key: str) -> Bucket:
        """Raises NotFound."""
        bucket = await self._table.find_one(project, {"key": key})
        if bucket is not None:
            return bucket
        if key in _UNASKED:
            return await self._make_unasked(project, key)
        raise NotFound("There is no such bucket in this project.", reason="BUCKET_NOT_FOUND", field="bucketKey")

    async def by_id(self, project: Project, id: str) -> Bucket | None:
        return await self._table.get(project, id)

    async def page(self, project: Project, *, size: int = 0, token: str = "") -> tuple[list[Bucket], str]:
        """One page, newest first, and the token of the next. Raises InvalidInput."""
        limit = fields.page_size(size, fields.MAX_PAGE)
        await self.get(project, DEFAULT)
        return await self._table.page(project, page_size=limit, page_token=token)

    async def delete(self, project: Project, key: str, files_of: Callable[[str], Awaitable[int]]) -> None:
        """Delete an empty bucket. `files_of` counts the files of a bucket's id. Raises NotFound, FailedPrecondition,
        Conflict."""
        bucket = await self.get(project, key)
        if bucket.key == DEFAULT:
            raise FailedPrecondition("The default bucket stays.", reason="BUCKET_IS_DEFAULT")
        if await delete_unreferenced(self._table, project, bucket.id, lambda: files_of(bucket.id)):
            raise FailedPrecondition("The bucket still holds files. Delete them first.", reason="BUCKET_NOT_EMPTY")

    async def count_in(self, project: Project, provider: Provider) -> int:
        return await self._table.count(project, {"providerId": provider.id})

    async def _make_unasked(self, project: Project, key: str) -> Bucket:
        provider = await self._providers.get(project, DEFAULT)
        now = time.time()
        bucket = Bucket(
            f"bkt_{uuid4().hex}", key, _UNASKED[key], provider.id, provider.key, created_at=now, updated_at=now
        )
        try:
            await self._in_active_provider(project, bucket, lambda: self._table.insert(project, bucket))
        except Conflict:  # made by another call at the same moment
            return await self.get(project, key)
        return bucket

    async def _in_active_provider(self, project: Project, bucket: Bucket, write: Callable[[], Awaitable[W]]) -> W:
        """Write a new bucket. Raises NotFound where its provider is being deleted, FailedPrecondition where it has been
        disabled."""
        return await referring(
            write,
            check=lambda _: self._providers.active(project, bucket.provider_key),
            undo=lambda _: self._table.delete(project, bucket.id),
        )
