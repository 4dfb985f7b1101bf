"""Conversion between providers and their messages, which every service has of its own with the same fields."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.struct_pb2 import Struct

from core.fields import count
from core.providers.drivers import Driver
from core.providers.records import NewProvider, Provider, ProviderChanges
from core.rpc.values import small_json_of, struct_of, timestamp_of

_MAX_VALUES = 64
"""Credentials, or settings: no driver has a third of them."""
_MAX_VALUES_BYTES = _MAX_VALUES * 2048
"""Most bytes of the JSON of all of them together, the longest of which has 8192 characters."""


def provider_fields(provider: Provider) -> dict[str, Any]:
    """The fields of a provider's message."""
    return {
        "id": provider.id,
        "record_id": provider.id,
        "key": provider.key,
        "driver": provider.driver,
        "label": provider.label,
        "description": provider.description,
        "status": provider.status,
        "has_credentials": bool(provider.sealed),
        "settings": struct_of(provider.settings),
        "metadata": struct_of(provider.metadata),
        "created_at": timestamp_of(provider.created_at),
        "updated_at": timestamp_of(provider.updated_at),
    }


def driver_fields(driver: Driver) -> dict[str, Any]:
    """The fields of a driver's message."""
    fields = [
        {
            "name": field.name,
            "label": field.label,
            "scope": field.section,
            "required": field.required,
            "description": field.description,
        }
        for field in driver.fields
    ]
    return {"id": driver.id, "label": driver.label, "description": driver.description, "fields": fields}


def new_provider(request: Any) -> NewProvider:
    """Read a CreateProviderRequest."""
    return NewProvider(
        driver=request.driver,
        label=request.label,
        key=request.key,
        description=request.description,
        status=request.status,
        credentials=_secrets(request.credentials),
        settings=_settings(request.settings),
        metadata=small_json_of(request.metadata, "metadata"),
    )


def provider_changes(request: Any) -> ProviderChanges:
    """Read an UpdateProviderRequest."""
    return ProviderChanges(
        label=request.label if request.HasField("label") else None,
        description=request.description if request.HasField("description") else None,
        status=request.status if request.HasField("status") else None,
        credentials=_secrets(request.credentials),
        settings=_settings(request.settings) if request.HasField("settings") else None,
        metadata=small_json_of(request.metadata, "metadata") if request.HasField("metadata") else None,
    )


def _settings(given: Any) -> Mapping[str, Any]:
    return small_json_of(given, "settings", _MAX_VALUES_BYTES)


def _secrets(given: Any) -> Mapping[str, Any]:
    """Some messages have a map of texts, others a Struct."""
    if isinstance(given, Struct):
        return small_json_of(given, "credentials", _MAX_VALUES_BYTES)
    count("credentials", given, _MAX_VALUES)
    return dict(given)
