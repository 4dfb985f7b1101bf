"""Rules for every proto, whichever service it belongs to."""

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from google.api import annotations_pb2
from google.protobuf.descriptor import MethodDescriptor

from core.rpc.audit_rules import unaudited_reason
from core.rpc.policy import Policy, policies_of

GEN = Path(__file__).parents[2] / "gen"
LEVELS = {"read", "write", "admin"}


def methods() -> Iterator[MethodDescriptor]:
    for path in sorted((GEN / "portico").rglob("*_pb2.py")):
        module = import_module(".".join(path.relative_to(GEN).with_suffix("").parts))
        for service in module.DESCRIPTOR.services_by_name.values():
            yield from service.methods


METHODS = list(methods())
each_method = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.full_name)


def policy_of(method: MethodDescriptor) -> Policy:
    return policies_of(method.containing_service)[f"/{method.containing_service.full_name}/{method.name}"]


def paths(method: MethodDescriptor) -> list[str]:
    rule = method.GetOptions().Extensions[annotations_pb2.http]
    rules = [rule, *rule.additional_bindings]
    return [f"{verb} {path}" for r in rules if (verb := r.WhichOneof("pattern")) and (path := getattr(r, verb))]


def test_there_are_methods_to_look_at() -> None:
    assert len(METHODS) > 30


@each_method
def test_every_rpc_says_who_may_call_it(method: MethodDescriptor) -> None:
    policy = policy_of(method)
    assert sum([policy.public, policy.signed_in, bool(policy.scope), policy.internal]) == 1
    if policy.scope:
        area, _, level = policy.scope.partition(":")
        assert re.fullmatch("[a-z]+", area)
        assert level in LEVELS


@each_method
def test_every_rpc_that_is_no_read_says_what_it_leaves_in_the_audit_log(method: MethodDescriptor) -> None:
    """Only auth's RPCs left entries, because only auth's code wrote them."""
    policy, reason = policy_of(method), unaudited_reason(method)
    reads = policy.scope.endswith(":read")
    assert (policy.audit is not None) + bool(reason) == (0 if reads else 1)
    if policy.audit is not None:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*\.[a-z]+(_[a-z]+)*", policy.audit.action)
    if reason:
        assert reason[0].isupper()
        assert reason.endswith(".")


@each_method
def test_internal_rpcs_have_no_rest_route(method: MethodDescriptor) -> None:
    if policy_of(method).internal:
        assert paths(method) == []


@each_method
def test_rest_routes_are_under_v1(method: MethodDescriptor) -> None:
    for path in paths(method):
        assert re.match(r"(get|post|put|patch|delete) (/v1/|/\.well-known/)", path)


@each_method
def test_what_is_created_over_rest_answers_201(method: MethodDescriptor) -> None:
    creates = method.name.startswith(("Create", "Register", "Invite", "AcceptInvitation"))
    if paths(method) and creates and method.output_type.full_name != "google.api.HttpBody":
        assert policy_of(method).http_success == 201


@each_method
def test_lists_are_paged(method: MethodDescriptor) -> None:
    if method.name.startswith("List"):
        assert {"page_size", "page_token"} <= set(method.input_type.fields_by_name)
    if method.name.startswith("List") and method.output_type.full_name != "google.api.HttpBody":
        assert "next_page_token" in method.output_type.fields_by_name


def test_no_two_rpcs_share_a_route() -> None:
    routes = [path for method in METHODS for path in paths(method)]
    assert len(routes) == len(set(routes))


@each_method
def test_no_request_names_a_tenant(method: MethodDescriptor) -> None:
    """The tenant comes from the verified token; only auth's own exchange among services may name one."""
    if not policy_of(method).internal:
        assert not {"tenant", "tenant_id"} & set(method.input_type.fields_by_name)


@each_method
def test_rest_shows_no_64_bit_integers(method: MethodDescriptor) -> None:
    """proto3 JSON writes them as strings, which OpenAI's clients do not read."""
    if paths(method):
        wide = {"TYPE_INT64", "TYPE_UINT64", "TYPE_SINT64", "TYPE_FIXED64", "TYPE_SFIXED64"}
        numbers = {getattr(_field_types(), name) for name in wide}
        assert [f.full_name for f in method.output_type.fields if f.type in numbers] == []


def _field_types() -> type:
    from google.protobuf.descriptor import FieldDescriptor

    return FieldDescriptor
