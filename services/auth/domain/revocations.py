"""What is refused before its time: kept in the store, held in memory, told to every watcher at once.

Replicas learn of each other's revocations by reading the store's newest again and again. Clocks of machines differ and
inserts overtake each other, so a reading goes back some time behind the newest that is known.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable

from core import logs
from core.errors import Unavailable
from core.identity import Revocation, Revocations
from core.storage.ports import Cond, Op
from core.tenancy import MAIN
from services.auth.domain.issuing import new_id
from services.auth.domain.records import RevocationRecord
from services.auth.domain.tables import Tables
from services.auth.ports import Clock

log = logs.get(__name__)

_OVERLAP_SECONDS = 60.0
_KEEP_SECONDS = 60.0
"""For which an expired revocation stays, for verifiers whose clocks are behind."""
_MAX_BEHIND = 10_000


class Watcher:
    """What one follower has yet to be told. It is bounded: who falls behind is cut off and begins anew."""

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
        """What is new; empty after `heartbeat` seconds without any; None: it is over. Raises Unavailable if cut off."""
        try:
            async with asyncio.timeout(heartbeat):
                await self._changed.wait()
        except TimeoutError:
            return []
        self._changed.clear()
        if self._lost:
            raise Unavailable("This watcher fell behind. Begin anew.", retry_after=0.1)
        news, self._pending = self._pending, []
        return None if self._ended else news


class RevocationLog:
    """`applied` is what this very process checks its own callers against."""

    def __init__(self, tables: Tables, clock: Clock, applied: Revocations, *, heartbeat: float) -> None:
        self._table = tables.revocations
        self._clock = clock
        self._applied = applied
        self._heartbeat = heartbeat
        self._known: dict[str, RevocationRecord] = {}
        self._newest = 0.0
        self._watchers: set[Watcher] = set()
        self._closed = False

    async def start(self) -> None:
        records = [record async for record in self._table.every(MAIN, {})]
        self._applied.replace(map(_told, records))
        self._learn(records)

    async def revoke(self, *revocations: Revocation) -> None:
        """Refused everywhere from the moment at which this returns, but for the way to the other services."""
        records = [_kept(each, self._clock()) for each in revocations]
        if records:
            await self._table.insert_many(MAIN, records)
            self._learn(records)

    async def poll(self) -> None:
        """Learn what other replicas revoked."""
        since = {"createdAt": Cond(Op.GTE, self._newest - _OVERLAP_SECONDS)}
        self._learn([record async for record in self._table.every(MAIN, since)])

    async def prune(self) -> None:
        """Forget what concerns only tokens that have expired by themselves."""
        before = self._clock() - _KEEP_SECONDS
        await self._table.delete_where(MAIN, {"expiresAt": (Cond(Op.GT, 0), Cond(Op.LT, before))})
        self._known = {id: each for id, each in self._known.items() if not 0 < each.expires_at < before}
        self._applied.prune(before)

    async def watch(self) -> AsyncGenerator[tuple[bool, list[Revocation]], None]:
        """First (True, all in force), then (False, news) as it comes, empty as a sign of life. Ends at `close`."""
        if self._closed:
            raise Unavailable("The auth service is stopping. Ask another replica.", retry_after=0.5)
        watcher = Watcher()
        self._watchers.add(watcher)
        try:
            yield True, list(map(_told, self._known.values()))
            while (news := await watcher.next(self._heartbeat)) is not None:
                yield False, news
        finally:
            self._watchers.discard(watcher)

    async def close(self) -> None:
        """Ends all watches, which would hold up the server's stop."""
        self._closed = True
        for watcher in self._watchers:
            watcher.end()

    def _learn(self, records: Iterable[RevocationRecord]) -> None:
        fresh = {record.id: record for record in records if record.id not in self._known}
        if not fresh:
            return
        self._known |= fresh
        self._newest = max(self._newest, *(record.created_at for record in fresh.values()))
        news = list(map(_told, fresh.values()))
        self._applied.add(news)
        for watcher in self._watchers:
            watcher.push(news)


def _kept(revocation: Revocation, now: float) -> RevocationRecord:
    return RevocationRecord(
        id=new_id(),
        tenant=revocation.tenant,
        created_at=now,
        token_id=revocation.token_id,
        subject=revocation.subject,
        issued_before=revocation.issued_before,
        expires_at=revocation.expires_at,
    )


def _told(record: RevocationRecord) -> Revocation:
    return Revocation(
        tenant=record.tenant,
        token_id=record.token_id,
        subject=record.subject,
        issued_before=record.issued_before,
        expires_at=record.expires_at,
    )
