"""Removal of orphans: objects in file stores that belong to no file.

Objects and records lie in two places, so no change of both is one step. Whoever is about to write an object, or to take
one from a file, first records an upload intent, which goes when all is done. One that stays behind, because the process
was killed, is settled by the sweep: it removes those of its objects that no file has. Every content is an object of its
own, with an id that is never used again, so that what no file has is nobody's.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from uuid import uuid4

from core import logs
from core.errors import NotFound, PorticoError, Unavailable
from core.storage.ports import Cond, DocumentStore, Op, Order
from core.storage.table import Record, Table
from core.tenancy import MAIN, Project, Tenant
from services.rag.domain.files.buckets import Bucket
from services.rag.domain.files.providers import FileProviders
from services.rag.domain.files.records import File, FileRecords
from services.rag.domain.files.stores import Stores
from services.rag.domain.files.tables import UPLOAD_INTENTS
from services.rag.ports import BucketLocation

log = logs.get(__name__)

Kept = Callable[[Project, File], Awaitable[object]]
"""Called for a file that exists and that an upload intent was about."""

SETTLE_SECONDS = 60.0
"""Seconds for removing the objects of one upload intent."""


class UploadIntent(Record, frozen=True):
    """Some objects of one place, in the store of one provider."""

    id: str
    tenant: str
    project: str
    bucket_id: str
    provider_id: str
    objects: tuple[str, ...]
    due_at: float
    """Time at which the sweep looks at it, unless whoever wrote it is still at work."""
    swept: bool | None = None
    """True if a sweep has taken it."""

    @property
    def location(self) -> BucketLocation:
        return BucketLocation(Project(Tenant(self.tenant), self.project), self.bucket_id)


async def _ignore(project: Project, file: File) -> None:
    """Default listener: do nothing."""


class OrphanCollector:
    """`grace` is how long, in seconds, an upload intent is left alone after it was last confirmed."""

    def __init__(
        self,
        store: DocumentStore,
        records: FileRecords,
        providers: FileProviders,
        stores: Stores,
        *,
        grace: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._table = Table(store, UPLOAD_INTENTS, UploadIntent)
        self._records = records
        self._providers = providers
        self._stores = stores
        self._grace = grace
        self._kept: Kept = _ignore
        self._clock = clock

    def handle_kept(self, kept: Kept) -> None:
        """Await `kept` for every file that an upload intent was about and that exists. Before the first sweep."""
        self._kept = kept

    async def register(self, project: Project, bucket: Bucket, objects: Sequence[str]) -> UploadIntent:
        """Register an upload intent, durable on return: from now on these objects do not stay without a file."""
        due_at = self._clock() + self._grace
        id, tenant = f"lft_{uuid4().hex}", project.tenant.slug
        intent = UploadIntent(id, tenant, project.id, bucket.id, bucket.provider_id, tuple(objects), due_at)
        await self._table.insert(MAIN, intent)
        return intent

    def expiring(self, intent: UploadIntent) -> bool:
        """Return whether it is time to confirm the upload intent."""
        return self._clock() > intent.due_at - 0.75 * self._grace

    async def confirm(self, intent: UploadIntent, objects: Sequence[str] = ()) -> UploadIntent:
        """Confirm an upload intent, now with these objects as well. Raises Unavailable where the sweep has taken it,
        and the objects may be gone."""
        whole = tuple(dict.fromkeys((*intent.objects, *objects)))
        due_at = self._clock() + self._grace
        changed = await self._table.update(MAIN, intent.id, where={"swept": None}, objects=whole, due_at=due_at)
        if changed is None:
            raise Unavailable("The file took too long to come. Send it again.", reason="UPLOAD_EXPIRED")
        return changed

    async def finish(self, intent: UploadIntent, orphans: Sequence[str]) -> None:
        """Remove the objects that are known to be orphans, and the intent. What fails is left to the sweep."""
        try:
            await self._finish(intent, orphans)
        except PorticoError as error:
            log.warning("objects are left for later", reason=error.reason, provider=intent.provider_id)

    async def count(self, project: Project, provider_id: str = "") -> int:
        """Upload intents of the project, or of one provider in it: work under way, or cut off and not settled yet."""
        where = {"tenant": project.tenant.slug, "project": project.id}
        if provider_id:
            where["providerId"] = provider_id
        return await self._table.count(MAIN, where)

    async def sweep(self) -> int:
        """Settle expired upload intents. Returns how many there were. A provider that fails is left alone until the
        next sweep: the others' upload intents do not wait for it again and again."""
        due = {"dueAt": Cond(Op.LTE, self._clock())}
        failing: set[tuple[Project, str]] = set()
        count = 0
        async for intent in self._table.scan(MAIN, due, order=Order("dueAt", descending=False)):
            if (intent.location.scope, intent.provider_id) not in failing:
                count += await self._claim(intent, failing)
        return count

    async def _claim(self, intent: UploadIntent, failing: set[tuple[Project, str]]) -> bool:
        """One of several sweeps takes it, and whoever wrote it may not go on. It comes again if this one fails."""
        due_at, where = self._clock() + self._grace, {"dueAt": intent.due_at}
        if await self._table.update(MAIN, intent.id, where=where, swept=True, due_at=due_at) is None:
            return False
        try:
            async with asyncio.timeout(SETTLE_SECONDS):
                await self._settle(intent)
        except (PorticoError, TimeoutError) as error:
            reason = error.reason if isinstance(error, PorticoError) else "TIMEOUT"
            log.warning("objects are left for later", reason=reason, provider=intent.provider_id)
            failing.add((intent.location.scope, intent.provider_id))
        return True

    async def _settle(self, intent: UploadIntent) -> None:
        project = intent.location.scope
        owners = {each: await self._records.with_object(project, each) for each in intent.objects}
        for file in {file.id: file for file in owners.values() if file is not None}.values():
            await self._kept(project, file)
        await self._finish(intent, [each for each, file in owners.items() if file is None])

    async def _finish(self, intent: UploadIntent, orphans: Sequence[str]) -> None:
        if orphans:
            await self._remove(intent, orphans)
        await self._table.delete(MAIN, intent.id)

    async def _remove(self, intent: UploadIntent, objects: Sequence[str]) -> None:
        try:
            provider = await self._providers.get(intent.location.scope, intent.provider_id)
        except NotFound:
            log.warning("objects of a deleted provider are left in it", count=len(objects))
            return
        with await self._stores.use(intent.location.scope, provider) as store:
            for object_id in objects:
                await store.delete(intent.location, object_id)
