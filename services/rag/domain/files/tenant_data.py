"""The contents of a tenant's files, for backup, restore and erasure. Their records are in the document store."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractContextManager, aclosing

from core import logs
from core.errors import InvalidInput, NotFound
from core.storage.ports import DocumentStore
from core.storage.scan import scan
from core.storage.table import from_document
from core.tenancy import AllProjects, Project, Tenant
from core.tenant_data import MAX_CHUNK, Chunk, entries_of
from services.rag.domain.files.buckets import Buckets
from services.rag.domain.files.providers import FileProviders
from services.rag.domain.files.records import File
from services.rag.domain.files.stores import Stores
from services.rag.domain.files.tables import FILES
from services.rag.ports import BucketLocation, FileStore, LocalFileStore

log = logs.get(__name__)


class FileContents:
    """A `core.tenant_data.TenantData`. An entry is an object, named `<project>/<bucket id>/<object id>`; those at a
    tenant's own provider are among them. `local` is the service's own folder."""

    kind = "files"

    def __init__(
        self, store: DocumentStore, buckets: Buckets, providers: FileProviders, stores: Stores, local: LocalFileStore
    ) -> None:
        self._store = store
        self._buckets = buckets
        self._providers = providers
        self._stores = stores
        self._local = local

    async def export(self, tenant: Tenant) -> AsyncGenerator[Chunk, None]:
        async for document in scan(self._store, AllProjects(tenant), FILES):
            file, project = from_document(File, document), Project(tenant, document["project"])
            for object_id in file.objects:
                async with aclosing(self._export_object(project, file.bucket_id, object_id)) as found:
                    async for chunk in found:
                        yield chunk

    async def _export_object(self, project: Project, bucket_id: str, object_id: str) -> AsyncGenerator[Chunk, None]:
        name = f"{project.id}/{bucket_id}/{object_id}"
        try:
            with await self._store_of(project, bucket_id) as store:
                yield name, b""  # an empty file has an entry too
                async with aclosing(store.get(BucketLocation(project, bucket_id), object_id)) as chunks:
                    async for chunk in chunks:
                        for start in range(0, len(chunk), MAX_CHUNK):
                            yield name, chunk[start : start + MAX_CHUNK]
        except NotFound:
            log.info("file removed while it was backed up", tenant=project.tenant.slug, project=project.id)

    async def restore(self, tenant: Tenant, chunks: AsyncIterator[Chunk]) -> int:
        count = 0
        async for name, content in entries_of(chunks):
            project, bucket_id, object_id = _parsed(tenant, name)
            with await self._store_of(project, bucket_id) as store:
                await store.put(BucketLocation(project, bucket_id), object_id, content)
            count += 1
        return count

    async def erase(self, tenant: Tenant) -> None:
        await self._local.clear_tenant(tenant)

    async def _store_of(self, project: Project, bucket_id: str) -> AbstractContextManager[FileStore]:
        """Use the store of a bucket. Raises NotFound for a bucket that is not there any more."""
        bucket = await self._buckets.by_id(project, bucket_id)
        if bucket is None:
            raise NotFound("There is no such bucket.", field="bucket")
        provider = await self._providers.get(project, bucket.provider_id)
        return await self._stores.use(project, provider)


def _parsed(tenant: Tenant, name: str) -> tuple[Project, str, str]:
    """Project, bucket id and object id of an entry. Raises InvalidInput."""
    try:
        project_id, bucket_id, object_id = name.split("/")
        project = Project(tenant, project_id)
        BucketLocation(project, bucket_id)
    except ValueError:
        raise InvalidInput(f"{name!r} is no entry of files.", reason="ARCHIVE_DAMAGED", field="entry") from None
    return project, bucket_id, object_id
