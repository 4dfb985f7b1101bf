"""Revocations of tokens: kept in the store, held in memory, and sent to every watcher at once.

Replicas learn of each other's revocations by reading the store's newest when they are told so, and again and again.
Clocks of machines differ and inserts overtake each other, so a reading goes back to some time before the last one.

The state is shared by all tenants, so no tenant may make it grow without bound: a user's sessions are bounded
(`Sessions`), API tokens expire, and where a tenant has many that are revoked, one cut-off takes their place
(`Compaction`).
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from dataclasses import dataclass
from math import inf

from core import logs
from core.errors import Conflict, Unavailable
from core.revocations import Revocation, Revocations
from core.storage.ports import Cond, Op
from core.tenancy import MAIN
from services.auth.domain.records import RevocationRecord
from services.auth.domain.tables import Tables
from services.auth.ports import Clock

log = logs.get(__name__)

_OVERLAP_SECONDS = 60.0
_KEEP_SECONDS = 60.0
"""Time that an expired revocation stays, for verifiers whose clocks are behind."""
_MAX_BEHIND = 10_000
_BATCH = 1000
"""Revocations that are written at a time, and tokens that one message to a watcher names: some 100 KB, where gRPC takes
messages of 4 MiB."""


@dataclass(frozen=True, slots=True)
class Told:
    """One message to a watcher. `snapshot` begins a snapshot, and with `more` it goes on in the next message."""

    revocations: list[Revocation]
    snapshot: bool = False
    more: bool = False


class Watcher:
    """The queue of one watcher. It is bounded: a watcher that falls behind is cut off and begins anew."""

    def __init__(self) -> None:
        self._pending: list[Revocation] = []
        self._changed = asyncio.Event()
        self._lost = False
        self._ended = False

    def push(self, revocations: Iterable[Revocation]) -> None:
        self._pending += revocations
        if len(self._pending) > _MAX_BEHIND:
            self._pending, self._lost = [], True
        self._changed.set()

    def end(self) -> None:
        self._ended = True
        self._changed.set()

    async def next(self, heartbeat: float) -> list[Revocation] | None:
        """The next revocations; empty after `heartbeat` seconds without any; None: it is over. Raises Unavailable if
        cut off."""
        try:
            async with asyncio.timeout(heartbeat):
                await self._changed.wait()
        except TimeoutError:
            return []
        if self._lost:
            raise Unavailable("This watcher fell behind. Begin anew.", retry_after=0.1)
        if self._ended:
            return None
        news = next(_batches(self._pending))
        del self._pending[: len(news)]
        if not self._pending:
            self._changed.clear()
        return news


class RevocationLog:
    """`applied` is what this very process checks its own callers against. `tell` has the other replicas read anew."""

    def __init__(
        self,
        tables: Tables,
        clock: Clock,
        applied: Revocations,
        *,
        heartbeat: float,
        tell: Callable[[], object] = lambda: None,
    ) -> None:
        self._table = tables.revocations
        self._clock = clock
        self._applied = applied
        self._heartbeat = heartbeat
        self._tell = tell
        self._read_at = 0.0
        self._watchers: set[Watcher] = set()
        self._closed = False

    async def start(self) -> None:
        """Read the revocations in force, page by page."""
        self._read_at = self._clock()
        loaded = Revocations()
        async for record in self._table.scan(MAIN, {}):
            loaded.add([told(record)])
        self._applied.adopt(loaded)

    async def revoke(self, *revocations: Revocation) -> None:
        """Revoke tokens, which are refused everywhere once this has returned and the other services have received
        it."""
        records = [_kept(each, self._clock()) for each in revocations]
        single = [record for record in records if record.token_id]
        for start in range(0, len(single), _BATCH):
            batch = single[start : start + _BATCH]
            await self._table.insert_many(MAIN, batch)
            self.learn(batch)
        for record in records:
            if not record.token_id:
                await self._cut_off(record)
        self._tell()

    async def poll(self) -> None:
        """Learn what other replicas have revoked since the last reading, or some time before."""
        since = {"createdAt": Cond(Op.GTE, self._read_at - _OVERLAP_SECONDS)}
        read_at = self._clock()
        self.learn([record async for record in self._table.scan(MAIN, since)])
        self._read_at = read_at

    async def prune(self) -> None:
        """Remove revocations that concern only expired tokens."""
        before = self._clock() - _KEEP_SECONDS
        await self._table.delete_where(MAIN, {"expiresAt": (Cond(Op.GT, 0), Cond(Op.LT, before))})
        self._applied.prune(before)

    async def watch(self) -> AsyncGenerator[Told, None]:
        """Watch revocations: all in force, then new ones as they come, empty as a heartbeat. Ends at `close`."""
        if self._closed:
            raise Unavailable("The auth service is stopping. Ask another replica.", retry_after=0.5)
        watcher = Watcher()
        self._watchers.add(watcher)  # first, so that what is revoked while the snapshot is on its way comes as news
        try:
            for told_now in self._snapshot():
                yield told_now
            while (news := await watcher.next(self._heartbeat)) is not None:
                yield Told(news)
        finally:
            self._watchers.discard(watcher)

    async def close(self) -> None:
        """End all watches, which would hold up the server's stop."""
        self._closed = True
        for watcher in self._watchers:
            watcher.end()

    def learn(self, records: Iterable[RevocationRecord]) -> None:
        """Apply revocations of the store, and send the watchers those that are new."""
        if news := self._applied.add(map(told, records)):
            for watcher in self._watchers:
                watcher.push(news)

    def _snapshot(self) -> Iterator[Told]:
        """The snapshot in chunks. Each tenant is read when its turn comes, so that the whole is never held twice."""
        every = (revocation for tenant in self._applied.tenants for revocation in self._applied.of(tenant))
        batches = _batches(every)
        first, batch = True, next(batches, [])
        for following in batches:
            yield Told(batch, snapshot=first, more=True)
            first, batch = False, following
        yield Told(batch, snapshot=first)

    async def _cut_off(self, record: RevocationRecord) -> None:
        await self._advance(record)
        self.learn([record])
        superseded = {"subject": record.subject, "issuedAt": Cond(Op.LT, record.issued_before)}
        await self._table.delete_where(MAIN, {"tenant": record.tenant, **superseded})

    async def _advance(self, cut_off: RevocationRecord) -> None:
        """Write the cut-off unless there is a later one."""
        earlier = {"issuedBefore": Cond(Op.LT, cut_off.issued_before)}
        while True:
            try:
                await self._table.insert(MAIN, cut_off)
            except Conflict:
                changed = await self._table.update(
                    MAIN,
                    cut_off.id,
                    where=earlier,
                    issued_before=cut_off.issued_before,
                    created_at=cut_off.created_at,
                    expires_at=cut_off.expires_at,
                )
                if changed is None and await self._table.get(MAIN, cut_off.id) is None:
                    continue  # it was pruned in between
            return


def _batches(revocations: Iterable[Revocation]) -> Iterator[list[Revocation]]:
    """Lists that each fit into a message."""
    batch: list[Revocation] = []
    weight = 0
    for revocation in revocations:
        batch.append(revocation)
        weight += 1 + len(revocation.kept)
        if weight >= _BATCH:
            yield batch
            batch, weight = [], 0
    if batch:
        yield batch


def record_id(tenant: str, token_id: str) -> str:
    """The id of a token's revocation, which is the same whoever revokes it."""
    return f"{tenant}/{token_id}"


def api_cut_off_id(tenant: str) -> str:
    return f"{tenant}/api-tokens/"


def _kept(revocation: Revocation, now: float) -> RevocationRecord:
    target = revocation.token_id or f"sessions/{revocation.subject}"
    return RevocationRecord(
        id=record_id(revocation.tenant, target),
        tenant=revocation.tenant,
        created_at=now,
        token_id=revocation.token_id,
        subject=revocation.subject,
        api=revocation.api,
        issued_at=revocation.issued_at if revocation.token_id else None,
        issued_before=revocation.issued_before,
        expires_at=revocation.expires_at,
    )


def told(record: RevocationRecord) -> Revocation:
    issued_at, api = record.issued_at, record.api
    if issued_at is None and record.token_id and not record.expires_at:
        # Of an earlier version. What never expires is an API token, and it was issued before it was revoked.
        issued_at, api = record.created_at, True
    return Revocation(
        tenant=record.tenant,
        token_id=record.token_id,
        subject=record.subject,
        api=api,
        issued_at=inf if issued_at is None else issued_at,
        issued_before=record.issued_before,
        kept=record.kept,
        expires_at=record.expires_at,
    )
