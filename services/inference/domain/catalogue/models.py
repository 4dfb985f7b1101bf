"""The models of a project: public keys, and the provider's model behind each."""

import math
import re
import time
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import msgspec

from core import fields
from core.audit import changes as audit
from core.errors import Conflict, InvalidInput, NotFound
from core.project_changes import ProjectChanges
from core.providers.records import ACTIVE, Provider
from core.storage.keys import insert_with_key
from core.storage.ports import Cond, DocumentStore, Op
from core.storage.references import referring
from core.storage.table import Record, Table
from core.tenancy import Project
from services.inference.domain.catalogue.providers import ModelProviders
from services.inference.domain.tables import MODELS

LLM, EMBEDDING = "llm", "embedding"
CATEGORIES = (LLM, EMBEDDING, "rerank", "stt", "tts", "ocr")
USABLE = (LLM, EMBEDDING)
DEFAULT_TIMEOUT = 300.0
_MAX_TIMEOUT = 3600.0
_MAX_PRICE = 1_000_000.0
MAX_PARAMS = 64
"""Names in a model's `unsupportedParams`."""
_KEY = re.compile(r"[A-Za-z0-9._:/-]{1,128}")
_PARAM = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_CURRENCY = re.compile(r"[A-Z]{3}")
_OURS = frozenset({"model", "messages", "input", "stream", "stream_options"})
"""Fields that a model's settings must not set: Portico and the caller decide them."""
_NEEDED = frozenset({"model", "messages", "input", "stream"})
_ATTEMPTS = 20

CheckOpen = Callable[[Project, str, str], Awaitable[object]]
"""Checks that a model may refer to the record of a key, which the named field gives. Raises NotFound."""


class ModelSettings(msgspec.Struct, frozen=True, rename="camel"):
    """How requests are shaped. `timeout` is in seconds, 0: the default."""

    request_defaults: Mapping[str, Any] = {}
    extra_body: Mapping[str, Any] = {}
    unsupported_params: tuple[str, ...] = ()
    disable_streaming_with_tools: bool = False
    timeout: float = 0.0


class Pricing(msgspec.Struct, frozen=True):
    """Per million tokens, in `currency`. `cached` is None where cached input costs what input costs."""

    currency: str = "USD"
    input: float = 0.0
    output: float = 0.0
    cached: float | None = None


class ModelCapabilities(msgspec.Struct, frozen=True, rename="camel"):
    """For clients that choose; nothing is refused because of them."""

    context_length: int = 0
    max_output_tokens: int = 0
    supports_image_input: bool = False
    supports_reasoning: bool = False
    supports_structured_outputs: bool = False
    supports_tool_calls: bool = False


class Model(Record, frozen=True):
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
    """Those that the installation offers."""
    next_token: str = ""

    def usable(self, model: Model) -> bool:
        provider = self.providers.get(model.provider_key)
        if provider is None or model.category not in USABLE:
            return False
        return provider.status == ACTIVE and provider.driver in self.drivers


class Models:
    """Use cases of models. Each takes the project first; another project's records do not exist for it. `changes` tells
    of every change. `references` check what else a model refers to, by the field's name in JSON."""

    def __init__(
        self, store: DocumentStore, providers: ModelProviders, references: Mapping[str, CheckOpen] | None = None
    ) -> None:
        self._table = Table(store, MODELS, Model)
        self._providers = providers
        self._references = {"providerKey": self._check_provider, **(references or {})}
        self.changes = ProjectChanges()

    async def create(self, project: Project, new: NewModel) -> tuple[Model, Provider]:
        """Create a model. Raises Conflict (the key), NotFound (the provider), InvalidInput."""
        name = fields.text("name", new.name, at_least=1, at_most=200)
        if new.key and not is_key(new.key):
            raise InvalidInput("key must be 1 to 128 letters, digits and . _ : / -.", field="key")
        provider = await self._open_provider(project, new.provider_key)
        now = time.time()
        model = Model(
            id=f"mdl_{uuid4().hex}",
            key=new.key,
            name=name,
            category=fields.one_of("category", new.category, CATEGORIES),
            provider_key=provider.key,
            model_id=fields.text("modelId", new.model_id, at_least=1, at_most=256),
            description=fields.text("description", new.description, at_most=2000),
            settings=_checked_settings(new.settings),
            pricing=_checked_pricing(new.pricing),
            capabilities=_checked_capabilities(new.capabilities),
            metadata=fields.small_json("metadata", new.metadata),
            created_at=now,
            updated_at=now,
            input_guardrail_key=new.input_guardrail_key,
            output_guardrail_key=new.output_guardrail_key,
            pii_policy_key=new.pii_policy_key,
        )
        await self._check_references(project, model, self._references)
        stem = fields.slug(name, "model", 120)
        created = await referring(
            lambda: insert_with_key(
                self._table, project, lambda key: msgspec.structs.replace(model, key=key), model.key, stem
            ),
            check=lambda made: self._check_references(project, made, self._references),
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
            updated = await self._change(project, old, fresh)
            if updated is not None:
                self.changes.publish(project)
                return updated
        raise Conflict("The model is being changed by others. Try again.", reason="CHANGED_MEANWHILE")

    async def delete(self, project: Project, id: str) -> None:
        """Delete a model. Raises NotFound."""
        model = await self.get(project, id)
        audit.change().resource_id = model.key
        await self._table.delete(project, model.id)
        self.changes.publish(project)

    async def count_on(self, project: Project, provider: Provider) -> int:
        return await self._table.count(project, {"providerKey": provider.key})

    async def _change(self, project: Project, old: Model, fresh: Mapping[str, Any]) -> Model | None:
        """Change a model. It refers to what it referred to before where what it refers to now is being deleted."""
        changed = msgspec.structs.replace(old, **fresh)
        moved = [name for name in self._references if _named(old, name) != _named(changed, name)]
        if not moved:
            return await self._table.update(project, old.id, **fresh)
        await self._check_references(project, changed, moved)

        async def move_back(_: Model | None) -> None:
            where = {name: _named(changed, name) for name in moved}
            await self._table.set_fields(project, old.id, {name: _named(old, name) for name in moved}, where=where)
            self.changes.publish(project)

        return await referring(
            lambda: self._table.update(project, old.id, **fresh),
            check=lambda _: self._check_references(project, changed, moved),
            undo=move_back,
        )

    async def _check_references(self, project: Project, model: Model, names: Iterable[str]) -> None:
        """Raises NotFound, naming the field."""
        for name in names:
            if key := _named(model, name):
                await self._references[name](project, key, name)

    async def _check_provider(self, project: Project, key: str, field: str) -> None:
        await self._open_provider(project, key)

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
            fresh["settings"] = _checked_settings(changes.settings)
        if changes.pricing is not None:
            fresh["pricing"] = _checked_pricing(changes.pricing)
        if changes.capabilities is not None:
            fresh["capabilities"] = _checked_capabilities(changes.capabilities)
        if changes.metadata is not None:
            fresh["metadata"] = fields.small_json("metadata", changes.metadata)
        if changes.provider_key is not None:
            fresh["provider_key"] = (await self._open_provider(project, changes.provider_key)).key
        for name in ("input_guardrail_key", "output_guardrail_key", "pii_policy_key"):
            if (key := getattr(changes, name)) is not None:
                fresh[name] = key
        return fresh


def _named(model: Model, name: str) -> str:
    """A field by its name in JSON."""
    return str(getattr(model, _FIELDS[name]))


_FIELDS = dict(zip(Model.__struct_encode_fields__, Model.__struct_fields__, strict=True))


def is_key(text: str) -> bool:
    return _KEY.fullmatch(text) is not None


def _checked_settings(settings: ModelSettings) -> ModelSettings:
    defaults = fields.small_json("settings.requestDefaults", settings.request_defaults)
    extra = fields.small_json("settings.extraBody", settings.extra_body)
    for path, values in (("settings.requestDefaults", defaults), ("settings.extraBody", extra)):
        if taken := sorted(_OURS & values.keys()):
            raise InvalidInput(f"{path} must not set {', '.join(taken)}.", field=path)
    names = list(dict.fromkeys(settings.unsupported_params))
    path = "settings.unsupportedParams"
    if len(names) > MAX_PARAMS or not all(_PARAM.fullmatch(name) for name in names):
        raise InvalidInput(
            f"{path} must be at most {MAX_PARAMS} names of 1 to 64 letters, digits and _ . -.", field=path
        )
    if needed := sorted(_NEEDED.intersection(names)):
        raise InvalidInput(f"{path} must not name {', '.join(needed)}: no request works without.", field=path)
    if settings.timeout and not 1.0 <= settings.timeout <= _MAX_TIMEOUT:
        path = "settings.timeoutSeconds"
        raise InvalidInput(f"{path} must be 1 to {_MAX_TIMEOUT:.0f}, or 0 for the default.", field=path)
    return msgspec.structs.replace(
        settings, request_defaults=defaults, extra_body=extra, unsupported_params=tuple(names)
    )


def _checked_pricing(pricing: Pricing) -> Pricing:
    prices = {
        "inputTokenPer1M": pricing.input,
        "outputTokenPer1M": pricing.output,
        "cachedTokenPer1M": pricing.cached or 0.0,
    }
    for name, price in prices.items():
        if not math.isfinite(price) or not 0 <= price <= _MAX_PRICE:
            raise InvalidInput(f"pricing.{name} must be 0 to {_MAX_PRICE:.0f}.", field=f"pricing.{name}")
    currency = pricing.currency or "USD"
    if not _CURRENCY.fullmatch(currency):
        raise InvalidInput("pricing.currency must be an ISO 4217 code such as USD.", field="pricing.currency")
    return msgspec.structs.replace(pricing, currency=currency)


def _checked_capabilities(capabilities: ModelCapabilities) -> ModelCapabilities:
    for name in ("context_length", "max_output_tokens"):
        if getattr(capabilities, name) < 0:
            raise InvalidInput(f"capabilities.{name} must not be negative.", field=f"capabilities.{name}")
    return capabilities
