"""Name lookup by the system's resolver, which blocks: in threads of its own, shared fairly among tenants."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from weakref import WeakValueDictionary

from core import context
from core.http.limits import LOOKUP_THREADS, LOOKUPS_PER_TENANT


class SystemLookup:
    """The Lookup of `core.http.guard`. Lookups of one tenant beyond LOOKUPS_PER_TENANT wait for each other."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOKUP_THREADS, "lookup")
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def __call__(self, host: str, port: int) -> list[str]:
        turn = self._turns.setdefault(context.tenant_slug(), asyncio.Semaphore(LOOKUPS_PER_TENANT))
        await turn.acquire()
        loop = asyncio.get_running_loop()

        def over(_: object) -> None:
            """Release the thread: later than the caller, where that no longer waits."""
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(turn.release)

        asked = self._threads.submit(partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM))
        asked.add_done_callback(over)
        found = await asyncio.wrap_future(asked)
        return list(dict.fromkeys(str(address[0]) for *_, address in found))
