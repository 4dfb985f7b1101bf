"""Signing keys: publication, signatures, rotation."""

import asyncio

import pytest

from core.errors import FailedPrecondition
from core.sealing import SealBroken, Sealer, generate_key
from core.storage.ports import Document
from core.tenancy import MAIN
from services.auth.domain.records import SigningKey
from tests.support.stores import MemoryStore
from tests.unit.services.auth.conftest import Harness, Process

DAY = 86_400.0


async def stored(process: Process) -> dict[str | None, list[SigningKey]]:
    found: dict[str | None, list[SigningKey]] = {}
    async for key in process.domain.tables.signing_keys.scan(MAIN, {}):
        found.setdefault(key.slot, []).append(key)
    return found


async def test_the_first_start_makes_a_current_and_a_next_key(harness: Harness) -> None:
    process = await harness.start()
    keys = process.domain.keys
    assert [key.slot for key in keys.published] == ["current", "next"]
    assert keys.signer.key_id == keys.published[0].id
    assert all(process.keys.get(key.id) for key in keys.published)


async def test_replicas_that_start_together_agree(harness: Harness) -> None:
    processes = await asyncio.gather(*(harness.start() for _ in range(5)))
    assert len({tuple(key.id for key in each.domain.keys.published) for each in processes}) == 1


async def test_a_restart_keeps_the_keys(harness: Harness) -> None:
    first, second = await harness.start(), await harness.start()
    assert first.domain.keys.signer.key_id == second.domain.keys.signer.key_id


async def test_a_rotation_lets_the_next_key_sign_and_keeps_the_old_one_published(harness: Harness) -> None:
    process = await harness.start()
    old, following = process.domain.keys.published
    harness.clock.now += 601
    assert await process.domain.keys.rotate() == following.id
    assert process.domain.keys.signer.key_id == following.id
    by_slot = await stored(process)
    assert [key.id for key in by_slot["current"]] == [following.id]
    (retired,) = by_slot[None]
    assert (retired.id, retired.sealed, retired.retired_at) == (old.id, None, harness.clock.now)
    assert len(by_slot["next"]) == 1
    assert process.keys.get(old.id)


async def test_a_rotation_waits_until_verifiers_may_know_the_next_key(harness: Harness) -> None:
    process = await harness.start()
    with pytest.raises(FailedPrecondition) as caught:
        await process.domain.keys.rotate()
    assert caught.value.retry_after == pytest.approx(600)
    harness.clock.now += 601
    await process.domain.keys.rotate()
    with pytest.raises(FailedPrecondition):
        await process.domain.keys.rotate()


async def test_rotations_at_the_same_time_are_one(harness: Harness) -> None:
    processes = [await harness.start() for _ in range(5)]
    harness.clock.now += 601
    await asyncio.gather(*(each.domain.keys.rotate() for each in processes), return_exceptions=True)
    by_slot = await stored(processes[0])
    assert [len(by_slot[slot]) for slot in ("current", "next", None)] == [1, 1, 1]


async def test_age_rotates(harness: Harness) -> None:
    process = await harness.start()
    old = process.domain.keys.signer.key_id
    harness.clock.now += 90 * DAY - 1
    await process.domain.keys.refresh()
    assert process.domain.keys.signer.key_id == old
    harness.clock.now += 2
    await process.domain.keys.refresh()
    assert process.domain.keys.signer.key_id != old
    assert len(process.domain.keys.published) == 3


async def test_another_process_notices(harness: Harness) -> None:
    one, two = await harness.start(), await harness.start()
    harness.clock.now += 601
    current = await one.domain.keys.rotate()
    await two.domain.keys.refresh()
    assert two.domain.keys.signer.key_id == current
    assert two.keys.get(one.domain.keys.published[1].id)


class Mortal(MemoryStore):
    """Dies before its n-th write, and stays dead."""

    def __init__(self, alive: MemoryStore, writes: int) -> None:
        super().__init__()
        self._databases = alive._databases
        self.writes = writes

    def _write(self) -> None:
        self.writes -= 1
        if self.writes < 0:
            raise ConnectionError("the process is dead")

    async def insert(self, *arguments: object, **named: object) -> None:
        self._write()
        await super().insert(*arguments, **named)  # type: ignore[arg-type]

    async def update(self, *arguments: object, **named: object) -> Document | None:
        self._write()
        return await super().update(*arguments, **named)  # type: ignore[arg-type]


@pytest.mark.parametrize("writes", range(3))
async def test_a_rotation_that_dies_is_finished_by_the_next_process(harness: Harness, writes: int) -> None:
    assert isinstance(harness.store, MemoryStore)
    first = await harness.start()
    before = {key.id for key in first.domain.keys.published}
    harness.clock.now += 601
    dying = await harness.start(Mortal(harness.store, writes))
    with pytest.raises(ConnectionError):
        await dying.domain.keys.rotate()
    later = await harness.start()
    by_slot = await stored(later)
    assert [len(by_slot[slot]) for slot in ("current", "next")] == [1, 1]
    assert before <= {key.id for key in later.domain.keys.published}
    assert later.domain.keys.signer.key_id == by_slot["current"][0].id
    assert all(key.sealed is None for key in by_slot.get(None, []))


async def test_private_halves_are_sealed_and_sealed_anew_under_a_new_primary_key(harness: Harness) -> None:
    first = await harness.start()
    old = harness.env["PORTICO_ENCRYPTION_KEYS"]
    fresh = generate_key("k2")
    second = await harness.start(PORTICO_ENCRYPTION_KEYS=f"{fresh},{old}")
    assert second.domain.keys.signer.key_id == first.domain.keys.signer.key_id
    by_slot = await stored(second)
    for slot in ("current", "next"):
        assert not Sealer.from_settings(fresh).needs_reseal(by_slot[slot][0].sealed or "")
    third = await harness.start(PORTICO_ENCRYPTION_KEYS=fresh)
    assert third.domain.keys.signer.key_id == first.domain.keys.signer.key_id
    with pytest.raises(SealBroken):
        await harness.start(PORTICO_ENCRYPTION_KEYS=old)


async def test_records_show_no_private_half(harness: Harness) -> None:
    process = await harness.start()
    assert "sealed" not in repr(process.domain.keys.published)
