"""Drives one gateway with one kind of request and tells what it cost."""

import asyncio
import json
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.load import processes, programs, streams
from tests.load.streams import Target

CONNECTIONS = 16
_LUA = Path(__file__).with_name("post.lua")


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds by process label for `count` requests (or streams) in `seconds`, and how many reads a stream took."""

    count: int
    seconds: float
    cpu: dict[str, float]
    reads: int = 0

    @property
    def each(self) -> float:
        """CPU seconds of one request."""
        return sum(self.cpu.values()) / self.count

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.count / self.seconds


def requests(target: Target, pid: int, *, seconds: float) -> Cost:
    """Plain requests from wrk over 16 connections; raises Failed when a single one is not answered well."""
    with tempfile.NamedTemporaryFile() as body:
        body.write(target.body)
        body.flush()
        headers = [word for name, value in target.headers.items() for word in ("-H", f"{name}: {value}")]
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}", "--timeout", "30s", "-s", str(_LUA)]
        command += ["-H", "Content-Type: application/json", *headers, target.url, "--", body.name]
        before = processes.tree(pid)
        try:
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        except FileNotFoundError as missing:
            raise programs.Missing("wrk is not installed: apt-get install wrk") from missing
        after = processes.tree(pid)
    counts = json.loads(output.splitlines()[-1])
    if counts["refused"] or counts["broken"] or not counts["requests"]:
        raise programs.Failed(f"{target.url}: {counts}")
    return Cost(counts["requests"], counts["seconds"], after.cpu_since(before))


async def stream(target: Target, pid: int, *, seconds: float, expected: int) -> Cost:
    """Streams, each read to its end; new ones start for `seconds`. Raises Failed when a single one is not complete."""
    until = time.monotonic() + seconds
    before = processes.tree(pid)
    total = await streams.run(
        target, concurrent=CONNECTIONS, more=lambda _: time.monotonic() < until, expected=expected
    )
    after = processes.tree(pid)
    if total.failures:
        raise programs.Failed(f"{target.url}: {len(total.failures)} of {total.started} streams: {total.failures[0]}")
    return Cost(total.finished, total.seconds, after.cpu_since(before), total.reads)


async def idle(pid: int, *, seconds: float) -> float:
    """CPU seconds that a second costs when nobody asks for anything."""
    before = processes.tree(pid)
    await asyncio.sleep(seconds)
    return sum(processes.tree(pid).cpu_since(before).values()) / seconds


def yardstick() -> float:
    """CPU milliseconds of a fixed amount of work: how much they vary is how much the machine's other load disturbs."""
    started = time.process_time()
    sum(range(3_000_000))
    return (time.process_time() - started) * 1000
