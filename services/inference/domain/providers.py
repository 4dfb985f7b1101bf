"""The providers of a project: where its models run, with credentials that go in and never come out."""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import orjson

from core.errors import Conflict, FailedPrecondition, InvalidInput, NotFound
from core.sealing import Sealer
from core.storage.ports import Document, DocumentStore
from core.tenancy import Project
from services.inference.domain import drivers, fields
from services.inference.domain.drivers import CREDENTIALS, SETTINGS
from services.inference.domain.tables import PROVIDERS, Table
from services.inference.ports import CheckUrl

ACTIVE, DISABLED = "active", "disabled"
STATUSES = (ACTIVE, DISABLED)
_KEY = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
_ATTEMPTS = 20

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
    settings: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    sealed: str = field(default="", repr=False)
    created_at: float = 0.0
    updated_at: float = 0.0

    @property
    def has_credentials(self) -> bool:
        return bool(self.sealed)

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
        description=document.get("description", ""),
        status=document["status"],
        settings=document.get("settings") or {},
        metadata=document.get("metadata") or {},
        sealed=document.get("sealed", ""),
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
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    settings: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProviderChanges:
    """None: stays as it is. Credentials are merged; an empty value removes one."""

    label: str | None = None
    description: str | None = None
    status: str | None = None
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    settings: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] | None = None


class Providers:
    """Use cases. Each takes the project first; what is another's is not there."""

    def __init__(self, store: DocumentStore, sealer: Sealer, check_url: CheckUrl, changed: Changed) -> None:
        self._table = Table(store, PROVIDERS)
        self._sealer = sealer
        self._check_url = check_url
        self._changed = changed

    async def create(self, project: Project, new: NewProvider) -> Provider:
        """Raises Conflict (the key), InvalidInput."""
        driver = drivers.driver(new.driver)
        label = fields.text("label", new.label, at_least=1, at_most=200)
        if new.key and not _KEY.fullmatch(new.key):
            raise InvalidInput("key must be 1 to 64 letters a-z, digits and inner hyphens.", field="key")
        credentials = driver.checked(CREDENTIALS, new.credentials)
        settings = driver.checked(SETTINGS, new.settings)
        await self._check_endpoint(driver, settings, credentials)
        id, now = f"prv_{uuid4().hex}", time.time()
        provider = Provider(
            id=id,
            key=new.key,
            driver=driver.id,
            label=label,
            description=fields.text("description", new.description, at_most=2000),
            status=fields.one_of("status", new.status or ACTIVE, STATUSES),
            settings=settings,
            metadata=fields.notes("metadata", new.metadata),
            sealed=self._seal(project, id, credentials),
            created_at=now,
            updated_at=now,
        )
        stem = fields.slug(label, "provider", 60)
        created = await insert_with_key(self._table, project, provider.document(), stem)
        self._changed(project)
        return provider_of(created)

    async def get(self, project: Project, id: str) -> Provider:
        """By record id or key. Raises NotFound."""
        document = await self._table.get(project, id)
        document = document or await self._table.find_one(project, {"key": id})
        if document is None:
            raise NotFound("There is no such provider in this project.", reason="PROVIDER_NOT_FOUND", field="id")
        return provider_of(document)

    async def by_key(self, project: Project, key: str, field: str) -> Provider:
        """Raises NotFound, which names `field`."""
        document = await self._table.find_one(project, {"key": key})
        if document is None:
            raise NotFound("There is no such provider in this project.", reason="PROVIDER_NOT_FOUND", field=field)
        return provider_of(document)

    async def list(
        self, project: Project, *, status: str = "", driver: str = "", size: int = 0, token: str = ""
    ) -> tuple[list[Provider], str]:
        """One page, newest first, and the token of the next. Raises InvalidInput."""
        where = {name: value for name, value in (("status", status), ("driver", driver)) if value}
        limit = fields.page_size(size, 50)
        page = await self._table.page(project, where, limit, token)
        return [provider_of(each) for each in page.items], page.next_token

    async def all(self, project: Project) -> dict[str, Provider]:
        """Every provider of the project, by key."""
        found: dict[str, Provider] = {}
        token = ""
        while True:
            providers, token = await self.list(project, size=fields.MAX_PAGE, token=token)
            found |= {each.key: each for each in providers}
            if not token:
                return found

    async def update(self, project: Project, id: str, changes: ProviderChanges) -> Provider:
        """Raises NotFound, InvalidInput."""
        for _ in range(_ATTEMPTS):
            old = await self.get(project, id)
            document = await self._changed_fields(project, old, changes)
            unchanged = {"updatedAt": old.updated_at}  # or somebody else's change would be lost
            updated = await self._table.update(project, old.id, document, unchanged)
            if updated is not None:
                self._changed(project)
                return provider_of(updated)
        raise Conflict("The provider is being changed by others. Try again.", reason="CHANGED_MEANWHILE")

    async def delete(self, project: Project, id: str, in_use: Callable[[str], Any]) -> None:
        """`in_use` counts the models of a provider's key. Raises NotFound, FailedPrecondition."""
        provider = await self.get(project, id)
        if await in_use(provider.key):
            raise FailedPrecondition("Models still use this provider. Remove them first.", reason="PROVIDER_IN_USE")
        await self._table.delete(project, provider.id)
        self._changed(project)

    def credentials(self, project: Project, provider: Provider) -> dict[str, str]:
        """In the clear, for requests to the provider and for nothing else. Raises SealBroken."""
        if not provider.sealed:
            return {}
        opened: dict[str, str] = orjson.loads(self._sealer.open(project, provider.id, provider.sealed))
        return opened

    async def reseal(self, project: Project, provider: Provider) -> bool:
        """Seals the credentials with the primary key, unless they are or were changed meanwhile; whether it did."""
        if not provider.sealed or not self._sealer.needs_reseal(provider.sealed):
            return False
        sealed = self._seal(project, provider.id, self.credentials(project, provider))
        where = {"sealed": provider.sealed}
        return await self._table.update(project, provider.id, {"sealed": sealed}, where) is not None

    async def _changed_fields(self, project: Project, old: Provider, changes: ProviderChanges) -> Document:
        driver = drivers.driver(old.driver)
        document: Document = {"updatedAt": time.time()}
        if changes.label is not None:
            document["label"] = fields.text("label", changes.label, at_least=1, at_most=200)
        if changes.description is not None:
            document["description"] = fields.text("description", changes.description, at_most=2000)
        if changes.status is not None:
            document["status"] = fields.one_of("status", changes.status, STATUSES)
        if changes.metadata is not None:
            document["metadata"] = fields.notes("metadata", changes.metadata)
        if changes.settings is not None or changes.credentials:
            settings = driver.checked(SETTINGS, old.settings if changes.settings is None else changes.settings)
            merged = {**self.credentials(project, old), **changes.credentials} if changes.credentials else None
            credentials = driver.checked(CREDENTIALS, self.credentials(project, old) if merged is None else merged)
            await self._check_endpoint(driver, settings, credentials)
            document["settings"] = settings
            if merged is not None:
                document["sealed"] = self._seal(project, old.id, credentials)
        return document

    async def _check_endpoint(
        self, driver: drivers.Driver, settings: Mapping[str, str], credentials: Mapping[str, str]
    ) -> None:
        """Only a URL that the tenant gave needs the guard's opinion: the drivers' own are public."""
        if driver.endpoint is not None:
            driver.endpoint(settings, credentials)
        if "baseUrl" in settings:
            await self._check_url(settings["baseUrl"], "settings.baseUrl")

    def _seal(self, project: Project, id: str, credentials: Mapping[str, str]) -> str:
        return self._sealer.seal(project, id, orjson.dumps(dict(credentials))) if credentials else ""


async def insert_with_key(table: Table, project: Project, document: Document, stem: str) -> Document:
    """Inserts under the document's own key, or the first free one of stem, stem-2, stem-3, ... Raises Conflict."""
    keys = [document["key"]] if document["key"] else [stem, *(f"{stem}-{at}" for at in range(2, _ATTEMPTS))]
    for key in keys:
        try:
            await table.insert(project, document | {"key": key})
        except Conflict:
            continue
        return document | {"key": key}
    raise Conflict(f"The key {keys[0]} is taken in this project. Choose another.", reason="KEY_TAKEN", field="key")
