"""The vector providers of a project: which engine, where, with credentials that go in and never come out."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import orjson

from core import fields
from core.errors import Conflict, FailedPrecondition, InvalidInput, NotFound
from core.sealing import Sealer
from core.storage.ports import Collection, Document, DocumentStore, Level
from core.tenancy import Project
from services.vector.ports import Driver, VectorEngine

PROVIDERS = Collection("vector_providers", Level.PROJECT, unique=(("key",),), indexes=(("createdAt",),))

DEFAULT, EMBEDDED = "default", "embedded"
ACTIVE, DISABLED = "active", "disabled"
_STATUSES = (ACTIVE, DISABLED)
_ATTEMPTS = 20
_MAX_VALUE = 8192
_NO_CHANGE = "The provider is being changed by others. Try again."

Values = Mapping[str, Any]
CheckAddress = Callable[[Driver, Values, Values], Awaitable[None]]
"""By driver, credentials, settings. Raises InvalidInput where they lead to what Portico must not call."""
Changed = Callable[[Project], None]
"""Told after every change, so that no later call uses what was before."""


@dataclass(frozen=True, slots=True)
class Provider:
    """One record. `sealed` holds the credentials as `core.sealing` made them; empty: there are none."""

    id: str
    key: str
    driver: str
    label: str
    description: str = ""
    status: str = ACTIVE
    settings: Values = field(default_factory=dict)
    metadata: Values = field(default_factory=dict)
    sealed: str = field(default="", repr=False)
    closing: bool = False
    """It is being deleted: no index begins in it any more."""
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
    credentials: Values = field(default_factory=dict, repr=False)
    settings: Values = field(default_factory=dict)
    metadata: Values = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProviderChanges:
    """None: stays as it is. Credentials are merged; an empty value removes one."""

    label: str | None = None
    description: str | None = None
    status: str | None = None
    credentials: Values = field(default_factory=dict, repr=False)
    settings: Values | None = None
    metadata: Values | None = None


class Providers:
    """Use cases. Each takes the project first; what is another's is not there."""

    def __init__(
        self,
        store: DocumentStore,
        sealer: Sealer,
        drivers: Mapping[str, Driver],
        check_address: CheckAddress,
        changed: Changed,
    ) -> None:
        self.drivers = drivers
        self._store = store
        self._sealer = sealer
        self._check_address = check_address
        self._changed = changed

    async def create(self, project: Project, new: NewProvider) -> Provider:
        """Raises Conflict (the key), InvalidInput."""
        await self._prepare(project)
        driver = self.drivers[fields.one_of("driver", new.driver, tuple(self.drivers))]
        label = fields.text("label", new.label, at_least=1, at_most=200)
        credentials, settings = await self._checked(driver, new.credentials, new.settings)
        id, now = f"vpr_{uuid4().hex}", time.time()
        provider = Provider(
            id=id,
            key=fields.key("key", new.key) if new.key else "",
            driver=driver.id,
            label=label,
            description=fields.text("description", new.description, at_most=2000),
            status=fields.one_of("status", new.status or ACTIVE, _STATUSES),
            settings=settings,
            metadata=fields.notes("metadata", new.metadata),
            sealed=self._seal(project, id, credentials),
            created_at=now,
            updated_at=now,
        )
        return provider_of(await self._insert(project, provider, fields.slug(label, "provider")))

    async def get(self, project: Project, key: str) -> Provider:
        """By key or record id. Raises NotFound."""
        await self._prepare(project)
        document = await self._store.find_one(project, PROVIDERS, {"key": key})
        if document is None and key == DEFAULT:
            return await self._make_default(project)
        document = document or (await self._store.get(project, PROVIDERS, key) if key else None)
        if document is None:
            raise NotFound(
                "There is no such vector provider in this project.", reason="PROVIDER_NOT_FOUND", field="providerKey"
            )
        return provider_of(document)

    async def list(
        self, project: Project, *, status: str = "", driver: str = "", size: int = 0, token: str = ""
    ) -> tuple[list[Provider], str]:
        """One page, newest first, and the token of the next. Raises InvalidInput."""
        await self.get(project, DEFAULT)
        where = {name: value for name, value in (("status", status), ("driver", driver)) if value}
        limit = fields.page_size(size)
        page = await self._store.find(project, PROVIDERS, where, page_size=limit, page_token=token)
        return [provider_of(each) for each in page.items], page.next_token

    async def update(self, project: Project, key: str, changes: ProviderChanges) -> Provider:
        """Raises NotFound, InvalidInput, Conflict."""
        for _ in range(_ATTEMPTS):
            old = await self.get(project, key)
            document = await self._changed_fields(project, old, changes)
            unchanged = {"updatedAt": old.updated_at}  # or somebody else's change would be lost
            updated = await self._store.update(project, PROVIDERS, old.id, document, where=unchanged)
            if updated is not None:
                self._changed(project)
                return provider_of(updated)
        raise Conflict(_NO_CHANGE, reason="CHANGED_MEANWHILE")

    async def delete(self, project: Project, key: str, indexes_of: Callable[[str], Awaitable[int]]) -> None:
        """`indexes_of` counts the indexes of a provider's key. Raises NotFound, FailedPrecondition."""
        provider = await self.get(project, key)
        if provider.key == DEFAULT:
            raise FailedPrecondition("The default provider stays.", reason="PROVIDER_IS_DEFAULT")
        # First no new index may begin, then those that have can be counted.
        await self._store.update(project, PROVIDERS, provider.id, {"closing": True})
        if await indexes_of(provider.key):
            await self._store.update(project, PROVIDERS, provider.id, {"closing": None})
            raise FailedPrecondition("Indexes still lie in this provider. Delete them first.", reason="PROVIDER_IN_USE")
        await self._store.delete(project, PROVIDERS, provider.id)
        self._changed(project)

    def credentials(self, project: Project, provider: Provider) -> dict[str, Any]:
        """In the clear, for the engine and for nothing else. Raises SealBroken."""
        if not provider.sealed:
            return {}
        opened: dict[str, Any] = orjson.loads(self._sealer.open(project, provider.id, provider.sealed))
        return opened

    async def open(self, project: Project, provider: Provider) -> VectorEngine:
        """A new engine on the provider, whose address is checked anew. Raises InvalidInput, SealBroken."""
        driver, credentials = self.drivers[provider.driver], self.credentials(project, provider)
        await self._check_address(driver, credentials, provider.settings)
        return driver.open(credentials, provider.settings)

    async def _changed_fields(self, project: Project, old: Provider, changes: ProviderChanges) -> Document:
        document: Document = {"updatedAt": time.time(), "closing": None}
        if changes.label is not None:
            document["label"] = fields.text("label", changes.label, at_least=1, at_most=200)
        if changes.description is not None:
            document["description"] = fields.text("description", changes.description, at_most=2000)
        if changes.status is not None:
            document["status"] = fields.one_of("status", changes.status, _STATUSES)
        if changes.metadata is not None:
            document["metadata"] = fields.notes("metadata", changes.metadata)
        if changes.settings is not None or changes.credentials:
            driver = self.drivers[old.driver]
            merged = {**self.credentials(project, old), **changes.credentials}
            given = old.settings if changes.settings is None else changes.settings
            credentials, settings = await self._checked(driver, merged, given)
            document |= {"settings": settings, "sealed": self._seal(project, old.id, credentials)}
        return document

    async def _make_default(self, project: Project) -> Provider:
        now = time.time()
        provider = Provider(
            id=f"vpr_{uuid4().hex}",
            key=DEFAULT,
            driver=EMBEDDED,
            label="Embedded",
            description="On this service's own disk. Every project has it.",
            created_at=now,
            updated_at=now,
        )
        try:
            await self._store.insert(project, PROVIDERS, provider.document())
        except Conflict:  # made by another call at the same moment
            return await self.get(project, DEFAULT)
        return provider

    async def _insert(self, project: Project, provider: Provider, stem: str) -> Document:
        """Under the provider's own key, or the first free one of stem, stem-2, stem-3, ... Raises Conflict."""
        await self.get(project, DEFAULT)  # so that nobody takes its key
        keys = [provider.key] if provider.key else [stem, *(f"{stem}-{at}" for at in range(2, _ATTEMPTS))]
        for key in keys:
            document = provider.document() | {"key": key}
            try:
                await self._store.insert(project, PROVIDERS, document)
            except Conflict:
                continue
            return document
        raise Conflict(f"The key {keys[0]} is taken in this project. Choose another.", reason="KEY_TAKEN", field="key")

    async def _checked(
        self, driver: Driver, credentials: Values, settings: Values
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Both without empty values. Raises InvalidInput for what is unknown, missing, malformed or out of bounds."""
        known = {scope: {each.name: each.required for each in driver.fields if each.secret is secret}
                 for scope, secret in (("credentials", True), ("settings", False))}  # fmt: skip
        kept = _values(driver, "credentials", known["credentials"], credentials)
        plain = _values(driver, "settings", known["settings"], settings)
        await self._check_address(driver, kept, plain)
        if driver.id != EMBEDDED:
            await driver.open(kept, plain).close()  # connects to nothing, and refuses what it could not use
        return kept, plain

    def _seal(self, project: Project, id: str, credentials: Values) -> str:
        return self._sealer.seal(project, id, orjson.dumps(credentials)) if credentials else ""

    async def _prepare(self, project: Project) -> None:
        await self._store.prepare(project.tenant, [PROVIDERS])


def _values(driver: Driver, scope: str, known: Mapping[str, bool], given: Values) -> dict[str, Any]:
    """`known` says by name which are required."""
    for name, value in given.items():
        path = f"{scope}.{name}"
        if name not in known:
            raise InvalidInput(f"The driver {driver.id} has no {path}.", field=path)
        if not isinstance(value, str | int | float | bool | None) or len(str(value)) > _MAX_VALUE:
            raise InvalidInput(f"{path} must be a text of at most {_MAX_VALUE} characters, or a number.", field=path)
    values = {name: value for name, value in given.items() if value not in ("", None)}
    for name in (name for name, required in known.items() if required and name not in values):
        raise InvalidInput(f"The driver {driver.id} needs {scope}.{name}.", field=f"{scope}.{name}")
    return values
