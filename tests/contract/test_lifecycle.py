"""Signals are tested on real processes: what matters is what the operating system sees."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import pytest
from structlog.testing import capture_logs

from core.lifecycle import Lifecycle, Phase


def recorder(done: list[str], name: str) -> "asyncio.Future[None]":
    done.append(name)
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.set_result(None)
    return future


async def test_phases_stop_in_their_order_whatever_the_order_of_registration() -> None:
    lifecycle, done = Lifecycle(), list[str]()
    for phase in reversed(Phase):
        lifecycle.on_stop(phase, "step", lambda phase=phase: recorder(done, phase.name))  # type: ignore[misc]
    await lifecycle.stop()
    assert done == [
        *("NOT_SERVING", "DRAIN_DELAY", "SERVER", "TASKS", "FLUSH", "POOLS", "CACHE", "STORES", "TELEMETRY")
    ]


async def test_a_phase_begins_when_the_one_before_has_ended() -> None:
    lifecycle, done, release = Lifecycle(), list[str](), asyncio.Event()

    async def server() -> None:
        await release.wait()
        done.append("server")

    lifecycle.on_stop(Phase.SERVER, "server", server)
    lifecycle.on_stop(Phase.STORES, "store", lambda: recorder(done, "store"))
    stop = asyncio.create_task(lifecycle.stop())
    for _ in range(10):
        await asyncio.sleep(0)
    assert done == []
    release.set()
    await stop
    assert done == ["server", "store"]


async def test_the_steps_of_a_phase_run_side_by_side() -> None:
    lifecycle, both = Lifecycle(), asyncio.Barrier(2)
    lifecycle.on_stop(Phase.POOLS, "one", both.wait)
    lifecycle.on_stop(Phase.POOLS, "two", both.wait)
    with capture_logs() as lines:
        await lifecycle.stop()
    assert [line["event"] for line in lines] == ["stopping", "stopped"]


async def test_a_step_that_fails_is_logged_and_stops_nothing() -> None:
    lifecycle, done = Lifecycle(), list[str]()

    async def failing() -> None:
        raise ValueError("broken")

    def raising() -> "asyncio.Future[None]":
        raise KeyError("before it awaits")

    async def cancelled() -> None:
        raise asyncio.CancelledError

    lifecycle.on_stop(Phase.FLUSH, "failing", failing)
    lifecycle.on_stop(Phase.FLUSH, "raising", raising)
    lifecycle.on_stop(Phase.FLUSH, "cancelled", cancelled)
    lifecycle.on_stop(Phase.FLUSH, "sound", lambda: recorder(done, "sound"))
    lifecycle.on_stop(Phase.STORES, "store", lambda: recorder(done, "store"))
    with capture_logs() as lines:
        await lifecycle.stop()
    assert done == ["sound", "store"]
    assert {(line["event"], line.get("step")) for line in lines if line["log_level"] == "error"} == {
        ("stop step failed", "failing"),
        ("stop step failed", "raising"),
        ("stop step was cancelled", "cancelled"),
    }


async def test_a_step_that_hangs_is_left_behind() -> None:
    """Even one that does not heed its cancellation, for which waiting would be forever."""
    lifecycle, done, release = Lifecycle(), list[str](), asyncio.Event()

    async def stubborn() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                done.append("ignored")

    lifecycle.on_stop(Phase.POOLS, "stubborn", stubborn, timeout=0.01)
    lifecycle.on_stop(Phase.STORES, "store", lambda: recorder(done, "store"))
    with capture_logs() as lines:
        await lifecycle.stop()
    assert "store" in done
    assert [(line["event"], line["step"]) for line in lines if line["log_level"] == "error"] == [
        ("stop step timed out", "stubborn")
    ]
    release.set()
    await asyncio.sleep(0)


async def test_stopping_twice_runs_the_steps_once() -> None:
    lifecycle, done = Lifecycle(), list[str]()
    lifecycle.on_stop(Phase.STORES, "store", lambda: recorder(done, "store"))
    await asyncio.gather(lifecycle.stop(), lifecycle.stop())
    await lifecycle.stop()
    assert done == ["store"]


async def test_a_service_may_ask_to_stop_by_itself() -> None:
    lifecycle = Lifecycle()
    lifecycle.request_stop()
    assert await lifecycle.run_until_stopped() == 0


PROGRAM = """
import asyncio, sys
from core import logs
from core.lifecycle import Lifecycle, Phase

def say(text):
    print(text, flush=True)

async def main():
    lifecycle = Lifecycle()
    lifecycle.install()

    async def store():
        say("store closed")

    async def server():
        say("server stopping")
        if "hang" in sys.argv:
            await asyncio.sleep(60)
        if "slow" in sys.argv:
            await asyncio.to_thread(sys.stdin.readline)

    async def broken():
        raise ValueError("broken")

    lifecycle.on_stop(Phase.STORES, "store", store)
    lifecycle.on_stop(Phase.SERVER, "server", server, timeout=60)
    lifecycle.on_stop(Phase.SERVER, "broken", broken)
    say("ready")
    if "by-itself" in sys.argv:
        lifecycle.request_stop()
    if "starting" in sys.argv:
        sys.stdin.readline()
    return await lifecycle.run_until_stopped()

logs.configure("test", "error")
if "uvloop" in sys.argv:
    import uvloop
    sys.exit(uvloop.run(main()))
sys.exit(asyncio.run(main()))
"""


@contextmanager
def program(*arguments: str) -> Iterator[tuple["subprocess.Popen[str]", IO[str]]]:
    """The program above, after it said that it is ready."""
    command = [sys.executable, "-c", PROGRAM, *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process, process.stdout
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_in_order_and_exits_0(number: signal.Signals, loop: str) -> None:
    with program(loop) as (process, output):
        process.send_signal(number)
        lines = output.read().splitlines()
        assert process.wait(timeout=30) == 0
    assert [line for line in lines if not line.startswith("{")] == ["server stopping", "store closed"]
    assert sum("stop step failed" in line for line in lines) == 1


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_second_signal_exits_at_once(loop: str) -> None:
    with program(loop, "hang") as (process, output):
        process.send_signal(signal.SIGTERM)
        assert output.readline() == "server stopping\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 1
        assert "store closed" not in output.read()


def test_a_signal_during_the_start_is_not_lost() -> None:
    with program("starting") as (process, output):
        process.send_signal(signal.SIGTERM)
        assert process.stdin is not None
        process.stdin.write("go on\n")
        process.stdin.flush()
        assert process.wait(timeout=30) == 0
        assert output.read().splitlines()[-1] == "store closed"


def test_the_first_signal_during_a_stop_of_its_own_is_no_second_one() -> None:
    with program("by-itself", "slow") as (process, output):
        assert output.readline() == "server stopping\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdin is not None
        process.stdin.write("go on\n")
        process.stdin.flush()
        assert process.wait(timeout=30) == 0
        assert output.read().splitlines()[-1] == "store closed"
