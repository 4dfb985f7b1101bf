"""The service's side of an engine worker: starts it, sends it calls, and starts another when it has died."""

import asyncio
import socket
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core import children, logs
from core.children import Child
from core.errors import Unavailable
from services.vector.adapters.embedded import codec
from services.vector.adapters.embedded.codec import Answer, Messages

_WORKER = "services.vector.adapters.embedded.worker"
_STARTS = 3
"""Processes that are started for a call before it is refused: one may end before it has begun, by no fault of ours."""
_RETRY = 1.0
_GOODBYE = 20.0
"""Seconds that a worker has to write what it holds in memory before it is killed; its log keeps everything anyway."""

log = logs.get(__name__)

OnStale = Callable[[Path, int], None]


class EngineWorkerProcess:
    """Calls are answered in the order in which they were made."""

    def __init__(self, max_open: int, keep_free: int, on_stale: OnStale) -> None:
        self._arguments = (str(max_open), str(keep_free))
        self._on_stale = on_stale
        self._starting: asyncio.Task[_Link] | None = None
        self._link: _Link | None = None
        self.writing = asyncio.Lock()
        """One batch of a write at a time: the most that a query may have to wait for."""

    async def call(self, method: str, folder: Path, *args: Any) -> Any:
        """Call a method of the worker. Raises what the method raises; Unavailable where the process died over it."""
        link = self._link
        if link is None or link.broken:
            link = await self._start()
        answer = await link.ask(codec.encode_call((method, str(folder), args)))
        if answer.error is not None:
            if answer.detail:
                log.error("vector index failed", method=method, index=folder.name, error=answer.detail)
            raise answer.error
        if answer.stale:
            self._on_stale(folder, answer.stale)
        return answer.result

    @property
    def pid(self) -> int | None:
        return None if self._link is None or self._link.broken else self._link.process.pid

    async def _start(self) -> "_Link":
        """Start the process, once for all who wait. It goes on where they give up: on a busy machine, where a start
        takes longer than anybody waits, there would never be a process."""
        if self._starting is None:
            self._starting = asyncio.create_task(self._keep_started())
            self._starting.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(self._starting)

    async def _keep_started(self) -> "_Link":
        try:
            if self._link is None or self._link.broken:
                self._link = await _started(self._arguments)
            return self._link
        finally:
            self._starting = None

    async def close(self) -> None:
        if self._starting is not None:
            await asyncio.wait([self._starting])
        link, self._link = self._link, None
        if link is not None:
            await link.close()


async def _started(arguments: tuple[str, ...]) -> "_Link":
    """The link to a process that is ready. Raises Unavailable."""
    for _ in range(_STARTS):
        link = await _Link.open(arguments)
        try:
            if await link.ready:
                return link
        except BaseException:  # a cancellation: nobody else knows of the process
            link.process.kill()
            raise
        log.warning("engine worker ended before it was ready", code=await link.process.wait())
    raise _stopped()


def _stopped() -> Unavailable:
    return Unavailable("The vector engine is being restarted. Try again in a moment.", retry_after=_RETRY)


class _Link(asyncio.Protocol):
    """One process and the socket to it. A protocol, because asyncio's streams take two turns of the loop an answer."""

    process: Child
    _transport: asyncio.WriteTransport

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.broken = False
        self.ready: asyncio.Future[bool] = loop.create_future()
        """False: it has ended without having been ready."""
        self._messages = Messages()
        self._waiting: deque[asyncio.Future[Answer]] = deque()
        self._gone = loop.create_future()

    @classmethod
    async def open(cls, arguments: tuple[str, ...]) -> "_Link":
        ours, theirs = socket.socketpair()
        with theirs:
            descriptor = theirs.fileno()
            try:
                process = children.start(
                    (sys.executable, "-m", _WORKER, str(descriptor), *arguments), pass_fds=(descriptor,)
                )
            except OSError as error:
                ours.close()
                log.warning("no process for vector indexes", error=error.strerror)
                raise _stopped() from error
        transport, link = await asyncio.get_running_loop().create_unix_connection(cls, sock=ours)
        link.process, link._transport = process, transport
        return link

    async def ask(self, call: bytes) -> Answer:
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._transport.write(call)
        return await future

    def data_received(self, data: bytes) -> None:
        for message in self._messages.of(data):
            if self.ready.done():
                self._settle(codec.decode_answer(message))
            else:  # the first message says no more than that
                self.ready.set_result(True)

    def connection_lost(self, exc: Exception | None) -> None:
        """The process is gone, or we have closed the socket."""
        self.broken = True
        if not self.ready.done():
            self.ready.set_result(False)
        while self._waiting:
            self._settle(Answer(error=_stopped(), detail="the engine worker has died"))
        self._gone.set_result(None)

    def _settle(self, answer: Answer) -> None:
        future = self._waiting.popleft()
        if not future.done():  # the caller may have gone
            future.set_result(answer)

    async def close(self) -> None:
        """Wait until the process has answered what it was asked and has ended."""
        if not self.broken:
            self._transport.write_eof()
        try:
            await asyncio.wait_for(self.process.wait(), _GOODBYE)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
        self._transport.close()
        await self._gone
