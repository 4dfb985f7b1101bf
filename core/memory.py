"""Return of freed memory to the operating system.

glibc keeps what was freed for the next allocation, and a fragment keeps a whole arena: after a burst of large requests
a process stays as large as it was at its largest.
"""

import asyncio
import ctypes
import os
from pathlib import Path

CHECK_SECONDS = 10.0
CHANGE = 8 * 1024 * 1024
"""Bytes by which the process must have grown or shrunk to be worth the work, which takes some milliseconds."""

LARGE_BLOCK = 1024 * 1024
"""Bytes of an allocation that is mapped by itself, and so goes back to the system as soon as it is freed."""
KEPT_AT_END = 8 * 1024 * 1024
"""Bytes at the end of the heap that are kept for the next allocation."""
ARENAS = 2
"""Heaps per process. Each keeps what was freed in it, and the default is eight for each core."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # of glibc's malloc.h
_STATM = Path("/proc/self/statm")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def limit_kept_memory() -> None:
    """Make glibc keep little of the memory that large requests have used. Call it before threads start.

    By itself glibc raises its idea of a large block with every one that is freed, up to 32 MiB: from then on such
    blocks lie in the heap, which grows with the fragments between them. Does nothing with another C library.
    """
    if (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        mallopt(_M_MMAP_THRESHOLD, LARGE_BLOCK)
        mallopt(_M_TRIM_THRESHOLD, KEPT_AT_END)
        mallopt(_M_ARENA_MAX, ARENAS)


class FreedMemory:
    """Call `give_back` every `CHECK_SECONDS`. Does nothing where the C library cannot do it."""

    def __init__(self) -> None:
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if _STATM.exists() else None
        self._resident, self._free = 0, 0
        """Bytes after the last time."""

    async def give_back(self) -> None:
        """Return freed memory, if there may be more of it than after the last time: because the size of the process has
        changed, or because what was in use then has been freed since, which does not change the size."""
        if self._trim is None:
            return
        if abs(_resident() - self._resident) > CHANGE or _free() - self._free > CHANGE:
            await asyncio.to_thread(self._trim, 0)
            self._resident, self._free = _resident(), _free()


class _Mallinfo2(ctypes.Structure):
    """The struct of this name in glibc's malloc.h."""

    _fields_ = [
        *((name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks")),
        *((name, ctypes.c_size_t) for name in ("uordblks", "fordblks", "keepcost")),
    ]


_mallinfo2 = getattr(ctypes.CDLL(None), "mallinfo2", None)
if _mallinfo2 is not None:
    _mallinfo2.restype = _Mallinfo2


def _resident() -> int:
    """Bytes of the process in memory."""
    return int(_STATM.read_text().split()[1]) * _PAGE


def _free() -> int:
    """Bytes of the heaps that are not in use, whether they have been returned or not. 0 where glibc is too old."""
    return int(_mallinfo2().fordblks) if _mallinfo2 is not None else 0
