"""Return of freed memory to the system, only when there may be some."""

import ctypes
import subprocess
import sys

import pytest

from core import memory
from core.memory import CHANGE, FreedMemory


class Process:
    """One whose size the test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.size = 100 * CHANGE
        self.free = 0
        self.trims = 0
        self.freed = FreedMemory()
        monkeypatch.setattr(memory, "_resident", lambda: self.size)
        monkeypatch.setattr(memory, "_free", lambda: self.free)
        monkeypatch.setattr(self.freed, "_trim", self.trim)

    def trim(self, padding: int) -> None:
        assert padding == 0
        self.trims += 1

    async def at(self, size: int) -> int:
        self.size = size
        await self.freed.give_back()
        return self.trims


async def test_it_works_when_the_size_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a burst, too: in its middle there was little to give back, and the process is smaller than then."""
    process = Process(monkeypatch)
    base = 100 * CHANGE
    assert await process.at(base) == 1
    assert await process.at(base + CHANGE) == 1
    assert await process.at(base + 20 * CHANGE) == 2
    assert await process.at(base + 15 * CHANGE) == 3
    assert await process.at(base + 15 * CHANGE) == 3


async def test_it_works_when_much_was_freed_since_the_last_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was as large as now when it looked, in the middle of a burst, stayed so for ever."""
    process = Process(monkeypatch)
    size = 100 * CHANGE
    assert await process.at(size) == 1
    process.free = 20 * CHANGE
    assert await process.at(size) == 2
    assert await process.at(size) == 2
    process.free = 5 * CHANGE  # in use again
    assert await process.at(size) == 2


async def test_what_is_freed_between_two_looks_is_given_back() -> None:
    """The real library: it looked while the burst was in use, and the process was no larger afterwards."""
    if FreedMemory()._trim is None:
        pytest.skip("needs glibc")
    freed = FreedMemory()
    chunks = [bytes(16_000) for _ in range(5_000)]
    fragments = chunks[::200]
    await freed.give_back()
    grown = memory._resident()
    del chunks
    assert abs(memory._resident() - grown) < CHANGE
    await freed.give_back()
    assert memory._resident() < grown - 40 * 1024 * 1024
    assert len(fragments) == 25


async def test_where_the_library_cannot_do_it_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    process = Process(monkeypatch)
    monkeypatch.setattr(process.freed, "_trim", None)
    assert await process.at(1) == 0


async def test_a_burst_is_given_back() -> None:
    """Fragments of it, as large as gRPC's, keep what lies between them."""
    if FreedMemory()._trim is None:
        pytest.skip("needs glibc")
    freed = FreedMemory()
    await freed.give_back()
    chunks = [bytes(16_000) for _ in range(5_000)]
    fragments = chunks[::200]
    grown = memory._resident()
    del chunks
    await freed.give_back()
    assert memory._resident() < grown - 40 * 1024 * 1024
    assert len(fragments) == 25


LARGE_BLOCKS = """
from core.memory import LARGE_BLOCK, limit_kept_memory, _resident
limit_kept_memory()
for size in (24 * LARGE_BLOCK, 8 * LARGE_BLOCK):  # glibc learns from the first that is freed
    block = bytearray(size)
    fence = bytearray(100_000)
    before = _resident()
    del block
    assert before - _resident() > size // 2, size
"""


def test_a_large_block_goes_back_when_it_is_freed() -> None:
    """Services kept what large requests had used, as glibc takes larger and larger blocks for small ones."""
    subprocess.run([sys.executable, "-c", LARGE_BLOCKS], check=True, timeout=60)


def test_without_glibc_nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    memory.limit_kept_memory()
