"""The client of Redis: bounded in connections and time, with Portico's errors.

script = Script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
redis = RedisClient(settings)
total = await redis.run(script, [redis.keys.of(project, "tokens", "today")], [1200])
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha1
from typing import Any, TypeVar

from redis.asyncio import RedisCluster
from redis.asyncio.client import PubSub
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.exceptions import NoScriptError

from core import logs
from core.circuits import CircuitBreakers, CircuitOpen, Outcome
from core.redis.connections import open_client
from core.redis.errors import REFUSED, RedisLost, RedisRefused, translated
from core.redis.keys import RedisKeys
from core.redis.settings import RedisSettings
from core.tenancy import MAIN, Tenant

log = logs.get(__name__)

T = TypeVar("T")
Value = bytes | str | int | float

_FAILURES = 3
"""Lost calls in a row after which Redis is left alone for a moment, so that callers fail at once, not late."""
_RESET_SECONDS = 1.0
_AGAIN_SECONDS = 0.05
_SUBSCRIPTIONS = 8
"""Connections beside the pool, each held by a subscription."""
_SCAN = 1000
_REPORT_SECONDS = 60.0
_CIRCUIT = ("redis",)


class Script:
    """A Lua script, which runs on the server as one step. It names every key it works on in KEYS; in a cluster, all of
    one tenant. Its first write is one that needs memory: after a write, a server that is full does not stop it."""

    __slots__ = ("sha", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = sha1(text.encode(), usedforsecurity=False).hexdigest()


class RedisClient:
    """Raises Unavailable for whatever keeps Redis from serving: RedisLost if it does not answer, RedisRefused if it
    refuses. After RedisLost the command may have been carried out: nothing is sent again but what the server itself has
    refused. So the caller makes a repetition harmless, or does not repeat."""

    def __init__(self, settings: RedisSettings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.keys = RedisKeys(settings.prefix)
        self._seconds = settings.seconds
        self._library = open_client(settings.address(), settings, settings.pool + _SUBSCRIPTIONS)
        self._places = asyncio.Semaphore(settings.pool)
        self._circuits = CircuitBreakers(threshold=_FAILURES, reset=_RESET_SECONDS, clock=clock)
        self._clock = clock
        self._lost = False
        self._report_at = -math.inf

    async def execute(self, *command: Value) -> Any:
        """Carry out one command; its answer as the library reads it, with bytes for texts."""
        return await self._call(lambda: self._library.execute_command(*command))

    async def run(self, script: Script, keys: Sequence[bytes], arguments: Sequence[Value] = ()) -> Any:
        """Run a script; its answer with bytes for texts. A server that does not know it, as after a restart, is sent
        it."""

        async def run() -> Any:
            try:
                return await self._library.execute_command("EVALSHA", script.sha, len(keys), *keys, *arguments)
            except NoScriptError:
                return await self._library.execute_command("EVAL", script.text, len(keys), *keys, *arguments)

        return await self._call(run)

    def subscription(self) -> PubSub:
        """A subscription of the library, which raises the library's errors. It takes no connection before it is used,
        and one of its own then."""
        return self._library.pubsub()

    async def erase(self, tenant: Tenant) -> int:
        """Delete every key of a tenant; how many there were."""
        count = 0
        with translated():
            batch: list[bytes] = []
            async for key in self._library.scan_iter(match=self.keys.all_of(tenant), count=_SCAN):
                batch.append(key)
                if len(batch) >= _SCAN:
                    count += int(await self.execute("UNLINK", *batch))
                    batch.clear()
            return count + (int(await self.execute("UNLINK", *batch)) if batch else 0)

    async def check(self) -> None:
        """Check that Redis takes writes, for readiness. Raises Unavailable."""
        await self.execute("SET", self.keys.of(MAIN, "check", ""), 1, "PX", 10_000)

    async def close(self) -> None:
        await self._library.aclose()
        if not isinstance(self._library, RedisCluster):
            pool = self._library.connection_pool
            if isinstance(pool, SentinelConnectionPool):
                await pool.sentinel_manager.aclose()

    async def _call(self, call: Callable[[], Awaitable[T]]) -> T:
        try:
            probe = self._circuits.enter(_CIRCUIT)
        except CircuitOpen as error:
            raise RedisLost("The cache server cannot be reached now. Try again.", retry_after=1.0) from error
        outcome = Outcome.UNKNOWN
        try:
            with translated():
                async with asyncio.timeout(self._seconds), self._places:
                    result = await self._again_if_refused(call)
            outcome = Outcome.ANSWERED
            self._report(False)
            return result
        except RedisLost as error:
            outcome = Outcome.FAILED
            self._report(True, error.__cause__)
            raise
        except RedisRefused as error:
            outcome = Outcome.ANSWERED
            self._report_refusal(error.__cause__)
            raise
        finally:
            self._circuits.leave(_CIRCUIT, probe, outcome)

    async def _again_if_refused(self, call: Callable[[], Awaitable[T]]) -> T:
        try:
            return await call()
        except REFUSED:  # by a server that is no longer the primary, or not yet
            await self._drop_idle()
            await asyncio.sleep(_AGAIN_SECONDS)
            return await call()

    async def _drop_idle(self) -> None:
        """Close idle connections: new ones go to whichever server is the primary now."""
        if not isinstance(self._library, RedisCluster):  # which asks the nodes again by itself
            await self._library.connection_pool.disconnect(inuse_connections=False)

    def _report(self, lost: bool, error: BaseException | None = None) -> None:
        """Log when Redis is lost and when it is back."""
        if lost and not self._lost:
            log.warning("Redis lost", error=type(error).__name__)
        elif self._lost and not lost:
            log.info("Redis is back")
        self._lost = lost

    def _report_refusal(self, error: BaseException | None) -> None:
        """Log why Redis refuses, now and then: what only reads may be served all the while."""
        now = self._clock()
        if now >= self._report_at:
            self._report_at = now + _REPORT_SECONDS
            log.warning("Redis refuses", error=type(error).__name__)
