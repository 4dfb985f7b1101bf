"""The two tenants of a check: records of each kind, all of which carry the tenant's secret."""

import asyncio
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import aiohttp

from tools.seed import MODELS, PROVIDER

_ATTEMPTS = 8
_MOST_WAIT_SECONDS = 5.0
_FORM = "multipart/form-data; boundary=x"


class CannotPlant(Exception):
    """A tenant cannot be made; the message says what the server answered."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer to a REST call; status 0: there was none."""

    status: int
    text: str

    def json(self) -> Any:
        try:
            return json.loads(self.text)
        except ValueError:
            return None


@dataclass
class Api:
    """REST calls that wait where the server says that there are too many."""

    url: str
    http: aiohttp.ClientSession

    async def call(
        self, verb: str, path: str, body: object = None, *, token: str = "", headers: dict[str, str] | None = None
    ) -> Answer:
        """`body` is JSON, or bytes of a multipart form."""
        sent = {"Content-Type": _FORM if isinstance(body, bytes) else "application/json", **(headers or {})}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        answer = Answer(0, "")
        for _ in range(_ATTEMPTS):
            try:
                async with self.http.request(verb, self.url + path, data=data, headers=sent) as response:
                    answer = Answer(response.status, (await response.read()).decode(errors="replace"))
                    wait = response.headers.get("Retry-After", "1")
            except (OSError, aiohttp.ClientError, TimeoutError):
                return Answer(0, "")
            if answer.status != 429:
                break
            await asyncio.sleep(min(float(wait) if wait.isdecimal() else 1.0, _MOST_WAIT_SECONDS))
        return answer


@dataclass
class Tenant:
    """One tenant. `secret` is in all of its records and in no request of anybody else."""

    token: str
    mark: str
    """Begin of its keys, which others may try."""
    secret: str
    records: dict[str, list[tuple[str, ...]]] = field(default_factory=dict)
    """Records by the template of their collection's path: what fills the template, then the record's id or key."""
    missing: list[str] = field(default_factory=list)
    """Routes that refused to make a record."""

    def names(self) -> list[str]:
        """Ids and keys of all its records, without repetition."""
        return list(dict.fromkeys(address[-1] for found in self.records.values() for address in found))

    def addresses(self, template: str) -> list[tuple[str, ...]]:
        """The names that fill a path's template so that it names the tenant's records; its mark where it has none."""
        parts = [part for part in template.split("/") if part]
        addresses: list[tuple[str, ...]] = [()]
        for at, part in enumerate(parts):
            if part.startswith("{"):
                found = self.records.get("/" + "/".join(parts[:at]))
                addresses = found or [(*address, self.mark) for address in addresses]
        return addresses


@dataclass(frozen=True, slots=True)
class _Plant:
    """A record to make. In its texts `$` is the tenant's mark, `!` its secret, `<template>` the last record there."""

    collection: str
    body: Any
    found: tuple[str, ...] = ()
    """Paths to ids and keys in the answer."""
    parents: tuple[str, ...] = ()
    """Names that fill the collection's template."""
    path: str = ""
    """Template of the path to post to, where that is not the collection's."""


def filled(template: str, address: tuple[str, ...]) -> str:
    """A path's template with names in its places."""
    for name in address:
        start, end = template.index("{"), template.index("}")
        template = template[:start] + quote(name, safe="") + template[end + 1 :]
    return template


def _form(**fields: str) -> bytes:
    parts = "".join(f'--x\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields.items())
    head = '--x\r\nContent-Disposition: form-data; name="file"; filename="$.txt"\r\nContent-Type: text/plain\r\n\r\n'
    return f"{parts}{head}! text\r\n--x--\r\n".encode()


_PROVIDERS = "/v1/vector/providers"
_INDEXES = f"{_PROVIDERS}/{{provider_key}}/indexes"
_OBJECTS = "/v1/files/buckets/{bucket_key}/objects"
_MODULES = "/v1/rag/modules"
_STORES = "/v1/memory/stores"
_QDRANT = {"driver": "qdrant", "credentials": {"apiKey": "!"}, "settings": {"url": "https://127.0.0.1:1"}}
_KEYED = {"key": "$", "name": "!"}
_CONDITION = {"operator": "lt", "threshold": 1}

PLANTS: tuple[_Plant, ...] = (
    _Plant("/v1/models/providers", PROVIDER, ("provider.id",)),
    *(_Plant("/v1/models", model, ("model.id",)) for model in MODELS),
    _Plant(
        "/v1/models/providers",
        {"key": "$", "driver": "openai", "label": "!", "credentials": {"apiKey": "sk-!"}},
        ("provider.id", "provider.key"),
    ),
    _Plant(
        "/v1/models",
        {**_KEYED, "category": "llm", "providerKey": "echo", "modelId": "echo"},
        ("model.id", "model.key"),
    ),
    _Plant("/v1/rerankers", {**_KEYED, "strategy": "heuristic"}, ("reranker.id", "reranker.key")),
    _Plant("/v1/guardrails", {**_KEYED, "type": "preset"}, ("guardrail.id", "guardrail.key")),
    _Plant("/v1/guardrails/word-lists", {**_KEYED, "words": ["!"]}, ("wordList.id", "wordList.key")),
    _Plant("/v1/pii/policies", _KEYED, ("policy.id", "policy.key")),
    _Plant("/v1/prompts", {**_KEYED, "template": "!"}, ("prompt.id", "prompt.key")),
    _Plant("/v1/prompts/{key}/comments", {"content": "!"}, ("comment.id",), ("$",)),
    _Plant("/v1/projects", _KEYED, ("project.id", "project.key")),
    _Plant("/v1/tokens", {"label": "!", "scopes": ["*"]}, ("id",)),
    _Plant(
        "/v1/quota/policies",
        {"scope": "project", "label": "!", "limits": {"quotas": {"maxFilesTotal": 5000}}},
        ("policy.id",),
    ),
    _Plant("/v1/budgets", {"daily_limit_usd": 500, "label": "!"}, ("id",)),
    _Plant("/v1/users/invitations", {"email": "$@example.com", "name": "!"}, ("invitation.id",)),
    _Plant(_PROVIDERS, {"key": "$", "label": "!", **_QDRANT}, ("provider.id", "provider.key")),
    _Plant(_INDEXES, {"name": "$", "dimension": 2, "metadata": {"note": "!"}}, ("index.id", "index.key"), ("default",)),
    _Plant(
        f"{_INDEXES}/{{index_id}}/vectors",
        {"vectors": [{"id": "$", "values": [1, 0], "metadata": {"note": "!"}}]},
        (),
        ("default", f"<{_INDEXES}>"),
        f"{_INDEXES}/{{index_id}}/upsert",
    ),
    _Plant("/v1/files/providers", {"key": "$", "driver": "local", "label": "!"}, ("provider.id", "provider.key")),
    _Plant("/v1/files/buckets", {**_KEYED, "providerKey": "$"}, ("bucket.id", "bucket.key")),
    _Plant(_OBJECTS, _form(keyHint="$.txt"), ("object.key", "object.id"), ("$",)),
    _Plant("/v1/files", _form(purpose="assistants"), ("id",)),
    _Plant("/v1/vector_stores", {"name": "!"}, ("id",)),
    _Plant(_MODULES, {**_KEYED, "embeddingModelKey": "echo-embedding"}, ("module.id", "module.key")),
    _Plant(
        f"{_MODULES}/{{module_key}}/documents",
        {"fileName": "$.txt", "content": "! text"},
        ("document.id",),
        ("$",),
        f"{_MODULES}/{{module_key}}/ingest",
    ),
    _Plant(
        _STORES,
        {**_KEYED, "vectorProviderKey": "default", "embeddingModelKey": "echo-embedding"},
        ("store.id", "store.key"),
    ),
    _Plant(f"{_STORES}/{{store_key}}/memories", {"content": "!"}, ("memory.id",), ("$",)),
    _Plant(
        "/v1/tracing/sessions",
        {
            "sessionId": "$-run",
            "threadId": "$-thread",
            "agent": {"name": "!"},
            "events": [{"id": "$-event", "type": "ai_call", "label": "!", "metadata": {"note": "!"}}],
        },
        ("sessionId", "session.sessionId"),
    ),
    _Plant(
        "/v1/alerts/rules",
        {"name": "!", "module": "inference", "metric": "server_up", "condition": _CONDITION},
        ("rule.id",),
    ),
    _Plant(
        "/v1/monitoring/inference/servers",
        {**_KEYED, "type": "vllm", "baseUrl": "http://127.0.0.1:1", "status": "disabled"},
        ("server.id", "server.key"),
    ),
    _Plant(
        "", {"model": "echo", "messages": [{"role": "user", "content": "!"}], "user": "!"}, path="/v1/chat/completions"
    ),
)


async def make_tenant(api: Api) -> Tenant:
    """Register a new tenant. Raises CannotPlant."""
    mark, secret = f"k{secrets.token_hex(6)}", f"s{secrets.token_hex(12)}"
    account = {"email": f"{mark}@example.com", "password": f"Aa1!{secrets.token_hex(12)}", "name": secret}
    answer = await api.call("POST", "/v1/auth/register", {**account, "companyName": f"Co {mark}"})
    if answer.status not in (200, 201):
        raise CannotPlant(f"No tenant could be registered: {answer.status} {answer.text}")
    made = answer.json()
    tenant = Tenant(made["token"], mark, secret)
    tenant.records["/v1/projects"] = [(made["projectId"],)]
    tenant.records[""] = [(made["tenant"]["slug"],), (account["email"],)]
    return tenant


def given_tenant(token: str) -> Tenant:
    """The tenant whose token an operator gave."""
    return Tenant(token, f"k{secrets.token_hex(6)}", f"s{secrets.token_hex(12)}")


async def plant(api: Api, tenant: Tenant) -> None:
    """Make a record of each kind. Raises CannotPlant where not a single one can be made."""
    for each in PLANTS:
        parents = tuple(_filled(tenant, name) for name in each.parents)
        path = filled(each.path or each.collection, parents)
        answer = await api.call("POST", path, _filled(tenant, each.body), token=tenant.token)
        if answer.status not in (200, 201, 202, 409):
            tenant.missing.append(f"POST {path}: {answer.status} {answer.text[:200]}")
            continue
        records = tenant.records.setdefault(each.collection, [])
        names = dict.fromkeys(_at(answer.json(), place) for place in each.found)
        records += [(*parents, name) for name in names if isinstance(name, str) and name]
    if len(tenant.missing) == len(PLANTS):
        raise CannotPlant(f"Not one record could be made. The first answer: {tenant.missing[0]}")


def _filled(tenant: Tenant, value: Any) -> Any:
    if isinstance(value, bytes):
        return value.replace(b"$", tenant.mark.encode()).replace(b"!", tenant.secret.encode())
    if isinstance(value, str):
        for collection, addresses in tenant.records.items():
            value = value.replace(f"<{collection}>", addresses[-1][-1]) if addresses else value
        return value.replace("$", tenant.mark).replace("!", tenant.secret)
    if isinstance(value, dict):
        return {key: _filled(tenant, each) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(tenant, each) for each in value]
    return value


def _at(value: Any, place: str) -> Any:
    for name in place.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


async def kept(api: Api, tenant: Tenant) -> dict[str, set[str]]:
    """Texts with the tenant's secret in its own lists, by collection."""
    seen: dict[str, set[str]] = {}
    for collection, addresses in tenant.records.items():
        if collection and addresses:
            path = filled(collection, addresses[-1][:-1])
            more: str | None = ""
            while more is not None and (answer := await api.call("GET", path + more, token=tenant.token)).status == 200:
                page = answer.json()
                seen.setdefault(collection, set()).update(_texts(page, tenant.secret))
                more = _next_page(page)
    return seen


def _next_page(page: dict[str, Any]) -> str | None:
    """The query for the page after this one; None: it is the last. Lists in OpenAI's form name the last record, others
    a token."""
    if page.get("has_more"):
        return f"?after={page['last_id']}"
    token = page.get("nextPageToken")
    return f"?pageToken={quote(token)}" if token else None


def _texts(value: Any, part: str) -> Iterator[str]:
    if isinstance(value, str):
        if part in value:
            yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each, part)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each, part)
