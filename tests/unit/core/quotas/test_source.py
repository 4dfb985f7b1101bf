"""The rules of a process: read from the store, kept for a while, and read anew after a change."""

from typing import Any

import pytest

from core.errors import Unavailable
from core.quotas.plans import Plan, Plans
from core.quotas.policies import QUOTA_POLICIES, QuotaPolicy
from core.quotas.rules import Subject
from core.quotas.source import FRESH_SECONDS, PolicySource
from core.storage.memory import MemoryStore
from core.storage.schema import Schema
from core.storage.table import to_document
from core.storage.tenant_registry import TENANTS
from core.tenancy import MAIN, Project, Tenant

ACME = Tenant("acme")
CALL = Subject(Project(ACME, "p1"), "llm", "u1", "t1")
PLANS = Plans({"on_premise": Plan("on_premise", "All"), "small": Plan("small", "Small", frozenset({"FILES"}))})


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Store(MemoryStore):
    """A store that counts its reads of policies and can fail."""

    reads = 0
    away = False

    async def find(self, scope: Any, collection: Any, *args: Any, **options: Any) -> Any:
        if self.away:
            raise Unavailable("away")
        self.reads += collection is QUOTA_POLICIES
        return await super().find(scope, collection, *args, **options)


@pytest.fixture
async def store() -> Store:
    store = Store(Schema((TENANTS, QUOTA_POLICIES)))
    await store.create_tenant(ACME)
    await store.insert(MAIN, TENANTS, {"id": "acme", "slug": "acme", "createdAt": 1.0, "plan": "small"})
    return store


async def write(store: Store, limit: int, id: str = "q1") -> None:
    policy = QuotaPolicy(id, 1.0, 1.0, "tenant", "llm", limits={"rateLimit.requests.perMinute": limit})
    await store.insert(ACME, QUOTA_POLICIES, to_document(policy))


async def test_rules_are_read_once_and_then_known(store: Store) -> None:
    source = PolicySource(store, PLANS, Clock())
    await write(store, 5)
    assert source.known(CALL) is None
    (rule,) = await source.find(CALL)
    assert rule.limit == 5
    assert source.known(CALL) is await source.find(CALL)
    assert store.reads == 1


async def test_a_change_elsewhere_holds_after_a_while_and_the_same_rules_stay_the_same(store: Store) -> None:
    clock = Clock()
    source = PolicySource(store, PLANS, clock)
    await write(store, 5)
    first = await source.find(CALL)
    clock.now += FRESH_SECONDS
    assert source.known(CALL) is None
    assert await source.find(CALL) is first
    await write(store, 7, "q2")
    clock.now += FRESH_SECONDS
    assert [rule.limit for rule in await source.find(CALL)] == [7]


async def test_a_change_in_this_process_holds_at_once(store: Store) -> None:
    source = PolicySource(store, PLANS, Clock())
    assert await source.find(CALL) == ()
    await write(store, 5)
    source.forget(ACME)
    assert source.known(CALL) is None
    assert len(await source.find(CALL)) == 1


async def test_what_was_read_before_a_change_is_not_kept(store: Store) -> None:
    source = PolicySource(store, PLANS, Clock())
    await source.find(CALL)
    await write(store, 5)
    source.forget(ACME)
    reading = source.of(ACME)
    source.forget(ACME)
    await reading
    await source.find(CALL)
    assert len(source.known(CALL) or ()) == 1


async def test_the_last_known_rules_hold_while_the_store_is_away(store: Store) -> None:
    clock = Clock()
    source = PolicySource(store, PLANS, clock)
    await write(store, 5)
    rules = await source.find(CALL)
    store.away = True
    clock.now += FRESH_SECONDS
    assert await source.find(CALL) is rules


async def test_rules_that_were_never_read_are_no_absence_of_rules(store: Store) -> None:
    store.away = True
    with pytest.raises(Unavailable):
        await PolicySource(store, PLANS, Clock()).find(CALL)


async def test_the_plan_is_the_tenants(store: Store) -> None:
    source = PolicySource(store, PLANS, Clock())
    assert source.known_plan(ACME) is None
    assert (await source.of(ACME)).plan.name == "small"
    known = source.known_plan(ACME)
    assert known is not None
    assert not known.has("LLM_CHAT")
