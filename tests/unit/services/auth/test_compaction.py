"""Compaction: many revoked API tokens of a tenant become one cut-off, and nothing changes for any token."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from core.context import Identity, Kind
from core.storage.ports import Collection, Page
from core.tenancy import MAIN, Project, Scope, Tenant
from services.auth.domain.accounts import SignedIn
from services.auth.domain.records import ApiToken, RevocationRecord
from services.auth.domain.registration import NewTenant
from tests.support.stores import MemoryStore
from tests.unit.services.auth.conftest import Harness, Process

ACME = Tenant("acme")


@pytest.fixture(autouse=True)
def few(harness: Harness) -> None:
    """More than five are too many."""
    harness.env["PORTICO_MAX_REVOCATIONS_PER_TENANT"] = "5"


async def registered(harness: Harness) -> tuple[Process, SignedIn]:
    process = await harness.start()
    made = await process.domain.accounts.register(NewTenant("ann@example.com", "Correct-Horse-1", "Ann", "Acme"))
    return process, made


async def issue(process: Process, owner: SignedIn, count: int) -> list[ApiToken]:
    issue = process.domain.tokens.issue
    return [(await issue(ACME, owner.user, owner.session.project_id, "token", {"*"}))[0] for _ in range(count)]


def identity(token: ApiToken) -> Identity:
    project = Project(ACME, token.project_id)
    return Identity(project, token.user_id, Kind.API, frozenset({"*"}), token.id, token.created_at, None)


def refused(process: Process, tokens: list[ApiToken]) -> list[bool]:
    return [process.revocations.is_revoked(identity(each)) for each in tokens]


async def compact(process: Process) -> None:
    await process.domain.compaction.run(process.revocations)


async def take_back(process: Process, *tokens: ApiToken) -> None:
    await process.domain.members.take_back(ACME, list(tokens))


async def kept_records(process: Process) -> list[RevocationRecord]:
    return [each async for each in process.domain.tables.revocations.scan(MAIN, {})]


async def test_many_become_one_for_this_process_its_replicas_and_the_next_start(harness: Harness) -> None:
    """A deleted token that never expired left a revocation for ever, in the memory of every service."""
    process, owner = await registered(harness)
    replica = await harness.start()
    tokens = await issue(process, owner, 20)
    gone, alive = tokens[::2], tokens[1::2]
    await take_back(process, *gone)
    harness.clock.now += 61
    await compact(process)
    await replica.domain.revocations.poll()
    later = await harness.start()
    for each in (process, replica, later):
        assert refused(each, gone) == [True] * 10
        assert refused(each, alive) == [False] * 10
        assert each.revocations.size == 11
    (record,) = await kept_records(process)
    assert set(record.kept) == {token.id for token in alive}


async def test_few_stay_as_they_are(harness: Harness) -> None:
    process, owner = await registered(harness)
    await take_back(process, *await issue(process, owner, 5))
    harness.clock.now += 61
    await compact(process)
    assert len(await kept_records(process)) == 5


async def test_a_compaction_after_another_forgets_the_kept_that_are_gone(harness: Harness) -> None:
    process, owner = await registered(harness)
    first, second = await issue(process, owner, 10), await issue(process, owner, 10)
    await take_back(process, *first)
    harness.clock.now += 61
    await compact(process)
    await take_back(process, *second[:6])
    harness.clock.now += 61
    await compact(process)
    (record,) = await kept_records(process)
    assert set(record.kept) == {token.id for token in second[6:]}
    assert refused(process, [*first, *second]) == [True] * 16 + [False] * 4


async def test_a_token_that_is_just_being_made_is_not_cut_off(harness: Harness) -> None:
    process, owner = await registered(harness)
    await take_back(process, *await issue(process, owner, 10))
    harness.clock.now += 61
    fresh = await issue(process, owner, 2)
    await process.domain.tables.tokens.delete_where(ACME, {})  # not in the store yet
    await compact(process)
    assert refused(process, fresh) == [False, False]


async def test_revocations_of_an_earlier_version_that_never_expire_are_compacted(harness: Harness) -> None:
    process, owner = await registered(harness)
    alive = await issue(process, owner, 1)
    for number in range(10):
        old = {"id": f"r{number}", "tenant": "acme", "createdAt": harness.clock.now, "tokenId": f"old{number}"}
        document = old | {"subject": "", "issuedBefore": 0.0, "expiresAt": 0.0}
        await harness.store.insert(MAIN, process.domain.tables.revocations._collection, document)
    process = await harness.start()
    harness.clock.now += 61
    await compact(process)
    project = Project(ACME, "p1")
    old_token = Identity(project, "u1", Kind.API, frozenset({"*"}), "old3", harness.clock.now - 1000, None)
    assert process.revocations.is_revoked(old_token)
    assert refused(process, alive) == [False]
    assert len(await kept_records(process)) == 1


async def test_a_session_revoked_by_an_earlier_version_is_left_alone(harness: Harness) -> None:
    process, owner = await registered(harness)
    document = {"id": "r1", "tenant": "acme", "createdAt": harness.clock.now, "tokenId": "s1"}
    document |= {"subject": "", "issuedBefore": 0.0, "expiresAt": harness.clock.now + 1000}
    await harness.store.insert(MAIN, process.domain.tables.revocations._collection, document)
    process = await harness.start()
    await take_back(process, *await issue(process, owner, 10))
    harness.clock.now += 61
    await compact(process)
    session = Identity(Project(ACME, "p1"), "u1", Kind.SESSION, frozenset(), "s1", harness.clock.now, None)
    for each in (process, await harness.start()):
        assert each.revocations.is_revoked(session)


class Interrupted(MemoryStore):
    """A store in which another action happens after the first reading of a collection's list."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: dict[str, Callable[[], Awaitable[Any]]] = {}

    async def find(self, scope: Scope, collection: Collection, *arguments: Any, **named: Any) -> Page:
        page = await super().find(scope, collection, *arguments, **named)
        if something := self.meanwhile.pop(collection.name, None):
            await something()
        return page


@pytest.mark.parametrize("moment", ["revocations", "api_tokens"])
async def test_a_token_that_is_deleted_meanwhile_stays_deleted(harness: Harness, moment: str) -> None:
    store = Interrupted()
    harness.store = store
    process, owner = await registered(harness)
    replica = await harness.start()
    victim = (await issue(process, owner, 1))[0]
    await take_back(process, *await issue(process, owner, 10))
    harness.clock.now += 61
    store.meanwhile[moment] = lambda: take_back(replica, victim)
    await compact(process)
    await process.domain.revocations.poll()
    for each in (process, replica, await harness.start()):
        assert refused(each, [victim]) == [True]


async def test_of_two_compactions_at_the_same_time_one_is_written(harness: Harness) -> None:
    """The other may have read the tokens before one was deleted whose revocation the first has replaced."""
    store = Interrupted()
    harness.store = store
    process, owner = await registered(harness)
    replica = await harness.start()
    victim = (await issue(process, owner, 1))[0]
    await take_back(process, *await issue(process, owner, 10))
    harness.clock.now += 61

    async def delete_and_compact() -> None:
        await take_back(replica, victim)
        harness.clock.now += 1
        await replica.domain.revocations.poll()
        await compact(replica)

    store.meanwhile["api_tokens"] = delete_and_compact
    await compact(process)
    await process.domain.revocations.poll()
    for each in (process, replica, await harness.start()):
        assert refused(each, [victim]) == [True]


class Dying(MemoryStore):
    """Cannot delete revocations any more."""

    dead = False

    async def delete_where(self, scope: Scope, collection: Collection, where: Any) -> int:
        if self.dead and collection.name == "revocations":
            raise ConnectionError("the process is dead")
        return await super().delete_where(scope, collection, where)


async def test_a_compaction_that_dies_is_finished_by_a_later_one(harness: Harness) -> None:
    store = Dying()
    harness.store = store
    process, owner = await registered(harness)
    tokens = await issue(process, owner, 12)
    await take_back(process, *tokens[:10])
    harness.clock.now += 61
    store.dead = True
    with pytest.raises(ConnectionError):
        await compact(process)
    store.dead = False
    later = await harness.start()
    assert refused(later, tokens) == [True] * 10 + [False] * 2
    assert later.revocations.size == 3
    await take_back(later, *await issue(later, owner, 10))
    harness.clock.now += 61
    await compact(later)
    assert len(await kept_records(later)) == 1
    assert refused(later, tokens) == [True] * 10 + [False] * 2
