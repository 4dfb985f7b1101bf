"""The file providers of a project: which driver, where, with credentials that go in and never come out."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import orjson

from core import fields
from core.errors import Conflict, FailedPrecondition, InvalidInput, NotFound
from core.sealing import Sealer
from core.storage.ports import Document, DocumentStore
from core.tenancy import Project
from services.rag.domain.tables import COLLECTIONS, PROVIDERS
from services.rag.ports import Driver, DriverField, FileStore

DEFAULT, LOCAL = "default", "local"
ACTIVE, DISABLED = "active", "disabled"
_STATUSES = (ACTIVE, DISABLED)
_ATTEMPTS = 20
_MAX_VALUE = 8192


@dataclass(frozen=True, slots=True)
class Provider:
    """One record. `sealed` holds the credentials as `core.sealing` made them; empty: there are none."""

    id: str
    key: str
    driver: str
    label: str
    description: str = ""
    status: str = ACTIVE
    settings: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    sealed: str = field(default="", repr=False)
    closing: bool = False
    """It is being deleted: no bucket begins in it any more."""
    created_at: float = 0.0
    updated_at: float = 0.0

    def document(self) -> Document:
        return {
            "id": self.id,
            "key": self.key,
            "driver": self.driver,
            "label": self.label,
            "description": self.description,
            "status": self.status,
            "settings": dict(self.settings),
            "metadata": dict(self.metadata),
            "sealed": self.sealed,
            "createdAt": self.created_at,
            "updatedAt": self.updated_at,
        }


def provider_of(document: Document) -> Provider:
    return Provider(
        id=document["id"],
        key=document["key"],
        driver=document["driver"],
        label=document["label"],
        description=document["description"],
        status=document["status"],
        settings=document["settings"],
        metadata=document["metadata"],
        sealed=document["sealed"],
        closing=document.get("closing", False),
        created_at=document["createdAt"],
        updated_at=document["updatedAt"],
    )


@dataclass(frozen=True, slots=True)
class NewProvider:
    """What a provider is made from; an empty key is made from the label."""

    driver: str
    label: str
    key: str = ""
    description: str = ""
    status: str = ""
    credentials: Mapping[str, Any] = field(default_factory=dict, repr=False)
    settings: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)


class Providers:
    """Use cases. Each takes the project first; what is another's is not there."""

    def __init__(self, store: DocumentStore, sealer: Sealer, drivers: Mapping[str, Driver]) -> None:
        self.drivers = drivers
        self._store = store
        self._sealer = sealer

    async def create(self, project: Project, new: NewProvider) -> Provider:
        """Raises Conflict (the key), InvalidInput."""
        driver = self.drivers[fields.one_of("driver", new.driver, tuple(self.drivers))]
        label = fields.text("label", new.label, at_least=1, at_most=200)
        credentials = _values(driver, new.credentials, secret=True)
        settings = _values(driver, new.settings, secret=False)
        await driver.check_address(settings)
        id, now = f"fpr_{uuid4().hex}", time.time()
        provider = Provider(
            id=id,
            key=fields.key("key", new.key) if new.key else "",
            driver=driver.id,
            label=label,
            description=fields.text("description", new.description, at_most=2000),
            status=fields.one_of("status", new.status or ACTIVE, _STATUSES),
            settings=settings,
            metadata=fields.notes("metadata", new.metadata),
            sealed=self._sealer.seal(project, id, orjson.dumps(credentials)) if credentials else "",
            created_at=now,
            updated_at=now,
        )
        return await self._insert(project, provider, fields.slug(label, "provider"))

    async def get(self, project: Project, key: str) -> Provider:
        """By key or record id. Raises NotFound."""
        await self._prepare(project)
        document = await self._store.find_one(project, PROVIDERS, {"key": key})
        if document is None and key == DEFAULT:
            return await self._make_default(project)
        document = document or (await self._store.get(project, PROVIDERS, key) if key else None)
        if document is None:
            raise NotFound(
                "There is no such file provider in this project.", reason="PROVIDER_NOT_FOUND", field="providerKey"
            )
        return provider_of(document)

    async def active(self, project: Project, key: str) -> Provider:
        """As `get`. Raises FailedPrecondition where it is disabled or being deleted."""
        provider = await self.get(project, key)
        if provider.status != ACTIVE or provider.closing:
            raise FailedPrecondition("The file provider is disabled.", reason="PROVIDER_DISABLED", field="providerKey")
        return provider

    async def page(
        self, project: Project, *, status: str = "", driver: str = "", size: int = 0, token: str = ""
    ) -> tuple[list[Provider], str]:
        """One page, newest first, and the token of the next. Raises InvalidInput."""
        await self.get(project, DEFAULT)
        where = {name: value for name, value in (("status", status), ("driver", driver)) if value}
        limit = fields.page_size(size)
        page = await self._store.find(project, PROVIDERS, where, page_size=limit, page_token=token)
        return [provider_of(each) for each in page.items], page.next_token

    async def delete(self, project: Project, key: str, buckets_of: Callable[[str], Awaitable[int]]) -> Provider:
        """`buckets_of` counts the buckets of a provider's id. Raises NotFound, FailedPrecondition."""
        provider = await self.get(project, key)
        if provider.key == DEFAULT:
            raise FailedPrecondition("The default provider stays.", reason="PROVIDER_IS_DEFAULT")
        # First no new bucket may begin, then those that have can be counted.
        await self._store.update(project, PROVIDERS, provider.id, {"closing": True})
        if await buckets_of(provider.id):
            await self._store.update(project, PROVIDERS, provider.id, {"closing": None})
            raise FailedPrecondition("Buckets still lie in this provider. Delete them first.", reason="PROVIDER_IN_USE")
        await self._store.delete(project, PROVIDERS, provider.id)
        return provider

    async def open(self, project: Project, provider: Provider) -> FileStore:
        """A new store on the provider, whose address is checked anew. Raises InvalidInput, SealBroken."""
        driver = self.drivers[provider.driver]
        await driver.check_address(provider.settings)
        sealed = provider.sealed
        credentials = orjson.loads(self._sealer.open(project, provider.id, sealed)) if sealed else {}
        return driver.open(credentials, provider.settings)

    async def _make_default(self, project: Project) -> Provider:
        now = time.time()
        provider = Provider(
            id=f"fpr_{uuid4().hex}",
            key=DEFAULT,
            driver=LOCAL,
            label="Local folder",
            description="On this service's own disk. Every project has it.",
            created_at=now,
            updated_at=now,
        )
        try:
            await self._store.insert(project, PROVIDERS, provider.document())
        except Conflict:  # made by another call at the same moment
            return await self.get(project, DEFAULT)
        return provider

    async def _insert(self, project: Project, provider: Provider, stem: str) -> Provider:
        """Under the provider's own key, or the first free one of stem, stem-2, stem-3, ... Raises Conflict."""
        await self.get(project, DEFAULT)  # so that nobody takes its key
        keys = [provider.key] if provider.key else [stem, *(f"{stem}-{at}" for at in range(2, _ATTEMPTS))]
        for key in keys:
            document = provider.document() | {"key": key}
            try:
                await self._store.insert(project, PROVIDERS, document)
            except Conflict:
                continue
            return provider_of(document)
        raise Conflict(f"The key {keys[0]} is taken in this project. Choose another.", reason="KEY_TAKEN", field="key")

    async def _prepare(self, project: Project) -> None:
        await self._store.prepare(project.tenant, COLLECTIONS)


def _values(driver: Driver, given: Mapping[str, Any], *, secret: bool) -> dict[str, str]:
    """The credentials or settings without empty ones. Raises InvalidInput for unknown, missing and malformed ones."""
    scope = "credentials" if secret else "settings"
    known = {each.name: each for each in driver.fields if each.secret is secret}
    values: dict[str, str] = {}
    for name, value in given.items():
        path = f"{scope}.{name}"
        if name not in known:
            raise InvalidInput(f"The driver {driver.id} has no {path}.", field=path)
        if text := _text(path, value):
            values[name] = text
    for name, each in known.items():
        _check(driver, each, f"{scope}.{name}", values.get(name))
    return values


def _text(path: str, value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else value
    if not isinstance(text, str) or len(text) > _MAX_VALUE or not text.isascii() or not (text or "x").isprintable():
        raise InvalidInput(f"{path} must be a text of at most {_MAX_VALUE} printable ASCII characters.", field=path)
    return text.strip()


def _check(driver: Driver, each: DriverField, path: str, value: str | None) -> None:
    if value is None:
        if each.required:
            raise InvalidInput(f"The driver {driver.id} needs {path}: {each.label}.", field=path)
    elif each.check is not None:
        each.check(path, value)
