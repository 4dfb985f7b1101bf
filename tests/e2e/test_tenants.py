"""Two tenants on one Portico: no call of one sees a record of the other.

The walk goes over every RPC of the contracts, by REST and by gRPC, with the other tenant's ids in every field that
could name a record, so a new RPC is walked without anybody thinking of it.
"""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any
from urllib.parse import quote

import grpc
import pytest
from google.api import annotations_pb2
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor

from core.rpc.policy import policies_of
from tests.contract.test_contracts import GEN
from tests.support.cluster import Cluster, Rest, Tenant

MARK = "victims-own"
ENDS_THE_SESSION = {"Logout", "ChangePassword", "SwitchProject"}
"""They concern the caller alone, and a walk that called them could not go on."""


@dataclass(frozen=True)
class Victim:
    """A tenant with a record of each kind, and all that names them."""

    tenant: Tenant
    token: str
    names: frozenset[str]


def methods() -> list[MethodDescriptor]:
    found = []
    for path in sorted((GEN / "portico").rglob("*_pb2.py")):
        module = import_module(".".join(path.relative_to(GEN).with_suffix("").parts))
        for service in module.DESCRIPTOR.services_by_name.values():
            found += [method for method in service.methods if method.name not in ENDS_THE_SESSION]
    return found


def walked() -> Iterator[MethodDescriptor]:
    for method in methods():
        policy = policies_of(method.containing_service)[f"/{method.containing_service.full_name}/{method.name}"]
        if not policy.internal and not policy.public:
            yield method


def routes() -> Iterator[tuple[str, str, MethodDescriptor]]:
    """Verb, path template and method of every REST route."""
    for method in walked():
        rule = method.GetOptions().Extensions[annotations_pb2.http]
        for each in (rule, *rule.additional_bindings):
            if verb := each.WhichOneof("pattern"):
                yield verb.upper(), getattr(each, verb), method


async def make_victim(rest: Rest) -> Victim:
    tenant = await rest.register()
    session = tenant.session
    await rest.echo(session)
    provider = await rest.ok(
        "POST",
        "/v1/models/providers",
        {"key": MARK, "driver": "openai", "label": MARK, "credentials": {"apiKey": f"sk-{MARK}-key"}},
        token=session,
    )
    model = await rest.ok(
        "POST",
        "/v1/models",
        {"key": f"{MARK}.model", "name": MARK, "category": "llm", "providerKey": MARK, "modelId": MARK},
        token=session,
    )
    guardrail = await rest.ok("POST", "/v1/guardrails", {"key": MARK, "name": MARK, "type": "preset"}, token=session)
    words = await rest.ok("POST", "/v1/guardrails/word-lists", {"key": MARK, "name": MARK}, token=session)
    policy = await rest.ok("POST", "/v1/pii/policies", {"key": MARK, "name": MARK}, token=session)
    prompt = await rest.ok("POST", "/v1/prompts", {"key": MARK, "name": MARK, "template": MARK}, token=session)
    first = prompt["prompt"]["latestVersionId"]
    await rest.ok("PATCH", f"/v1/prompts/{MARK}", {"template": f"{MARK} 2"}, token=session)
    deployed = {"action": "promote", "environment": "prod", "versionId": first}
    await rest.ok("POST", f"/v1/prompts/{MARK}/deployments", deployed, token=session)
    comment = await rest.ok("POST", f"/v1/prompts/{MARK}/comments", {"content": MARK}, token=session)
    project = await rest.ok("POST", "/v1/projects", {"name": MARK, "key": MARK}, token=session)
    token = await rest.ok("POST", "/v1/tokens", {"label": MARK, "scopes": ["*"]}, token=session)
    invitation = await rest.ok(
        "POST", "/v1/users/invitations", {"email": f"{MARK}@victim.example.com", "name": MARK}, token=session
    )
    chat = {"model": "echo", "messages": [{"role": "user", "content": MARK}], "user": MARK}
    await rest.ok("POST", "/v1/chat/completions", chat, token=token["token"])
    users = await rest.ok("GET", "/v1/users", token=session)
    names = frozenset(
        {
            provider["provider"]["id"],
            model["model"]["id"],
            guardrail["guardrail"]["id"],
            words["wordList"]["id"],
            policy["policy"]["id"],
            prompt["prompt"]["id"],
            first,
            comment["comment"]["id"],
            project["project"]["id"],
            token["id"],
            invitation["invitation"]["id"],
            users["users"][0]["id"],
            tenant.project,
            tenant.slug,
            tenant.email,
            MARK,
            f"{MARK}.model",
        }
    )
    return Victim(tenant, token["token"], names)


async def snapshot(rest: Rest, victim: Victim) -> str:
    """All that the victim can see of itself, less what its own look adds."""
    prompts = ("prompts", *(f"prompts/{MARK}/{part}" for part in ("versions", "deployments", "comments")))
    kinds = ("guardrails", "guardrails/word-lists", "pii/policies", *prompts)
    paths = (*kinds, "models", "models/providers", "projects", "tokens", "users", "users/invitations", "audit")
    seen = [await rest.ok("GET", f"/v1/{path}", token=victim.tenant.session) for path in paths]
    return json.dumps(seen, sort_keys=True)


@pytest.fixture
async def attacker(rest: Rest, tenant: Tenant) -> str:
    return await rest.token(tenant.session)


@pytest.fixture
async def victim(rest: Rest) -> Victim:
    return await make_victim(rest)


@pytest.fixture
async def channel(cluster: Cluster) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{cluster.port}") as opened:
        yield opened


def requests_naming(method: MethodDescriptor, name: str) -> Iterator[Any]:
    """A request with `name` in each text field in turn, and one with it in all of them."""
    make = message_factory.GetMessageClass(method.input_type)
    texts = [
        field
        for field in method.input_type.fields
        if field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated
    ]
    whole = make()
    for field in texts:
        setattr(whole, field.name, name)
        one = make()
        setattr(one, field.name, name)
        yield one
    yield whole


CREATE_BY_ID = {"StartSession", "IngestSession"}
"""RPCs that give the attacker a record of its own by the id that it names: they come last."""


def creates_by_id(method: MethodDescriptor) -> bool:
    return method.name in CREATE_BY_ID


def leaks(text: str, victim: Victim, sent: str) -> set[str]:
    """Names of the victim in an answer that the attacker had not sent."""
    return {name for name in victim.names if name in text and name not in sent and name != MARK}


async def test_no_rpc_shows_or_changes_another_tenants_records(
    rest: Rest, channel: grpc.aio.Channel, attacker: str, victim: Victim
) -> None:
    before = await snapshot(rest, victim)
    metadata = (
        ("authorization", f"Bearer {attacker}"),
        ("x-tenant-id", victim.tenant.slug),
        ("x-project-id", victim.tenant.project),
    )
    called = 0
    for method in sorted(walked(), key=creates_by_id):
        path = f"/{method.containing_service.full_name}/{method.name}"
        answer_class = message_factory.GetMessageClass(method.output_type)
        open_call = channel.unary_stream if method.server_streaming else channel.unary_unary
        call = open_call(path, lambda message: message.SerializeToString(), answer_class.FromString)
        for name in victim.names:
            for request in requests_naming(method, name):
                answered = await _answer(call(request, metadata=metadata, timeout=20), method.server_streaming)
                assert not leaks(answered, victim, name), f"{path} {request}"
                called += 1
    assert called > 300
    assert await snapshot(rest, victim) == before


async def _answer(call: Any, streaming: bool) -> str:
    try:
        messages = [message async for message in call] if streaming else [await call]
    except grpc.aio.AioRpcError as error:
        return f"{error.details()} {error.trailing_metadata()}"
    return " ".join(json_format.MessageToJson(message) for message in messages)


async def test_no_route_shows_or_changes_another_tenants_records(rest: Rest, attacker: str, victim: Victim) -> None:
    """Routes that name a record come first: later ones may give the attacker a record of its own by that name."""
    before = await snapshot(rest, victim)
    forged = {
        "x-tenant-id": victim.tenant.slug,
        "x-project-id": victim.tenant.project,
        "x-user-id": victim.tenant.email,
    }
    called = 0
    for verb, template, method in sorted(routes(), key=lambda route: (creates_by_id(route[2]), "{" not in route[1])):
        for name in victim.names:
            path = _filled(template, name)
            body = {field.json_name: name for field in method.input_type.fields} if verb != "GET" else None
            answer = await rest.call(verb, path, body, token=attacker, headers=forged)
            assert answer.status < 500, f"{verb} {path}: {answer.raw!r}"
            assert not leaks(answer.raw.decode(), victim, name), f"{verb} {path}"
            if "{" in template and not creates_by_id(method):
                assert answer.status in (400, 404, 409), f"{verb} {path}: {answer.status} {answer.raw!r}"
            called += 1
    assert called > 100
    assert await snapshot(rest, victim) == before


def _filled(template: str, name: str) -> str:
    while "{" in template:
        start, end = template.index("{"), template.index("}")
        template = template[:start] + quote(name, safe="") + template[end + 1 :]
    return template


async def test_a_forged_tenant_header_changes_nothing(rest: Rest, attacker: str, victim: Victim) -> None:
    plain = await rest.call("GET", "/v1/models", token=attacker)
    forged = await rest.call(
        "GET",
        "/v1/models",
        token=attacker,
        headers={"x-tenant-id": victim.tenant.slug, "X-Portico-Rest": "0", "x-portico-tenant": victim.tenant.slug},
    )
    assert forged.body == plain.body


async def test_the_victims_model_is_not_found_not_forbidden(rest: Rest, attacker: str, victim: Victim) -> None:
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
