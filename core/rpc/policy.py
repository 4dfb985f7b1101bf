"""What the contract says of each RPC: who may call it, its limits, the HTTP status of its success, and what it leaves
in the audit log."""

from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from core.rpc.audit_rules import AuditRule, audit_rule_of
from core.rpc.limits import MAX_PUBLIC_REQUEST_BYTES, MAX_REQUEST_BYTES, MAX_REQUEST_FIELDS
from portico.common.v1 import access_pb2


@dataclass(frozen=True, slots=True)
class Policy:
    """One RPC's rule. Exactly one of `public`, `signed_in`, `scope` and `internal` is set."""

    method: str
    """/package.Service/Method"""
    public: bool = False
    signed_in: bool = False
    scope: str = ""
    internal: bool = False
    http_success: int = 200
    audit: AuditRule | None = None
    """None: it leaves no entry."""
    max_request_bytes: int = MAX_REQUEST_BYTES
    """Of a request message on the wire; of a stream, of each message."""
    max_request_fields: int = MAX_REQUEST_FIELDS
    """As `core.rpc.protobuf_wire` counts them."""


def policies_of(service: ServiceDescriptor) -> dict[str, Policy]:
    """By full method name. Raises ValueError for an RPC that says nothing: a forgotten rule is not an open door."""
    return {policy.method: policy for policy in map(_policy_of, service.methods)}


def public_policies(service: ServiceDescriptor) -> dict[str, Policy]:
    """The rules of a foreign contract, without access options, that anybody may call: health and reflection."""
    names = [_path_of(method) for method in service.methods]
    return {name: Policy(name, public=True, max_request_bytes=MAX_PUBLIC_REQUEST_BYTES) for name in names}


def _policy_of(method: MethodDescriptor) -> Policy:
    name = _path_of(method)
    options: Any = method.GetOptions()
    extensions = options.Extensions
    access = extensions[access_pb2.access]
    rule = access.WhichOneof("rule")
    if rule is None:
        raise ValueError(f"{name} carries no access option")
    return Policy(
        method=name,
        **{rule: getattr(access, rule)},
        http_success=extensions[access_pb2.http_success] or 200,
        max_request_bytes=extensions[access_pb2.max_request_bytes]
        or (MAX_PUBLIC_REQUEST_BYTES if access.public else MAX_REQUEST_BYTES),
        max_request_fields=extensions[access_pb2.max_request_fields] or MAX_REQUEST_FIELDS,
        audit=audit_rule_of(method),
    )


def _path_of(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"
