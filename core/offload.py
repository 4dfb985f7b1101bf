"""CPU work of large requests, in threads or in turns with the event loop's other work.

Only one thread can run Python at a time, so several workers would need more memory and no less time: there is one. A
tenant has one item of work in its queue, so that another tenant waits for one body of each and not for fifty. The
loop gets its turn whenever the interpreter switches threads, which a single call into C does not allow: work should be
made of many short ones.
"""

import asyncio
import time
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, TypeVar
from weakref import WeakValueDictionary

from core import context
from core.errors import RateLimited

LARGE_BYTES: Final = 64 * 1024
"""Least size of a request that is worth a thread: to read a smaller one takes a few milliseconds at worst."""
MAX_WAITING_BYTES: Final = 32 * 1024 * 1024
"""Most bytes of one tenant's requests that wait to be read, which are held in memory meanwhile."""

_PART = 8192
"""Size of a part, such as characters that are searched: some milliseconds, or some ten for what is slow on purpose."""
_TURN_SECONDS = 0.005

S = TypeVar("S")
T = TypeVar("T")


class _Queue:
    """The queue of one tenant's work."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.request_bytes = 0
        """Bytes of the requests that wait or are being read."""


_WORKER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="offload")
_queues: WeakValueDictionary[str, _Queue] = WeakValueDictionary()


async def offload(work: Callable[[], T], size: int, *, above: int = LARGE_BYTES) -> T:
    """Return what `work` returns: called at once where it is about `size` bytes that are not `above`, and otherwise in
    the worker thread, one call of a tenant at a time. `work` must not touch what belongs to the event loop."""
    if size <= above:
        return work()
    return await _in_turn(_queue(), work)


async def offload_in_parts(work: Generator[int, None, T], size: int, *, above: int = LARGE_BYTES) -> T:
    """Return what a generator returns that yields, part by part, the size of what it has just done. Does as `offload`,
    but the worker thread serves other tenants between two parts: for work that may take seconds."""
    queue = _queue() if size > above else None
    while True:
        part = partial(_next_part, work, _PART)
        result = await _in_turn(queue, part) if queue is not None else part()
        if result:
            return result[0]


def _next_part(work: Generator[int, None, T], size: int) -> tuple[T] | tuple[()]:
    """Go on with the work for about this size. What it returns, once it is at its end."""
    done = 0
    try:
        while done < size:
            done += next(work)
    except StopIteration as end:
        return (end.value,)
    return ()


async def offload_request(work: Callable[[], T], size: int, *, above: int = LARGE_BYTES) -> T:
    """Do as `offload`, for work that reads a request of `size` bytes. Raises RateLimited where too much of the tenant's
    waits already."""
    if size <= above:
        return work()
    queue = _queue()
    if queue.request_bytes and queue.request_bytes + size > MAX_WAITING_BYTES:
        raise RateLimited(
            f"More than {MAX_WAITING_BYTES // 2**20} MiB of your large requests wait to be read. Send fewer at a time.",
            reason="TOO_MANY_LARGE_REQUESTS",
            retry_after=1.0,
        )
    queue.request_bytes += size
    try:
        return await _in_turn(queue, work)
    finally:
        queue.request_bytes -= size


def _queue() -> _Queue:
    """The queue of the tenant whose call or job this is."""
    return _queues.setdefault(context.tenant_slug(), _Queue())


async def _in_turn(queue: _Queue, work: Callable[[], T]) -> T:
    async with queue.turn:
        return await asyncio.get_running_loop().run_in_executor(_WORKER, work)


async def in_turns(make: Callable[[S], T], items: Iterable[S]) -> list[T]:
    """Return what `make` makes of each item. Whenever that has taken a few milliseconds, the loop serves others."""
    made: list[T] = []
    began = time.monotonic()
    for item in items:
        made.append(make(item))
        if time.monotonic() - began > _TURN_SECONDS:
            await asyncio.sleep(0)
            began = time.monotonic()
    return made
