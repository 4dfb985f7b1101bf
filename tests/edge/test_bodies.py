"""Limits of bodies at each path: large where it passes as it is, small where it is parsed or has no token."""

import functools
import json
import re
import socket
import uuid
from typing import Any

import grpc
import pytest

from portico.auth.v1 import account_service_pb2, account_service_pb2_grpc
from tests.support import attacks
from tests.support.contracts import Binding, Rpc, bindings, rpcs
from tests.support.edge import Edge, Reply
from tools import edge as tool

KIB, MIB = 1024, 1024 * 1024
LIMITS = [
    ("/v1/chat/completions", 32 * MIB, "32 MiB"),
    ("/v1/messages", 32 * MIB, "32 MiB"),
    ("/v1/models", 128 * KIB, "128 KiB"),
    ("/api/client/v1/models/providers", 128 * KIB, "128 KiB"),
    ("/v1/auth/change-password", 128 * KIB, "128 KiB"),
    ("/v1/auth/login", 64 * KIB, "64 KiB"),
    ("/api/client/v1/auth/register", 64 * KIB, "64 KiB"),
]
LONG = {
    "InferenceService",
    "OpenAIService",
    "AnthropicService",
    "RerankService",
    "FileService",
    "OpenAIFileService",
    "RetrievalService",
}
"""Services with calls that may take any time."""
LONG_RPCS = {
    "GuardrailService/EvaluateGuardrail",
    "GuardrailService/ModerateTexts",
    "KnowledgeService/IngestDocument",
    "KnowledgeService/ReingestDocument",
}
"""They may ask a model to judge, or take a file."""


@functools.cache
def _routes() -> list[dict[str, Any]]:
    manager = tool.connection_manager(tool.load(tool.SOURCE / "listener.yaml"))
    routes: list[dict[str, Any]] = manager["route_config"]["virtual_hosts"][0]["routes"]
    return routes


def _takes(match: dict[str, Any], path: str) -> bool:
    if "safe_regex" in match:
        return re.fullmatch(match["safe_regex"]["regex"], path) is not None
    return path == match["path"] if "path" in match else path.startswith(match["prefix"])


def _rest_route(method: str, path: str) -> str:
    """Name of the route that takes a REST request before it is transcoded."""
    for route in _routes():
        match = route["match"]
        headers = [header for header in match.get("headers", []) if header != _REST]
        if any(header.get("invert_match") for header in headers):
            continue  # for requests without a length; this one has one
        wanted = {header["name"]: header["string_match"]["exact"] for header in headers}
        if "grpc" not in match and wanted.get(":method", method) == method and _takes(match, path):
            return str(route["name"])
    raise AssertionError(path)


_REST = {"name": "x-envoy-original-path", "present_match": True}


def _native_route(rpc: Rpc) -> dict[str, Any]:
    """The route that takes a call over gRPC."""
    native = (route for route in _routes() if "grpc" in route["match"] and "headers" not in route["match"])
    return next(route for route in native if _takes(route["match"], rpc.path))


def _expected(binding: Binding) -> set[str]:
    if binding.is_raw:
        return {"upload"} if binding.rpc.method.client_streaming else {"raw", "raw_post", "raw_points"}
    return {"public"} if binding.rpc.access == "public" else {"nowhere"}


@pytest.mark.parametrize("binding", bindings(), ids=lambda each: f"{each.verb} {each.template}")
def test_rest_routes_agree_with_the_contracts(binding: Binding) -> None:
    """Large bodies where, and only where, the transcoder does not parse them; small ones where no token is needed."""
    for value in ("x1", "%2F", "query", "a-b.c~d!$&'()*+,;=:@"):
        path = binding.example(value)
        assert _rest_route(binding.verb, path) in _expected(binding)
        if binding.rpc.access != "public":  # there, a trailing slash is not forgiven
            assert _rest_route(binding.verb, f"{path}/") in _expected(binding)


def test_native_routes_agree_with_the_contracts() -> None:
    """Public RPCs have the small limit over gRPC too, and all have a time but those that may take any."""
    for rpc in rpcs():
        if rpc.access == "internal":
            continue
        route = _native_route(rpc)
        assert (route["name"] == "public_native") == (rpc.access == "public"), rpc.path
        service = rpc.method.containing_service.name
        is_long = service in LONG or f"{service}/{rpc.method.name}" in LONG_RPCS
        assert ("max_stream_duration" not in route["route"]) == is_long, rpc.path
        assert is_long or not rpc.streams, rpc.path


def _json(size: int) -> bytes:
    return b'{"unknownField":"' + b"x" * (size - 19) + b'"}'


def _post(edge: Edge, path: str, size: int, content: str = "application/json") -> Reply:
    """The answer to as much of a body of this size as it took. Every call is of a tenant of its own."""
    token = edge.signer.token(tenant=str(uuid.uuid4()))
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: {content}\r\n"
    return edge.raw(f"{head}content-length: {size}\r\n\r\n".encode() + _json(size))


@pytest.mark.parametrize(("path", "limit", "words"), LIMITS)
def test_a_body_over_the_limit_is_told_the_limit_of_its_path(edge: Edge, path: str, limit: int, words: str) -> None:
    assert _post(edge, path, limit).status != 413
    reply = _post(edge, path, limit + 1)
    assert reply.status == 413
    error = reply.json["error"] if path == "/v1/messages" else reply.error
    assert error["message"] == f"The body is too large: {words} is the limit at this path."
    if path == "/v1/messages":  # in Anthropic's form
        assert (error["type"], reply.json["type"]) == ("request_too_large", "error")
    else:
        assert error["code"] == "payload_too_large"


def _create_over_http2(edge: Edge, body: bytes) -> Any:
    """The answer to a request that does not tell its length."""
    head = {":method": "POST", ":scheme": "http", ":authority": "x", ":path": "/v1/models"}
    head |= {"content-type": "application/json", "authorization": f"Bearer {edge.token}"}
    sent = attacks.PREFACE + attacks.frame(attacks.SETTINGS, 0, 0)
    sent += attacks.frame(attacks.HEADERS, attacks.END_HEADERS, 1, attacks.header_block(head))
    for offset in range(0, len(body), attacks.FRAME_BYTES):
        sent += attacks.frame(attacks.DATA, 0, 1, body[offset : offset + attacks.FRAME_BYTES])
    with socket.create_connection(("127.0.0.1", edge.port), timeout=20) as connection:
        connection.sendall(sent + attacks.frame(attacks.DATA, attacks.END_STREAM, 1))
        received = b""
        for frame in attacks.read_frames(connection):
            received += frame.payload if frame.kind == attacks.DATA else b""
            if frame.ends_stream:
                break
    return json.loads(received)


def test_json_whose_length_is_not_told_is_small(edge: Edge) -> None:
    """So that nobody sends more of it than is counted."""
    largest = b'{"key":"' + b"k" * (16 * KIB - 10) + b'"}'
    assert _create_over_http2(edge, largest)["model"]["key"] == "k" * (16 * KIB - 10)
    error = _create_over_http2(edge, largest + b" ")["error"]
    assert error["code"] == "payload_too_large"
    assert error["message"] == "The body is too large: 16 KiB without a Content-Length is the limit at this path."


def test_json_that_would_take_seconds_to_parse_is_refused_unparsed(edge: Edge) -> None:
    """30 MiB of empty objects kept everybody waiting for four seconds: the edge has one thread."""
    assert _post(edge, "/v1/models/providers", 30 * MIB).status == 413


@pytest.mark.parametrize("path", ["/v1/files", "/v1/files/buckets/b/objects", "/v1/files/"])
def test_uploads_have_no_limit_at_the_edge(edge: Edge, path: str) -> None:
    """The stub has no files: the answer is its own, so the body has reached it."""
    assert _post(edge, path, 33 * MIB, "multipart/form-data; boundary=x").status == 501


def test_a_public_call_over_grpc_has_the_small_limit(edge: Edge, channel: grpc.Channel) -> None:
    stub = account_service_pb2_grpc.AccountServiceStub(channel)
    assert stub.Login(account_service_pb2.LoginRequest(email="x" * (63 * KIB))).token
    with pytest.raises(grpc.RpcError) as caught:
        stub.Login(account_service_pb2.LoginRequest(email="x" * (65 * KIB)))
    assert isinstance(caught.value, grpc.Call)
    assert caught.value.details() == "The body is too large: 64 KiB is the limit at this path."
