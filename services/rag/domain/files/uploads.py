"""An upload: first the content, under an id of its own, then the record that makes it a file.

Whenever the process is killed, there is the old file or the new one, whole: the record changes in one step, and an
upload intent is written before any content that is not, or no longer, a file's (see orphans).
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from uuid import uuid4

import msgspec

from core import fields, logs
from core.audit import changes as audit
from core.errors import Conflict, FailedPrecondition, NotFound, PorticoError, Unavailable, UnsupportedMedia
from core.providers.records import Provider
from core.storage.references import referring
from core.tasks import Tasks
from core.tenancy import Project
from services.rag.domain.files import names, records
from services.rag.domain.files.buckets import Bucket, Buckets
from services.rag.domain.files.conversion import FileConversions
from services.rag.domain.files.orphans import OrphanCollector, UploadIntent
from services.rag.domain.files.quotas import FileQuotas
from services.rag.domain.files.records import File, FileRecords, Markdown
from services.rag.domain.files.rules import Rules
from services.rag.domain.files.stores import Stores
from services.rag.ports import StoredObject

log = logs.get(__name__)

T = TypeVar("T")

_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class NewFile:
    """Description of a new file by its caller. An empty type is taken from the name, an empty key made from it."""

    name: str
    created_by: str
    content_type: str = ""
    key: str = ""
    purpose: str = ""
    position: str = ""
    """See File; empty: that of the moment of the commit."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    convert: bool = False

    def checked(self, rules: Rules) -> "NewFile":
        """The checked values. Raises InvalidInput, UnsupportedMedia."""
        name = names.file_name("fileName", self.name)
        content_type = names.content_type("contentType", self.content_type, name)
        rules.check_type(content_type)
        return replace(
            self,
            name=name,
            content_type=content_type,
            key=names.object_key("keyHint", self.key) if self.key else "",
            metadata=fields.small_json("metadata", self.metadata),
        )


@dataclass(frozen=True, slots=True)
class UploadDeps:
    """The dependencies of uploads."""

    records: FileRecords
    buckets: Buckets
    stores: Stores
    orphan_collector: OrphanCollector
    conversions: FileConversions
    rules: Rules
    tasks: Tasks
    quotas: FileQuotas


class Upload:
    """One upload, as `Files.begin` gives it: write, then commit. Not for several tasks at once."""

    def __init__(self, deps: UploadDeps, project: Project, bucket: Bucket, provider: Provider) -> None:
        self._deps = deps
        self._project = project
        self._bucket = bucket
        self._provider = provider
        self._object_id = uuid4().hex
        self._intent: UploadIntent | None = None
        self._stored: StoredObject | None = None
        self._committing = False

    async def write(self, content: AsyncIterator[bytes]) -> None:
        """Store the content; once. Raises PayloadTooLarge, InsufficientStorage, and whatever `content` raises."""
        self._intent = await self._deps.orphan_collector.register(self._project, self._bucket, (self._object_id,))
        with await self._deps.stores.use(self._project, self._provider) as store:
            async with aclosing(self._measured(content)) as measured:
                self._stored = await store.put(self._bucket.location(self._project), self._object_id, measured)

    @property
    def stored(self) -> StoredObject:
        """The object that was written."""
        assert self._stored is not None
        return self._stored

    async def commit(self, new: NewFile) -> File:
        """Commit the upload, which makes it a file. It goes through to its end even if the caller is cancelled, for
        what it has begun must be known. Raises InvalidInput, NotFound where the bucket was deleted meanwhile, Conflict,
        Unavailable."""
        checked, size = new.checked(self._deps.rules), self.stored.size
        quotas = self._deps.quotas
        await quotas.use(self._bucket.key, self._bucket.provider_key, size)
        async with quotas.room_for_file(self._project, size, lambda: self._size_of(checked.key)):
            self._committing = True
            return await self._to_its_end("commit upload", self._commit(checked))

    async def _size_of(self, key: str) -> int | None:
        """Size of the file that an upload with this key replaces; None: there is none."""
        old = await self._deps.records.find(self._project, self._bucket.id, key) if key else None
        return None if old is None else old.size

    async def abandon(self) -> None:
        """Remove what was written, unless it was committed or may have been. What fails is left to the sweep."""
        if self._intent is None or self._committing:
            return
        try:
            await self._to_its_end(
                "abandon upload", self._deps.orphan_collector.finish(self._intent, (self._object_id,))
            )
        except Unavailable:  # the service ends
            log.warning("an abandoned upload is left for later")

    async def _to_its_end(self, name: str, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, which goes on where the caller is cancelled, and which the service's end waits for."""
        outcome = await asyncio.shield(self._deps.tasks.spawn(name, _outcome(work)))
        if isinstance(outcome, PorticoError):
            raise outcome
        return outcome

    async def _measured(self, content: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        size = 0
        async for chunk in content:
            size += len(chunk)
            self._deps.rules.check_size(size)
            await self._confirm()
            yield chunk

    async def _confirm(self) -> None:
        assert self._intent is not None
        if self._deps.orphan_collector.expiring(self._intent):
            self._intent = await self._deps.orphan_collector.confirm(self._intent)

    async def _commit(self, new: NewFile) -> File:
        assert self._intent is not None
        orphan_collector = self._deps.orphan_collector
        file, gone = await self._record(self._file(new), given_key=bool(new.key))
        audit.change().resource_id = file.path
        if new.convert:
            file, begun = await self._convert(file)
            if not begun:
                return file  # the sweep begins it, because of the upload intent
        await orphan_collector.finish(self._intent, gone)
        return file

    def _file(self, new: NewFile) -> File:
        assert self._stored is not None
        now = time.time()
        return File(
            id=f"fil_{uuid4().hex}",
            key=new.key or names.automatic_key(self._bucket.prefix, new.name, int(now * 1000)),
            bucket_id=self._bucket.id,
            bucket_key=self._bucket.key,
            provider_key=self._bucket.provider_key,
            name=new.name,
            size=self._stored.size,
            content_type=new.content_type,
            checksum=self._stored.sha256,
            object_id=self._object_id,
            position=new.position or records.position_at(now),
            created_by=new.created_by,
            created_at=now,
            updated_at=now,
            purpose=new.purpose,
            metadata=new.metadata,
            markdown_status=records.PENDING if new.convert else records.NONE,
            stored_at=now,
        )

    async def _record(self, file: File, *, given_key: bool) -> tuple[File, tuple[str, ...]]:
        """The file as it is recorded, and the objects that it replaced."""
        assert self._intent is not None
        for _ in range(_ATTEMPTS):
            old = await self._deps.records.find(self._project, self._bucket.id, file.key) if given_key else None
            if old is None:
                await self._confirm()
                if await referring(
                    lambda: self._deps.records.insert(self._project, file),
                    check=lambda _: self._check_bucket(),
                    undo=lambda inserted: self._take_back(file, inserted),
                ):
                    return file, ()
            else:
                self._intent = await self._deps.orphan_collector.confirm(self._intent, old.objects)
                new = msgspec.structs.replace(file, id=old.id, created_at=old.created_at, position=old.position)
                replaced = await self._deps.records.replace(self._project, old, new)
                if replaced is not None:
                    return replaced, old.objects
        raise Conflict("The file is being replaced by others. Try again.", reason="CHANGED_MEANWHILE")

    async def _check_bucket(self) -> None:
        """Raises NotFound where the bucket is being deleted."""
        bucket = await self._deps.buckets.by_id(self._project, self._bucket.id)
        if bucket is None or bucket.closing:
            raise NotFound("The bucket is being deleted.", reason="BUCKET_NOT_FOUND", field="bucketKey")

    async def _take_back(self, file: File, inserted: bool) -> None:
        assert self._intent is not None
        if inserted and await self._deps.records.remove(self._project, file):
            await self._deps.orphan_collector.finish(self._intent, file.objects)

    async def _convert(self, file: File) -> tuple[File, bool]:
        """The file, and whether its conversion has begun or never will."""
        try:
            return await self._deps.conversions.request(self._project, file), True
        except UnsupportedMedia as error:
            skipped = Markdown(records.SKIPPED, error.message)
            changed = await self._deps.records.set_markdown(self._project, file, skipped, time.time())
            return changed or file, True
        except PorticoError as error:  # the file is there: its upload has not failed
            log.warning("conversion is left for later", reason=error.reason)
            return file, False


def check_open(bucket: Bucket) -> None:
    """Raises FailedPrecondition."""
    if bucket.closing:
        raise FailedPrecondition("The bucket is being deleted.", reason="BUCKET_CLOSING", field="bucketKey")


async def _outcome(work: Coroutine[Any, Any, T]) -> T | PorticoError:
    try:
        return await work
    except PorticoError as error:
        return error
