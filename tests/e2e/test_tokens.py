"""Tokens through the edge: what is refused, how soon, and by whom."""

import asyncio
import json
import os
import subprocess
import sys
import time

import grpc
import jwt
import pytest

from core.token_verifier import PREFIX
from portico.inference.v1 import model_service_pb2, model_service_pb2_grpc
from tests.support.cluster import Cluster, Rest, Tenant, until
from tests.support.connections import http_session
from tests.support.tokens import Signer
from tools.supervisor import ROOT

CHAT = {"model": "echo", "messages": [{"role": "user", "content": "hello"}]}


def claims_of(token: str) -> dict[str, object]:
    claims: dict[str, object] = jwt.decode(token[len(PREFIX) :], options={"verify_signature": False})
    return claims


async def test_no_or_bad_tokens_are_401_with_openais_body(rest: Rest, tenant: Tenant) -> None:
    good = await rest.token(tenant.session)
    header = jwt.get_unverified_header(good[len(PREFIX) :])
    claims = claims_of(good)
    none = PREFIX + jwt.encode(claims, "", "none", headers={"kid": header["kid"]})
    foreign = Signer().token(kid=header["kid"], **{**claims, "exp": time.time() + 60})
    head, body, signature = good[len(PREFIX) :].split(".")
    flipped = f"{PREFIX}{head}.{body}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
    bad = [None, "", "nonsense", "ptc_", "ptc_a.b.c", none, foreign, flipped, good[len(PREFIX) :], f"sk-{good}"]
    for token in bad:
        for method, path, sent in (("POST", "/v1/chat/completions", CHAT), ("GET", "/v1/users", None)):
            answer = await rest.call(method, path, sent, token=token)
            assert answer.status == 401, (token, answer.raw)
            assert answer.body["error"]["code"] == "invalid_api_key"
            assert answer.body["error"]["type"] == "authentication_error"
            assert answer.body["error"]["message"]


async def test_an_expired_token_is_401(rest: Rest, tenant: Tenant, cluster: Cluster) -> None:
    refused = await rest.call(
        "POST", "/v1/tokens", {"label": "short", "expiresAt": "2020-01-01T00:00:00Z"}, token=tenant.session
    )
    assert refused.status == 400
    assert refused.body["error"]["param"] == "expiresAt"


async def test_a_missing_scope_is_403_and_names_it(rest: Rest, tenant: Tenant) -> None:
    token = await rest.token(tenant.session, "usage:read")
    answer = await rest.call("POST", "/v1/chat/completions", CHAT, token=token)
    assert answer.status == 403
    assert "inference:write" in answer.body["error"]["message"]
    assert (await rest.call("GET", "/v1/usage", token=token)).status == 200


async def test_a_token_cannot_make_a_stronger_one(rest: Rest, tenant: Tenant) -> None:
    weak = await rest.token(tenant.session, "tokens:write", "inference:read")
    answer = await rest.call("POST", "/v1/tokens", {"label": "more", "scopes": ["users:admin"]}, token=weak)
    assert answer.status == 403
    everything = await rest.ok("POST", "/v1/tokens", {"label": "all of it", "scopes": ["*"]}, token=weak)
    assert (await rest.call("GET", "/v1/users", token=everything["token"])).status == 403


async def test_a_deleted_token_is_refused_within_a_second_on_every_service(
    rest: Rest, tenant: Tenant, cluster: Cluster
) -> None:
    made = await rest.ok("POST", "/v1/tokens", {"label": "to go"}, token=tenant.session)
    token = made["token"]
    await rest.ok("POST", "/v1/chat/completions", CHAT, token=token)
    await rest.ok("GET", "/v1/projects", token=token)
    await rest.ok("DELETE", f"/v1/tokens/{made['id']}", token=tenant.session)
    await asyncio.sleep(1.0)
    assert (await rest.call("POST", "/v1/chat/completions", CHAT, token=token)).status == 401
    assert (await rest.call("GET", "/v1/projects", token=token)).status == 401
    async with grpc.aio.insecure_channel(f"127.0.0.1:{cluster.service_port('inference')}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await model_service_pb2_grpc.ModelServiceStub(channel).ListModels(
                model_service_pb2.ListModelsRequest(), metadata=(("authorization", f"Bearer {token}"),), timeout=5
            )
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_logging_out_ends_the_session_everywhere(rest: Rest, tenant: Tenant) -> None:
    session = (await rest.ok("POST", "/v1/auth/login", {"email": tenant.email, "password": tenant.password}))["token"]
    await rest.ok("GET", "/v1/models", token=session)
    await rest.ok("POST", "/v1/auth/logout", {}, token=session)

    async def refused() -> bool:
        return (await rest.call("GET", "/v1/models", token=session)).status == 401

    assert await until(refused, 2)
    await rest.ok("GET", "/v1/models", token=tenant.session)


async def test_the_session_comes_as_a_cookie_too(rest: Rest, tenant: Tenant) -> None:
    answer = await rest.call("POST", "/v1/auth/login", {"email": tenant.email, "password": tenant.password})
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    pair = cookie.split(";")[0]
    assert pair == f"portico_session={answer.body['token']}"
    seen = await rest.call("GET", "/v1/auth/session", headers={"Cookie": pair})
    assert seen.body["tenantId"] == tenant.slug


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer"])
async def test_the_scheme_may_be_in_any_case(rest: Rest, tenant: Tenant, scheme: str) -> None:
    answer = await rest.call("GET", "/v1/models", headers={"Authorization": f"{scheme} {tenant.session}"})
    assert answer.status == 200


async def test_an_api_token_reaches_its_own_project_alone(rest: Rest, tenant: Tenant) -> None:
    """A token of the owner, bound to one project, invited an administrator, who saw every project."""
    other = await rest.ok("POST", "/v1/projects", {"name": "Other"}, token=tenant.session)
    bound = await rest.token(tenant.session)
    invited = {"email": "mallory@example.com", "role": "admin"}
    assert (await rest.call("POST", "/v1/users/invitations", invited, token=bound)).status == 403
    assert (await rest.call("POST", "/v1/projects", {"name": "Mine"}, token=bound)).status == 403
    assert (await rest.call("GET", f"/v1/projects/{other['project']['id']}", token=bound)).status == 404
    assert (await rest.call("GET", "/v1/usage?allProjects=true", token=bound)).status == 403
    await rest.ok("GET", "/v1/usage?allProjects=true", token=tenant.session)
    await rest.ok("POST", "/v1/chat/completions", CHAT, token=bound)


async def test_what_a_stolen_token_has_made_ends_with_it_on_every_service(rest: Rest, tenant: Tenant) -> None:
    stolen = await rest.ok("POST", "/v1/tokens", {"label": "stolen"}, token=tenant.session)
    child = await rest.ok("POST", "/v1/tokens", {"label": "hidden"}, token=stolen["token"])
    assert child["parentId"] == stolen["id"]
    await rest.ok("POST", "/v1/chat/completions", CHAT, token=child["token"])
    await rest.ok("DELETE", f"/v1/tokens/{stolen['id']}", token=tenant.session)

    async def refused() -> bool:
        return (await rest.call("POST", "/v1/chat/completions", CHAT, token=child["token"])).status == 401

    assert await until(refused, 5)
    assert (await rest.call("GET", "/v1/projects", token=child["token"])).status == 401


async def test_a_withdrawn_key_is_refused_by_every_service(own_cluster: Cluster) -> None:
    """Whoever had stolen a signing key could sign tokens for ever: no command took it out of the key set."""
    own_cluster.start()
    token = own_cluster.dev_token
    stolen = jwt.get_unverified_header(token[len(PREFIX) :])["kid"]
    async with http_session() as http:
        rest = Rest(own_cluster.url, http)
        calls = [("POST", "/v1/chat/completions", CHAT), ("GET", "/v1/vector/providers", None)]
        calls += [("GET", "/v1/files/buckets", None), ("GET", "/v1/projects", None)]
        owner = json.loads((own_cluster.data / "dev-owner.json").read_text())
        session = (await rest.ok("POST", "/v1/auth/login", owner))["token"]
        for bearer in (token, session):  # every service has verified both, and remembers it
            for method, path, body in calls:
                await rest.ok(method, path, body, token=bearer)
        assert "have to be made again: 1." in command(own_cluster, "withdraw-key", stolen)

        async def refused() -> bool:
            answers = [await rest.call(*each, token=bearer) for bearer in (token, session) for each in calls]
            return {answer.status for answer in answers} == {401}

        assert await until(refused, 30)
        assert stolen not in str(await rest.ok("GET", "/v1/auth/jwks"))
        again = (await rest.ok("POST", "/v1/auth/login", owner))["token"]
        assert jwt.get_unverified_header(again[len(PREFIX) :])["kid"] != stolen
        await rest.ok("POST", "/v1/chat/completions", CHAT, token=again)


def command(cluster: Cluster, *arguments: str) -> str:
    """Run an operator's command beside the services, on their data, and return its output."""
    env = {**os.environ, **json.loads((cluster.data / "dev-secrets.json").read_text())}
    env["PORTICO_DATA_DIR"] = str(cluster.data)
    line = [sys.executable, "-m", "services.auth", *arguments]
    done = subprocess.run(line, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout
