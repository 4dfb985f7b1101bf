"""The record of a provider, and the values that it is made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from core.errors import FailedPrecondition, NotFound
from core.storage.ports import JSON, TEXT, TIME, Collection, Level
from core.storage.references import Closable

ACTIVE, DISABLED = "active", "disabled"
STATUSES = (ACTIVE, DISABLED)


def collection(name: str) -> Collection:
    """The collection of a service's providers."""
    return Collection(
        name,
        Level.PROJECT,
        {"key": TEXT, "driver": TEXT, "status": TEXT, "createdAt": TIME, "updatedAt": TIME, "metadata": JSON},
        unique=(("key",),),
        indexes=(("createdAt",),),
        sealed={"sealed": "{id}"},
    )


class Provider(Closable, frozen=True):
    """One record. `sealed` holds the credentials as `core.sealing` made them; empty: there are none."""

    hidden: ClassVar[frozenset[str]] = frozenset({"sealed"})

    id: str
    key: str
    driver: str
    label: str
    description: str = ""
    status: str = ACTIVE
    settings: Mapping[str, str] = {}
    metadata: Mapping[str, Any] = {}
    sealed: str = ""
    created_at: float = 0.0
    updated_at: float = 0.0

    def check_enabled(self) -> None:
        """Check that the provider is enabled. Raises FailedPrecondition."""
        if self.status == DISABLED:
            raise FailedPrecondition("The provider is disabled.", reason="PROVIDER_DISABLED", field="providerKey")

    def check_open(self) -> None:
        """Check that the provider is not being deleted. Raises NotFound, so that nothing may begin in it."""
        if self.closing:
            raise NotFound("The provider is being deleted.", reason="PROVIDER_NOT_FOUND", field="providerKey")


@dataclass(frozen=True, slots=True)
class NewProvider:
    """The values that a provider is made from; an empty key is made from the label."""

    driver: str
    label: str
    key: str = ""
    description: str = ""
    status: str = ""
    credentials: Mapping[str, Any] = field(default_factory=dict, repr=False)
    settings: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProviderChanges:
    """Changes of a provider. None: unchanged. Credentials are merged; an empty value removes one. Settings are replaced
    as a whole. Where that changes a destination (`core.providers.drivers.Field`), all credentials must be given
    again."""

    label: str | None = None
    description: str | None = None
    status: str | None = None
    credentials: Mapping[str, Any] = field(default_factory=dict, repr=False)
    settings: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] | None = None
