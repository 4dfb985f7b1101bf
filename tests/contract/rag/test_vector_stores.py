"""OpenAI's vector stores on a real server and store, with stand-ins for inference and vector."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from core.errors import FailedPrecondition
from core.jobs.records import JOBS, Job
from core.jobs.store import JobStore
from core.storage.table import Table
from core.tenancy import Project, Tenant
from services.rag.domain.knowledge.records import Module
from services.rag.domain.knowledge.tables import CHUNKS, DOCUMENTS, MODULES
from services.rag.domain.vector_stores import expiry
from tests.support import serving
from tests.support.rag_harness import refused
from tests.support.retrieval_client import RetrievalClient, eventually, neighbours, served
from tests.support.serving import connect
from tests.support.tokens import Signer

C = grpc.StatusCode
P1 = Project(Tenant("acme"), "p1")


class Harness(serving.Harness):
    def client(self, tenant: str = "acme", project: str = "p1", **claims: Any) -> RetrievalClient:
        return RetrievalClient(self.channel, self.signer.token(tenant=tenant, project=project, **claims))

    async def age(self, store_id: str, days: float) -> None:
        """Let so many days pass since the vector store was last used."""
        table = Table(self.running.platform.store, MODULES, Module)
        module = await table.find_one(P1, {"vectorStoreId": store_id})
        assert module is not None
        await table.update(P1, module.id, last_active_at=(module.last_active_at or 0.0) - days * 86_400)

    async def begin_jobs(self, kind: str) -> None:
        """Make the waiting jobs of a kind due."""
        store = self.running.platform.store
        jobs = JobStore(store, time.time, lambda kind: False)
        async for job in Table(store, JOBS, Job).scan(P1, {"kind": kind}):
            await jobs.hasten(P1, job.id)


@pytest.fixture
def beside() -> Any:
    return neighbours()


@pytest.fixture
async def harness(tmp_path: Path, signer: Signer, beside: Any) -> AsyncIterator[Harness]:
    async with served(tmp_path, signer, beside) as running, connect(running.port) as channel:
        yield Harness(running, channel, signer, tmp_path)


@pytest.fixture
def client(harness: Harness) -> RetrievalClient:
    return harness.client()


async def make(client: RetrievalClient, **body: Any) -> str:
    return str((await client.stores("CreateVectorStore", body))["id"])


async def test_a_vector_store_is_a_module(client: RetrievalClient) -> None:
    id = await make(client, name="Handbook", metadata={"team": "people"})
    await client.added(id, "fees.md", b"the fee is ten euros")
    module = await client.module(id.replace("_", "-"))
    assert (module.name, module.document_count, module.embedding_model_key) == ("Handbook", 1, "words")
    assert (await client.query("the fee", id.replace("_", "-")))["matches"][0]["fileName"] == "fees.md"
    await client.stores("DeleteVectorStore", vector_store_id=id)
    await refused(client.module(id.replace("_", "-")), C.NOT_FOUND)


async def test_an_expired_store_refuses_and_is_emptied(harness: Harness, client: RetrievalClient) -> None:
    id = await make(client, expires_after={"anchor": "last_active_at", "days": 7})
    file = await client.added(id, "fees.md", b"the fee is ten euros")
    await harness.age(id, 6.9)
    assert (await client.stores("SearchVectorStore", {"query": "fee"}, vector_store_id=id))["data"]
    assert (await client.stores("GetVectorStore", vector_store_id=id))["status"] == "completed", "a search is a use"
    await harness.age(id, 7.1)
    shown = await client.stores("GetVectorStore", vector_store_id=id)
    assert shown["status"] == "expired"
    assert shown["expires_at"] == shown["last_active_at"] + 7 * 86_400
    await refused(client.stores("SearchVectorStore", {"query": "fee"}, vector_store_id=id), C.FAILED_PRECONDITION)
    new = {"file_id": file}
    await refused(client.stores("CreateVectorStoreFile", new, vector_store_id=id), C.FAILED_PRECONDITION)
    # to be watched anew makes the waiting job no earlier: the days of another use do
    await client.stores("UpdateVectorStore", {"metadata": {}}, vector_store_id=id)
    assert (await client.stores("GetVectorStore", vector_store_id=id))["status"] == "completed", "so is a change"


async def test_the_job_empties_a_store_that_nobody_used(harness: Harness, client: RetrievalClient) -> None:
    id = await make(client, expires_after={"anchor": "last_active_at", "days": 1})
    await client.added(id, "fees.md", b"the fee is ten euros")
    await harness.age(id, 2)
    await harness.begin_jobs(expiry.KIND)
    store = harness.running.platform.store
    await eventually(lambda: store.count(P1, DOCUMENTS), lambda count: count == 0)
    await eventually(lambda: store.count(P1, CHUNKS), lambda count: count == 0)
    assert (await client.stores("GetVectorStore", vector_store_id=id))["status"] == "expired"


async def test_a_cancelled_batch_keeps_what_was_processed(client: RetrievalClient, beside: Any) -> None:
    id = await make(client)
    files = [await client.openai_file(f"{at}.md", f"text number {at}".encode()) for at in range(4)]
    done = asyncio.Event()
    embed = beside.embedder.embed

    async def slow(model: str, texts: Any) -> Any:
        if any("number" in text and not text.endswith("0") for text in texts):
            await done.wait()
        return await embed(model, texts)

    beside.embedder.embed = slow
    batch = await client.stores("CreateFileBatch", {"file_ids": files}, vector_store_id=id)
    assert batch["file_counts"]["total"] == 4
    await client.processed(id, files[0])
    cancelled = await client.stores("CancelFileBatch", vector_store_id=id, batch_id=batch["id"])
    assert (cancelled["status"], cancelled["file_counts"]) == (
        "cancelled",
        {"in_progress": 0, "completed": 1, "failed": 0, "cancelled": 3, "total": 4},
    )
    done.set()
    listed = await client.stores("ListFileBatchFiles", vector_store_id=id, batch_id=batch["id"], filter="cancelled")
    assert {each["id"] for each in listed["data"]} == set(files[1:])
    found = await client.stores("SearchVectorStore", {"query": "text number"}, vector_store_id=id)
    assert [each["file_id"] for each in found["data"]] == [files[0]]
    again = await client.stores("CreateVectorStoreFile", {"file_id": files[1]}, vector_store_id=id)
    assert again["id"] == files[1]
    assert (await client.processed(id, files[1]))["status"] == "completed"


async def test_a_failed_file_has_openais_code(client: RetrievalClient, beside: Any) -> None:
    """Each was an invalid file, also where the file was good and the embedding model failed."""
    store = await make(client)

    async def code(name: str, content: bytes) -> str:
        file = await client.processed(store, await client.added(store, name, content))
        return str(file["last_error"]["code"])

    async def gone(model: str, texts: Any) -> Any:
        raise FailedPrecondition("The embedding model is gone.", reason="EMBEDDING_MODEL")

    assert await code("empty.md", b" ") == "invalid_file"
    assert await code("a.bin", b"\0\1\2\3") == "unsupported_file"
    beside.embedder.embed = gone
    assert await code("good.md", b"the fee is ten euros") == "server_error"


async def test_two_files_that_are_alike_are_two(client: RetrievalClient) -> None:
    """Documents of other modules are told by name and content."""
    id = await make(client)
    one = await client.added(id, "same.md", b"the same text")
    other = await client.added(id, "same.md", b"the same text", attributes={"copy": True})
    listed = await client.stores("ListVectorStoreFiles", vector_store_id=id)
    assert [each["id"] for each in listed["data"]] == [other, one]
    await client.stores("DeleteVectorStoreFile", vector_store_id=id, file_id=one)
    found = await client.stores("SearchVectorStore", {"query": "same text"}, vector_store_id=id)
    assert [each["file_id"] for each in found["data"]] == [other]


async def test_changed_attributes_embed_nothing_again(client: RetrievalClient, beside: Any) -> None:
    id = await make(client)
    file = await client.added(id, "fees.md", b"the fee is ten euros", attributes={"year": 2025})
    embedded = len(beside.embedder.texts)
    await client.stores("UpdateVectorStoreFile", {"attributes": {"lang": "en"}}, vector_store_id=id, file_id=file)
    assert (await client.processed(id, file))["attributes"] == {"lang": "en"}
    assert len(beside.embedder.texts) == embedded
    wanted = {"query": "fee", "filters": {"type": "eq", "key": "lang", "value": "en"}}
    assert len((await client.stores("SearchVectorStore", wanted, vector_store_id=id))["data"]) == 1
    await client.stores("UpdateVectorStoreFile", {"attributes": None}, vector_store_id=id, file_id=file)
    assert (await client.processed(id, file))["attributes"] == {}


async def test_projects_and_tenants_are_apart(harness: Harness) -> None:
    ours, other, stranger = harness.client(), harness.client(project="p2"), harness.client("globex")
    id = await make(ours)
    file = await ours.added(id, "fees.md", b"the fee is ten euros")
    batch = (await ours.stores("CreateFileBatch", {"file_ids": [file]}, vector_store_id=id))["id"]
    for client in (other, stranger):
        assert (await client.stores("ListVectorStores"))["data"] == []
        own = await make(client)
        for call in (
            client.stores("GetVectorStore", vector_store_id=id),
            client.stores("UpdateVectorStore", {"name": "x"}, vector_store_id=id),
            client.stores("DeleteVectorStore", vector_store_id=id),
            client.stores("SearchVectorStore", {"query": "fee"}, vector_store_id=id),
            client.stores("ListVectorStoreFiles", vector_store_id=id),
            client.stores("GetVectorStoreFile", vector_store_id=id, file_id=file),
            client.stores("GetVectorStoreFile", vector_store_id=own, file_id=file),
            client.stores("GetVectorStoreFileContent", vector_store_id=id, file_id=file),
            client.stores("UpdateVectorStoreFile", {"attributes": {}}, vector_store_id=id, file_id=file),
            client.stores("DeleteVectorStoreFile", vector_store_id=id, file_id=file),
            client.stores("CreateVectorStoreFile", {"file_id": file}, vector_store_id=own),
            client.stores("CreateFileBatch", {"file_ids": [file]}, vector_store_id=own),
            client.stores("CreateVectorStore", {"file_ids": [file]}),
            client.stores("GetFileBatch", vector_store_id=id, batch_id=batch),
            client.stores("GetFileBatch", vector_store_id=own, batch_id=batch),
            client.stores("CancelFileBatch", vector_store_id=own, batch_id=batch),
            client.stores("ListFileBatchFiles", vector_store_id=own, batch_id=batch),
        ):
            await refused(call, C.NOT_FOUND, http=404)
        assert len((await client.stores("ListVectorStores"))["data"]) == 1, "no store was half made"


async def test_bad_input_is_refused_by_field(client: RetrievalClient, beside: Any) -> None:
    id = await make(client)
    for rpc, body, field in (
        ("CreateVectorStore", {"name": 1}, "name"),
        ("CreateVectorStore", {"expires_after": {"anchor": "created_at", "days": 1}}, "expires_after.anchor"),
        ("CreateVectorStore", {"metadata": {"a": "b" * 513}}, "metadata.a"),
        ("CreateVectorStoreFile", {}, "file_id"),
        ("CreateVectorStoreFile", {"file_id": "f", "attributes": {"a": [1]}}, "attributes.a"),
        ("CreateVectorStoreFile", {"file_id": "f", "chunking_strategy": {"type": "x"}}, "chunking_strategy.type"),
        ("CreateFileBatch", {}, "file_ids"),
        ("CreateFileBatch", {"files": [{"file_id": "a"}, {"file_id": "a"}]}, "files"),
        ("CreateFileBatch", {"file_ids": [str(at) for at in range(2001)]}, "file_ids"),
        ("SearchVectorStore", {"query": []}, "query"),
        ("SearchVectorStore", {"query": "x", "filters": {"type": "eq"}}, "filters.key"),
        (
            "SearchVectorStore",
            {"query": "x", "ranking_options": {"score_threshold": 2}},
            "ranking_options.score_threshold",
        ),
        ("SearchVectorStore", {"query": "x", "ranking_options": {"ranker": "best"}}, "ranking_options.ranker"),
    ):
        where = {} if rpc == "CreateVectorStore" else {"vector_store_id": id}
        await refused(client.stores(rpc, body, **where), C.INVALID_ARGUMENT, field, 400)
    await refused(client.stores("ListVectorStores", limit=101), C.INVALID_ARGUMENT, "limit", 400)
    await refused(client.stores("ListVectorStores", after=id, before=id), C.INVALID_ARGUMENT, "before", 400)
    await refused(client.stores("ListVectorStores", after="vs_none"), C.NOT_FOUND, "vector_store_id", 404)
    beside.models.oldest = ""
    await refused(client.stores("CreateVectorStore", {}), C.FAILED_PRECONDITION, "embedding_model", 409)
    assert len((await client.stores("ListVectorStores"))["data"]) == 1
