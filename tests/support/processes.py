"""Facts about processes from the kernel."""

from pathlib import Path


def children(pid: int) -> list[int]:
    """Those that the process has started and not yet waited for."""
    found = [each.read_text() for each in Path(f"/proc/{pid}/task").glob("*/children")]
    return [int(child) for each in found for child in each.split()]


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def environment(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()
