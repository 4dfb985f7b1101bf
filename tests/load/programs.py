"""Programs under test: start, wait until they listen, stop with all that they started."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.load import processes


class Missing(Exception):
    """A program that the benchmark needs is not installed; the text says how to install it."""


class Failed(Exception):
    """A program did not do what the benchmark needs of it; the text says what happened."""


def wait_for_port(process: subprocess.Popen[str], port: int, seconds: float = 120) -> None:
    """Return once the program listens on the loopback port; raises Failed when it ends or takes longer."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if process.poll() is not None:
            raise Failed(f"{process.args!r} ended with {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise Failed(f"{process.args!r} does not listen after {seconds:.0f} seconds")


def clean_environment(home: Path) -> dict[str, str]:
    """An environment without this machine's settings: no proxies, no keys, a home folder of its own."""
    return {"PATH": os.environ.get("PATH", ""), "HOME": str(home), "LANG": "C.UTF-8"}


@contextlib.contextmanager
def running(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    log: Path | None = None,
    stdout: int | None = None,
    patience: float = 30,
) -> Iterator[subprocess.Popen[str]]:
    """Run a program while the block lasts. It gets SIGTERM and `patience` seconds; what is left then is killed."""
    with contextlib.ExitStack() as stack:
        out = stdout if log is None else stack.enter_context(log.open("w"))
        err = None if log is None else subprocess.STDOUT
        process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=err, text=True)
        try:
            yield process
        finally:
            left = processes.tree(process.pid).processes
            process.terminate()
            try:
                process.wait(patience)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for pid, seen in left.items():
                now = processes.tree(pid).processes.get(pid)
                if now and now.label == seen.label:  # not another program that got the number since
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
