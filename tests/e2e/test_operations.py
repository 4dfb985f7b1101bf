"""The operator's commands on a running installation: what a tenant has is backed up, restored, suspended and erased."""

import asyncio
import base64
import json
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster import Cluster, Rest, Tenant, until
from tests.support.deployments import documents_with
from tests.support.removal import files_with
from tools.operate import environment_of

INDEXES = "/v1/vector/providers/default/indexes"
OBJECTS = "/v1/files/buckets/b/objects"
MARKER = f"planted-{secrets.token_hex(8)}"
HIDDEN_PROVIDER = {"key": "p", "driver": "openai", "label": "P", "credentials": {"apiKey": f"sk-{MARKER}"}}
READS = (
    "/v1/models",
    "/v1/models/providers",
    "/v1/prompts",
    "/v1/prompts/greeting",
    "/v1/guardrails",
    "/v1/guardrails/word-lists",
    "/v1/rerankers",
    "/v1/files/buckets",
    OBJECTS,
    f"{OBJECTS}/note.txt",
    INDEXES,
    f"{INDEXES}/docs",
    "/v1/memory/stores",
    "/v1/memory/stores/s/memories",
    "/v1/rag/modules",
    "/v1/tracing/sessions",
    "/v1/tracing/sessions/run-1",
    "/v1/tracing/agents",
    "/v1/alerts/rules",
    "/v1/monitoring/inference/servers",
    "/v1/usage?groupBy=model",
    "/v1/usage/records",
    "/v1/projects",
    "/v1/users",
)
"""Reads whose answers a restored tenant must give unchanged."""


def lasting(answer: Any) -> Any:
    """An answer without the time of the last sign-in, which differs, and of the call itself. Scores of vectors may
    differ in their last bits."""
    if isinstance(answer, float):
        return round(answer, 4)
    if isinstance(answer, dict):
        return {name: lasting(value) for name, value in answer.items() if name not in ("lastLoginAt", "latencyMs")}
    return [lasting(item) for item in answer] if isinstance(answer, list | tuple) else answer


def differences(one: Any, other: Any, path: str) -> list[str]:
    """Paths of the values that differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        names = sorted(one.keys() | other.keys())
        return [each for name in names for each in differences(one.get(name), other.get(name), f"{path}.{name}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [each for at, item in enumerate(one) for each in differences(item, other[at], f"{path}.{at}")]
    return [] if one == other else [f"{path}: {one!r} instead of {other!r}"]


def command(cluster: Cluster, *arguments: str, status: int = 0, **env: str) -> str:
    """Run `python -m services.auth` beside the cluster. Returns what it prints."""
    ended = subprocess.run(
        [sys.executable, "-m", "services.auth", *arguments],
        env={**environment_of(cluster.data), **cluster.stores, **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == status, f"{arguments}: {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout or ended.stderr


async def operate(cluster: Cluster, *arguments: str, status: int = 0, **env: str) -> str:
    return await asyncio.to_thread(lambda: command(cluster, *arguments, status=status, **env))


async def fill(rest: Rest, token: str) -> None:
    """Fill a project with something in every kind of state, the marker in all of it."""
    noted = {"metadata": {"note": MARKER}}
    await rest.echo(token)
    await rest.ok("POST", "/v1/models/providers", {**HIDDEN_PROVIDER, **noted}, token=token)
    prompt = {"key": "greeting", "name": "Greeting", "template": f"Hello {MARKER}"}
    await rest.ok("POST", "/v1/prompts", prompt, token=token)
    words = {"key": "words", "name": "Words", "words": [MARKER]}
    await rest.ok("POST", "/v1/guardrails/word-lists", words, token=token)
    await rest.ok("POST", INDEXES, {"name": "docs", "dimension": 2, **noted}, token=token)
    points = [{"id": f"{MARKER} {at}", "values": [1, at], "metadata": {"note": MARKER}} for at in range(700)]
    await rest.ok("POST", f"{INDEXES}/docs/upsert", {"vectors": points}, token=token)
    await rest.ok("POST", f"{INDEXES}/docs/query", {"query": {"vector": [1, 0], "topK": 1}}, token=token)
    store = {"key": "s", "name": MARKER, "vectorProviderKey": "default", "embeddingModelKey": "echo-embedding"}
    await rest.ok("POST", "/v1/memory/stores", store, token=token)
    await rest.ok("POST", "/v1/memory/stores/s/memories", {"content": MARKER}, token=token)
    await rest.ok("POST", "/v1/files/buckets", {"key": "b", "name": "B", **noted}, token=token)
    for name, text in (("note.txt", f"# {MARKER}\n" * 100), ("empty.txt", "")):
        content = base64.b64encode(text.encode()).decode()
        file: dict[str, Any] = {"fileName": name, "keyHint": name, "data": content, **noted}
        await rest.ok("POST", OBJECTS, file, token=token)
    chat = {"model": "echo", "messages": [{"role": "user", "content": MARKER}], "tags": {"note": MARKER}}
    await rest.ok("POST", "/v1/chat/completions", {k: v for k, v in chat.items() if k != "tags"}, token=token)
    session = {"sessionId": "run-1", "agent": {"name": MARKER}, "metadata": {"note": MARKER}}
    await rest.ok("POST", "/v1/tracing/sessions", session, token=token)
    server = {"key": "vllm", "name": MARKER, "type": "vllm", "baseUrl": "http://127.0.0.1:9", "apiKey": MARKER}
    answer = await rest.call("POST", "/v1/monitoring/inference/servers", server, token=token)
    assert answer.status in (200, 201), answer.raw


async def read_all(rest: Rest, token: str) -> dict[str, Any]:
    answers = {path: (await rest.call("GET", path, token=token)) for path in READS}
    found = {path: (answer.status, answer.body) for path, answer in answers.items()}
    for path in (f"{OBJECTS}/note.txt/download", f"{OBJECTS}/empty.txt/download"):
        answer = await rest.call("GET", path, token=token)
        found[path] = (answer.status, answer.raw)
    query = {"query": {"vector": [1, 3], "topK": 5, "includeValues": True}}
    found["query"] = (200, await rest.ok("POST", f"{INDEXES}/docs/query", query, token=token))
    found["count"] = (200, await rest.ok("POST", f"{INDEXES}/docs/count", {}, token=token))
    assert {path for path, (status, _) in found.items() if status != 200} == set(), found
    return found


async def signed_in(rest: Rest, tenant: Tenant, slug: str) -> str:
    """A session of the owner in a tenant that was restored under this slug."""
    given = {"email": tenant.email, "password": tenant.password, "slug": slug}
    return str((await rest.ok("POST", "/v1/auth/login", given))["token"])


@pytest.mark.each_stores
async def test_a_restored_tenant_answers_the_same_and_an_erased_one_leaves_nothing(
    cluster: Cluster, rest: Rest, tmp_path: Path
) -> None:
    tenant = await rest.register()
    await fill(rest, tenant.session)
    await read_all(rest, tenant.session)  # what is made when it is first asked for
    archive, slug = tmp_path / "tenant.portico", f"again-{secrets.token_hex(4)}"
    made = json.loads(await operate(cluster, "tenant", "backup", tenant.slug, str(archive), "--json", "--quiet"))
    assert made["documents"]["usage"] >= 1
    assert set(made["entries"]) == {"rag/files", "vector/vectors", "tracing/traces"}
    before = await read_all(rest, tenant.session)
    await operate(cluster, "tenant", "restore", str(archive), "--slug", slug)
    after = await read_all(rest, await signed_in(rest, tenant, slug))
    for path, answer in before.items():
        assert differences(lasting(after[path]), lasting(answer), path) == []

    assert await asyncio.to_thread(files_with, cluster.data, MARKER)
    token = await rest.token(tenant.session)
    for each in (tenant.slug, slug):
        assert "--confirm" in await operate(cluster, "tenant", "erase", each, status=1)
        await operate(cluster, "tenant", "erase", each, "--confirm", each, "--quiet")
    assert await asyncio.to_thread(files_with, cluster.data, MARKER) == []
    assert await asyncio.to_thread(documents_with, cluster.stores, MARKER) == []
    assert (await rest.call("GET", "/v1/models", token=token)).status == 401
    assert tenant.slug not in await operate(cluster, "tenant", "list")


async def test_a_suspended_tenant_is_refused_everywhere_until_it_is_resumed(
    cluster: Cluster, rest: Rest, tenant: Tenant
) -> None:
    token = await rest.token(tenant.session)
    services = ("/v1/projects", "/v1/models", INDEXES, "/v1/files/buckets", "/v1/tracing/sessions")

    async def refused() -> bool:
        answers = [await rest.call("GET", path, token=token) for path in services]
        return all(each.status == 403 and each.body["error"]["code"] == "tenant_suspended" for each in answers)

    async def served() -> bool:
        return all([(await rest.call("GET", path, token=token)).status == 200 for path in services])

    assert await served()
    await operate(cluster, "tenant", "suspend", tenant.slug)
    await until(refused)
    assert json.loads(await operate(cluster, "tenant", "show", tenant.slug, "--json"))["status"] == "suspended"
    await operate(cluster, "tenant", "resume", tenant.slug)
    await until(served)


async def test_the_doctor_finds_nothing_wrong_with_a_running_installation(cluster: Cluster) -> None:
    findings = json.loads(await operate(cluster, "doctor", "--json"))
    assert {each["check"] for each in findings if each["status"] == "failure"} == set()
    assert {"service rag", "edge", "signing keys", "secrets", "orphans", "store"} <= {
        each["check"] for each in findings
    }


async def test_the_doctor_says_which_service_is_away(cluster: Cluster) -> None:
    """A service at an address where nobody listens."""
    shown = await operate(cluster, "doctor", status=1, PORTICO_RAG_ADDRESS="127.0.0.1:1")
    assert "service rag        failure  127.0.0.1:1: UNAVAILABLE" in shown
    assert "-> Start it, or set PORTICO_RAG_ADDRESS." in shown
