"""Work of large requests in the worker thread."""

import asyncio
import threading
from collections.abc import Generator

import pytest

from core import context
from core.context import Identity, Kind, RequestContext
from core.errors import InvalidInput, RateLimited
from core.offload import LARGE_BYTES, MAX_WAITING_BYTES, in_turns, offload, offload_in_parts, offload_request
from core.tenancy import Project, Tenant


def call_as(tenant: str) -> None:
    project = Project(Tenant(tenant), "p1")
    context.bind(RequestContext("r", Identity(project, "u", Kind.API, frozenset(), "t", 0.0, None)))


async def test_small_work_is_done_at_once() -> None:
    assert await offload(threading.get_ident, LARGE_BYTES) == threading.get_ident()


async def test_large_work_is_done_in_another_thread() -> None:
    assert await offload(threading.get_ident, LARGE_BYTES + 1) != threading.get_ident()


async def test_an_error_comes_back() -> None:
    def fail() -> None:
        raise InvalidInput("no", field="body")

    with pytest.raises(InvalidInput):
        await offload(fail, LARGE_BYTES + 1)


async def test_a_tenant_waits_for_one_chunk_of_anothers_work_and_not_for_all() -> None:
    """One tenant's fifty large bodies kept everybody else's out until the last of them was read."""
    go_on, done = threading.Event(), []

    async def work(tenant: str, name: str) -> None:
        call_as(tenant)

        def note() -> None:
            go_on.wait(10)
            done.append(name)

        await offload(note, LARGE_BYTES + 1)

    tasks = [asyncio.create_task(work("acme", f"a{number}")) for number in range(5)]
    await asyncio.sleep(0)
    tasks.append(asyncio.create_task(work("globex", "b")))
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(*tasks)
    assert done == ["a0", "b", "a1", "a2", "a3", "a4"]


async def test_long_work_lets_another_tenant_in_between_its_parts() -> None:
    """A text of 1 MB with slow patterns kept everybody else's long texts waiting for seconds."""
    go_on, done = threading.Event(), []

    def work(name: str, parts: int) -> Generator[int, None, str]:
        for number in range(parts):
            go_on.wait(10)
            done.append(f"{name}{number}")
            yield 8192
        return name

    async def run(tenant: str, parts: int) -> str:
        call_as(tenant)
        return await offload_in_parts(work(tenant, parts), LARGE_BYTES + 1)

    tasks = [asyncio.create_task(run("acme", 4))]
    await asyncio.sleep(0)
    tasks.append(asyncio.create_task(run("globex", 1)))
    await asyncio.sleep(0)
    go_on.set()
    assert await asyncio.gather(*tasks) == ["acme", "globex"]
    assert done.index("globex0") < done.index("acme2")


async def test_work_whose_caller_is_gone_is_not_begun() -> None:
    go_on, done = threading.Event(), []
    call_as("acme")
    first = asyncio.create_task(offload(lambda: go_on.wait(10), LARGE_BYTES + 1))
    await asyncio.sleep(0)
    second = asyncio.create_task(offload(lambda: done.append("second"), LARGE_BYTES + 1))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    go_on.set()
    await first
    assert await offload(lambda: list(done), LARGE_BYTES + 1) == []


async def test_requests_beyond_what_may_wait_are_refused() -> None:
    """Every large request that waited was held in memory, however many there were."""
    go_on, half = threading.Event(), MAX_WAITING_BYTES // 2
    call_as("acme")
    waiting = [asyncio.create_task(offload_request(lambda: go_on.wait(10), half)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(RateLimited) as caught:
        await offload_request(threading.get_ident, LARGE_BYTES + 1)
    assert caught.value.reason == "TOO_MANY_LARGE_REQUESTS"
    call_as("globex")
    other = asyncio.create_task(offload_request(threading.get_ident, half))
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(*waiting, other)
    call_as("acme")
    assert await offload_request(threading.get_ident, 2 * MAX_WAITING_BYTES)


async def test_long_conversions_give_others_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of large records was converted in one go, for a minute."""
    now, seen = 0.0, []

    def make(number: int) -> int:
        nonlocal now
        now += 0.004
        return number * 2

    async def other() -> None:
        seen.append(now)

    monkeypatch.setattr("core.offload.time.monotonic", lambda: now)
    task = asyncio.create_task(other())
    assert await in_turns(make, range(10)) == [number * 2 for number in range(10)]
    assert seen == [0.008]
    await task
