"""Contracts, read from the descriptors that the edge reads."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from google.api import annotations_pb2
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from portico.common.v1 import access_pb2
from tools import edge

_VARIABLE = re.compile(r"\{(\w+)(?:=[^}]*)?\}")


@dataclass(frozen=True)
class Rpc:
    """A method of a Portico service."""

    method: MethodDescriptor

    @property
    def path(self) -> str:
        """Its gRPC path."""
        return f"/{self.method.containing_service.full_name}/{self.method.name}"

    @property
    def access(self) -> str | None:
        """The rule that says who may call: public, signed_in, scope, internal; None where there is none."""
        options: Any = self.method.GetOptions()
        rule: str | None = options.Extensions[access_pb2.access].WhichOneof("rule")
        return rule

    @property
    def streams(self) -> bool:
        """True if the RPC takes or gives more than one message."""
        return bool(self.method.client_streaming or self.method.server_streaming)

    @cached_property
    def request(self) -> type[Any]:
        """The class of its requests."""
        made: type[Any] = message_factory.GetMessageClass(self.method.input_type)
        return made

    @property
    def bindings(self) -> "list[Binding]":
        """The REST requests that reach it."""
        options: Any = self.method.GetOptions()
        if not options.HasExtension(annotations_pb2.http):
            return []
        rule = options.Extensions[annotations_pb2.http]
        return [
            Binding(self, kind.upper(), getattr(each, kind), each.body)
            for each in (rule, *rule.additional_bindings)
            for kind in (each.WhichOneof("pattern"),)
        ]


@dataclass(frozen=True)
class Binding:
    """One `google.api.http` rule: `body` is a field, `*` or nothing."""

    rpc: Rpc
    verb: str
    template: str
    body: str

    @property
    def variables(self) -> list[str]:
        """Fields that the path names."""
        return _VARIABLE.findall(self.template)

    @property
    def is_raw(self) -> bool:
        """True if the body passes as it is, without being parsed."""
        field = self.rpc.method.input_type.fields_by_name.get(self.body)
        kind = field.message_type if field else None
        return kind is not None and kind.full_name == "google.api.HttpBody"

    def example(self, value: str = "x1") -> str:
        """A path that matches, with `value` in place of each variable."""
        return _VARIABLE.sub(value, self.template)


def rpcs() -> Iterator[Rpc]:
    """All that Portico defines."""
    files = FileDescriptorSet.FromString(edge.DESCRIPTOR.read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    for file in files.file:
        for service in file.service:
            if file.package.startswith("portico."):
                found = pool.FindServiceByName(f"{file.package}.{service.name}")
                yield from (Rpc(method) for method in found.methods)


def bindings() -> list[Binding]:
    """All REST requests of the contracts."""
    return [binding for rpc in rpcs() for binding in rpc.bindings]
