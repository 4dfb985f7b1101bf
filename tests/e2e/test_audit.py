"""The audit log through the edge: every REST route that changes something is found in it, and no secret is."""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

from google.api import annotations_pb2

from core.rpc.policy import policies_of
from tests.contract.test_contracts import METHODS
from tests.support.cluster import Rest, Tenant, until

PLANTED = "planted-secret-4711"
FORM = "multipart/form-data; boundary=x"


def audited_routes() -> Iterator[tuple[str, str, str]]:
    """Verb, path template and action."""
    for method in METHODS:
        policy = policies_of(method.containing_service)[f"/{method.containing_service.full_name}/{method.name}"]
        rule = method.GetOptions().Extensions[annotations_pb2.http]
        for each in (rule, *rule.additional_bindings):
            verb = each.WhichOneof("pattern")
            if verb is not None and policy.audit is not None:
                yield verb.upper(), getattr(each, verb).replace("=**}", "}"), policy.audit.action


class Walk:
    """Calls routes, each with a token of its own, and keeps what must be found of them."""

    def __init__(self, rest: Rest, tenant: Tenant) -> None:
        self.rest = rest
        self.tenant = tenant
        self.called: set[tuple[str, str]] = set()
        self.wanted: dict[str, tuple[str, str]] = {}
        """By request id: action and resource."""
        self._actions = {(verb, template): action for verb, template, action in audited_routes()}

    async def call(
        self,
        route: str,
        body: Any = None,
        *,
        resource: str = "",
        token: str = "",
        form: bytes = b"",
        query: str = "",
        **parts: str,
    ) -> Any:
        verb, template = route.split(" ")
        path = template
        for name, value in parts.items():
            path = path.replace("{" + name + "}", value)
        public = template.startswith("/v1/auth/")
        bearer = token or (None if public else await self.rest.token(self.tenant.session))
        answer = await self.rest.call(
            verb, path + query, body, token=bearer, data=form or None, headers={"Content-Type": FORM} if form else None
        )
        assert answer.status in (200, 201), f"{verb} {path}: {answer.status} {answer.raw!r}"
        self.called.add((verb, template))
        self.wanted[answer.headers["x-request-id"]] = (self._actions[verb, template], resource)
        return answer.body

    async def entries(self) -> list[dict[str, Any]]:
        session = (await self.rest.ok("POST", "/v1/auth/login", self._account))["token"]
        found, token = list[dict[str, Any]](), ""
        while True:
            page = await self.rest.ok("GET", f"/v1/audit?pageSize=1000&pageToken={token}", token=session)
            found += page["entries"]
            if not (token := page["nextPageToken"]):
                return found

    @property
    def _account(self) -> dict[str, str]:
        return {"email": self.tenant.email, "password": self.tenant.password, "slug": self.tenant.slug}

    async def all_found(self) -> bool:
        """Changes of data are written within a second or two."""
        told = {(each["requestId"], each["action"]): each for each in await self.entries()}
        return all((id, action) in told for id, (action, _) in self.wanted.items())


def file_form(**fields: str) -> bytes:
    parts = "".join(f'--x\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields.items())
    head = '--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\n'
    return f"{parts}{head}{PLANTED}\r\n--x--\r\n".encode()


async def walk_inference(walk: Walk) -> None:
    provider = {"key": "p", "driver": "openai", "label": PLANTED, "credentials": {"apiKey": PLANTED}}
    await walk.call("POST /v1/models/providers", provider, resource="p")
    change = {"credentials": {"apiKey": f"{PLANTED}-2"}, "metadata": {"note": PLANTED}}
    await walk.call("PATCH /v1/models/providers/{id}", change, id="p", resource="p")
    await walk.call("PUT /v1/models/providers/{id}", change, id="p", resource="p")
    model = {"key": "m", "name": PLANTED, "category": "llm", "providerKey": "p", "modelId": "x"}
    await walk.call("POST /v1/models", model, resource="m")
    await walk.call("PATCH /v1/models/{id}", {"description": PLANTED}, id="m", resource="m")
    await walk.call("PUT /v1/models/{id}", {"description": PLANTED}, id="m", resource="m")
    dynamic = {"strategy": "rule-based", "defaultModelKey": "m"}
    router = {"key": "router", "name": PLANTED, "settings": {"dynamic": dynamic}}
    await walk.call("POST /v1/models/dynamic", router, resource="router")
    await walk.call("DELETE /v1/models/{id}", id="router", resource="router")
    words = {"key": "r", "name": PLANTED, "strategy": "heuristic"}
    await walk.call("POST /v1/rerankers", words, resource="r")
    await walk.call("PATCH /v1/rerankers/{key}", {"description": PLANTED}, key="r", resource="r")
    await walk.call("DELETE /v1/rerankers/{key}", key="r", resource="r")
    await walk.call("DELETE /v1/models/{id}", id="m", resource="m")
    await walk.call("DELETE /v1/models/providers/{id}", id="p", resource="p")


async def walk_guardrails(walk: Walk) -> None:
    lists, guards, policies = "/v1/guardrails/word-lists", "/v1/guardrails", "/v1/pii/policies"
    await walk.call(f"POST {lists}", {"key": "w", "name": PLANTED, "words": [PLANTED]}, resource="w")
    await walk.call(f"PATCH {lists}/{{key}}", {"description": PLANTED}, key="w", resource="w")
    await walk.call(f"PUT {lists}/{{key}}/words", form=PLANTED.encode(), key="w", resource="w")
    await walk.call(f"POST {guards}", {"key": "g", "name": PLANTED, "type": "preset"}, resource="g")
    await walk.call(f"PATCH {guards}/{{key}}", {"description": PLANTED}, key="g", resource="g")
    await walk.call(f"PUT {guards}/{{key}}", {"name": PLANTED}, key="g", resource="g")
    await walk.call(f"DELETE {guards}/{{key}}", key="g", resource="g")
    await walk.call(f"DELETE {lists}/{{key}}", key="w", resource="w")
    await walk.call(f"POST {policies}", {"key": "pii", "name": PLANTED}, resource="pii")
    await walk.call(f"PATCH {policies}/{{key}}", {"description": PLANTED}, key="pii", resource="pii")
    await walk.call(f"DELETE {policies}/{{key}}", key="pii", resource="pii")


async def walk_prompts(walk: Walk) -> None:
    prompt = "/v1/prompts/{key}"
    made = await walk.call("POST /v1/prompts", {"key": "hello", "name": PLANTED, "template": PLANTED}, resource="hello")
    version = made["prompt"]["latestVersionId"]
    hello: dict[str, Any] = {"key": "hello", "resource": "hello"}
    await walk.call(f"PATCH {prompt}", {"template": PLANTED + "2"}, **hello)
    await walk.call(f"POST {prompt}/versions", {"versionId": version}, **hello)
    deployment = {"action": "promote", "environment": "prod", "versionId": version, "note": PLANTED}
    await walk.call(f"POST {prompt}/deployments", deployment, **hello)
    said = await walk.call(f"POST {prompt}/comments", {"content": PLANTED}, key="hello")
    comment = said["comment"]["id"]
    await walk.call(f"DELETE {prompt}/comments/{{comment_id}}", key="hello", comment_id=comment, resource=comment)
    await walk.call(f"DELETE {prompt}", **hello)


async def walk_vector(walk: Walk) -> None:
    providers, indexes = "/v1/vector/providers", "/v1/vector/providers/{provider_key}/indexes"
    provider = {
        "key": "q",
        "driver": "qdrant",
        "label": PLANTED,
        "credentials": {"apiKey": PLANTED},
        "settings": {"url": "https://127.0.0.1:1"},
    }
    await walk.call(f"POST {providers}", provider, resource="q")
    change = {"credentials": {"apiKey": f"{PLANTED}-2"}}
    await walk.call(f"PATCH {providers}/{{provider_key}}", change, provider_key="q", resource="q")
    await walk.call(f"PUT {providers}/{{provider_key}}", change, provider_key="q", resource="q")
    await walk.call(f"DELETE {providers}/{{provider_key}}", provider_key="q", resource="q")
    docs: dict[str, Any] = {"provider_key": "default", "index_id": "docs", "resource": "default/docs"}
    made = {"name": "docs", "dimension": 2, "metadata": {"note": PLANTED}}
    await walk.call(f"POST {indexes}", made, provider_key="default", resource="default/docs")
    await walk.call(f"PATCH {indexes}/{{index_id}}", {"metadata": {"note": PLANTED}}, **docs)
    vectors = {"vectors": [{"id": PLANTED, "values": [1, 0], "metadata": {"note": PLANTED}}]}
    await walk.call(f"POST {indexes}/{{index_id}}/upsert", vectors, **docs)
    await walk.call(f"DELETE {indexes}/{{index_id}}/vectors", {"ids": [PLANTED]}, **docs)
    await walk.call(f"POST {indexes}/{{index_id}}/delete", {"ids": [PLANTED]}, **docs)
    migration = {
        "sourceProviderKey": "default",
        "sourceIndexId": "docs",
        "destinationProviderKey": "default",
        "destinationName": "copy",
    }
    copied = await walk.call("POST /v1/vector/migrations", migration)
    id = copied["migration"]["id"]
    await walk.call("POST /v1/vector/migrations/{id}/cancel", {}, id=id)
    token = await walk.rest.token(walk.tenant.session)

    async def ended() -> bool:
        migration = (await walk.rest.ok("GET", f"/v1/vector/migrations/{id}", token=token))["migration"]
        return migration["job"]["status"] not in ("queued", "running")

    await until(ended)  # an index is not deleted before
    await walk.call(f"DELETE {indexes}/{{index_id}}", **docs)


async def walk_files(walk: Walk) -> None:
    providers, buckets = "/v1/files/providers", "/v1/files/buckets"
    objects = f"{buckets}/{{bucket_key}}/objects"
    await walk.call(f"POST {providers}", {"key": "disk", "driver": "local", "label": PLANTED}, resource="disk")
    await walk.call(f"PATCH {providers}/{{provider_key}}", {"label": PLANTED}, provider_key="disk", resource="disk")
    await walk.call(f"PUT {providers}/{{provider_key}}", {"label": PLANTED}, provider_key="disk", resource="disk")
    bucket = {"key": "b", "name": PLANTED, "providerKey": "disk", "metadata": {"note": PLANTED}}
    await walk.call(f"POST {buckets}", bucket, resource="b")
    file: dict[str, Any] = {"bucket_key": "b", "object_key": "a.txt", "resource": "b/a.txt"}
    form = file_form(keyHint="a.txt", metadata=json.dumps({"note": PLANTED}))
    await walk.call(f"POST {objects}", form=form, bucket_key="b", resource="b/a.txt")
    await walk.call(f"POST {objects}/{{object_key}}/convert", {}, **file)
    await walk.call(f"DELETE {objects}/{{object_key}}", **file)
    made = await walk.call("POST /v1/files", form=file_form(purpose="assistants"))
    await walk.call("DELETE /v1/files/{file_id}", file_id=made["id"], resource=f"openai/{made['id']}")
    await walk.call(f"DELETE {buckets}/{{bucket_key}}", bucket_key="b", resource="b")
    await walk.call(f"DELETE {providers}/{{provider_key}}", provider_key="disk", resource="disk")


async def walk_knowledge(walk: Walk) -> None:
    modules = "/v1/rag/modules"
    made = {"key": "kb", "name": PLANTED, "embeddingModelKey": "echo-embedding"}
    await walk.call(f"POST {modules}", made, resource="kb")
    await walk.call(f"PATCH {modules}/{{key}}", {"description": PLANTED}, key="kb", resource="kb")
    text = f"{PLANTED} " + " ".join(f"Sentence {at} is here." for at in range(5000))
    body = {"fileName": "a.txt", "content": text, "metadata": {"note": PLANTED}}
    ingested = await walk.call(f"POST {modules}/{{module_key}}/ingest", body, module_key="kb")
    document = {"module_key": "kb", "document_id": ingested["document"]["id"]}
    await walk.call(f"POST {modules}/{{module_key}}/documents/{{document_id}}", {}, **document)
    chunking = {"chunkConfig": {"chunkSize": 60}}  # so many chunks take longer than the next call
    begun = await walk.call(f"POST {modules}/{{module_key}}/reindex", chunking, module_key="kb", resource="kb")
    id = begun["reindex"]["id"]
    await walk.call(f"POST {modules}/{{module_key}}/reindex/{{id}}/cancel", {}, module_key="kb", id=id, resource="kb")
    path = f"kb/{document['document_id']}"
    await walk.call(f"DELETE {modules}/{{module_key}}/documents/{{document_id}}", **document, resource=path)
    await walk.call(f"DELETE {modules}/{{key}}", key="kb", resource="kb")


async def walk_vector_stores(walk: Walk) -> None:
    stores = "/v1/vector_stores"
    store = str((await walk.call(f"POST {stores}", {"name": PLANTED, "metadata": {"note": PLANTED}}))["id"])
    one: dict[str, Any] = {"vector_store_id": store}
    await walk.call(f"POST {stores}/{{vector_store_id}}", {"name": f"{PLANTED} 2"}, **one, resource=store)
    uploaded = await walk.call("POST /v1/files", form=file_form(purpose="assistants"))
    file = {**one, "file_id": uploaded["id"]}
    files, path = f"{stores}/{{vector_store_id}}/files", f"{store}/{uploaded['id']}"
    new = {"file_id": uploaded["id"], "attributes": {"note": PLANTED}}
    await walk.call(f"POST {files}", new, **one, resource=path)
    await walk.call(f"POST {files}/{{file_id}}", {"attributes": {"note": f"{PLANTED} 2"}}, **file, resource=path)
    batches = f"{stores}/{{vector_store_id}}/file_batches"
    batch = str((await walk.call(f"POST {batches}", {"files": [new]}, **one))["id"])
    await walk.call(f"POST {batches}/{{batch_id}}/cancel", {}, **one, batch_id=batch, resource=f"{store}/{batch}")
    await walk.call(f"DELETE {files}/{{file_id}}", **file, resource=path)
    await walk.call(f"DELETE {stores}/{{vector_store_id}}", **one, resource=store)


async def walk_memory(walk: Walk) -> None:
    stores = "/v1/memory/stores"
    store = {"key": "notes", "name": PLANTED, "vectorProviderKey": "default", "embeddingModelKey": "echo-embedding"}
    await walk.call(f"POST {stores}", store, resource="notes")
    notes: dict[str, Any] = {"store_key": "notes", "resource": "notes"}
    await walk.call(f"PATCH {stores}/{{store_key}}", {"description": PLANTED}, **notes)
    memories = f"{stores}/{{store_key}}/memories"
    made = await walk.call(f"POST {memories}", {"content": PLANTED}, **notes)
    await walk.call(f"POST {memories}/batch", {"memories": [{"content": f"{PLANTED} 2"}]}, **notes)
    talk = {"messages": [{"role": "user", "content": PLANTED}]}
    await walk.call(f"POST {stores}/{{store_key}}/conversations", talk, **notes)
    id = made["memory"]["id"]
    one: dict[str, Any] = {"store_key": "notes", "memory_id": id, "resource": f"notes/{id}"}
    await walk.call(f"PATCH {memories}/{{memory_id}}", {"tags": [PLANTED]}, **one)
    await walk.call(f"DELETE {memories}/{{memory_id}}", **one)
    await walk.call(f"DELETE {memories}", query="?all=true", **notes)
    await walk.call(f"DELETE {stores}/{{store_key}}", **notes)


async def walk_alerts(walk: Walk) -> None:
    servers, rules, incidents = "/v1/monitoring/inference/servers", "/v1/alerts/rules", "/v1/alerts/incidents"
    server = {"key": "gpu", "name": PLANTED, "type": "vllm", "baseUrl": "http://127.0.0.1:1", "apiKey": PLANTED}
    await walk.call(f"POST {servers}", {**server, "status": "disabled"}, resource="gpu")
    await walk.call(f"PATCH {servers}/{{key}}", {"name": PLANTED}, key="gpu", resource="gpu")
    await walk.call(f"PUT {servers}/{{key}}", {"apiKey": f"{PLANTED}-2"}, key="gpu", resource="gpu")
    await walk.call(f"DELETE {servers}/{{key}}", key="gpu", resource="gpu")
    condition = {"operator": "lt", "threshold": 1}
    silence = {"module": "inference", "metric": "server_up", "condition": condition, "noData": "fire"}
    made = await walk.call(f"POST {rules}", {**silence, "name": PLANTED, "description": PLANTED})
    rule = made["rule"]["id"]
    token = await walk.rest.token(walk.tenant.session)

    async def fired() -> Any:
        return (await walk.rest.ok("GET", "/v1/alerts/history", token=token))["events"]

    event = (await until(fired, 30))[0]
    id = event["id"]
    await walk.call("POST /v1/alerts/history/{id}/acknowledge", {}, id=id, resource=id)
    incident: dict[str, Any] = {"id": event["incidentId"], "resource": event["incidentId"]}
    await walk.call(f"PATCH {incidents}/{{id}}", {"status": "investigating"}, **incident)
    await walk.call(f"POST {incidents}/{{id}}/notes", {"content": PLANTED}, **incident)
    await walk.call(f"PATCH {rules}/{{id}}", {"description": f"{PLANTED}-2"}, id=rule, resource=rule)
    await walk.call(f"PUT {rules}/{{id}}", {"enabled": False}, id=rule, resource=rule)
    await walk.call(f"DELETE {rules}/{{id}}", id=rule, resource=rule)


async def walk_quotas(walk: Walk) -> None:
    policies, budgets = "/v1/quota/policies", "/v1/budgets"
    new = {"scope": "project", "label": "files", "description": PLANTED, "limits": {"quotas": {"maxFilesTotal": 5000}}}
    id = (await walk.call(f"POST {policies}", new))["policy"]["id"]
    await walk.call(f"PATCH {policies}/{{id}}", {"description": PLANTED, "enabled": False}, id=id, resource=id)
    await walk.call(f"DELETE {policies}/{{id}}", id=id, resource=id)
    id = (await walk.call(f"POST {budgets}", {"daily_limit_usd": 500, "description": PLANTED}))["id"]
    await walk.call(f"PATCH {budgets}/{{id}}", {"daily_limit_usd": 600, "enabled": False}, id=id, resource=id)
    await walk.call(f"DELETE {budgets}/{{id}}", id=id, resource=id)


async def walk_tracing(walk: Walk) -> None:
    token = await walk.rest.token(walk.tenant.session)
    await walk.rest.ok(
        "POST", "/v1/tracing/sessions", {"sessionId": "audited", "agent": {"name": PLANTED}}, token=token
    )
    await walk.call("DELETE /v1/tracing/sessions/{session_id}", session_id="audited", resource="audited")
    await walk.call("PATCH /v1/tracing/settings", {"retentionDays": 5}, token=walk.tenant.session)


async def walk_auth(walk: Walk) -> None:
    tenant, by_owner = walk.tenant, partial(walk.call, token=walk.tenant.session)
    lab = (await by_owner("POST /v1/projects", {"name": PLANTED, "key": "lab"}))["project"]["id"]
    await by_owner("PATCH /v1/projects/{id}", {"description": PLANTED}, id="lab", resource=lab)
    one = await by_owner("POST /v1/tokens", {"label": "one"})
    await by_owner("POST /v1/projects/{project_id}/tokens", {"label": "two"}, project_id=lab)
    await walk.call("DELETE /v1/tokens/{id}", id=one["id"], resource=one["id"])
    await by_owner("DELETE /v1/projects/{id}", id="lab", resource=lab)
    invitation = {"email": "new@example.com", "name": PLANTED}
    kept = await walk.call("POST /v1/users/invitations", invitation)
    gone = await walk.call("POST /v1/users/invitations", {"email": "gone@example.com"})
    id = gone["invitation"]["id"]
    await walk.call("DELETE /v1/users/invitations/{id}", id=id, resource=id)
    password = f"Aa1!{PLANTED}"
    accepted = {"token": kept["token"], "password": password, "name": PLANTED}
    user = (await walk.call("POST /v1/auth/accept-invitation", accepted))["user"]["id"]
    signed_in = {"email": "new@example.com", "password": password, "slug": tenant.slug}
    session = (await walk.call("POST /v1/auth/login", signed_in, resource=user))["token"]
    switched = {"projectId": tenant.project}
    session = (await walk.call("POST /v1/auth/session/project", switched, token=session, resource=user))["session"]
    change = {"currentPassword": password, "newPassword": f"Bb2!{PLANTED}"}
    changed = await walk.call("POST /v1/auth/change-password", change, token=session["token"], resource=user)
    await walk.call("POST /v1/auth/logout", {}, token=changed["session"]["token"], resource=user)
    await walk.call("PATCH /v1/users/{id}", {"name": PLANTED}, id=user, resource=user)
    await walk.call("DELETE /v1/users/{id}", id=user, resource=user)


async def test_every_route_that_changes_something_is_found_in_the_log(rest: Rest, tenant: Tenant) -> None:
    """Providers, models, files, buckets, vectors, indexes and migrations left nothing in it."""
    walk = Walk(rest, tenant)
    for part in (
        walk_inference,
        walk_guardrails,
        walk_prompts,
        walk_vector,
        walk_files,
        walk_knowledge,
        walk_vector_stores,
        walk_memory,
        walk_alerts,
        walk_quotas,
        walk_tracing,
        walk_auth,
    ):
        await part(walk)
    routes = {(verb, template) for verb, template, _ in audited_routes()}
    # `tenant` came of the first; the others want a mail: tests/contract/auth/test_passwords_by_mail.py reads the log
    mailed = {("POST", "/v1/auth/forgot-password"), ("POST", "/v1/auth/reset-password")}
    assert routes - walk.called == {("POST", "/v1/auth/register"), *mailed}
    await until(walk.all_found)
    entries = await walk.entries()
    for id, (action, resource) in walk.wanted.items():
        (entry,) = [each for each in entries if (each["requestId"], each["action"]) == (id, action)]
        assert (entry["outcome"], entry["count"]) == ("success", 1), entry
        assert not resource or entry["resourceId"] == resource, entry
    assert "tenant.create" in {each["action"] for each in entries}
    assert PLANTED not in json.dumps(entries)


async def test_refused_calls_are_found_and_counted(rest: Rest, tenant: Tenant) -> None:
    """They left nothing; and a token that is refused all the time must not fill the log."""
    token = await rest.token(tenant.session, "usage:read")
    for at in range(120):
        body = {"key": f"k{at}", "driver": "openai", "label": "x", "credentials": {"apiKey": PLANTED}}
        assert (await rest.call("POST", "/v1/models/providers", body, token=token)).status == 403
    query = "/v1/audit?outcome=denied&pageSize=1000"

    async def counted() -> Any:
        entries = (await rest.ok("GET", query, token=tenant.session))["entries"]
        return entries if len(entries) > 40 else None

    entries = await until(counted)
    assert len(entries) == 41  # the last one counts all the others
    named = [each for each in entries if each["action"] == "model_provider.create"]
    assert {each["resourceId"] for each in named} == {f"k{at}" for at in range(40)}
    assert {each["reason"] for each in named} == {"MISSING_SCOPE"}
    assert PLANTED not in json.dumps(entries)
