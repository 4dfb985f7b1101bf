"""Knowledge modules through the edge: the npm SDK, uploads, and processes that are killed in the middle of the work."""

import asyncio
import os
import secrets
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import aiohttp
import pytest

from tests.support import node
from tests.support.cluster import Cluster, Rest, until
from tests.support.connections import http_session

MODULES = "/v1/rag/modules"
DOCUMENTS = 12


@pytest.fixture
async def started(own_cluster: Cluster) -> AsyncIterator[tuple[Cluster, Rest]]:
    own_cluster.env = {"PORTICO_INGESTION_LEASE_SECONDS": "2"}
    own_cluster.start()
    async with http_session() as http:
        yield own_cluster, Rest(own_cluster.url, http)


async def module(rest: Rest, token: str, key: str, **more: Any) -> Any:
    body = {"key": key, "name": key, "embeddingModelKey": "echo-embedding", **more}
    return (await rest.ok("POST", MODULES, body, token=token))["module"]


async def get(rest: Rest, token: str, path: str) -> Any:
    """The answer to a read, which is asked for again while a service is away."""

    async def answered() -> Any:
        try:
            answer = await rest.call("GET", path, token=token)
        except aiohttp.ClientError:
            return None
        assert answer.status in (200, 503, 504), answer.raw
        return answer.body if answer.status == 200 else None

    return await until(answered, 60)


def kill(cluster: Cluster, service: str) -> None:
    with suppress(ProcessLookupError):  # it was killed a moment ago
        os.kill(cluster.pid(service), signal.SIGKILL)


async def all_documents(rest: Rest, token: str, key: str) -> list[Any]:
    return list((await get(rest, token, f"{MODULES}/{key}/documents?limit=1000"))["documents"])


async def indexed(rest: Rest, token: str, key: str, count: int) -> Any:
    async def check() -> Any:
        documents = await all_documents(rest, token, key)
        assert not [each for each in documents if each["status"] == "failed"], documents
        return [each["status"] for each in documents] == ["indexed"] * count and documents

    return await until(check, 90)


async def vectors_of(rest: Rest, token: str, module: Any) -> int:
    path = f"/v1/vector/providers/{module['vectorProviderKey']}/indexes/{module['vectorIndexKey']}/stats"
    return int((await get(rest, token, path))["vectors"])


async def check_counts(rest: Rest, token: str, key: str, documents: int) -> None:
    """Each document is indexed once: its chunks, the module's, and the vectors agree."""
    found = await indexed(rest, token, key, documents)
    assert len({each["fileName"] for each in found}) == documents
    now = (await get(rest, token, f"{MODULES}/{key}"))["module"]
    chunks = sum(each["chunkCount"] for each in found)
    assert (now["documentCount"], now["chunkCount"]) == (documents, chunks)

    async def agree() -> bool:
        return bool(await vectors_of(rest, token, now) == chunks)

    await until(agree, 60)


async def test_the_sdk_does_every_method_about_documents(cluster: Cluster, rest: Rest) -> None:
    node.install()
    key = f"run-{secrets.token_hex(4)}"
    await module(rest, cluster.dev_token, key, chunkConfig={"strategy": "sentence", "chunkSize": 20})
    env = {"PORTICO_URL": cluster.url, "PORTICO_TOKEN": cluster.dev_token, "PORTICO_RUN": key}
    done = await asyncio.to_thread(node.run, "knowledge.mjs", env)
    assert key in {each["key"] for each in done["modules"]["modules"]}
    assert done["module"]["module"]["_id"]
    for answer in ("ingested", "file", "again", "changed", "replaced"):
        assert done[answer]["document"]["status"] == "indexed", done[answer]
    assert done["ingested"]["chunkCount"] == 2
    assert (done["changed"]["chunkCount"], done["replaced"]["document"]["fileName"]) == (1, "ships.txt")
    assert {each["fileName"] for each in done["documents"]["documents"]} == {"notes.md", "boats.txt"}
    assert len(done["indexed"]["documents"]) == 2
    assert done["counted"]["module"]["totalChunks"] == 2
    assert done["deleted"] == {"success": True, "deletedChunks": 1}
    assert [each["fileName"] for each in done["left"]["documents"]] == ["ships.txt"]
    assert (done["refused"]["api"], done["refused"]["status"]) == (True, 404)
    assert done["removed"] == {"success": True}


async def test_uploads_and_bodies_that_are_too_large(cluster: Cluster, rest: Rest) -> None:
    key = f"run-{secrets.token_hex(4)}"
    await module(rest, cluster.dev_token, key)
    bearer = {"Authorization": f"Bearer {cluster.dev_token}"}
    form = aiohttp.FormData()
    form.add_field("wait", "true")
    form.add_field("metadata", '{"a": 1}')
    form.add_field("file", b"Text of a file.", filename="a.txt", content_type="text/plain")
    url = f"{cluster.url}{MODULES}/{key}/ingest"
    async with rest.http.post(url, data=form, headers=bearer) as answer:
        assert answer.status == 201
        document = (await answer.json())["document"]
    assert (document["status"], document["metadata"], document["chunkCount"]) == ("indexed", {"a": 1}, 1)

    async def endless() -> AsyncIterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="b.txt"\r\n\r\n'
        for _ in range(200):
            yield b"y" * 1024 * 1024
        yield b"\r\n--x--\r\n"

    headers = {**bearer, "Content-Type": "multipart/form-data; boundary=x"}
    async with rest.http.post(url, data=endless(), headers=headers) as answer:
        assert answer.status == 413
        assert (await answer.json())["error"]["param"] == "file"
    large = await rest.call("POST", f"{MODULES}/{key}/ingest", {"fileName": "c", "content": "z" * 40_000_000},
                            token=cluster.dev_token)  # fmt: skip
    assert large.status == 413
    assert len(await all_documents(rest, cluster.dev_token, key)) == 1


@pytest.mark.parametrize("service", ["rag", "vector", "inference"])
async def test_killed_in_the_middle_of_an_ingestion(started: tuple[Cluster, Rest], service: str) -> None:
    """Then of a re-index, then of deletions: nothing acknowledged is lost, and nothing deleted comes back."""
    cluster, rest = started
    token = cluster.dev_token
    await module(rest, token, "kb", chunkConfig={"chunkSize": 60, "chunkOverlap": 0})

    async def ingest(at: int) -> None:
        content = " ".join(f"Sentence {number} of document {at} is here." for number in range(60))
        body = {"fileName": f"{at}.txt", "content": content, "wait": False}

        async def accepted() -> bool:
            try:
                answer = await rest.call("POST", f"{MODULES}/kb/ingest", body, token=token)
            except aiohttp.ClientError:
                return False
            return answer.status == 201

        await until(accepted, 60)

    adding = [asyncio.create_task(ingest(at)) for at in range(DOCUMENTS)]
    await asyncio.sleep(0.3)
    kill(cluster, service)
    await asyncio.gather(*adding)
    await asyncio.sleep(0.5)
    kill(cluster, service)
    await check_counts(rest, token, "kb", DOCUMENTS)

    async def begun() -> Any:
        try:
            answer = await rest.call("POST", f"{MODULES}/kb/reindex", {"chunkConfig": {"chunkSize": 120}}, token=token)
        except aiohttp.ClientError:
            return False
        return answer.status in (201, 409) and answer

    await until(begun, 60)
    await asyncio.sleep(0.3)
    os.kill(cluster.pid(service), signal.SIGKILL)

    async def completed() -> bool:
        found = await get(rest, token, f"{MODULES}/kb/reindex")
        return bool(found["reindexes"][0]["status"] == "completed")

    await until(completed, 90)
    await check_counts(rest, token, "kb", DOCUMENTS)
    assert (await get(rest, token, f"{MODULES}/kb"))["module"]["chunkConfig"]["chunkSize"] == 120

    async def delete(id: str) -> bool:
        try:
            answer = await rest.call("DELETE", f"{MODULES}/kb/documents/{id}", token=token)
        except aiohttp.ClientError:
            return False
        return answer.status in (200, 404)

    ids = [each["id"] for each in await all_documents(rest, token, "kb")]
    deleting = [asyncio.create_task(until(lambda id=id: delete(id), 60)) for id in ids[: DOCUMENTS // 2]]
    await asyncio.sleep(0.05)
    kill(cluster, service)
    await asyncio.gather(*deleting)
    await check_counts(rest, token, "kb", DOCUMENTS - DOCUMENTS // 2)
    assert {each["id"] for each in await all_documents(rest, token, "kb")} == set(ids[DOCUMENTS // 2 :])
