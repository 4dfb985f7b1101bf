"""Paths and the RPCs that they reach, over REST and native gRPC, and paths that reach none."""

import json
import re

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from portico.auth.v1 import account_service_pb2, account_service_pb2_grpc, trust_service_pb2, trust_service_pb2_grpc
from portico.inference.v1 import (
    inference_service_pb2,
    inference_service_pb2_grpc,
    model_service_pb2,
    model_service_pb2_grpc,
    usage_service_pb2,
    usage_service_pb2_grpc,
)
from tests.support.edge import Edge

TRUST = "/portico.auth.v1.TrustService/MintServiceToken"


@pytest.mark.parametrize(
    "prefix", ["/v1", "/api/client/v1", "/api/client/api/client/v1", "/api/client/v1/api/client/v1"]
)
def test_alias_prefixes(edge: Edge, prefix: str) -> None:
    assert edge.request("POST", f"{prefix}/chat/completions", {"model": "m"}).status == 200
    assert edge.request("GET", f"{prefix}/models/a%2Fb?x=y").json["id"] == "a/b"
    assert edge.request("GET", f"{prefix}/models?category=llm").json["object"] == "0 llm False"


@pytest.mark.parametrize(
    ("path", "canonical"),
    [
        ("/tools", "/v1/tools"),
        ("/tools/search/actions/run/execute", "/v1/tools/search/actions/run/execute"),
        ("/api/client/tools", "/v1/tools"),
        ("/api/client/v1/tools/a", "/v1/tools/a"),
        ("/agents/k/tools", "/v1/tools"),
        ("/agents/k/tools/a", "/v1/tools/a"),
        ("/api/client/agents/k/tools/a", "/v1/tools/a"),
        ("/api/client/v1/agents/k/tools/a", "/v1/tools/a"),
        ("/toolsmith", "/toolsmith"),
        ("/agents/k", "/agents/k"),
        ("/api/client/models", "/api/client/models"),
        ("/api/client/v1/agents/k", "/v1/agents/k"),
    ],
)
def test_tool_aliases(edge: Edge, path: str, canonical: str) -> None:
    """No service has tools yet, so the access log tells where the path led."""
    reply = edge.request("GET", f"{path}?secret=1")
    assert reply.status == 404
    assert edge.logged(reply)["path"] == canonical


def test_escaped_slashes_stay_in_a_path_parameter(edge: Edge) -> None:
    assert edge.request("GET", "/v1/models/folder%2Ffile%20name%3F").json["id"] == "folder/file name?"


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_body_where_none_is_needed(edge: Edge, method: str) -> None:
    """The published SDK sends a JSON content type with every call and bodies with some DELETEs."""
    assert edge.request(method, "/v1/models/m", {"ids": ["1"]}).status == 200
    assert edge.request(method, "/v1/models/m", None, {"content-type": "application/json"}).status == 200


def test_an_empty_body_is_an_empty_message(edge: Edge) -> None:
    headers = {"content-type": "application/json", "content-length": "0"}
    assert edge.request("POST", "/v1/auth/logout", None, headers).status == 200
    assert edge.request("POST", "/v1/auth/logout", b"{}", {"content-type": "application/json"}).status == 200


def test_a_success_status_of_the_service_is_kept(edge: Edge) -> None:
    reply = edge.request("POST", "/v1/models", {"key": "k", "name": "n", "unknownField": 1})
    assert reply.status == 201
    assert reply.json["model"]["key"] == "k"
    assert "x-http-status" not in reply.headers


def test_defaults_are_printed(edge: Edge) -> None:
    assert edge.request("POST", "/v1/models", {}).json["model"]["_id"] == ""


def test_unknown_query_parameters_are_ignored(edge: Edge) -> None:
    assert edge.request("GET", "/v1/models?pageSize=3&includeProviders=true&new=1").json["object"] == "3  True"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/"),
        ("GET", "/v1/nothing"),
        ("GET", "/v1"),
        ("PUT", "/v1/chat/completions"),
        ("GET", "/v1/chat/completions"),
        ("GET", "//v1/models"),
        ("GET", "/v1//models"),
        ("GET", "/v1/../v1/models"),
        ("GET", "/v1/%2e%2e/v1/models"),
        ("GET", "/V1/models"),
        ("GET", "/api/client/v2/models"),
        ("GET", "/health"),
        ("GET", "/health/ready/x"),
        ("GET", "/stats"),
        ("POST", TRUST),
        ("POST", f"/api/client/v1{TRUST}"),
        ("POST", f"/v1/..{TRUST}"),
        ("POST", f"/v1/%2e%2e{TRUST}"),
        ("POST", f"/{TRUST}"),
        ("POST", TRUST.replace("T", "%54")),
        ("POST", TRUST.lower()),
        ("POST", "/portico.auth.v1.AccountService/GetSession"),
        ("POST", "/grpc.health.v1.Health/Check"),
        ("POST", "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"),
    ],
)
def test_paths_that_lead_nowhere(edge: Edge, method: str, path: str) -> None:
    reply = edge.request(method, path, b"{}" if method == "POST" else None)
    assert reply.status == 404
    assert reply.error["code"] == "not_found"


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize(
    ("path", "id"),
    [
        ("org/name", "org/name"),
        ("org/name/extra", "org/name/extra"),
        ("org%2Fname", "org/name"),
        ("org/na%20me", "org/na me"),
        ("a%252Fb", "a%2Fb"),
    ],
)
def test_a_key_of_a_model_may_hold_plain_slashes(edge: Edge, method: str, path: str, id: str) -> None:
    """Clients of OpenAI's write `org/name` into the path as it is; only `org%2Fname` was found."""
    reply = edge.request(method, f"/v1/models/{path}")
    assert reply.status == 200
    if method == "GET":
        assert reply.json["id"] == id


def test_what_stands_beside_models_is_no_model(edge: Edge) -> None:
    """The stub has no providers: the call has reached their service, not that of models."""
    for path in ("providers", "providers/a", "providers/drivers"):
        assert edge.request("GET", f"/v1/models/{path}").status == 501


@pytest.mark.parametrize(
    ("query", "told"),
    [("a+b", "a b"), ("a%20b", "a b"), ("a%2Bb", "a+b"), ("%2B+%2B", "+ +"), ("a+b&pageSize=1", "a b")],
)
def test_a_plus_in_a_query_is_a_space(edge: Edge, query: str, told: str) -> None:
    """URLSearchParams and forms write a space so: `?search=My+Report` looked for a plus."""
    page = "1" if "pageSize" in query else "0"
    assert edge.request("GET", f"/v1/models?category={query}").json["object"] == f"{page} {told} False"
    assert edge.request("GET", "/v1/models/a+b").json["id"] == "a+b"  # but not in a path


def test_a_head_is_a_get_without_its_body(edge: Edge) -> None:
    """HEAD was 404 wherever GET was served."""
    for path in ("/v1/models/m", "/v1/models", "/v1/models/limit", "/v1/nothing", "/", "/api/client/v1/models/m"):
        get, head = edge.request("GET", path), edge.request("HEAD", path)
        changing = {"date", "x-request-id", "x-envoy-upstream-service-time"}
        assert (head.status, head.body) == (get.status, b""), path
        assert head.headers.keys() == get.headers.keys(), path
        same = get.headers.keys() - changing - ({"content-length"} if get.status >= 400 else set())
        assert {name: head.headers[name] for name in same} == {name: get.headers[name] for name in same}, path
        assert int(get.headers["content-length"]) == len(get.body)
    assert edge.request("HEAD", "/v1/chat/completions").status == 404
    assert edge.request("HEAD", "/v1/models", token=False).status == 401
    assert edge.request("HEAD", "/health/ready", token=False).status == 200
    seen = edge.chat({"model": "stub"}, {"x-portico-head": "1"})
    assert "x-portico-head" not in seen.json["metadata"]
    assert seen.body


def test_a_browser_is_told_what_this_is(edge: Edge) -> None:
    """It was 401, which tells a person nothing."""
    reply = edge.request("GET", "/", None, {"accept": "text/html"}, token=False)
    assert reply.status == 200
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert reply.headers["cache-control"] == "public, max-age=3600"
    page = reply.body.decode()
    assert "Portico" in page
    links = re.findall(r'(?:href|src)="([^"]*)"', page)
    assert "/health/ready" in links
    assert all(link.startswith("/") for link in links)  # nothing from elsewhere
    assert edge.request("POST", "/", b"{}", token=False).status == 401


def test_a_trailing_slash_is_forgiven(edge: Edge) -> None:
    assert edge.request("GET", "/v1/models/").status == 200


def _code(error: grpc.RpcError) -> grpc.StatusCode:
    assert isinstance(error, grpc.Call)
    code: grpc.StatusCode = error.code()
    return code


def test_native_grpc_by_the_same_port(edge: Edge, channel: grpc.Channel) -> None:
    stub = model_service_pb2_grpc.ModelServiceStub(channel)
    metadata = (*edge.bearer.items(), ("x-portico-rest", "1"), ("x-tenant-id", "victim"), ("x-request-id", "native-1"))
    answer, call = stub.GetModel.with_call(model_service_pb2.GetModelRequest(id="a/b"), metadata=metadata)
    assert answer.id == "a/b"
    assert dict(call.initial_metadata())["x-request-id"] == "native-1"


def test_native_grpc_is_not_taken_for_rest(edge: Edge, channel: grpc.Channel) -> None:
    stub = account_service_pb2_grpc.AccountServiceStub(channel)
    forged = (("x-portico-rest", "1"), ("x-envoy-original-path", "/v1/x"))
    seen = json.loads(stub.Login(account_service_pb2.LoginRequest(email="a@b.c"), metadata=forged).token)
    assert "x-portico-rest" not in seen
    assert seen["x-client-address"] == "127.0.0.1"


def test_native_grpc_errors_pass_with_their_details(edge: Edge, channel: grpc.Channel) -> None:
    stub = model_service_pb2_grpc.ModelServiceStub(channel)
    with pytest.raises(grpc.RpcError) as caught:
        stub.GetModel(model_service_pb2.GetModelRequest(id="limit"), metadata=(*edge.bearer.items(),))
    assert _code(caught.value) is grpc.StatusCode.RESOURCE_EXHAUSTED
    trailing = dict(caught.value.trailing_metadata())
    assert "grpc-status-details-bin" in trailing
    assert "x-error-body" not in trailing


def test_native_grpc_without_a_token(channel: grpc.Channel) -> None:
    stub = model_service_pb2_grpc.ModelServiceStub(channel)
    with pytest.raises(grpc.RpcError) as caught:
        stub.GetModel(model_service_pb2.GetModelRequest(id="x"))
    assert _code(caught.value) is grpc.StatusCode.UNAUTHENTICATED
    assert caught.value.details() == "No valid token. Send one as metadata 'authorization: Bearer ptc_...'."


def test_internal_rpcs_are_out_of_reach(edge: Edge, channel: grpc.Channel) -> None:
    """The stub would answer whoever asks; only the edge stands before it."""
    stub = trust_service_pb2_grpc.TrustServiceStub(channel)
    metadata = (*edge.bearer.items(), ("x-portico-service-secret", "guess"))
    with pytest.raises(grpc.RpcError) as caught:
        stub.MintServiceToken(trust_service_pb2.MintServiceTokenRequest(), metadata=metadata)
    assert _code(caught.value) is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    "path",
    [
        "/portico.auth.v1.TrustService%2FMintServiceToken",
        TRUST.replace("T", "%54", 1),
        f"/{TRUST}",
        f"/v1/..{TRUST}",
        f"{TRUST}/",
        f"/api/client/v1{TRUST}",
    ],
)
def test_internal_rpcs_are_out_of_reach_however_spelled(edge: Edge, channel: grpc.Channel, path: str) -> None:
    call = channel.unary_unary(path, lambda message: b"", lambda data: data)
    with pytest.raises(grpc.RpcError) as caught:
        call(None, metadata=(*edge.bearer.items(),))
    assert _code(caught.value) is grpc.StatusCode.UNIMPLEMENTED


def test_health_of_services_is_not_for_clients(edge: Edge, channel: grpc.Channel) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    with pytest.raises(grpc.RpcError) as caught:
        stub.Check(health_pb2.HealthCheckRequest(), metadata=(*edge.bearer.items(),))
    assert _code(caught.value) is grpc.StatusCode.UNIMPLEMENTED


def test_rpcs_that_a_service_lacks(edge: Edge, channel: grpc.Channel) -> None:
    stub = inference_service_pb2_grpc.InferenceServiceStub(channel)
    with pytest.raises(grpc.RpcError) as caught:
        stub.Chat(inference_service_pb2.ChatRequest(), metadata=(*edge.bearer.items(),))
    assert _code(caught.value) is grpc.StatusCode.UNIMPLEMENTED
    usage = usage_service_pb2_grpc.UsageServiceStub(channel)
    with pytest.raises(grpc.RpcError) as caught:
        usage.GetUsage(usage_service_pb2.GetUsageRequest(), metadata=(*edge.bearer.items(),))
    assert _code(caught.value) is grpc.StatusCode.UNIMPLEMENTED
