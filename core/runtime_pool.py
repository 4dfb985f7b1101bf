"""A bounded pool of things that are dear to build and must be disposed of: provider clients, engines, handles."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from types import TracebackType
from typing import Any, Generic, TypeVar

from core import logs
from core.bounded import BoundedDict
from core.errors import Unavailable

log = logs.get(__name__)

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
R = TypeVar("R")


class Lease(Generic[V]):
    """A value that is in use: it is not disposed of before every lease of it is released.

        with pool.lease(key) or await pool.acquire(key, build) as client: ...

    All users of a value share the object, which only counts them; so each must leave it exactly once.
    """

    __slots__ = ("_retire", "built_at", "retired", "used_at", "users", "value")

    def __init__(self, value: V, now: float, users: int, retire: Callable[["Lease[V]"], None]) -> None:
        self.value = value
        self.built_at = self.used_at = now
        self.users = users
        self.retired = False
        """Not in the pool any more: whoever releases it last has it disposed of."""
        self._retire = retire

    def release(self) -> None:
        self.users -= 1
        if self.retired and self.users == 0:
            self._retire(self)

    def __enter__(self) -> V:
        return self.value

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class _Build(Generic[V]):
    """A value that is being built, and how many wait for it."""

    __slots__ = ("task", "waiting")

    def __init__(self) -> None:
        self.task: asyncio.Task[Lease[V]]
        self.waiting = 0


class RuntimePool(Generic[K, V]):
    """Keeps the `capacity` values that were used last. `sweep`, called from time to time, drops those not used for
    `idle_seconds`; one older than `max_age_seconds` is built anew. `dispose` is called once for each value that left
    the pool, when its last user is done; its failures are logged."""

    def __init__(
        self,
        capacity: int,
        idle_seconds: float,
        dispose: Callable[[V], Awaitable[None]],
        max_age_seconds: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._idle_seconds = idle_seconds
        self._dispose = dispose
        self._max_age = max_age_seconds
        self._clock = clock
        self._leases: BoundedDict[K, Lease[V]] = BoundedDict(capacity, evicted=lambda _, lease: self._retire(lease))
        self._builds: dict[K, _Build[V]] = {}
        self._retired: set[Lease[V]] = set()
        """Out of the pool, and still in use."""
        self._tasks: set[asyncio.Task[Any]] = set()
        """Builds and disposals."""
        self._closed = False
        self._settled = asyncio.Event()

    def __len__(self) -> int:
        return len(self._leases)

    def lease(self, key: K) -> Lease[V] | None:
        """The hot path: a lease, already counted, of a value that is there."""
        lease = self._leases.get(key)
        if lease is None:
            return None
        now = self._clock()
        if self._max_age is not None and now - lease.built_at > self._max_age:
            self._drop(key)
            return None
        self._leases.move_to_end(key)
        lease.used_at = now
        lease.users += 1
        return lease

    async def acquire(self, key: K, build: Callable[[], Awaitable[V]]) -> Lease[V]:
        """Lease as `lease`, building the value if need be. Concurrent callers share one build; its error reaches them
        all and is not kept; the caller who began it may be cancelled without harm to the others.

        A value whose key is invalidated while it is built serves those who wait and nobody after them.
        """
        if lease := self.lease(key):
            return lease
        if self._closed:
            raise Unavailable("The service is shutting down. Try again.", retry_after=1.0)
        pending = self._builds.get(key)
        if pending is None:
            pending = self._builds[key] = _Build()
            pending.task = self._spawn(self._build(key, build, pending))
        pending.waiting += 1
        try:
            return await asyncio.shield(pending.task)
        except asyncio.CancelledError:
            pending.waiting -= 1
            if pending.task.done() and not pending.task.cancelled() and pending.task.exception() is None:
                pending.task.result().release()
            raise

    def lookup(self, key: K) -> V | None:
        """The value without a lease: only for use up to the next `await`."""
        lease = self.lease(key)
        if lease is None:
            return None
        lease.users -= 1
        return lease.value

    async def get(self, key: K, build: Callable[[], Awaitable[V]]) -> V:
        """Look up as `lookup`, building the value if need be."""
        lease = await self.acquire(key, build)
        lease.release()
        return lease.value

    def invalidate(self, match: K | Callable[[K], bool]) -> None:
        """Forget a key, or all that a predicate names, finished or still being built."""
        matches = match if callable(match) else lambda key: key == match
        for key in [key for key in self._leases if matches(key)]:
            self._drop(key)
        for key in [key for key in self._builds if matches(key)]:
            del self._builds[key]

    async def sweep(self) -> None:
        """Drop what nobody has used for a while."""
        oldest = self._clock() - self._idle_seconds
        for key in [key for key, lease in self._leases.items() if not lease.users and lease.used_at < oldest]:
            self._drop(key)

    async def close(self) -> None:
        """Refuse to build, and dispose of everything as soon as its users are done. Cancelling it disposes of what is
        in use as well."""
        self._closed = True
        self.invalidate(lambda _: True)
        self._settle()
        try:
            await self._settled.wait()
        finally:
            for lease in tuple(self._retired):
                self._discard(lease)

    async def _build(self, key: K, build: Callable[[], Awaitable[V]], pending: _Build[V]) -> Lease[V]:
        try:
            value = await build()
            lease = Lease(value, self._clock(), pending.waiting, self._discard)
        finally:
            current = self._builds.get(key) is pending
            if current:
                del self._builds[key]
        if current:
            self._leases[key] = lease
        else:
            self._retire(lease)
        return lease

    def _drop(self, key: K) -> None:
        self._retire(self._leases.pop(key))

    def _retire(self, lease: Lease[V]) -> None:
        lease.retired = True
        self._retired.add(lease)
        if not lease.users:
            self._discard(lease)

    def _discard(self, lease: Lease[V]) -> None:
        if lease in self._retired:  # else `close` was cancelled and did not wait for its users
            self._retired.remove(lease)
            self._spawn(self._dispose_of(lease.value))

    async def _dispose_of(self, value: V) -> None:
        try:
            await self._dispose(value)
        except Exception:  # nobody waits for it, and the value is gone either way
            log.exception("disposal failed", kind=type(value).__name__)

    def _spawn(self, work: Coroutine[Any, Any, R]) -> "asyncio.Task[R]":
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen: whoever waited for a build has it, and it may be that nobody waits any more
        self._settle()

    def _settle(self) -> None:
        if self._closed and not self._tasks and not self._retired:
            self._settled.set()
