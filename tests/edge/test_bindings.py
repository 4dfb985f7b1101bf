"""A query changes nothing that the path or the body of a REST request says, on any RPC and in any spelling."""

import base64
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from google.protobuf.descriptor import FieldDescriptor

from portico.inference.v1 import prompt_service_pb2
from portico.rag.v1 import memory_service_pb2
from tests.support.contracts import Binding, bindings
from tests.support.edge import Edge, Reply, running
from tools import edge as tool

PREFIXES = ["/v1", "/api/client/v1", "/api/client/api/client/v1", "/api/client/v1/api/client/v1"]
WRITING = [binding for binding in bindings() if binding.verb != "GET"]
READING = [binding for binding in bindings() if binding.verb == "GET"]
BOUND_BY_QUERY_TOO = {"provider_key", "thread_id"}
"""Variables of paths that GET /v1/models and GET /v1/tracing/sessions have in their queries: there the query of a GET
still wins over the path."""
MEANT: dict[str, dict[str, Any]] = {
    "RenderPromptOverRest": {"version": 7, "environment": "*"},
    "DeleteMemories": {"scope": "*", "scope_id": "*", "tags": "*", "before": "*", "all": True},
}
"""Fields that the query of a write may set, by RPC: path and body cannot."""
SAMPLES: dict[int, str] = {
    FieldDescriptor.CPPTYPE_STRING: "*",
    FieldDescriptor.CPPTYPE_BOOL: "true",
    FieldDescriptor.CPPTYPE_ENUM: "1",
}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """An edge before services that say what has reached them."""
    with running(tmp_path_factory.mktemp("recorded"), recorder=True) as started:
        yield started


def _name(binding: Binding) -> str:
    return f"{binding.verb} {binding.template}"


def _all_fields(message: Any, prefix: str = "", depth: int = 3) -> Iterator[tuple[str, str]]:
    """Every field that a query can name, in both spellings, with a value that fits."""
    for field in message.fields:
        for name in {field.name, field.json_name}:
            if field.message_type is None:
                yield prefix + name, SAMPLES.get(field.cpp_type, "7")
            elif depth and not field.message_type.full_name.startswith("google."):
                yield from _all_fields(field.message_type, f"{prefix}{name}.", depth - 1)


def _query(binding: Binding) -> str:
    return urlencode([*_all_fields(binding.rpc.method.input_type), ("api-version", "2024-10-21"), ("scopes", "*")])


def _call(edge: Edge, binding: Binding, path: str, body: Any = None) -> Reply:
    return edge.request(binding.verb, path, body, {"content-type": "application/json"})


def _received(edge: Edge, binding: Binding) -> Any:
    """The message that the service has got."""
    called = json.loads(edge.stub_services["recorder"].wait_for("called "))
    assert called["method"] == binding.rpc.path
    return binding.rpc.request.FromString(base64.b64decode(called["message"]))


def _expected(binding: Binding, body: bytes) -> Any:
    expected = binding.rpc.request(**dict.fromkeys(binding.variables, "x1"))
    if binding.is_raw:
        expected.body.content_type = "application/json"
        expected.body.data = body
    for name, value in MEANT.get(binding.rpc.method.name, {}).items():
        setattr(expected, name, value)
    return expected


@pytest.mark.parametrize("binding", WRITING, ids=_name)
def test_a_query_changes_nothing_that_is_written(recorded: Edge, binding: Binding) -> None:
    for prefix in PREFIXES if binding.template.startswith("/v1/") else [""]:
        path = prefix + binding.example().removeprefix("/v1")
        body: Any = {} if binding.body else None
        reply = _call(recorded, binding, f"{path}?{_query(binding)}", body)
        assert reply.status in (200, 201), reply
        assert _received(recorded, binding) == _expected(binding, b"{}")


@pytest.mark.parametrize("binding", [each for each in READING if each.variables], ids=_name)
def test_a_query_does_not_change_what_is_read(recorded: Edge, binding: Binding) -> None:
    names = [name for name in binding.variables if name not in BOUND_BY_QUERY_TOO]
    fields = binding.rpc.method.input_type.fields_by_name
    query = urlencode([(spelling, "other") for name in names for spelling in (name, fields[name].json_name)])
    assert _call(recorded, binding, f"{binding.example()}?{query}").status == 200
    received = _received(recorded, binding)
    assert {name: getattr(received, name) for name in binding.variables} == dict.fromkeys(binding.variables, "x1")


def test_queries_that_name_variables_of_paths_are_ignored() -> None:
    """As far as no GET has a query of that name: those that have are the exceptions above."""
    manager = tool.connection_manager(tool.load(tool.SOURCE / "listener.yaml"))
    ignored = tool.http_filter(manager, "envoy.filters.http.grpc_json_transcoder")["ignored_query_parameters"]
    variables = {name for each in bindings() for name in each.variables}
    queries = {
        field.name
        for each in READING
        for field in each.rpc.method.input_type.fields
        if field.name not in each.variables
    }
    in_paths_of_reading = {name for each in READING for name in each.variables}
    assert variables & queries & in_paths_of_reading == BOUND_BY_QUERY_TOO
    spellings = {
        spelling
        for each in bindings()
        for name in set(each.variables) - queries
        for spelling in (name, each.rpc.method.input_type.fields_by_name[name].json_name)
    }
    assert set(ignored) == spellings


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_bulk_deletion_of_memories_has_its_filters_in_the_query(recorded: Edge, prefix: str) -> None:
    """The query of every write was removed: a deletion of one user's memories would have been one of all."""
    query = "scope=user&scopeId=a%20b&tags=x,y&before=2026-01-01&storeKey=other&all=false"
    reply = recorded.request("DELETE", f"{prefix}/memory/stores/notes/memories?{query}")
    assert reply.status == 200
    called = json.loads(recorded.stub_services["recorder"].wait_for("called "))
    received = memory_service_pb2.DeleteMemoriesRequest.FromString(base64.b64decode(called["message"]))
    assert received == memory_service_pb2.DeleteMemoriesRequest(
        store_key="notes", scope="user", scope_id="a b", tags="x,y", before="2026-01-01"
    )


@pytest.mark.parametrize(
    ("query", "version", "environment"),
    [
        ("version=3", 3, ""),
        ("environment=prod&version=3", 3, "prod"),
        ("environment=pr%6Fd&key=other&body.data=eA==", None, "prod"),
        ("xversion=3&environment", None, ""),
        ("version=3&version=4", 3, ""),
        ("", None, ""),
    ],
)
@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_rendering_says_its_version_in_the_query(
    recorded: Edge, prefix: str, query: str, version: int | None, environment: str
) -> None:
    """The query of every write was removed: the SDK rendered the current version whichever it named."""
    headers = {"content-type": "application/json"}
    reply = recorded.request("POST", f"{prefix}/prompts/x1/render?{query}", {"data": {}}, headers)
    assert reply.status == 200
    called = json.loads(recorded.stub_services["recorder"].wait_for("called "))
    received = prompt_service_pb2.RenderPromptOverRestRequest.FromString(base64.b64decode(called["message"]))
    assert (received.key, received.environment) == ("x1", environment)
    assert (received.version if received.HasField("version") else None) == version
    assert received.body.data == b'{"data": {}}'
