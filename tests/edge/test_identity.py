"""Authentication at the edge, and the headers about itself that a client gets through to the services."""

import base64
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support.edge import Edge
from tests.support.tokens import Signer


def _part(content: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


def _claims(edge: Edge) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(base64.urlsafe_b64decode(edge.token.split(".")[1] + "=="))
    return content


def _unsigned(edge: Edge) -> str:
    return f"ptc_{_part({'alg': 'none', 'typ': 'JWT'})}.{_part(_claims(edge))}."


def _symmetric(edge: Edge) -> str:
    """The public key as if it were a shared secret."""
    pem = edge.signer.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    text = f"{_part({'alg': 'HS256', 'typ': 'JWT', 'kid': edge.signer.key_id})}.{_part(_claims(edge))}"
    signature = base64.urlsafe_b64encode(hmac.digest(pem, text.encode(), "sha256")).rstrip(b"=").decode()
    return f"ptc_{text}.{signature}"


def _altered(edge: Edge) -> str:
    header, _, signature = edge.token.split(".")
    return f"{header}.{_part({**_claims(edge), 'tenant': 'victim'})}.{signature}"


BAD_TOKENS: dict[str, Callable[[Edge], str]] = {
    "alg none": _unsigned,
    "symmetric": _symmetric,
    "altered": _altered,
    "another's key under our id": lambda edge: Signer(edge.signer.key_id).token(),
    "unknown key id": lambda edge: edge.signer.token(kid="other"),
    "expired": lambda edge: edge.signer.token(exp=time.time() - 120),
    "another issuer": lambda edge: edge.signer.token(iss="elsewhere"),
    "without prefix": lambda edge: edge.token.removeprefix("ptc_"),
    "rubbish": lambda edge: "ptc_rubbish",
    "empty": lambda edge: "ptc_",
}


@pytest.mark.parametrize("make", BAD_TOKENS.values(), ids=BAD_TOKENS.keys())
def test_bad_tokens_are_refused(edge: Edge, make: Callable[[Edge], str]) -> None:
    reply = edge.chat(headers={"authorization": f"Bearer {make(edge)}"}, token=False)
    assert reply.status == 401
    assert reply.error["code"] == "invalid_api_key"
    assert reply.error["type"] == "authentication_error"
    assert reply.headers["www-authenticate"] == 'Bearer realm="portico"'
    assert "jwt" not in reply.body.decode().lower()


@pytest.mark.parametrize("value", ["", "Basic dXNlcjpwYXNz", "Bearer", "Bearer  ", "ptc_x"])
def test_other_authorization_is_refused(edge: Edge, value: str) -> None:
    assert edge.chat(headers={"authorization": value}, token=False).status == 401


def test_no_token_is_refused_before_anything_else_is_said(edge: Edge) -> None:
    for path in ("/v1/chat/completions", "/v1/nothing", "/", "/portico.auth.v1.TrustService/MintServiceToken"):
        assert edge.request("POST", path, {}, token=False).status == 401, path


def test_a_token_without_expiry_is_good(edge: Edge) -> None:
    token = edge.signer.token(exp=None)
    assert edge.chat(headers={"authorization": f"Bearer {token}"}, token=False).status == 200


PAGE = {"origin": "http://localhost:3000"}
SPELLINGS: dict[str, Callable[[str], dict[str, str]]] = {
    "Bearer": lambda token: {"Authorization": f"Bearer {token}"},
    "bearer": lambda token: {"authorization": f"bearer {token}"},
    "BEARER and spaces": lambda token: {"authorization": f"BEARER   {token}"},
    "x-api-key": lambda token: {"x-api-key": token},
    "api-key": lambda token: {"api-key": token},
    "cookie": lambda token: {"cookie": f"portico_session={token}", **PAGE},
    "cookie over TLS": lambda token: {"cookie": f"__Host-portico_session={token}", **PAGE},
    "cookie among others": lambda token: {"cookie": f"a=b; portico_session={token}; c=d", **PAGE},
}


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_ways_to_send_a_token(edge: Edge, spell: Callable[[str], dict[str, str]]) -> None:
    reply = edge.chat(headers=spell(edge.token), token=False)
    assert reply.status == 200
    assert reply.json["metadata"]["authorization"] == f"Bearer {edge.token}"


@pytest.mark.parametrize(
    "cookie",
    [
        "xportico_session={}",
        "a=portico_session={}",
        "portico_session_old={}",
        "__host-portico_session={}",
        "__Host_portico_session={}",
        "x__Host-portico_session={}",
    ],
)
def test_a_cookie_of_a_similar_name_is_not_the_session(edge: Edge, cookie: str) -> None:
    assert edge.chat(headers={"cookie": cookie.format(edge.token)}, token=False).status == 401


def test_the_authorization_header_wins(edge: Edge) -> None:
    headers = {
        "authorization": "Bearer ptc_rubbish",
        "x-api-key": edge.token,
        "cookie": f"portico_session={edge.token}",
    }
    assert edge.chat(headers=headers, token=False).status == 401


def test_identity_headers_come_from_the_token_alone(edge: Edge) -> None:
    forged = {
        "x-tenant-id": "victim",
        "X-User-Id": "root",
        "x-project-id": "p9",
        "x-client-address": "8.8.8.8",
        "x-forwarded-for": "8.8.8.8",
        "x-portico-rest": "0",
        "x-portico-service-secret": "guess",
        "x-portico-anything": "1",
        "x-http-status": "200",
        "x-error-body": "{}",
        "x-envoy-original-path": "/elsewhere",
        "x-envoy-upstream-rq-timeout-ms": "1",
    }
    reply = edge.chat(headers=forged)
    seen = reply.json["metadata"]
    assert reply.status == 200
    assert seen["x-tenant-id"] == "acme"
    assert seen["x-user-id"] == "u1"
    assert seen["x-client-address"] == "127.0.0.1"
    assert seen["x-portico-rest"] == "1"
    assert seen["x-envoy-original-path"] == "/v1/chat/completions"
    gone = {
        "x-project-id",
        "x-portico-service-secret",
        "x-portico-anything",
        "x-http-status",
        "x-error-body",
        "x-envoy-upstream-rq-timeout-ms",
        "x-forwarded-for",
        "cookie",
    }
    assert not gone & set(seen)


def test_underscores_do_not_pass_for_hyphens(edge: Edge) -> None:
    assert edge.chat(headers={"x_tenant_id": "victim"}).status == 400


def test_repeated_identity_headers_all_go(edge: Edge) -> None:
    reply = edge.raw(
        b"GET /v1/auth/jwks HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-tenant-id: a\r\nX-Tenant-ID: b\r\n\r\n"
    )
    assert reply.status == 200
    login = edge.request("POST", "/v1/auth/login", {"email": "a@b.c"}, {"x-tenant-id": "victim"}, token=False)
    assert "x-tenant-id" not in json.loads(login.json["token"])


@pytest.mark.parametrize("path", ["/v1/auth/login", "/api/client/v1/auth/login"])
def test_public_paths_need_no_token(edge: Edge, path: str) -> None:
    reply = edge.request("POST", path, {"email": "a@b.c"}, token=False)
    assert reply.status == 200
    assert reply.headers["set-cookie"].startswith("portico_session=")


def test_a_stale_token_does_not_keep_anybody_from_signing_in(edge: Edge) -> None:
    headers = {"authorization": "Bearer ptc_rubbish", "cookie": "portico_session=ptc_old"}
    assert edge.request("POST", "/v1/auth/login", {"email": "a@b.c"}, headers, token=False).status == 200


@pytest.mark.parametrize("path", ["/v1/auth/jwks", "/.well-known/jwks.json"])
def test_keys_are_public(edge: Edge, path: str) -> None:
    keys: Any = edge.request("GET", path, token=False).json["keys"]
    assert [key["kid"] for key in keys] == [edge.signer.key_id]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/auth/login/",
        "/v1/auth/login/../../models",
        "/v1/auth/login%2F..",
        "/v1/auth/login;x",
        "/V1/auth/login",
        "//v1/auth/login",
    ],
)
def test_paths_that_resemble_public_ones_are_not(edge: Edge, path: str) -> None:
    assert edge.request("POST", path, {}, token=False).status == 401


@pytest.mark.parametrize(
    ("features", "status"),
    [("LLM_CHAT", 200), ("FILES LLM_CHAT", 200), ("FILES", 403), ("LLM_CHATS XLLM_CHAT", 403), ("-", 403)],
)
def test_a_feature_that_the_plan_lacks_is_refused(edge: Edge, features: str, status: int) -> None:
    token = edge.signer.token(features=features)
    reply = edge.chat(headers={"authorization": f"Bearer {token}"}, token=False)
    assert reply.status == status
    if status == 403:
        assert (reply.error["type"], reply.error["code"]) == ("permission_error", "feature_not_in_plan")
        assert "LLM_CHAT" in reply.error["message"]
        assert "metadata" not in reply.json  # no service was asked


def test_what_every_plan_has_is_not_refused(edge: Edge) -> None:
    token = edge.signer.token(features="FILES")
    assert edge.request("GET", "/v1/models", headers={"authorization": f"Bearer {token}"}, token=False).status == 200


def test_a_client_cannot_name_features(edge: Edge) -> None:
    token = edge.signer.token(features="FILES")
    headers = {"authorization": f"Bearer {token}", "x-portico-features": "LLM_CHAT"}
    assert edge.chat(headers=headers, token=False).status == 403
    assert edge.chat(headers={"x-portico-features": "FILES"}).status == 200
