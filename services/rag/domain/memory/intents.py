"""Intents: changes of vector indexes that may be cut off, and times at which vectors expire.

A memory and its vector lie in two places, so no change of both is one step. The record decides what is there: a vector
that no record names is nobody's, and no search shows it. Whoever is about to write or orphan vectors first registers an
intent, durably, and drops it when all is done. One that stays behind, because the process was killed, falls due, and
`Cleanup` removes those of its vectors that no record names.
"""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final
from uuid import uuid4

from core.errors import Unavailable
from core.storage.ports import Cond, DocumentStore, Op, Order
from core.storage.table import Record, Table
from core.tenancy import MAIN, Project, Tenant
from services.rag.domain.memory.records import MemoryStore
from services.rag.domain.memory.tables import MEMORY_INTENTS
from services.rag.ports import IndexRef

VECTORS: Final = "vectors"
STORE: Final = "store"
EXPIRY: Final = "expiry"
_EXPIRY_SLACK_SECONDS = 60.0
_MAX_ARMED = 10_000


class Intent(Record, frozen=True):
    """`kind` says what may be left: some vectors, a whole store with its index, or vectors that expire."""

    id: str
    kind: str
    tenant: str
    project: str
    store_id: str
    provider_key: str
    index_key: str
    due_at: float
    """Time at which the cleanup looks at it, unless whoever wrote it is still at work."""
    vector_ids: tuple[str, ...] = ()

    @property
    def scope(self) -> Project:
        return Project(Tenant(self.tenant), self.project)

    @property
    def index(self) -> IndexRef:
        return IndexRef(self.provider_key, self.index_key)


class Intents:
    """`grace` is how long, in seconds, whoever registers an intent has before the cleanup looks at it."""

    def __init__(self, store: DocumentStore, *, grace: float, clock: Callable[[], float] = time.time) -> None:
        self._table = Table(store, MEMORY_INTENTS, Intent)
        self._grace = grace
        self._clock = clock
        self._armed: dict[str, float] = {}
        """Time at which each store's vectors are known to be looked at."""

    async def register(self, project: Project, kind: str, store: MemoryStore, vector_ids: Sequence[str] = ()) -> Intent:
        """Register an intent, durable on return."""
        intent = Intent(
            id=f"mit_{uuid4().hex}",
            kind=kind,
            tenant=project.tenant.slug,
            project=project.id,
            store_id=store.id,
            provider_key=store.vector_provider_key,
            index_key=store.vector_index_key,
            due_at=self._clock() + self._grace,
            vector_ids=tuple(vector_ids),
        )
        await self._table.insert(MAIN, intent)
        return intent

    async def confirm(self, intent: Intent) -> Intent:
        """Confirm an intent whose change is about to be written. Raises Unavailable where that took so long that the
        cleanup has taken it, and the vectors may be gone."""
        now = self._clock()
        if now < intent.due_at - self._grace / 2:
            return intent
        confirmed = await self._table.update(MAIN, intent.id, where={"dueAt": intent.due_at}, due_at=now + self._grace)
        if confirmed is None:
            raise Unavailable("The change took too long. Send it again.", reason="CHANGE_EXPIRED")
        return confirmed

    async def arm(self, project: Project, store: MemoryStore, expires_at: float) -> None:
        """See to it that the store's vectors are looked at soon after this time. Durable on return."""
        due_at = expires_at + _EXPIRY_SLACK_SECONDS
        if self._clock() < self._armed.get(store.id, 0.0) <= due_at:
            return
        intent = Intent(
            id=f"mex_{store.id}",
            kind=EXPIRY,
            tenant=project.tenant.slug,
            project=project.id,
            store_id=store.id,
            provider_key=store.vector_provider_key,
            index_key=store.vector_index_key,
            due_at=due_at,
        )
        if not await self._table.insert_many(MAIN, [intent]):
            await self._table.update(MAIN, intent.id, where={"dueAt": Cond(Op.GT, due_at)}, due_at=due_at)
        if len(self._armed) >= _MAX_ARMED:
            self._armed.clear()
        self._armed[store.id] = due_at

    async def claim(self, intent: Intent) -> Intent | None:
        """Take a due intent, so that no other process works on it; it falls due again after the grace. None: somebody
        else has it."""
        due_at = self._clock() + self._grace
        return await self._table.update(MAIN, intent.id, where={"dueAt": intent.due_at}, due_at=due_at)

    async def drop(self, intent: Intent) -> None:
        """All is done. One that was changed meanwhile stays."""
        if intent.kind == EXPIRY:
            self._armed.pop(intent.store_id, None)
        await self._table.delete_where(MAIN, {"id": intent.id, "dueAt": intent.due_at})

    async def due(self, project: Project | None = None) -> AsyncIterator[Intent]:
        """The intents that are due, of one project or of all."""
        where: dict[str, object] = {"dueAt": Cond(Op.LTE, self._clock())}
        if project is not None:
            where |= {"tenant": project.tenant.slug, "project": project.id}
        async for intent in self._table.scan(MAIN, where, order=Order("dueAt", descending=False)):
            yield intent

    async def forget(self, project: Project) -> None:
        """Remove all intents of a project whose vectors go with it."""
        await self._table.delete_where(MAIN, {"tenant": project.tenant.slug, "project": project.id})

    async def count(self, project: Project) -> int:
        """Intents of the project: changes under way, or cut off, and times of expiry."""
        return await self._table.count(MAIN, {"tenant": project.tenant.slug, "project": project.id})
