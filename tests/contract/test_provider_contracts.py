"""The three provider contracts offer one resource: the same RPCs, fields, order and REST verbs."""

from collections.abc import Mapping
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, ServiceDescriptor

from portico.inference.v1 import provider_service_pb2 as models
from portico.rag.v1 import provider_service_pb2 as files
from portico.vector.v1 import provider_service_pb2 as vectors
from tests.support.contracts import Rpc

SERVICES: Mapping[str, ServiceDescriptor] = {
    "vector": vectors.DESCRIPTOR.services_by_name["ProviderService"],
    "inference": models.DESCRIPTOR.services_by_name["ProviderService"],
    "rag": files.DESCRIPTOR.services_by_name["FileProviderService"],
}
OTHERS = ("inference", "rag")
ONE_OF_A_KIND = {"Capabilities"}
"""Messages whose fields are each service's own."""
KEY_FIELDS = {"id", "provider_key"}
"""Names of the field by which a request names its provider."""
CREDENTIALS = {
    "inference": "map of texts",
    "vector": "google.protobuf.Struct",
    "rag": "google.protobuf.Struct",
}
"""Types of the credentials, which are the same JSON."""


def common(name: str) -> str:
    """The name without the prefix that rag's messages have."""
    return name.replace("FileDriver", "Driver").replace("FileProvider", "Provider").replace("FileCap", "Cap")


def type_of(field: FieldDescriptor) -> str:
    message: Descriptor | None = field.message_type
    if message is None:
        return str(field.type)
    if message.GetOptions().map_entry:
        return "map of texts"
    return common(message.full_name.split(".")[-1]) if "portico" in message.full_name else message.full_name


def shape(message: Descriptor) -> list[tuple[str, str, bool, bool]]:
    """Name, type, repeated and optional of each field, in the order of the declaration."""
    optional = {each.fields[0].name for each in message.oneofs if each.name.startswith("_")}
    found = []
    for field in message.fields:
        name = "key or id" if message.name.endswith("Request") and field.name in KEY_FIELDS else field.name
        kind = "credentials" if name == "credentials" else type_of(field)
        found.append((name, kind, field.is_repeated and name != "credentials", field.name in optional))
    return found


def shapes(service: ServiceDescriptor) -> dict[str, list[tuple[str, str, bool, bool]]]:
    messages: Mapping[str, Descriptor] = service.file.message_types_by_name
    return {common(name): shape(each) for name, each in messages.items() if common(name) not in ONE_OF_A_KIND}


def rpcs(service: ServiceDescriptor) -> dict[str, list[str]]:
    """The REST verbs of each RPC."""
    return {common(each.name): [binding.verb for binding in Rpc(each).bindings] for each in service.methods}


@pytest.mark.parametrize("other", OTHERS)
def test_the_same_messages_with_the_same_fields_in_the_same_order(other: str) -> None:
    expected, found = shapes(SERVICES["vector"]), shapes(SERVICES[other])
    assert found.keys() == expected.keys()
    for name, fields in expected.items():
        assert found[name] == fields, name


@pytest.mark.parametrize("other", OTHERS)
def test_the_same_rpcs_over_the_same_verbs(other: str) -> None:
    assert rpcs(SERVICES[other]) == rpcs(SERVICES["vector"])


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_describes_its_capabilities(service: str) -> None:
    messages: Mapping[str, Descriptor] = SERVICES[service].file.message_types_by_name
    assert [each for name, each in messages.items() if common(name) == "Capabilities" and list(each.fields)]


@pytest.mark.parametrize("service", SERVICES)
def test_credentials_are_the_only_field_of_another_type(service: str) -> None:
    """Two contracts were written with a Struct and one with a map, which cannot be changed any more."""
    messages: Mapping[str, Any] = SERVICES[service].file.message_types_by_name
    for name, message in messages.items():
        if "credentials" in message.fields_by_name:
            assert type_of(message.fields_by_name["credentials"]) == CREDENTIALS[service], name
