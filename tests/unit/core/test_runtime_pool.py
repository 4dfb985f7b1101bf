import asyncio
import logging

import pytest

from core.errors import Unavailable
from core.runtime_pool import RuntimePool


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Values:
    """Builds "value 1", "value 2", ... once `gate` is open, and notes what is disposed of."""

    def __init__(self) -> None:
        self.built = 0
        self.disposed: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.failure: Exception | None = None

    async def build(self) -> str:
        self.built += 1
        name = f"value {self.built}"
        await self.gate.wait()
        if self.failure:
            raise self.failure
        return name

    async def dispose(self, value: str) -> None:
        self.disposed.append(value)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def values() -> Values:
    return Values()


@pytest.fixture
async def pool(values: Values, clock: Clock) -> RuntimePool[str, str]:
    return RuntimePool(2, 300.0, values.dispose, 3600.0, clock=clock)


async def _settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_value_is_built_once_and_found_again(pool: RuntimePool[str, str], values: Values) -> None:
    assert pool.lookup("a") is None
    assert pool.lease("a") is None
    assert await pool.get("a", values.build) == "value 1"
    assert await pool.get("a", values.build) == "value 1"
    assert pool.lookup("a") == "value 1"
    with pool.lease("a") or await pool.acquire("a", values.build) as value:
        assert value == "value 1"
    assert values.built == 1


async def test_concurrent_callers_share_one_build(pool: RuntimePool[str, str], values: Values) -> None:
    values.gate.clear()
    callers = [asyncio.create_task(pool.get("a", values.build)) for _ in range(5)]
    await _settle()
    values.gate.set()
    assert await asyncio.gather(*callers) == ["value 1"] * 5
    assert values.built == 1


async def test_a_failed_build_reaches_all_and_is_not_kept(pool: RuntimePool[str, str], values: Values) -> None:
    values.gate.clear()
    values.failure = ValueError("no key")
    callers = [asyncio.create_task(pool.get("a", values.build)) for _ in range(3)]
    await _settle()
    values.gate.set()
    assert [str(error) for error in await asyncio.gather(*callers, return_exceptions=True)] == ["no key"] * 3
    values.failure = None
    assert await pool.get("a", values.build) == "value 2"


async def test_a_cancelled_first_caller_does_not_fail_the_others(pool: RuntimePool[str, str], values: Values) -> None:
    values.gate.clear()
    first = asyncio.create_task(pool.get("a", values.build))
    await _settle()
    second = asyncio.create_task(pool.get("a", values.build))
    await _settle()
    first.cancel()
    await _settle()
    values.gate.set()
    assert await second == "value 1"
    assert values.built == 1


async def test_no_lease_is_lost_to_cancellation(pool: RuntimePool[str, str], values: Values) -> None:
    """Before the build is done, and in the very moment that it is."""
    values.gate.clear()
    early = asyncio.create_task(pool.acquire("a", values.build))
    late = asyncio.create_task(pool.acquire("a", values.build))
    await _settle()
    early.cancel()
    await _settle()
    pool._builds["a"].task.add_done_callback(lambda _: late.cancel())
    values.gate.set()
    await asyncio.wait([early, late])
    assert late.cancelled()
    pool.invalidate("a")
    await _settle()
    assert values.disposed == ["value 1"]


async def test_a_failure_that_nobody_waits_for_is_not_complained_about(
    pool: RuntimePool[str, str], values: Values, caplog: pytest.LogCaptureFixture
) -> None:
    values.gate.clear()
    values.failure = ValueError("no key")
    caller = asyncio.create_task(pool.get("a", values.build))
    await _settle()
    caller.cancel()
    await _settle()
    values.gate.set()
    await _settle()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert not pool._builds


async def test_the_least_recently_used_goes_first(pool: RuntimePool[str, str], values: Values) -> None:
    await pool.get("a", values.build)
    await pool.get("b", values.build)
    assert pool.lookup("a") == "value 1"
    await pool.get("c", values.build)
    await _settle()
    assert values.disposed == ["value 2"]
    assert pool.lookup("b") is None
    assert len(pool) == 2


async def test_a_value_in_use_is_disposed_of_after_its_last_user(pool: RuntimePool[str, str], values: Values) -> None:
    with await pool.acquire("a", values.build) as first:
        second = pool.lease("a")
        assert second is not None
        pool.invalidate("a")
        assert pool.lookup("a") is None
        await _settle()
        assert values.disposed == []
        assert first == "value 1"
    await _settle()
    assert values.disposed == []
    second.release()
    await _settle()
    assert values.disposed == ["value 1"]


async def test_invalidate_by_predicate(pool: RuntimePool[str, str], values: Values) -> None:
    await pool.get("t1:a", values.build)
    await pool.get("t2:a", values.build)
    pool.invalidate(lambda key: key.startswith("t1:"))
    await _settle()
    assert values.disposed == ["value 1"]
    assert pool.lookup("t2:a") == "value 2"


async def test_what_is_invalidated_while_it_is_built_is_not_kept(pool: RuntimePool[str, str], values: Values) -> None:
    """A provider changed while its client was built: the client has the old credentials."""
    values.gate.clear()
    stale = asyncio.create_task(pool.acquire("a", values.build))
    await _settle()
    pool.invalidate("a")
    fresh = asyncio.create_task(pool.acquire("a", values.build))
    await _settle()
    values.gate.set()
    with await stale as value:
        assert value == "value 1"
        await _settle()
        assert values.disposed == []
    await _settle()
    assert values.disposed == ["value 1"]
    assert (await fresh).value == pool.lookup("a") == "value 2"


async def test_sweep_drops_what_is_idle_and_not_in_use(
    pool: RuntimePool[str, str], values: Values, clock: Clock
) -> None:
    await pool.get("idle", values.build)
    used = await pool.acquire("used", values.build)
    clock.now += 301
    await pool.sweep()
    await _settle()
    assert values.disposed == ["value 1"]
    used.release()
    assert pool.lookup("used") == "value 2"
    await pool.sweep()
    assert pool.lookup("used") == "value 2"  # looked up a moment ago


async def test_an_old_value_is_built_anew(pool: RuntimePool[str, str], values: Values, clock: Clock) -> None:
    await pool.get("a", values.build)
    clock.now += 3601
    assert await pool.get("a", values.build) == "value 2"
    await _settle()
    assert values.disposed == ["value 1"]


async def test_a_failing_disposal_is_logged(values: Values) -> None:
    async def fail(value: str) -> None:
        raise OSError("gone already")

    pool: RuntimePool[str, str] = RuntimePool(1, 60.0, fail)
    await pool.get("a", values.build)
    await pool.close()


async def test_close_waits_for_users_and_builds(pool: RuntimePool[str, str], values: Values) -> None:
    used = await pool.acquire("used", values.build)
    await pool.get("free", values.build)
    values.gate.clear()
    building = asyncio.create_task(pool.acquire("building", values.build))
    await _settle()
    closing = asyncio.create_task(pool.close())
    await _settle()
    assert values.disposed == ["value 2"]
    with pytest.raises(Unavailable):
        await pool.get("new", values.build)
    values.gate.set()
    (await building).release()
    await _settle()
    assert not closing.done()
    used.release()
    await asyncio.wait_for(closing, 5)
    assert sorted(values.disposed) == ["value 1", "value 2", "value 3"]


async def test_a_cancelled_close_disposes_of_all_once(pool: RuntimePool[str, str], values: Values) -> None:
    used = await pool.acquire("used", values.build)
    closing = asyncio.create_task(pool.close())
    await _settle()
    closing.cancel()
    await _settle()
    assert values.disposed == ["value 1"]
    used.release()
    await _settle()
    assert values.disposed == ["value 1"]


async def test_close_of_an_empty_pool(pool: RuntimePool[str, str]) -> None:
    await asyncio.wait_for(pool.close(), 5)
