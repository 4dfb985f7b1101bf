"""Changes of what earlier versions of the service have stored."""

from collections.abc import Mapping
from typing import Any

from core.storage.migrations import Migration, Migrations
from core.storage.ports import DocumentStore
from core.storage.scan import scan
from core.tenancy import AllProjects, Main, Project, Tenant
from services.inference.domain.catalogue.model_settings import ModelCapabilities, ModelSettings
from services.inference.domain.tables import MODELS
from services.inference.domain.usage.backfill import roll_up

_NESTED: Mapping[str, type[ModelSettings | ModelCapabilities]] = {
    "settings": ModelSettings,
    "capabilities": ModelCapabilities,
}


async def spell_models_as_all_records(store: DocumentStore, scope: Main | Tenant) -> None:
    """Settings and capabilities of models were stored in snake_case, beside the camelCase of everything else."""
    assert isinstance(scope, Tenant)
    async for document in scan(store, AllProjects(scope), MODELS):
        changes = {name: _spelt_anew(document.get(name) or {}, record) for name, record in _NESTED.items()}
        if any(changes[name] != (document.get(name) or {}) for name in changes):
            await store.update(Project(scope, document["project"]), MODELS, document["id"], changes)


def _spelt_anew(values: Mapping[str, Any], record: type[ModelSettings | ModelCapabilities]) -> dict[str, Any]:
    names = dict(zip(record.__struct_fields__, record.__struct_encode_fields__, strict=True))
    return {names.get(name, name): value for name, value in values.items()}


MIGRATIONS = Migrations(
    "inference",
    tenant=(
        Migration(1, "settings and capabilities of models in camelCase", spell_models_as_all_records),
        Migration(2, "roll-ups of usage", roll_up),
    ),
)
