"""The contents of files, read from their file stores."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from core.errors import NotFound
from core.tenancy import Project
from services.rag.domain.files.buckets import Buckets
from services.rag.domain.files.providers import FileProviders
from services.rag.domain.files.records import File
from services.rag.domain.files.stores import Stores


class Contents:
    def __init__(self, buckets: Buckets, providers: FileProviders, stores: Stores) -> None:
        self._buckets = buckets
        self._providers = providers
        self._stores = stores

    async def read(
        self, project: Project, file: File, object_id: str, offset: int, length: int
    ) -> AsyncGenerator[bytes, None]:
        """`length` bytes of an object of the file, from `offset` on. Raises NotFound where it is not there any more,
        FailedPrecondition, Unavailable."""
        bucket = await self._buckets.by_id(project, file.bucket_id)
        if bucket is None:
            raise NotFound("There is no such bucket in this project.", reason="BUCKET_NOT_FOUND", field="bucketKey")
        provider = await self._providers.active(project, bucket.provider_id)
        with await self._stores.use(project, provider) as store:
            async with aclosing(store.get(bucket.location(project), object_id, offset, length)) as chunks:
                async for chunk in chunks:
                    yield chunk
