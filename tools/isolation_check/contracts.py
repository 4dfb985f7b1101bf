"""The routes and RPCs that a tenant can call, read from the contracts: a new one is checked without anybody's doing."""

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.api import annotations_pb2
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor

from core.rpc.policy import policies_of

GEN = Path(__file__).resolve().parents[2] / "gen"
ENDS_THE_SESSION = frozenset({"Logout", "ChangePassword", "SwitchProject"})
"""RPCs about the caller alone, after which its token is of no use to the check."""
CREATES_BY_ID = frozenset({"StartSession", "IngestSession"})
"""RPCs that give the caller a record of its own by the id that it names."""


@dataclass(frozen=True, slots=True)
class Route:
    """A REST route. `template` has `{field}` where the path names a record."""

    verb: str
    template: str
    method: MethodDescriptor

    @property
    def name(self) -> str:
        return f"{self.verb} {self.template}"

    @property
    def names_a_record(self) -> bool:
        """True if the route can only succeed for the owner of the record that its path names."""
        return "{" in self.template and self.method.name not in CREATES_BY_ID


def path_of(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


def methods() -> Iterator[MethodDescriptor]:
    """The RPCs that a signed-in caller may use, but for those that end its session."""
    for path in sorted((GEN / "portico").rglob("*_pb2.py")):
        module = importlib.import_module(".".join(path.relative_to(GEN).with_suffix("").parts))
        for service in module.DESCRIPTOR.services_by_name.values():
            policies = policies_of(service)
            for method in service.methods:
                policy = policies[path_of(method)]
                if not (policy.internal or policy.public or method.name in ENDS_THE_SESSION):
                    yield method


def routes() -> Iterator[Route]:
    """The REST routes of `methods`."""
    for method in methods():
        rule = method.GetOptions().Extensions[annotations_pb2.http]
        for each in (rule, *rule.additional_bindings):
            if verb := each.WhichOneof("pattern"):
                yield Route(verb.upper(), getattr(each, verb).replace("=**}", "}"), method)


def text_fields(method: MethodDescriptor) -> list[FieldDescriptor]:
    """The fields of the request that could name a record."""
    fields: Any = method.input_type.fields
    return [field for field in fields if field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated]
