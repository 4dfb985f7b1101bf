"""The sandbox of a worker process: limits it sets on itself before it reads a document, which may exploit its parser.

The operating system keeps the limits. The hook keeps Python code, that of the parsers, from the network, other programs
and other files; it is no wall against native code.
"""

import ctypes
import os
import resource
import signal
import sys
from dataclasses import dataclass

MIB = 1024 * 1024

START_SECONDS = 60
"""Time for loading the libraries, before the document's time begins."""
_OPEN_FILES = 64
_NICE = 10
_PR_SET_PDEATHSIG = 1
_FORBIDDEN = ("socket.", "subprocess.", "urllib.", "http.", "ftplib.", "smtplib.", "shutil.", "webbrowser.")
_FORBIDDEN_CALLS = frozenset(
    {
        "os.exec",
        "os.fork",
        "os.forkpty",
        "os.kill",
        "os.link",
        "os.mkdir",
        "os.posix_spawn",
        "os.putenv",
        "os.remove",
        "os.rename",
        "os.rmdir",
        "os.spawn",
        "os.symlink",
        "os.system",
        "os.truncate",
        "ctypes.dlopen",
        "pty.spawn",
        "signal.pthread_kill",
        "sqlite3.connect",
    }
)
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one conversion. `seconds` are given to the document alone; `memory` is address space, in bytes,
    libraries included; `output` is in bytes."""

    seconds: int
    memory: int
    output: int

    def arguments(self) -> list[str]:
        return [str(self.seconds), str(self.memory), str(self.output)]


def apply(limits: Limits) -> None:
    """Apply the limits, before anything else is loaded."""
    seconds = limits.seconds + START_SECONDS
    for what, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, limits.memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, limits.output),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
    ):
        _, hardest = resource.getrlimit(what)
        value = value if hardest == resource.RLIM_INFINITY else min(value, hardest)
        resource.setrlimit(what, (value, value))
    os.nice(_NICE)
    signal.alarm(seconds)  # ends the process where nobody is left to do it
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def lock_down() -> None:
    """Lock the process down, after everything is loaded: from now on the interpreter's own files may be read, and that
    is all."""
    roots = tuple(f"{os.path.realpath(each)}/" for each in {sys.prefix, sys.base_prefix, *sys.path} if each)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, int):  # open already
                return
            if isinstance(flags, int) and flags & _WRITES:
                raise PermissionError(event)
            if not os.path.realpath(os.fsdecode(path)).startswith(roots):  # type: ignore[arg-type]  # as open takes it
                raise PermissionError(event)
        elif event.startswith(_FORBIDDEN) or event in _FORBIDDEN_CALLS:
            raise PermissionError(event)

    sys.addaudithook(hook)
