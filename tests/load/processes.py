"""Resources used by a tree of processes, read from the kernel's own counters.

CPU time holds still on a busy machine, where seconds and requests a second do not: the benchmark compares it.
"""

import os
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

_TICK = 1 / os.sysconf("SC_CLK_TCK")
_GONE = (FileNotFoundError, ProcessLookupError)  # a process may end between being listed and being read


@dataclass(frozen=True, slots=True)
class Process:
    """One process: CPU seconds used so far (all threads, and children it has reaped), memory in bytes."""

    label: str
    cpu: float
    rss: int
    peak_rss: int


@dataclass(frozen=True, slots=True)
class Tree:
    """A process and all its descendants at one moment, by process id."""

    processes: dict[int, Process] = field(default_factory=dict)

    @property
    def cpu(self) -> float:
        return sum(process.cpu for process in self.processes.values())

    @property
    def rss(self) -> int:
        """Bytes. Pages that several processes share count once for each of them."""
        return sum(process.rss for process in self.processes.values())

    @property
    def peak_rss(self) -> int:
        """Bytes: the sum of each process's own peak, so at most too high."""
        return sum(process.peak_rss for process in self.processes.values())

    def cpu_since(self, before: "Tree") -> dict[str, float]:
        """CPU seconds by label between two moments; a process that started in between counts whole."""
        used: dict[str, float] = defaultdict(float)
        for pid, process in self.processes.items():
            earlier = before.processes.get(pid)
            used[process.label] += process.cpu - (earlier.cpu if earlier else 0.0)
        return dict(used)


def tree(root: int) -> Tree:
    """Read the tree under process `root`, itself included; empty when it has ended."""
    processes = {}
    for pid in _descendants(root):
        try:
            processes[pid] = _read(pid)
        except _GONE:
            continue
    return Tree(processes)


def forget_peaks(root: int) -> None:
    """From now on, the peaks of the tree under `root` are those that come."""
    for pid in _descendants(root):
        with suppress(*_GONE):
            Path(f"/proc/{pid}/clear_refs").write_text("5")


def _descendants(root: int) -> Iterator[int]:
    children: dict[int, list[int]] = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                children[int(_stat(int(entry.name))[1])].append(int(entry.name))
            except _GONE:
                continue
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        yield pid
        waiting.extend(children[pid])


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat from the third on: the second, the name, may itself hold spaces and brackets."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _read(pid: int) -> Process:
    reaped = sum(int(ticks) for ticks in _stat(pid)[13:15]) * _TICK
    memory = {
        key: int(value.split()[0]) * 1024
        for key, _, value in (line.partition(":") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        if key in ("VmRSS", "VmHWM")
    }
    return Process(_label(pid), _own_cpu(pid) + reaped, memory.get("VmRSS", 0), memory.get("VmHWM", 0))


def _own_cpu(pid: int) -> float:
    """The sum that /proc/<pid>/stat shows in hundredths of a second, read in nanoseconds.

    The clock's number is the C macro MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED).
    """
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError as gone:
        raise ProcessLookupError(pid) from gone


def _label(pid: int) -> str:
    """The module of a `python -m` process, otherwise the program's name."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    if "-m" in words[:-1]:
        return words[words.index("-m") + 1]
    return Path(f"/proc/{pid}/comm").read_text().strip()
