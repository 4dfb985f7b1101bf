"""The models of a project: public keys, and the provider's model behind each."""

import re
import time
from collections.abc import Awaitable, Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import msgspec

from core import fields
from core.audit import changes as audit
from core.errors import Conflict, FailedPrecondition, InvalidInput, NotFound
from core.project_changes import ProjectChanges
from core.providers.records import ACTIVE, Provider
from core.storage.keys import insert_with_key
from core.storage.ports import Cond, DocumentStore, Op
from core.storage.references import Closable, delete_unreferenced, referring
from core.storage.table import Table
from core.tenancy import Project
from services.inference.domain.catalogue import prices
from services.inference.domain.catalogue.model_settings import (
    ModelCapabilities,
    ModelSettings,
    checked_capabilities,
    checked_settings,
)
from services.inference.domain.catalogue.prices import Pricing
from services.inference.domain.catalogue.providers import ModelProviders
from services.inference.domain.catalogue.routing_settings import TargetSettings
from services.inference.domain.tables import MODELS

LLM, EMBEDDING, RERANK = "llm", "embedding", "rerank"
CATEGORIES = (LLM, EMBEDDING, RERANK, "stt", "tts", "ocr")
USABLE = (LLM, EMBEDDING, RERANK)
_KEY = re.compile(r"[A-Za-z0-9._:/-]{1,128}")
_ATTEMPTS = 20

CheckOpen = Callable[[Project, str, str], Awaitable[object]]
"""Checks that a model may refer to the record of a key, which the named field gives. Raises NotFound."""


class Model(Closable, frozen=True):
    """One record."""

    id: str
    key: str
    name: str
    category: str
    provider_key: str
    model_id: str
    description: str = ""
    settings: ModelSettings = ModelSettings()
    pricing: Pricing = Pricing()
    capabilities: ModelCapabilities = ModelCapabilities()
    metadata: Mapping[str, Any] = {}
    created_at: float = 0.0
    updated_at: float = 0.0
    input_guardrail_key: str = ""
    """Empty: none, as of the two that follow."""
    output_guardrail_key: str = ""
    pii_policy_key: str = ""


@dataclass(frozen=True, slots=True)
class NewModel:
    """The values that a model is made from; an empty key is made from the name."""

    name: str
    category: str
    provider_key: str
    model_id: str
    key: str = ""
    description: str = ""
    settings: ModelSettings = ModelSettings()
    pricing: Pricing = Pricing()
    capabilities: ModelCapabilities = ModelCapabilities()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    input_guardrail_key: str = ""
    output_guardrail_key: str = ""
    pii_policy_key: str = ""


@dataclass(frozen=True, slots=True)
class ModelChanges:
    """Changes of a model. None: unchanged; an empty key of a guardrail or policy: none any more."""

    name: str | None = None
    provider_key: str | None = None
    model_id: str | None = None
    description: str | None = None
    settings: ModelSettings | None = None
    pricing: Pricing | None = None
    capabilities: ModelCapabilities | None = None
    metadata: Mapping[str, Any] | None = None
    input_guardrail_key: str | None = None
    output_guardrail_key: str | None = None
    pii_policy_key: str | None = None


@dataclass(frozen=True, slots=True)
class ModelFilter:
    """Empty: any."""

    category: str = ""
    provider_key: str = ""
    provider_driver: str = ""


@dataclass(frozen=True, slots=True)
class ModelPage:
    """One page of models, with all the project's providers by key."""

    models: Sequence[Model]
    providers: Mapping[str, Provider]
    drivers: Container[str]
    """Drivers that the installation offers."""
    next_token: str = ""

    def usable(self, model: Model) -> bool:
        if model.settings.dynamic is not None:
            return True
        provider = self.providers.get(model.provider_key)
        if provider is None or model.category not in USABLE:
            return False
        return provider.status == ACTIVE and provider.driver in self.drivers


class Models:
    """Use cases of models. Each takes the project first; another project's records do not exist for it. `changes` tells
    of every change. `references` check what else a model refers to, by the field's name in JSON; `users` count what
    uses the model of a key, by their name."""

    def __init__(
        self,
        store: DocumentStore,
        providers: ModelProviders,
        references: Mapping[str, CheckOpen] | None = None,
        users: Mapping[str, Callable[[Project, str], Awaitable[int]]] | None = None,
    ) -> None:
        self._table = Table(store, MODELS, Model)
        self._providers = providers
        self._references = references or {}
        self._users = users or {}
        self.changes = ProjectChanges()

    async def create(self, project: Project, new: NewModel) -> tuple[Model, Provider | None]:
        """Create a model; a dynamic one has no provider. Raises Conflict (the key), NotFound (a provider or model that
        it names), InvalidInput."""
        name = fields.text("name", new.name, at_least=1, at_most=200)
        if new.key and not is_key(new.key):
            raise InvalidInput("key must be 1 to 128 letters, digits and . _ : / -.", field="key")
        settings = checked_settings(new.settings)
        dynamic = settings.dynamic is not None
        provider = None if dynamic else await self._open_provider(project, new.provider_key)
        await self._check_named(project, settings, new.key)
        now = time.time()
        model = Model(
            id=f"mdl_{uuid4().hex}",
            key=new.key,
            name=name,
            category=fields.one_of("category", new.category, CATEGORIES),
            provider_key="" if provider is None else provider.key,
            model_id=fields.text("modelId", new.model_id, at_least=0 if dynamic else 1, at_most=256),
            description=fields.text("description", new.description, at_most=2000),
            settings=settings,
            pricing=prices.checked(new.pricing),
            capabilities=checked_capabilities(new.capabilities),
            metadata=fields.small_json("metadata", new.metadata),
            created_at=now,
            updated_at=now,
            input_guardrail_key=new.input_guardrail_key,
            output_guardrail_key=new.output_guardrail_key,
            pii_policy_key=new.pii_policy_key,
        )
        await self._check_referred(project, model)
        stem = fields.slug(name, "model", 120)
        created = await referring(
            lambda: insert_with_key(
                self._table, project, lambda key: msgspec.structs.replace(model, key=key), model.key, stem
            ),
            check=lambda made: self._check_referred(project, made),
            undo=lambda made: self._table.delete(project, made.id),
        )
        self.changes.publish(project)
        return created, provider

    async def get(self, project: Project, id: str) -> Model:
        """The model of this key or record id. Raises NotFound."""
        model = await self.by_key(project, id) or await self._table.get(project, id)
        if model is None:
            raise NotFound("There is no such model in this project.", reason="MODEL_NOT_FOUND", field="id")
        return model

    async def by_key(self, project: Project, key: str) -> Model | None:
        return await self._table.find_one(project, {"key": key}) if is_key(key) else None

    async def list(self, project: Project, wanted: ModelFilter, *, size: int = 0, token: str = "") -> ModelPage:
        """One page, newest first. Raises InvalidInput."""
        limit = fields.page_size(size, fields.MAX_PAGE)
        providers = await self._providers.all(project)
        where: dict[str, Any] = {}
        if wanted.category:
            where["category"] = fields.one_of("category", wanted.category, CATEGORIES)
        keys = [each.key for each in providers.values() if wanted.provider_driver in ("", each.driver)]
        if wanted.provider_key:
            where["providerKey"] = wanted.provider_key
            if wanted.provider_key not in keys:
                return ModelPage((), providers, self._providers.drivers)
        elif wanted.provider_driver:
            where["providerKey"] = Cond(Op.IN, keys)
            if not keys:
                return ModelPage((), providers, self._providers.drivers)
        models, following = await self._table.page(project, where, page_size=limit, page_token=token)
        return ModelPage(models, providers, self._providers.drivers, following)

    async def update(self, project: Project, id: str, changes: ModelChanges) -> Model:
        """Raises NotFound, InvalidInput."""
        fresh = await self._changes_of(project, changes)
        for _ in range(_ATTEMPTS):
            old = await self.get(project, id)
            _check_kind(old, changes)
            if "settings" in fresh:
                await self._check_named(project, fresh["settings"], old.key)
            if _REFERRING.isdisjoint(fresh):
                updated = await self._table.update(project, old.id, **fresh)
            else:
                updated = await self._move(project, old, fresh)
            if updated is not None:
                self.changes.publish(project)
                return updated
        raise Conflict("The model is being changed by others. Try again.", reason="CHANGED_MEANWHILE")

    async def delete(self, project: Project, id: str) -> None:
        """Delete a model. Raises NotFound, FailedPrecondition where something uses it."""
        model = await self.get(project, id)
        audit.change().resource_id = model.key

        found: dict[str, int] = {}

        async def count() -> int:
            found.update({name: await of(project, model.key) for name, of in self._users.items()})
            return sum(found.values())

        if await delete_unreferenced(self._table, project, model.id, count):
            named = ", ".join(f"{name}: {number}" for name, number in found.items() if number)
            raise FailedPrecondition(
                f"The model is in use ({named}). Let them use another first.",
                reason="MODEL_IN_USE",
                field="id",
            )
        self.changes.publish(project)

    async def check_open(self, project: Project, key: str, category: str, field: str) -> None:
        """Check that a record may refer to the model of this key. Raises NotFound, InvalidInput (another category)."""
        model = await self.by_key(project, key)
        if model is None or model.closing:
            raise NotFound(f"There is no model {key[:128]} in this project.", reason="MODEL_NOT_FOUND", field=field)
        if model.category != category:
            raise InvalidInput(
                f"{field} must be a model of the category {category}, not {model.category}.",
                reason="WRONG_MODEL_CATEGORY",
                field=field,
            )

    async def count_on(self, project: Project, provider: Provider) -> int:
        """Count the models whose calls go to the provider."""
        used = 0
        async for model in self._table.scan(project):
            used += provider.key in provider_keys(model)
        return used

    async def _move(self, project: Project, old: Model, fresh: Mapping[str, Any]) -> Model | None:
        """Change a model and what it refers to. It moves back where something of it is being deleted."""
        await self._check_referred(project, msgspec.structs.replace(old, **fresh))

        async def move_back(_: Model | None) -> None:
            where = {"providerKey": fresh.get("provider_key", old.provider_key)}
            before = {name: getattr(old, name) for name in _REFERRING & fresh.keys()}
            await self._table.update(project, old.id, where=where, **before)
            self.changes.publish(project)

        return await referring(
            lambda: self._table.update(project, old.id, **fresh),
            check=lambda made: self._check_referred(project, made),
            undo=move_back,
        )

    async def _check_referred(self, project: Project, model: Model | None) -> None:
        """Raises NotFound where a record that the model refers to is gone or going."""
        if model is None:
            return
        for key in provider_keys(model):
            await self._open_provider(project, key)
        for name, check in self._references.items():
            if key := getattr(model, _FIELDS[name]):
                await check(project, key, name)

    async def _check_named(self, project: Project, settings: ModelSettings, own_key: str) -> None:
        """Check the providers and models that settings name. Raises NotFound, InvalidInput."""
        for key in settings.routing.provider_keys() if settings.routing else ():
            provider = await self._providers.get(project, key, field="settings.routing")
            provider.check_open()
        for path, key in settings.dynamic.model_keys() if settings.dynamic else ():
            if key == own_key:
                raise InvalidInput(f"{path} must be another model than the dynamic one.", field=path)
            model = await self.by_key(project, key)
            if model is None:
                raise NotFound(f"There is no model {key[:128]} in this project.", reason="MODEL_NOT_FOUND", field=path)
            if model.category != LLM:
                raise InvalidInput(f"{path} must be a model of the category {LLM}.", field=path)

    async def _open_provider(self, project: Project, key: str) -> Provider:
        provider = await self._providers.get(project, key)
        provider.check_open()
        return provider

    async def _changes_of(self, project: Project, changes: ModelChanges) -> dict[str, Any]:
        fresh: dict[str, Any] = {"updated_at": time.time()}
        if changes.name is not None:
            fresh["name"] = fields.text("name", changes.name, at_least=1, at_most=200)
        if changes.model_id is not None:
            fresh["model_id"] = fields.text("modelId", changes.model_id, at_least=1, at_most=256)
        if changes.description is not None:
            fresh["description"] = fields.text("description", changes.description, at_most=2000)
        if changes.settings is not None:
            fresh["settings"] = checked_settings(changes.settings)
        if changes.pricing is not None:
            fresh["pricing"] = prices.checked(changes.pricing)
        if changes.capabilities is not None:
            fresh["capabilities"] = checked_capabilities(changes.capabilities)
        if changes.metadata is not None:
            fresh["metadata"] = fields.small_json("metadata", changes.metadata)
        if changes.provider_key is not None:
            fresh["provider_key"] = (await self._open_provider(project, changes.provider_key)).key
        for name in ("input_guardrail_key", "output_guardrail_key", "pii_policy_key"):
            if (key := getattr(changes, name)) is not None:
                fresh[name] = key
        return fresh


_FIELDS = dict(zip(Model.__struct_encode_fields__, Model.__struct_fields__, strict=True))
"""The fields of a model by their names in JSON."""
_REFERRING = frozenset({"provider_key", "settings", "input_guardrail_key", "output_guardrail_key", "pii_policy_key"})


def target_settings(model: Model) -> list[TargetSettings]:
    """The model's own provider, and its further targets."""
    routing, key, id = model.settings.routing, model.provider_key, model.model_id
    if routing is None:
        return [TargetSettings(key, id)]
    own = TargetSettings(key, id, routing.weight, routing.priority, 0.0, routing.first_token_timeout)
    return [own, *routing.targets]


def provider_keys(model: Model) -> set[str]:
    """The providers that the model's calls may go to."""
    routing = model.settings.routing
    return {model.provider_key, *(routing.provider_keys() if routing else ())} - {""}


def _check_kind(old: Model, changes: ModelChanges) -> None:
    """A dynamic model stays one, and has neither provider nor modelId. Raises InvalidInput."""
    was = old.settings.dynamic is not None
    if changes.settings is not None and was != (changes.settings.dynamic is not None):
        raise InvalidInput(
            "settings.dynamic must be given for a dynamic model, and for no other.", field="settings.dynamic"
        )
    for name, value in (("providerKey", changes.provider_key), ("modelId", changes.model_id)):
        if was and value:
            raise InvalidInput(f"A dynamic model has no {name}.", field=name)


def is_key(text: str) -> bool:
    return _KEY.fullmatch(text) is not None
