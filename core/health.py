"""Readiness of a service: checks of its dependencies, reported through the gRPC health protocol.

Checks run in the background, once every `ttl` seconds, so that a question costs nothing. Liveness, the name "live",
asks nothing of anyone: restarting a process does not repair its database.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from grpc_health.v1.health import aio
from grpc_health.v1.health_pb2 import HealthCheckResponse

from core import logs
from core.errors import PorticoError

log = logs.get(__name__)

OK = "ok"
LIVE = "live"
"""The name to ask for liveness; "" and the services' names ask for readiness."""

Clock = Callable[[], float]


@dataclass(slots=True)
class _Check:
    """One dependency and what is known of it. Asked by one task at a time, however many want to know."""

    name: str
    ask: Callable[[], Awaitable[object]]
    timeout: float
    ttl: float
    clock: Clock
    essential: bool = True
    value: str = "not checked yet"
    fresh_until: float = float("-inf")
    _running: asyncio.Task[None] | None = field(default=None, repr=False)

    async def known(self) -> str:
        """The last outcome, asked for anew only once it has expired."""
        if self.clock() >= self.fresh_until:
            await self.refresh()
        return self.value

    async def refresh(self) -> None:
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._refresh(), name=f"health {self.name}")
        await asyncio.wait({self._running})  # a caller who leaves must not end it for the others

    async def _refresh(self) -> None:
        error: BaseException | None = None
        try:
            async with asyncio.timeout(self.timeout):
                await self.ask()
            value = OK
        except TimeoutError:
            value = "timed out"
        except PorticoError as failure:  # its message is written for callers
            value, error = failure.message, failure
        # Whatever a driver raises, even a cancellation, means that it cannot be used; the text is for the log alone.
        except (Exception, asyncio.CancelledError) as failure:
            value, error = "failed", failure
        if value != self.value:
            write = log.info if value == OK else log.warning
            write("health changed", check=self.name, value=value, before=self.value, error=error)
        self.value = value
        self.fresh_until = self.clock() + self.ttl


class Health:
    """The checks of one service and the gRPC servicer that tells their outcome.

    `""` and each of `services` are SERVING while every essential check passes; `"live"` is until `shutting_down`.
    """

    def __init__(self, *services: str, clock: Clock = time.monotonic) -> None:
        self.servicer = aio.HealthServicer()
        self._services = ("", *services)
        self._clock = clock
        self._checks: list[_Check] = []
        self._loops: list[asyncio.Task[None]] = []
        self._stopping = False
        self._publishing = asyncio.Lock()

    @property
    def serving(self) -> bool:
        """True if the checks last found the service ready."""
        return not self.stopping and all(check.value == OK for check in self._checks if check.essential)

    @property
    def stopping(self) -> bool:
        """True once `shutting_down` was called."""
        return self._stopping

    def add(
        self,
        name: str,
        check: Callable[[], Awaitable[object]],
        *,
        timeout: float = 2.0,
        ttl: float = 5.0,
        essential: bool = True,
    ) -> None:
        """Add the check of a dependency. `check` raises when it does not; `timeout` and `ttl` are in seconds. Without
        one that is not `essential` the service is degraded: it is reported and logged, and calls go on.

        Add every check before `start`.
        """
        self._checks.append(_Check(name, check, timeout, ttl, self._clock, essential))

    async def start(self) -> None:
        """Ask every check once and keep asking. Await it before the server starts: until then all is NOT_SERVING."""
        await self.servicer.set(LIVE, HealthCheckResponse.SERVING)
        await self._publish()
        await self.ready()
        self._loops = [asyncio.create_task(self._keep_fresh(check)) for check in self._checks]

    async def ready(self) -> dict[str, str]:
        """Each check's outcome by name: "ok", or in a few words what is wrong, fit for anyone to see."""
        values = await asyncio.gather(*(check.known() for check in self._checks))
        await self._publish()
        outcome = {check.name: value for check, value in zip(self._checks, values, strict=True)}
        return outcome | {"lifecycle": "shutting down"} if self._stopping else outcome

    async def shutting_down(self) -> None:
        """Report NOT_SERVING from now on, whatever the checks say. There is no way back."""
        self._stopping = True
        for loop in self._loops:
            loop.cancel()
        await self.servicer.enter_graceful_shutdown()

    async def _keep_fresh(self, check: _Check) -> None:
        while True:
            await asyncio.sleep(check.ttl)
            await check.refresh()
            await self._publish()

    async def _publish(self) -> None:
        async with self._publishing:  # or an older outcome could overtake a newer one
            status = HealthCheckResponse.SERVING if self.serving else HealthCheckResponse.NOT_SERVING
            for service in self._services:
                await self.servicer.set(service, status)
