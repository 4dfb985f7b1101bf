"""Errors: the services' own words where they have some, else the edge's in the same shape, and never Envoy's."""

from typing import Any

import grpc
import pytest

from portico.inference.v1 import model_service_pb2, model_service_pb2_grpc
from tests.support.edge import Edge, Reply

LIMIT = 32 * 1024 * 1024
CHAT = "/v1/chat/completions"

SERVICE_ERRORS = [
    ("limit", 429, "rate_limit_error", "rate_limited", None),
    ("absent", 404, "invalid_request_error", "model_not_found", "model"),
    ("stranger", 401, "authentication_error", "invalid_api_key", None),
    ("down", 502, "server_error", "upstream_failed", None),
]


def _refused(edge: Edge, how: str, name: str) -> Reply:
    if how == "typed":
        return edge.request("GET", f"/v1/models/{name}", headers={"x-request-id": "mine"})
    path = CHAT if how == "stream" else "/v1/embeddings"
    return edge.request("POST", path, {"do": f"refuse:{name}"}, {"x-request-id": "mine"})


@pytest.mark.parametrize("how", ["stream", "unary", "typed"])
@pytest.mark.parametrize(("name", "status", "kind", "code", "param"), SERVICE_ERRORS)
def test_errors_of_services_arrive_as_written(
    edge: Edge, how: str, name: str, status: int, kind: str, code: str, param: str | None
) -> None:
    reply = _refused(edge, how, name)
    assert reply.status == status
    assert {key: reply.error[key] for key in ("type", "code", "param")} == {"type": kind, "code": code, "param": param}
    assert reply.json["request_id"] == reply.headers["x-request-id"] == "mine"
    assert reply.headers.get("retry-after") == ("7" if name == "limit" else None)
    assert ("www-authenticate" in reply.headers) == (status == 401)
    assert int(reply.headers["content-length"]) == len(reply.body)
    assert not {"x-http-status", "x-error-body", "grpc-status", "grpc-message", "grpc-status-details-bin"} & set(
        reply.headers
    )


def test_the_message_survives_quotes_and_other_alphabets(edge: Edge) -> None:
    assert _refused(edge, "stream", "down").error["message"] == 'The provider said "no" \\ ünd more.'


@pytest.mark.parametrize("how", ["stream", "unary", "typed"])
def test_some_kilobytes_of_a_message_survive_with_their_details(edge: Edge, how: str) -> None:
    """They pass the edge in a header: by HTTP/1.1 and HTTP/2, escaped to ASCII."""
    reply = _refused(edge, how, "long")
    assert reply.status == 400
    assert reply.json["error"]["message"] == "漢字 % " * 600
    assert reply.json["error"]["innererror"] == {"why": "é" * 500}


def test_a_long_message_fits_a_native_clients_metadata(channel: grpc.Channel, edge: Edge) -> None:
    """A native client's metadata takes 8 KiB where the edge takes 60."""
    stub = model_service_pb2_grpc.ModelServiceStub(channel)
    metadata = (("authorization", f"Bearer {edge.token}"), ("x-request-id", "mine"))
    with pytest.raises(grpc.RpcError) as caught:
        stub.GetModel(model_service_pb2.GetModelRequest(id="long"), metadata=metadata, timeout=10)
    error: Any = caught.value
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error.details().startswith("漢字 % 漢字")


def test_a_call_that_broke_says_nothing_but_its_id(edge: Edge) -> None:
    reply = edge.chat({"do": "crash"})
    assert reply.status == 500
    assert reply.error["code"] == "internal"
    assert reply.json["request_id"] == reply.headers["x-request-id"]
    assert b"secret" not in reply.body
    assert "grpc-message" not in reply.headers


def test_a_call_that_the_service_lacks(edge: Edge) -> None:
    reply = edge.request("GET", "/v1/usage")
    assert reply.status == 501
    assert reply.error["code"] == "not_implemented"


@pytest.mark.parametrize(
    "body", [b'{"key":', b"[1]", b'{"key": {}}', b"\xff\xfe", b'{"metadata": 3}', b'{"metadata":{"a":' + b"[" * 99_999]
)
def test_json_that_does_not_fit(edge: Edge, body: bytes) -> None:
    reply = edge.request("POST", "/v1/models", body, {"content-type": "application/json"})
    assert reply.status == 400
    assert reply.error["type"] == "invalid_request_error"
    assert reply.error["message"].startswith("The request does not fit the API (")
    assert reply.json["request_id"] == reply.headers["x-request-id"]


def test_a_query_that_does_not_fit(edge: Edge) -> None:
    reply = edge.request("GET", "/v1/models?pageSize=many")
    assert reply.status == 400
    assert "pageSize" in reply.error["message"] or "many" in reply.error["message"]


def test_bodies_up_to_the_limit_pass(edge: Edge) -> None:
    for size in (10 * 1024 * 1024, LIMIT - 1024):
        reply = edge.request("POST", CHAT, b"x" * size, {"content-type": "application/json"})
        assert reply.status == 200
        assert reply.json["bytes"] == size


def test_large_answers_pass(edge: Edge) -> None:
    reply = edge.chat({"do": f"big:{10 * 1024 * 1024}"})
    assert reply.status == 200
    assert len(reply.json["data"]) == 10 * 1024 * 1024


@pytest.mark.parametrize(
    ("path", "limit"),
    [(CHAT, LIMIT), ("/v1/models", 131072), ("/v1/auth/login", 65536), ("/api/client/v1/auth/login", 65536)],
)
@pytest.mark.parametrize("length", ["content-length: 90000000", "transfer-encoding: chunked"])
def test_bodies_over_the_limit_are_refused(edge: Edge, path: str, limit: int, length: str) -> None:
    body = b'{"name": "' + b"x" * (limit + limit // 4)
    token = edge.signer.token(tenant=f"sends {length} to {path}")  # the large JSON of a tenant is counted
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n{length}\r\n"
    chunk = b"" if "length" in length else b"55d4a80\r\n"
    reply = edge.raw(head.encode() + b"content-type: application/json\r\n\r\n" + chunk + body)
    assert reply.status == 413
    assert reply.error["code"] == "payload_too_large"


MESSAGES = "/v1/messages"
ELSEWHERE = "origin: https://evil.example"


@pytest.mark.parametrize("prefix", ["", "/api/client"])
@pytest.mark.parametrize(
    ("method", "path", "more", "token", "status", "kind"),
    [
        ("POST", MESSAGES, "", False, 401, "authentication_error"),
        ("POST", f"{MESSAGES}/count_tokens?beta=true", "", False, 401, "authentication_error"),
        ("GET", MESSAGES, "", True, 404, "not_found_error"),
        ("POST", MESSAGES, "content-length: 90000000", True, 413, "request_too_large"),
        (
            "POST",
            MESSAGES,
            f"cookie: portico_session=ptc_x\r\n{ELSEWHERE}",
            False,
            403,
            "permission_error",
        ),
    ],
)
def test_the_edges_own_errors_have_anthropics_form_in_its_api(
    edge: Edge, prefix: str, method: str, path: str, more: str, token: bool, status: int, kind: str
) -> None:
    """All but 401 had OpenAI's, which Anthropic's SDKs show as an empty error."""
    lines = [f"{method} {prefix}{path} HTTP/1.1", "host: x", "content-type: application/json", "x-request-id: mine"]
    lines += [f"authorization: Bearer {edge.token}"] if token else []
    lines += [more] if more else ["content-length: 0"] if method == "POST" else []
    if status == 403:
        lines.append("content-length: 0")
    body = b"{" * (40 * 1024 * 1024) if status == 413 else b""
    reply = edge.raw("\r\n".join([*lines, "", ""]).encode() + body)
    assert reply.status == status
    assert (reply.json["type"], reply.json["error"]["type"]) == ("error", kind)
    assert reply.json["request_id"] == reply.headers["request-id"] == "mine"


def test_a_path_that_only_begins_alike_has_the_common_form(edge: Edge) -> None:
    assert edge.request("GET", "/v1/messages-of-others").error["code"] == "not_found"


def test_large_headers_pass(edge: Edge) -> None:
    """They pass the edge, and gRPC refused them behind it, mostly, as if the service were overloaded."""
    cookies = {f"x-{at}": "a" * 4000 for at in range(14)}
    for _ in range(10):
        assert edge.request("GET", "/v1/models", headers=cookies).status == 200
        assert edge.chat(headers=cookies).status == 200


def test_headers_over_the_limit_are_refused(edge: Edge) -> None:
    reply = edge.raw(b"GET /v1/models HTTP/1.1\r\nhost: x\r\nx-a: " + b"a" * 70_000 + b"\r\n\r\n")
    assert reply.status == 431
    assert reply.error["code"] == "headers_too_large"


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET /v1/models HTTP/1.0\r\n\r\n", 426),
        (b"GET /v1/models HTTP/1.1\r\n\r\n", 400),
        (b"rubbish\r\n\r\n", 400),
        (b"GET /v1/models#fragment HTTP/1.1\r\nhost: x\r\n\r\n", 400),
        (b"POST /v1/models HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", 400),
        (b"GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n", 403),
    ],
    ids=["HTTP/1.0", "no host", "no HTTP", "fragment", "smuggling", "upgrade"],
)
def test_requests_that_are_not_spoken_here(edge: Edge, request_line: bytes, status: int) -> None:
    reply = edge.raw(request_line)
    assert reply.status == status
    assert reply.error["type"] in {"invalid_request_error", "permission_error"}


def test_a_request_id_is_made_and_returned(edge: Edge) -> None:
    reply = edge.chat()
    assert len(reply.headers["x-request-id"]) == 36
    assert reply.json["metadata"]["x-request-id"] == reply.headers["x-request-id"]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("mine-1.a:b_c", "mine-1.a:b_c"),
        ("0e8b3b1c-4c1f-4d7e-9d0a-3f6f5f9c0d11", "0e8b3b1c-4c1f-4d7e-9d0a-3f6f5f9c0d11"),
        ("x" * 5000, "x" * 128),
        ('a"b{c}\\d e', "a_b_c__d_e"),
        ("<script>\x80\xff", "_script___"),
    ],
    ids=["plain", "uuid", "long", "json", "bytes"],
)
def test_request_ids_are_kept_as_far_as_they_are_harmless(edge: Edge, sent: str, kept: str) -> None:
    reply = edge.chat({"do": "refuse:limit"}, {"x-request-id": sent})
    assert reply.headers["x-request-id"] == kept
    assert reply.json["request_id"] == kept
    nowhere = edge.request("GET", "/v1/nothing", headers={"x-request-id": sent})
    assert nowhere.json["request_id"] == nowhere.headers["x-request-id"] == kept


def test_an_empty_request_id_is_none(edge: Edge) -> None:
    assert edge.chat(headers={"x-request-id": ""}).headers["x-request-id"]


def test_successes_carry_no_trace_of_grpc(edge: Edge) -> None:
    created = edge.request("POST", "/v1/models", {"key": "k"})
    embedded = edge.request("POST", "/v1/embeddings", {"model": "m"})
    for reply in (edge.chat(), embedded, created, edge.request("GET", "/v1/models")):
        assert not [name for name in reply.headers if name.startswith(("grpc-", "x-http-"))]


def test_nothing_of_a_tenant_is_kept_by_caches(edge: Edge) -> None:
    """Tokens above all: an answer of the API is stored nowhere unless the service says otherwise."""
    login = edge.request("POST", "/v1/auth/login", {"email": "a@b.c"}, token=False)
    created = edge.request("POST", "/v1/models", {"key": "k"})
    refused = edge.chat({"do": "refuse:limit"})
    for reply in (login, created, refused, edge.request("GET", "/v1/models"), edge.chat(token=False)):
        assert reply.headers["cache-control"] == "no-store"
    assert edge.request("GET", "/v1/models/cached").headers["cache-control"] == "private, no-cache"


def test_hardening_headers(edge: Edge) -> None:
    for reply in (edge.chat(), edge.chat(token=False), edge.request("GET", "/v1/nothing")):
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["server"] == "portico"
        assert not [name for name in reply.headers if name.startswith("x-envoy")]
