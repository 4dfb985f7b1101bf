"""Models and the providers that they name."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from core.errors import FailedPrecondition, NotFound
from core.providers.records import NewProvider
from core.sealing import Sealer, generate_key
from core.storage.ports import Collection, Document, Where
from core.tenancy import Project, Scope, Tenant
from services.inference.domain.catalogue.models import ModelChanges, Models, NewModel
from services.inference.domain.catalogue.providers import ModelProviders
from services.inference.domain.tables import MODELS
from tests.support.providers import AnyHost
from tests.support.stores import MemoryStore

PROJECT = Project(Tenant("acme"), "p1")
NEW = NewModel(name="M", category="llm", provider_key="echo", model_id="m")


class SlowStore(MemoryStore):
    """A model's record takes a while to be written."""

    async def insert(self, scope: Scope, collection: Collection, document: Document) -> None:
        if collection is MODELS:
            await asyncio.sleep(0.01)
        await super().insert(scope, collection, document)

    async def update(
        self,
        scope: Scope,
        collection: Collection,
        id: str,
        changes: Mapping[str, Any],
        *,
        where: Where | None = None,
    ) -> Document | None:
        if collection is MODELS:
            await asyncio.sleep(0.01)
        return await super().update(scope, collection, id, changes, where=where)


async def test_no_model_begins_in_a_provider_that_is_being_deleted() -> None:
    """The provider was found open, then deleted as unused, then the model was written: it named nothing."""
    store = SlowStore()
    providers = ModelProviders(store, Sealer.from_settings(generate_key()), AnyHost())
    models = Models(store, providers)
    await providers.create(PROJECT, NewProvider("echo", "Echo", key="echo"))
    begun = asyncio.create_task(models.create(PROJECT, NEW))
    await asyncio.sleep(0)
    await providers.delete(PROJECT, "echo", models.count_on)
    with pytest.raises(NotFound):
        await begun
    assert await store.count(PROJECT, MODELS) == 0


async def test_no_model_moves_to_a_provider_that_is_being_deleted() -> None:
    """As above, for a model that was there: it named the provider that was gone, and had lost the one that it had."""
    store = SlowStore()
    providers = ModelProviders(store, Sealer.from_settings(generate_key()), AnyHost())
    models = Models(store, providers)
    for key in ("echo", "brief"):
        await providers.create(PROJECT, NewProvider("echo", key, key=key))
    made, _ = await models.create(PROJECT, NEW)
    begun = asyncio.create_task(models.update(PROJECT, made.key, ModelChanges(name="N", provider_key="brief")))
    await asyncio.sleep(0)
    await providers.delete(PROJECT, "brief", models.count_on)
    with pytest.raises(NotFound):
        await begun
    assert (await models.get(PROJECT, made.key)).provider_key == "echo"


async def test_a_provider_with_models_stays() -> None:
    store = MemoryStore()
    providers = ModelProviders(store, Sealer.from_settings(generate_key()), AnyHost())
    models = Models(store, providers)
    await providers.create(PROJECT, NewProvider("echo", "Echo", key="echo"))
    made, _ = await models.create(PROJECT, NEW)
    with pytest.raises(FailedPrecondition, match="models: 1"):
        await providers.delete(PROJECT, "echo", models.count_on)
    assert (await models.get(PROJECT, made.key)).provider_key == "echo"
