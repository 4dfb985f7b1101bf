"""Named background work of one service: bounded, logged when it fails, drained when the service stops."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from contextvars import Context, copy_context
from typing import Any, TypeVar, cast

from core import context, logs
from core.errors import Unavailable

log = logs.get(__name__)

T = TypeVar("T")

_CANCEL_SECONDS = 1.0
"""Time that cancelled tasks get to clean up."""


class Tasks:
    """`limit` bounds the spawned tasks that run at one time; periodic ones do not count."""

    def __init__(self, limit: int = 1000) -> None:
        self._limit = limit
        self._spawned: set[asyncio.Task[Any]] = set()
        self._periodic: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def count(self) -> int:
        """Spawned tasks that are not finished."""
        return len(self._spawned)

    def spawn(self, name: str, coro: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run `coro` beside the caller, with the caller's request context but without its deadline.

        Its failure is logged, and raised to whoever awaits the task. Raises Unavailable when too many run or after
        `drain`; `coro` is then closed unrun.
        """
        if self._closed or len(self._spawned) >= self._limit:
            coro.close()
            log.warning("background task refused", task=name, running=len(self._spawned))
            raise Unavailable("The service has too much background work. Try again.", retry_after=1.0)
        task = asyncio.create_task(coro, name=name, context=_without_deadline())
        self._spawned.add(task)
        task.add_done_callback(self._finished)
        return task

    def every(
        self,
        name: str,
        seconds: float,
        func: Callable[[], Awaitable[object]],
        *,
        jitter: float = 0.1,
        wake: asyncio.Event | None = None,
    ) -> asyncio.Task[None]:
        """Call `func` again and again, `seconds` after it last ended, more or less by the share `jitter`, or as soon as
        `wake` is set.

        It belongs to no request. Its failures are logged and it goes on. The first call comes after the first wait.
        """
        task = asyncio.create_task(_repeat(name, seconds, func, jitter, wake), name=name, context=Context())
        self._periodic.add(task)
        task.add_done_callback(self._periodic.discard)
        return task

    async def drain(self, timeout: float) -> None:  # noqa: ASYNC109  # what is left is cancelled, not the drain
        """Cancel periodic work, give spawned work `timeout` seconds to end, and cancel what is left."""
        for task in self._periodic:
            task.cancel()
        give_up = asyncio.get_running_loop().time() + timeout
        try:
            while self._spawned and (left := give_up - asyncio.get_running_loop().time()) > 0:
                await asyncio.wait(self._spawned, timeout=left)  # again, because ending work may spawn more
        finally:
            self._closed = True
            for task in self._spawned:
                log.warning("background task cancelled at shutdown", task=task.get_name())
                task.cancel()
        if rest := self._spawned | self._periodic:
            await asyncio.wait(rest, timeout=_CANCEL_SECONDS)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._spawned.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("background task failed", task=task.get_name(), exc_info=error)


async def _repeat(
    name: str, seconds: float, func: Callable[[], Awaitable[object]], jitter: float, wake: asyncio.Event | None
) -> None:
    current = cast("asyncio.Task[None]", asyncio.current_task())
    while True:
        await _pause(seconds * random.uniform(1 - jitter, 1 + jitter), wake)
        try:
            await func()
        except asyncio.CancelledError:
            if current.cancelling():
                raise
            log.exception("periodic task failed", task=name)  # something that it awaited was cancelled, not itself
        except Exception:  # the next round may succeed, and nobody awaits this task
            log.exception("periodic task failed", task=name)


async def _pause(seconds: float, wake: asyncio.Event | None) -> None:
    """Wait for some seconds, or until `wake` is set, which is cleared."""
    if wake is None:
        await asyncio.sleep(seconds)
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await wake.wait()
    wake.clear()


def _without_deadline() -> Context:
    """The caller's context, for work that goes on after the caller has its answer."""
    copied = copy_context()
    request = context.current()
    if request is not None and request.deadline is not None:
        copied.run(context.bind, request._replace(deadline=None))
    return copied
