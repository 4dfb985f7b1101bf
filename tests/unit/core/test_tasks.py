import asyncio
import time

import pytest
from structlog.testing import capture_logs

from core import context
from core.context import RequestContext
from core.errors import Unavailable
from core.tasks import Tasks


async def test_spawned_work_runs_and_gives_its_result() -> None:
    tasks = Tasks()

    async def work() -> int:
        return 7

    task = tasks.spawn("work", work())
    assert tasks.count == 1
    assert await task == 7
    await asyncio.sleep(0)
    assert tasks.count == 0


async def test_a_full_pool_refuses_and_closes_what_it_refused() -> None:
    """A refused coroutine that nobody closes warns "never awaited"."""
    tasks, release = Tasks(limit=1), asyncio.Event()
    tasks.spawn("first", release.wait())
    refused = asyncio.sleep(0)
    with pytest.raises(Unavailable) as caught:
        tasks.spawn("second", refused)
    assert caught.value.retry_after == 1.0
    with pytest.raises(RuntimeError, match="already"):
        await refused
    release.set()
    await tasks.drain(1)


async def test_a_failure_is_logged_with_its_name_and_raised_to_who_awaits() -> None:
    tasks = Tasks()

    async def work() -> None:
        raise ValueError("broken")

    with capture_logs() as lines:
        task = tasks.spawn("write usage", work())
        with pytest.raises(ValueError, match="broken"):
            await task
        await asyncio.sleep(0)
    assert [(line["event"], line["task"], line["log_level"]) for line in lines] == [
        ("background task failed", "write usage", "error")
    ]
    assert isinstance(lines[0]["exc_info"], ValueError)


async def test_work_keeps_the_request_but_not_its_deadline() -> None:
    """With the caller's deadline, work that goes on after the answer would have no time left from the start."""
    seen = asyncio.get_running_loop().create_future()

    async def work() -> None:
        seen.set_result(context.current())

    context.bind(RequestContext(request_id="r1", deadline=time.monotonic() + 1))
    await Tasks().spawn("work", work())
    assert seen.result() == RequestContext(request_id="r1", deadline=None)
    request = context.current()
    assert request is not None
    assert request.deadline is not None


async def test_periodic_work_survives_its_errors_and_belongs_to_no_request() -> None:
    tasks, third = Tasks(), asyncio.Event()
    seen: list[RequestContext | None] = []

    async def work() -> None:
        seen.append(context.current())
        if len(seen) == 3:
            third.set()
        raise ValueError("broken")

    context.bind(RequestContext(request_id="r1"))
    with capture_logs() as lines:
        tasks.every("sweep", 0.001, work, jitter=0.5)
        await asyncio.wait_for(third.wait(), 5)
        await tasks.drain(0)
    assert seen[:3] == [None, None, None]
    assert [(line["event"], line["task"]) for line in lines[:2]] == [("periodic task failed", "sweep")] * 2


async def test_periodic_work_survives_a_cancellation_inside_it() -> None:
    """A task that it awaited was cancelled: that is an error of this round, not the end of all rounds."""
    tasks, second, rounds = Tasks(), asyncio.Event(), list[int]()

    async def work() -> None:
        rounds.append(1)
        if len(rounds) == 2:
            second.set()
        raise asyncio.CancelledError

    with capture_logs() as lines:
        tasks.every("sweep", 0.001, work)
        await asyncio.wait_for(second.wait(), 5)
        await tasks.drain(0)
    assert lines[0]["event"] == "periodic task failed"


async def test_periodic_work_can_be_woken() -> None:
    """What sets the event while the work is going on is not forgotten."""
    tasks, wake, done, again = Tasks(), asyncio.Event(), 0, asyncio.Event()

    async def work() -> None:
        nonlocal done
        done += 1
        if done == 1:
            wake.set()
        else:
            again.set()

    tasks.every("work", 3600, work, wake=wake)
    wake.set()
    async with asyncio.timeout(30):
        await again.wait()
    assert done == 2
    assert not wake.is_set()
    await tasks.drain(0.1)


async def test_draining_waits_for_spawned_work() -> None:
    tasks, finished = Tasks(), []

    async def second() -> None:
        await asyncio.sleep(0)
        finished.append("second")

    async def first() -> None:
        await asyncio.sleep(0)
        tasks.spawn("second", second())
        finished.append("first")

    tasks.spawn("first", first())
    await tasks.drain(5)
    assert finished == ["first", "second"]


async def test_draining_cancels_what_takes_too_long() -> None:
    tasks = Tasks()
    task = tasks.spawn("slow", asyncio.Event().wait())
    with capture_logs() as lines:
        await tasks.drain(0.01)
    assert task.cancelled()
    assert [(line["event"], line["task"]) for line in lines] == [("background task cancelled at shutdown", "slow")]


async def test_draining_cancels_periodic_work_at_once() -> None:
    tasks, release = Tasks(), asyncio.Event()
    periodic = tasks.every("sweep", 3600, release.wait)
    slow = tasks.spawn("slow", release.wait())
    drain = asyncio.create_task(tasks.drain(60))
    await asyncio.wait({periodic}, timeout=5)
    assert periodic.cancelled()
    assert not slow.done()
    release.set()
    await drain


async def test_nothing_starts_after_draining() -> None:
    tasks = Tasks()
    await tasks.drain(1)
    with pytest.raises(Unavailable):
        tasks.spawn("late", asyncio.sleep(0))


async def test_a_drain_that_is_cut_short_cancels_all_the_same() -> None:
    tasks = Tasks()
    task = tasks.spawn("slow", asyncio.Event().wait())
    drain = asyncio.create_task(tasks.drain(60))
    await asyncio.sleep(0)
    drain.cancel()
    await asyncio.wait({drain, task}, timeout=5)
    assert task.cancelled()
