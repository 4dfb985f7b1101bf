"""Revocations: kept, told, shared among replicas, forgotten in time."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from core.errors import Unavailable
from core.revocations import Revocation
from core.tenancy import MAIN
from services.auth.domain import revocation_log as module
from services.auth.domain.revocation_log import Told, Watcher
from tests.unit.services.auth.conftest import Harness, Process

Watch = AsyncGenerator[Told, None]


def token(id: str, expires_at: float = 0.0) -> Revocation:
    return Revocation("acme", id, api=True, issued_at=1.0, expires_at=expires_at)


async def first(process: Process) -> tuple[Watch, list[Revocation]]:
    """A watch, and the whole of its snapshot."""
    watch = process.domain.revocations.watch()
    told = await anext(watch)
    assert told.snapshot
    known = told.revocations
    while told.more:
        told = await anext(watch)
        assert not told.snapshot
        known += told.revocations
    return watch, known


async def news(watch: Watch, count: int = 1) -> list[Revocation]:
    """Read the next revocations, without signs of life, until there are `count`."""
    found: list[Revocation] = []
    async with asyncio.timeout(5):
        async for told in watch:
            found += told.revocations
            if len(found) >= count:
                break
    return found


async def test_a_snapshot_then_each_new_one(harness: Harness) -> None:
    process = await harness.start()
    await process.domain.revocations.revoke(token("a"))
    watch, known = await first(process)
    assert known == [token("a")]
    await process.domain.revocations.revoke(token("b"), token("c"))
    assert await news(watch, 2) == [token("b"), token("c")]
    await watch.aclose()


async def test_nothing_is_lost_between_snapshot_and_news(harness: Harness) -> None:
    """A revocation while the snapshot is on its way comes as news."""
    process = await harness.start()
    watch, known = await first(process)
    await process.domain.revocations.revoke(token("a"))
    assert (known, await news(watch)) == ([], [token("a")])
    await watch.aclose()


async def test_silence_is_broken_by_signs_of_life(harness: Harness) -> None:
    process = await harness.start()
    watch, _ = await first(process)
    assert await anext(watch) == Told([])
    await watch.aclose()


async def test_other_replicas_learn_by_polling_and_tell_their_watchers_once(harness: Harness) -> None:
    one, two = await harness.start(), await harness.start()
    watch, _ = await first(two)
    await one.domain.revocations.revoke(token("a"))
    for _ in range(3):
        await two.domain.revocations.poll()
    assert await news(watch) == [token("a")]
    assert await anext(watch) == Told([])
    await watch.aclose()


async def test_a_replica_whose_clock_is_behind_is_heard(harness: Harness) -> None:
    one, two = await harness.start(), await harness.start()
    await two.domain.revocations.revoke(token("a"))
    await two.domain.revocations.poll()
    harness.clock.now -= 30
    await one.domain.revocations.revoke(token("b"))
    watch, _ = await first(two)
    await two.domain.revocations.poll()
    assert await news(watch) == [token("b")]
    await watch.aclose()


async def test_a_restart_forgets_nothing(harness: Harness) -> None:
    revocation = Revocation("acme", subject="u1", issued_before=harness.clock.now, expires_at=harness.clock.now + 60)
    await (await harness.start()).domain.revocations.revoke(revocation, token("a"))
    _, known = await first(await harness.start())
    assert sorted(known, key=repr) == sorted([revocation, token("a")], key=repr)


async def test_what_has_expired_is_forgotten_and_what_never_does_is_kept(harness: Harness) -> None:
    process = await harness.start()
    log = process.domain.revocations
    await log.revoke(token("short", harness.clock.now + 10), token("long", harness.clock.now + 1000), token("ever"))
    harness.clock.now += 100
    await log.prune()
    _, known = await first(process)
    assert {each.token_id for each in known} == {"long", "ever"}
    assert await process.domain.tables.revocations.count(MAIN, {}) == 2


async def test_a_watcher_that_falls_behind_is_cut_off_and_holds_nothing() -> None:
    watcher = Watcher()
    for _ in range(3):
        watcher.push([token("x")] * (module._MAX_BEHIND // 2 + 1))
    assert len(watcher._pending) <= module._MAX_BEHIND
    with pytest.raises(Unavailable):
        await watcher.next(1)


async def test_a_slow_watcher_does_not_slow_the_others(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_BEHIND", 100)
    process = await harness.start()
    slow, _ = await first(process)
    quick, _ = await first(process)
    for number in range(3):
        batch = [token(f"{number}-{each}") for each in range(module._MAX_BEHIND // 2)]
        await process.domain.revocations.revoke(*batch)
        assert len(await news(quick, len(batch))) == len(batch)
    with pytest.raises(Unavailable):
        await anext(slow)
    again, known = await first(process)
    assert len(known) == 3 * (module._MAX_BEHIND // 2)
    for watch in (quick, again):
        await watch.aclose()


async def test_closing_ends_watches_and_refuses_new_ones(harness: Harness) -> None:
    process = await harness.start()
    watch, _ = await first(process)
    await process.domain.revocations.close()
    with pytest.raises(StopAsyncIteration):
        await anext(watch)
    with pytest.raises(Unavailable):
        await anext(process.domain.revocations.watch())


async def test_a_watcher_that_leaves_is_forgotten(harness: Harness) -> None:
    process = await harness.start()
    watch, _ = await first(process)
    assert len(process.domain.revocations._watchers) == 1
    await watch.aclose()
    assert not process.domain.revocations._watchers
