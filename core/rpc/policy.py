"""The policy of each RPC, as its contract says: who may call it, its limits, the HTTP status of its success, the format
of its errors, and what it leaves in the audit log."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from core.rpc.audit_rules import AuditRule, audit_rule_of
from core.rpc.error_formats import ErrorFormat
from core.rpc.limits import MAX_PUBLIC_REQUEST_BYTES, MAX_REQUEST_BYTES, MAX_REQUEST_FIELDS
from portico.common.v1 import access_pb2


@dataclass(frozen=True, slots=True)
class Policy:
    """One RPC's policy. Exactly one of `public`, `signed_in`, `scope` and `internal` is set."""

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
    """Most bytes of a request message on the wire; of a stream, of each message."""
    max_request_fields: int = MAX_REQUEST_FIELDS
    """Most fields of a request message, as `core.rpc.protobuf_wire` counts them."""
    error_format: ErrorFormat = ErrorFormat.OPENAI
    """Format of errors over REST."""
    feature: str = ""
    """The feature of plans that it belongs to; empty: every plan has it."""
    quota_domain: str = ""
    """The domain whose quotas count it; empty: it is not counted, or its service counts it."""
    traced: bool = True
    """False: it leaves no span. A receiver of spans must not make new ones of what it receives."""


def policies_of(service: ServiceDescriptor) -> dict[str, Policy]:
    """The policies of a contract's RPCs, by full method name. Raises ValueError for an RPC that says nothing: a
    forgotten rule is not an open door."""
    return {policy.method: policy for policy in map(_policy_of, service.methods)}


def explicit_policies(service: ServiceDescriptor, policies: Iterable[Policy]) -> dict[str, Policy]:
    """The policies of a foreign contract, which carries no options, by full method name. Raises ValueError where they
    are not one for each RPC, or one of them has not exactly one access rule."""
    given = {policy.method: policy for policy in policies}
    for policy in given.values():
        if sum(map(bool, (policy.public, policy.signed_in, policy.scope, policy.internal))) != 1:
            raise ValueError(f"{policy.method} needs one access rule: public, signed_in, scope or internal")
    if missing := {_path_of(method) for method in service.methods} ^ given.keys():
        raise ValueError(f"{service.full_name} needs one policy for each of its RPCs; see {', '.join(sorted(missing))}")
    return given


def public_policies(service: ServiceDescriptor) -> list[Policy]:
    """Policies for a foreign contract that anybody may call: health and reflection."""
    return [
        Policy(
            _path_of(method),
            public=True,
            max_request_bytes=MAX_PUBLIC_REQUEST_BYTES,
            error_format=ErrorFormat.GRPC,
        )
        for method in service.methods
    ]


def _policy_of(method: MethodDescriptor) -> Policy:
    name = _path_of(method)
    options: Any = method.GetOptions()
    extensions = options.Extensions
    service: Any = method.containing_service.GetOptions()
    defaults = service.Extensions
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
        error_format=_ERROR_FORMATS[extensions[access_pb2.error_format]],
        feature=_own(extensions[access_pb2.feature], defaults[access_pb2.service_feature]),
        quota_domain=_own(extensions[access_pb2.quota_domain], defaults[access_pb2.service_quota_domain]),
    )


_ERROR_FORMATS = {
    access_pb2.ERROR_FORMAT_UNSPECIFIED: ErrorFormat.OPENAI,
    access_pb2.ERROR_FORMAT_OPENAI: ErrorFormat.OPENAI,
    access_pb2.ERROR_FORMAT_ANTHROPIC: ErrorFormat.ANTHROPIC,
    access_pb2.ERROR_FORMAT_GRPC: ErrorFormat.GRPC,
}


def _own(given: str, default: str) -> str:
    """An RPC's own value, where "-" is none, or else that of its service."""
    return "" if given == "-" else given or default


def _path_of(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"
