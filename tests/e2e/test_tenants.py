"""Two tenants on one Portico: no call of one sees a record of the other. `tools.isolation_check` tries every route and
RPC of the contracts."""

import asyncio

import pytest

from tests.support.cluster import Cluster, Rest, Tenant
from tools.isolation_check.__main__ import main

MARK = "victims-own"


@pytest.fixture
async def attacker(rest: Rest, tenant: Tenant) -> str:
    return await rest.token(tenant.session)


@pytest.fixture
async def victim(rest: Rest) -> Tenant:
    """A tenant with a model of its own."""
    tenant = await rest.register()
    await rest.echo(tenant.session)
    model = {"key": f"{MARK}.model", "name": MARK, "category": "llm", "providerKey": "echo", "modelId": MARK}
    await rest.ok("POST", "/v1/models", model, token=tenant.session)
    return tenant


@pytest.mark.each_stores
async def test_no_route_and_no_rpc_shows_or_changes_another_tenants_records(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the 17,000 attempts of a whole check, some at each route and each RPC."""
    options = ["--url", cluster.url, "--attempts", "1500", "--at-most", "--quiet", "--concurrency", "16"]
    outcome = await asyncio.to_thread(main, options)
    said = capsys.readouterr()
    assert outcome == 0, said.out
    assert "not planted" not in said.err


async def test_a_forged_tenant_header_changes_nothing(rest: Rest, attacker: str, victim: Tenant) -> None:
    plain = await rest.call("GET", "/v1/models", token=attacker)
    forged = await rest.call(
        "GET",
        "/v1/models",
        token=attacker,
        headers={"x-tenant-id": victim.slug, "X-Portico-Rest": "0", "x-portico-tenant": victim.slug},
    )
    assert forged.body == plain.body


async def test_the_victims_model_is_not_found_not_forbidden(rest: Rest, attacker: str, victim: Tenant) -> None:
    chat = {"model": f"{MARK}.model", "messages": [{"role": "user", "content": "x"}]}
    answer = await rest.call("POST", "/v1/chat/completions", chat, token=attacker)
    assert answer.status == 404
    assert answer.body["error"]["code"] == "model_not_found"


async def test_two_projects_of_a_tenant_are_apart(rest: Rest, tenant: Tenant) -> None:
    """Keys may repeat across projects; a token sees its own project alone."""
    other = await rest.ok("POST", "/v1/projects", {"name": "Other"}, token=tenant.session)
    token = await rest.token(tenant.session, projectId=other["project"]["id"])
    assert (await rest.ok("GET", "/v1/models", token=token))["data"] == []
    await rest.echo(token)
    models = await rest.ok("GET", "/v1/models", token=token)
    first = await rest.ok("GET", "/v1/models", token=tenant.session)
    ids = {model["id"] for model in models["models"]}
    assert ids.isdisjoint({model["id"] for model in first["models"]})
    await rest.ok("DELETE", "/v1/models/echo", token=token)
    assert (await rest.call("GET", "/v1/models/echo", token=token)).status == 404
    await rest.ok("GET", "/v1/models/echo", token=tenant.session)
