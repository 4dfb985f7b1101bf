"""The audit option of an RPC, read once: what its entry is called, and which fields name what was changed."""

from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message

from portico.common.v1 import access_pb2

Path = tuple[str, ...]

_BODY = "google.api.HttpBody"


@dataclass(frozen=True, slots=True)
class AuditRule:
    """See portico.common.v1.Audit."""

    action: str
    resource_type: str
    resource: tuple[Path, ...] = ()
    result: tuple[Path, ...] = ()
    batched: bool = False

    def named_by_request(self, message: object) -> str:
        """Empty where the request names nothing, or cannot be read, as that of a stream."""
        return _joined(message, self.resource)

    def named_by_response(self, message: object) -> str:
        return _joined(message, self.result)

    def fields_of(self, message: object) -> list[str]:
        """The JSON names of what a request sets, without what names the resource. Never a value."""
        if self.batched or not isinstance(message, Message):
            return []
        naming = {path[0] for path in self.resource}
        return [
            field.json_name for field, _ in message.ListFields() if field.name not in naming and not _is_body(field)
        ]


def audit_rule_of(method: MethodDescriptor) -> AuditRule | None:
    """The audit rule of an RPC. None: it leaves no entry. Raises ValueError for an option that contradicts itself or
    the messages."""
    options: Any = method.GetOptions()
    audit = options.Extensions[access_pb2.audit]
    if bool(audit.action) is not bool(audit.resource_type) or (audit.action and audit.none):
        raise ValueError(f"{method.full_name}: an audit option has action and resource_type, or none")
    if not audit.action:
        return None
    if method.server_streaming:
        raise ValueError(f"{method.full_name}: an audited RPC answers with one message")
    return AuditRule(
        action=audit.action,
        resource_type=audit.resource_type,
        resource=_paths(audit.resource, method.input_type, method),
        result=_paths(audit.result, method.output_type, method),
        batched=audit.batched,
    )


def unaudited_reason(method: MethodDescriptor) -> str:
    """Return the reason why the RPC leaves no entry; empty where its contract does not say."""
    options: Any = method.GetOptions()
    reason: str = options.Extensions[access_pb2.audit].none
    return reason


def _paths(template: str, message: Descriptor, method: MethodDescriptor) -> tuple[Path, ...]:
    paths = tuple(tuple(path.split(".")) for path in template.split("/") if path)
    for path in paths:
        _check(path, message, method)
    return paths


def _check(path: Path, message: Descriptor | None, method: MethodDescriptor) -> None:
    field: FieldDescriptor | None = None
    for name in path:
        field = None if message is None else message.fields_by_name.get(name)
        if field is None:
            raise ValueError(f"{method.full_name}: its audit option names {'.'.join(path)}, which is not there")
        message = field.message_type
    if field is None or field.type != FieldDescriptor.TYPE_STRING or field.is_repeated:
        raise ValueError(f"{method.full_name}: its audit option names {'.'.join(path)}, which is not a text")


def _joined(message: object, paths: tuple[Path, ...]) -> str:
    if not isinstance(message, Message):
        return ""
    return "/".join(_value(message, path) for path in paths)


def _value(message: Any, path: Path) -> str:
    for name in path:
        message = getattr(message, name)
    return str(message)


def _is_body(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.full_name == _BODY
