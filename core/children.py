"""Child processes, started without running anybody's fork handlers.

uvloop starts a child with fork(), which copies this process and runs in the copy whatever libraries have asked for:
gRPC's handlers restart its threads there, and 5 to 10 of 100 children of a busy server crashed before `exec`. The
standard library's Popen uses vfork(), which does neither and takes a quarter of the time. Linux only: the end of a
child is learned from its pidfd.
"""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any


class Child:
    """A child process."""

    def __init__(self, popen: "subprocess.Popen[bytes]") -> None:
        self.pid = popen.pid
        self._popen = popen
        self._loop = asyncio.get_running_loop()
        self._exit: asyncio.Future[int] = self._loop.create_future()
        self._pidfd = os.pidfd_open(popen.pid)
        self._loop.add_reader(self._pidfd, self._reap)

    @property
    def returncode(self) -> int | None:
        """The exit status of the process. None: it runs. Negative: the number of the signal that ended it."""
        return self._popen.returncode

    async def wait(self) -> int:
        """The return code, once the process has ended."""
        return await asyncio.shield(self._exit)

    def kill(self) -> None:
        """Send SIGKILL unless the process has ended."""
        if self.returncode is None:
            self._popen.kill()

    def _reap(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._exit.set_result(self._popen.wait())


def start(program: Sequence[str], **options: Any) -> Child:
    """Start a program; `options` are Popen's, without those that run code between fork and exec. The caller has to
    wait for its end. Raises OSError."""
    return Child(_popen(program, options))


@asynccontextmanager
async def running(program: Sequence[str], **options: Any) -> AsyncIterator[tuple[Child, asyncio.StreamReader]]:
    """Run a program in a session of its own and give its standard output. At the end of the block it is gone, and what
    it has started with it. Raises OSError."""
    popen = _popen(program, {**options, "stdout": subprocess.PIPE, "start_new_session": True})
    child, output, transport = Child(popen), asyncio.StreamReader(), None
    try:
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(output), popen.stdout
        )
        yield child, output
    finally:
        if child.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
        await asyncio.shield(child.wait())
        if transport is not None:
            transport.close()


def _popen(program: Sequence[str], options: dict[str, Any]) -> "subprocess.Popen[bytes]":
    assert not options.keys() & {"preexec_fn", "user", "group", "extra_groups", "umask"}  # with these Popen forks
    return subprocess.Popen(program, **options)  # noqa: S603  # no shell, and no program but our own
