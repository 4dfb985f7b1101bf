"""The orderly stop of a service: on SIGTERM or SIGINT, phase after phase in one fixed order. A second signal ends it at
once.

Without this, SIGTERM kills the process where it stands: `asyncio.run` does not even run `finally`.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import IntEnum

from core import logs

log = logs.get(__name__)

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Phase(IntEnum):
    """Phases of a stop, in their order: each needs what the later ones close."""

    NOT_SERVING = 1
    """Health says so, and balancers send no new calls..."""
    DRAIN_DELAY = 2
    """...once they have noticed."""
    SERVER = 3
    """Calls in flight end, new ones are refused."""
    TASKS = 4
    """Background work ends."""
    FLUSH = 5
    """Batched records are written."""
    POOLS = 6
    """Clients of providers and of other services close."""
    CACHE = 7
    STORES = 8
    TELEMETRY = 9


@dataclass(frozen=True, slots=True)
class _Step:
    phase: Phase
    name: str
    func: Callable[[], Awaitable[object]]
    timeout: float


class Lifecycle:
    """Collects the steps of the stop, waits for the signal, and runs them."""

    def __init__(self) -> None:
        self._steps: list[_Step] = []
        self._asked = asyncio.Event()
        self._installed = False
        self._signalled = False
        self._stopping: asyncio.Task[None] | None = None

    def on_stop(self, phase: Phase, name: str, func: Callable[[], Awaitable[object]], timeout: float = 5.0) -> None:
        """Await `func()` in `phase`, for `timeout` seconds at most. The steps of one phase run side by side."""
        self._steps.append(_Step(phase, name, func, timeout))

    def install(self) -> None:
        """Take the signals over. Call it first thing, so that one that comes during the start is not lost."""
        if not self._installed:
            self._installed = True
            for number in _SIGNALS:
                asyncio.get_running_loop().add_signal_handler(number, self._on_signal, number)

    def request_stop(self) -> None:
        """Stop the service as a signal would."""
        self._asked.set()

    async def wait(self) -> None:
        """Return when a signal came or `request_stop` was called."""
        self.install()
        await self._asked.wait()

    async def stop(self) -> None:
        """Run every phase. A step that fails or hangs is logged and holds up nothing. Safe to call twice."""
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop(), name="stop")
        await asyncio.shield(self._stopping)

    async def run_until_stopped(self) -> int:
        """Wait, then stop. Returns the process's exit code, which is 0: being asked to end is no failure."""
        await self.wait()
        await self.stop()
        return 0

    async def _stop(self) -> None:
        log.info("stopping")
        for phase in Phase:
            steps = [step for step in self._steps if step.phase == phase]
            await asyncio.gather(*(_run(step) for step in steps))
        log.info("stopped")

    def _on_signal(self, number: signal.Signals) -> None:
        if self._signalled:
            log.warning("second signal, exiting at once", signal=number.name)
            os._exit(1)
        self._signalled = True
        log.info("signal received", signal=number.name)
        self.request_stop()


async def _run(step: _Step) -> None:
    task = asyncio.ensure_future(_call(step.func))
    done, _ = await asyncio.wait({task}, timeout=step.timeout)  # unlike wait_for, leaves a step that will not end
    if not done:
        task.cancel()
        log.error("stop step timed out", phase=step.phase.name, step=step.name, seconds=step.timeout)
    elif task.cancelled():
        log.error("stop step was cancelled", phase=step.phase.name, step=step.name)
    elif (error := task.exception()) is not None:
        log.error("stop step failed", phase=step.phase.name, step=step.name, exc_info=error)


async def _call(func: Callable[[], Awaitable[object]]) -> None:
    """Make a coroutine of any awaitable, and put what `func` raises before it awaits in the same place."""
    await func()
