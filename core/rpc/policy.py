"""What the contract says of each RPC: who may call it, the HTTP status of its success, and what it leaves in the audit
log."""

from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from core.rpc.audit_rules import AuditRule, audit_rule_of
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


def policies_of(service: ServiceDescriptor) -> dict[str, Policy]:
    """By full method name. Raises ValueError for an RPC that says nothing: a forgotten rule is not an open door."""
    return {policy.method: policy for policy in map(_policy_of, service.methods)}


def _policy_of(method: MethodDescriptor) -> Policy:
    name = f"/{method.containing_service.full_name}/{method.name}"
    options: Any = method.GetOptions()
    access = options.Extensions[access_pb2.access]
    rule = access.WhichOneof("rule")
    if rule is None:
        raise ValueError(f"{name} carries no access option")
    return Policy(
        method=name,
        **{rule: getattr(access, rule)},
        http_success=options.Extensions[access_pb2.http_success] or 200,
        audit=audit_rule_of(method),
    )
