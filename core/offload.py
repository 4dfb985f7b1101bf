"""CPU work of large requests, off the event loop or in turns with what else it has to do.

Only one thread can run Python at a time, so several workers would need more memory and no less time: there is one. A
tenant has one piece of work in its queue, so that another tenant waits for one body of each and not for fifty. The
loop gets its turn whenever the interpreter switches threads, which a single call into C does not allow: work should be
made of many short ones.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar
from weakref import WeakValueDictionary

from core import context

LARGE_BYTES: Final = 64 * 1024
"""Of a request that is worth a thread: to read a smaller one takes a few milliseconds at worst."""

_TURN_SECONDS = 0.005

S = TypeVar("S")
T = TypeVar("T")

_WORKER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="offload")
_queues: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()


async def offload(work: Callable[[], T], size: int, *, above: int = LARGE_BYTES) -> T:
    """Return what `work` returns: called at once where it is about `size` bytes that are not `above`, and otherwise in
    the worker thread, one call of a tenant at a time. `work` must not touch what belongs to the event loop."""
    if size <= above:
        return work()
    request = context.current()
    tenant = request.identity.tenant.slug if request is not None and request.identity is not None else ""
    async with _queues.setdefault(tenant, asyncio.Lock()):
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
