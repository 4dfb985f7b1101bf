"""The writer of the audit log, on a store that fails as told."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest

from core.audit.log import AuditLog
from core.audit.records import (
    DENIED,
    FAILURE,
    SUCCESS,
    UNKNOWN,
    Actor,
    AuditEntry,
    clean,
    new_entry,
)
from core.errors import Unavailable
from core.storage.ports import Collection, Document, Where
from core.storage.table import from_document, to_document
from core.tasks import Tasks
from core.tenancy import Scope, Tenant
from tests.support.stores import MemoryStore

ACME = Tenant("acme")
ACTOR = Actor("api", "u1", "t1", "p1", "req-1", "192.0.2.7", "curl/8")


class Store(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.away = False

    def _answer(self) -> None:
        if self.away:
            raise Unavailable("away")

    async def insert(self, scope: Scope, collection: Collection, document: Document) -> None:
        self._answer()
        await super().insert(scope, collection, document)

    async def insert_many(self, scope: Scope, collection: Collection, documents: Sequence[Document]) -> int:
        self._answer()
        return await super().insert_many(scope, collection, documents)

    async def update(
        self,
        scope: Scope,
        collection: Collection,
        id: str,
        changes: Mapping[str, Any],
        *,
        where: Where | None = None,
    ) -> Document | None:
        self._answer()
        return await super().update(scope, collection, id, changes, where=where)

    async def delete(self, scope: Scope, collection: Collection, id: str) -> bool:
        self._answer()
        return await super().delete(scope, collection, id)


@pytest.fixture
async def store() -> Store:
    return Store()


@pytest.fixture
def log(store: Store) -> AuditLog:
    return AuditLog(store, Tasks(), clock=lambda: 1000.0)


async def entries(log: AuditLog) -> list[AuditEntry]:
    found, _ = await log.page(ACME, {}, page_size=1000, page_token="")
    return found


def entry(outcome: str = SUCCESS, resource: str = "m", **more: Any) -> AuditEntry:
    return new_entry(ACTOR, "model.create", outcome, "model", resource, at=1000.0, **more)


def test_an_entry_is_the_same_after_the_store() -> None:
    made = entry(metadata={"fields": "name"}, reason="X")
    assert from_document(AuditEntry, to_document(made)) == made


def test_entries_of_before_there_were_more_fields_can_be_read() -> None:
    old = {
        "id": "1",
        "createdAt": 1.5,
        "action": "token.create",
        "outcome": "success",
        "actorKind": "session",
        "resourceType": "token",
        "actorId": "u",
        "resourceId": "t",
        "projectId": "p",
        "requestId": "r",
        "ipAddress": "",
        "metadata": {"label": "ci"},
    }
    read = from_document(AuditEntry, old)
    assert (read.actor_id, read.count, read.last_at, read.token_id, read.metadata) == (
        "u",
        1,
        None,
        "",
        {"label": "ci"},
    )


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("curl/8", "curl/8"),
        ("a\nb\x00c", "a b c"),
        ("sk-abcdef123456", "sk-***"),
        ("x" * 600, "x" * 512),
        ("\ud800", "?"),
    ],
)
def test_texts_of_callers_are_short_plain_and_without_credentials(given: str, kept: str) -> None:
    assert clean(given) == kept


async def test_a_change_is_unknown_until_it_has_ended(log: AuditLog) -> None:
    begun = entry()
    await log.begin(ACME, begun)
    assert [each.outcome for each in await entries(log)] == [UNKNOWN]
    await log.settle(ACME, msgspec.structs.replace(begun, resource_id="made", metadata={"fields": "name"}))
    (settled,) = await entries(log)
    assert (settled.outcome, settled.resource_id, settled.metadata) == (SUCCESS, "made", {"fields": "name"})


async def test_a_refused_call_leaves_nothing(log: AuditLog) -> None:
    begun = entry()
    await log.begin(ACME, begun)
    await log.withdraw(ACME, begun)
    assert await entries(log) == []


async def test_a_change_cannot_begin_while_the_store_takes_no_entry(log: AuditLog, store: Store) -> None:
    store.away = True
    with pytest.raises(Unavailable):
        await log.begin(ACME, entry())


async def test_an_outcome_that_the_store_did_not_take_is_written_once_it_can(log: AuditLog, store: Store) -> None:
    begun = entry()
    await log.begin(ACME, begun)
    store.away = True
    await log.settle(ACME, begun)
    await log.withdraw(ACME, entry())
    await log.flush()
    store.away = False
    assert [each.outcome for each in await entries(log)] == [UNKNOWN]
    await log.flush()
    assert [each.outcome for each in await entries(log)] == [SUCCESS]


async def test_changes_of_data_are_written_behind_and_counted(log: AuditLog) -> None:
    for _ in range(3):
        log.add(ACME, entry())
    log.add(ACME, entry(FAILURE, reason="UNAVAILABLE"))
    assert await entries(log) == []
    await log.flush()
    assert sorted((each.outcome, each.count) for each in await entries(log)) == [(FAILURE, 1), (SUCCESS, 1)]
    await log.close()
    assert sorted((each.outcome, each.count) for each in await entries(log)) == [(FAILURE, 1), (SUCCESS, 3)]


async def test_a_hostile_token_leaves_a_bounded_number_of_refusals(log: AuditLog) -> None:
    for at in range(10_000):
        log.refuse(ACME, entry(DENIED, f"m{at}"))
    await log.close()
    kept = await entries(log)
    assert len(kept) <= 41
    assert sum(each.count for each in kept) == 10_000


async def test_an_entry_with_an_id_of_its_own_is_written_once(log: AuditLog) -> None:
    log.add_once(ACME, entry(id="aud_job_1"))
    await log.flush()
    log.add_once(ACME, entry(id="aud_job_1"))
    await log.write(ACME, entry(id="aud_job_1"))
    await log.flush()
    assert len(await entries(log)) == 1


async def test_a_removed_tenant_holds_up_nobody(log: AuditLog, store: Store) -> None:
    begun = entry()
    await log.begin(ACME, begun)
    log.add(ACME, entry())
    await store.drop_tenant(ACME)
    await log.settle(ACME, begun)
    await log.close()
    await store.create_tenant(ACME)
    log.add(ACME, entry(resource="later"))
    await log.close()
    assert [each.resource_id for each in await entries(log)] == ["later"]


async def test_old_entries_are_removed(store: Store) -> None:
    log = AuditLog(store, Tasks(), clock=lambda: 2000.0)
    await log.write(ACME, entry(id="old"), msgspec.structs.replace(entry(id="new"), created_at=1950.0))
    assert await log.prune(ACME, 100.0) == 1
    assert [each.id for each in await entries(log)] == ["new"]
