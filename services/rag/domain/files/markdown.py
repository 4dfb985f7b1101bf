"""The Markdown of a file: an object beside its content, which comes and goes with the same care."""

import time
from collections.abc import AsyncIterator
from uuid import uuid4

from core.tenancy import Project
from services.rag.domain.files import records
from services.rag.domain.files.buckets import Buckets
from services.rag.domain.files.orphans import OrphanCollector
from services.rag.domain.files.providers import FileProviders
from services.rag.domain.files.records import File, FileRecords, Markdown
from services.rag.domain.files.stores import Stores


class MarkdownFiles:
    """The Markdown of files, which conversions write. Every method takes the file as the conversion read it, and does
    nothing where its content has been replaced since."""

    def __init__(
        self,
        records: FileRecords,
        buckets: Buckets,
        providers: FileProviders,
        stores: Stores,
        orphan_collector: OrphanCollector,
    ) -> None:
        self._records = records
        self._buckets = buckets
        self._providers = providers
        self._stores = stores
        self._orphan_collector = orphan_collector

    async def write(self, project: Project, file: File, content: AsyncIterator[bytes]) -> File | None:
        """Store the Markdown, in place of what there was, and mark the file as converted. None: the file is not there
        any more as it was, and nothing is left. Raises as FileStore.put, and whatever `content` raises."""
        bucket = await self._buckets.by_id(project, file.bucket_id)
        if bucket is None:
            return None
        provider = await self._providers.active(project, bucket.provider_id)
        object_id = uuid4().hex
        intent = await self._orphan_collector.register(project, bucket, (object_id, *file.objects))
        try:
            with await self._stores.use(project, provider) as store:
                stored = await store.put(bucket.location(project), object_id, content)
        except BaseException:  # a cancellation too: nothing of it stays
            await self._orphan_collector.finish(intent, (object_id,))
            raise
        intent = await self._orphan_collector.confirm(intent)
        done = Markdown(records.SUCCEEDED, object_id=object_id, size=stored.size)
        changed = await self._records.set_markdown(project, file, done, time.time())
        old = (file.markdown.object_id,) if file.markdown.object_id else ()
        await self._orphan_collector.finish(intent, (object_id,) if changed is None else old)
        return changed

    async def mark(self, project: Project, file: File, status: str, error: str = "") -> File | None:
        """Say how far the conversion is; `error` why it failed or was skipped. What Markdown there is stays."""
        markdown = Markdown(status, error, file.markdown.object_id, file.markdown.size)
        return await self._records.set_markdown(project, file, markdown, time.time())
