"""A deleted project is gone from every service and from the disk, though everything is killed while it goes."""

import asyncio
import base64
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.cluster import Cluster, Rest, until
from tests.support.connections import http_session
from tests.support.deployments import documents_with
from tests.support.removal import MARKER, files_with

SERVICES = ("auth", "inference", "rag", "tracing", "vector")
FILES, INDEXES = 60, 12
QUICK = {
    "PORTICO_VECTOR_JOB_LEASE_SECONDS": "1",
    "PORTICO_CONVERSION_LEASE_SECONDS": "1",
    "PORTICO_FILES_GRACE_SECONDS": "2",
    "PORTICO_FILES_SWEEP_SECONDS": "0.5",
}
"""Settings with which the work of a killed process is taken up soon."""


@pytest.fixture
async def started(own_cluster: Cluster) -> AsyncIterator[tuple[Cluster, Rest]]:
    own_cluster.env = QUICK
    await asyncio.to_thread(own_cluster.start)
    async with http_session() as http:
        yield own_cluster, Rest(own_cluster.url, http)


async def fill(rest: Rest, token: str) -> None:
    """Fill a project with all that it can hold, the marker in all of it."""
    noted = {"metadata": {"note": MARKER}, "description": MARKER}
    provider = {"key": "p", "driver": "openai", "label": MARKER, "credentials": {"apiKey": MARKER}, **noted}
    await rest.ok("POST", "/v1/models/providers", provider, token=token)
    model = {"key": "m", "name": MARKER, "category": "llm", "providerKey": "p", "modelId": MARKER, **noted}
    await rest.ok("POST", "/v1/models", model, token=token)
    vectors = {"key": "q", "driver": "qdrant", "label": MARKER, "credentials": {"apiKey": MARKER}}
    await rest.ok("POST", "/v1/vector/providers", {**vectors, "settings": {"url": "https://127.0.0.1:1"}}, token=token)
    for number in range(INDEXES):
        path = "/v1/vector/providers/default/indexes"
        index = {"name": f"docs {number}", "dimension": 2, "metadata": {"note": MARKER}}
        key = (await rest.ok("POST", path, index, token=token))["index"]["key"]
        points = [{"id": MARKER, "values": [1, 0], "metadata": {"note": MARKER}}]
        await rest.ok("POST", f"{path}/{key}/upsert", {"vectors": points}, token=token)
        await rest.ok("POST", f"{path}/{key}/query", {"query": {"vector": [1, 0], "topK": 1}}, token=token)
    await rest.echo(token)
    store = {"key": "s", "name": MARKER, "vectorProviderKey": "default", "embeddingModelKey": "echo-embedding"}
    await rest.ok("POST", "/v1/memory/stores", store, token=token)
    memories = [{"content": f"{MARKER} {number}", "tags": [MARKER]} for number in range(20)]
    await rest.ok("POST", "/v1/memory/stores/s/memories/batch", {"memories": memories}, token=token)
    bucket = {"key": "b", "name": MARKER, "metadata": {"note": MARKER}}
    await rest.ok("POST", "/v1/files/buckets", bucket, token=token)
    content = base64.b64encode(f"# {MARKER}\n".encode() * 50).decode()
    for number in range(FILES):
        file: dict[str, Any] = {"fileName": f"{number}.txt", "data": content, "metadata": {"note": MARKER}}
        file["convertToMarkdown"] = number < 3
        await rest.ok("POST", "/v1/files/buckets/b/objects", file, token=token)


async def healed(rest: Rest) -> bool:
    try:
        return (await rest.call("GET", "/health/ready")).status == 200
    except aiohttp.ClientError:
        return False


def below(folder: Path) -> int:
    return sum(len(names) for _, _, names in os.walk(folder))


@pytest.mark.each_stores
async def test_nothing_of_it_remains_though_everything_is_killed_half_way(started: tuple[Cluster, Rest]) -> None:
    """Files, vectors, records and sealed keys of a deleted project stayed for ever."""
    cluster, rest = started
    tenant = await rest.register()
    session = tenant.session
    project = (await rest.ok("POST", "/v1/projects", {"name": MARKER, "key": "gone"}, token=session))["project"]["id"]
    token = await rest.token(session, projectId=project)
    await fill(rest, token)
    kept = await rest.ok("POST", "/v1/projects", {"name": "Kept"}, token=session)
    other = await rest.token(session, projectId=kept["project"]["id"])
    kept_file = {"fileName": "kept.txt", "data": base64.b64encode(b"kept").decode(), "keyHint": "kept.txt"}
    await rest.ok("POST", "/v1/files/buckets/default/objects", kept_file, token=other)
    assert await asyncio.to_thread(files_with, cluster.data)
    if cluster.stores:
        assert await asyncio.to_thread(documents_with, cluster.stores, MARKER)
    files = cluster.data / "files" / tenant.slug / project
    assert below(files) > FILES

    async def removing() -> bool:
        return below(files) < FILES

    os.kill(cluster.pid("rag"), signal.SIGKILL)  # one is away when it is deleted
    assert (await rest.call("DELETE", f"/v1/projects/{project}", token=session)).status == 200
    assert (await rest.call("GET", "/v1/models", token=token)).status == 401
    await until(removing, 60)
    for service in SERVICES:
        os.kill(cluster.pid(service), signal.SIGKILL)
    await until(lambda: healed(rest), 60)

    async def gone() -> bool:
        if await asyncio.to_thread(files_with, cluster.data):
            return False
        return not await asyncio.to_thread(documents_with, cluster.stores, MARKER)

    await until(gone, 90)
    assert await asyncio.to_thread(cluster.stop) == 0
    assert files_with(cluster.data) == []
    assert below(files) == 0
    assert below(cluster.data / "vectors" / tenant.slug / project) == 0
    await asyncio.to_thread(cluster.start)
    assert (await rest.call("GET", "/v1/models", token=token)).status == 401
    answer = await rest.call("GET", "/v1/files/buckets/default/objects/kept.txt/download", token=other)
    assert answer.raw == b"kept"
    await until(lambda: _recorded(rest, session, project), 30)


async def _recorded(rest: Rest, session: str, project: str) -> bool:
    """Return whether the audit log names who deleted it, and nothing of what was in it."""
    entries = (await rest.ok("GET", f"/v1/audit?resourceId={project}", token=session))["entries"]
    assert {each["outcome"] for each in entries} <= {"success"}
    return "project.delete" in {each["action"] for each in entries}
