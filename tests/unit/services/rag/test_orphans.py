"""The sweep of what cut-off uploads have left, where a provider does not answer."""

import asyncio
from collections import defaultdict
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import pytest

from core.providers.records import Provider
from core.tenancy import MAIN, Project, Tenant
from services.rag.domain.files import orphans
from services.rag.domain.files.buckets import Bucket
from services.rag.domain.files.orphans import OrphanCollector
from services.rag.domain.files.records import FileRecords
from services.rag.domain.files.tables import UPLOAD_INTENTS
from services.rag.ports import BucketLocation
from tests.support.stores import MemoryStore

RED, BLUE = Project(Tenant("red"), "p"), Project(Tenant("blue"), "p")


class SlowFor:
    """Providers and their stores: those of some projects never end a deletion."""

    def __init__(self, *slow: Project) -> None:
        self.slow = slow
        self.deleted: dict[Project, list[str]] = defaultdict(list)
        self.asked: dict[Project, int] = defaultdict(int)

    async def get(self, project: Project, id: str) -> Provider:
        return Provider(id, id, "s3", "S3")

    async def use(self, project: Project, provider: Provider) -> AbstractContextManager["SlowFor"]:
        return nullcontext(self)

    async def delete(self, location: BucketLocation, key: str) -> None:
        self.asked[location.scope] += 1
        if location.scope in self.slow:
            await asyncio.Event().wait()
        self.deleted[location.scope].append(key)


async def test_a_provider_that_does_not_answer_does_not_keep_the_others_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(orphans, "SETTLE_SECONDS", 0.02)
    now, store, stores = [1000.0], MemoryStore(tenants=(RED.tenant, BLUE.tenant)), SlowFor(RED)
    swept = OrphanCollector(
        store,
        FileRecords(store),
        cast("Any", stores),
        cast("Any", stores),
        grace=60,
        clock=lambda: now[0],
    )
    for number in range(5):
        for project in (RED, BLUE):
            bucket = Bucket("bkt", "b", "B", "prv", "s3")
            await swept.register(project, bucket, [f"{project.tenant.slug}-{number}"])
    now[0] += 61
    await asyncio.wait_for(swept.sweep(), 20)
    assert RED not in stores.deleted
    assert sorted(stores.deleted[BLUE]) == [f"blue-{number}" for number in range(5)]
    assert stores.asked[RED] == 1
    assert await store.count(MAIN, UPLOAD_INTENTS) == 5
    stores.slow = ()
    now[0] += 61
    assert await swept.sweep() == 5
    assert sorted(stores.deleted[RED]) == [f"red-{number}" for number in range(5)]
