"""Knowledge modules on a real server and store, with stand-ins for inference and vector."""

import asyncio
import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

from core.audit.records import Actor
from core.errors import Unavailable
from core.jobs.jobs import Jobs
from core.jobs.records import JOB_INDEX
from core.storage.table import Table
from core.tenancy import MAIN, Project, Tenant
from portico.rag.v1 import knowledge_service_pb2 as pb
from services.rag.domain.knowledge.records import Module
from services.rag.domain.knowledge.tables import COLLECTIONS, MODULES
from services.rag.ports import IndexInfo, IndexRef
from tests.support import knowledge, serving
from tests.support.knowledge import KnowledgeClient, Neighbours
from tests.support.rag_harness import refused
from tests.support.serving import connect
from tests.support.tokens import Signer
from tests.support.waiting import until

C = grpc.StatusCode
P1 = Project(Tenant("acme"), "p1")
TEXT = "First paragraph about cats.\n\nSecond paragraph about stars.\n\nThird paragraph about boats."
SMALL = {"chunkSize": 32, "chunkOverlap": 0}
CHUNKING = pb.ChunkConfig(chunk_size=32, chunk_overlap=0)


@dataclass
class Harness(serving.Harness):
    neighbours: Neighbours

    def client(self, tenant: str = "acme", project: str = "p1", **claims: Any) -> KnowledgeClient:
        return KnowledgeClient(self.channel, self.signer.token(tenant=tenant, project=project, **claims))

    async def rows(self, project: Project = P1) -> dict[str, int]:
        store = self.running.platform.store
        return {each.name: await store.count(project, each) for each in COLLECTIONS}


@pytest.fixture
async def harness(tmp_path: Path, signer: Signer) -> AsyncIterator[Harness]:
    neighbours = Neighbours()
    async with (
        knowledge.served(tmp_path, signer, neighbours) as running,
        connect(running.port) as channel,
    ):
        yield Harness(running, channel, signer, tmp_path, neighbours)


@pytest.fixture
def client(harness: Harness) -> KnowledgeClient:
    return harness.client()


async def test_a_document_is_chunked_embedded_and_indexed(harness: Harness, client: KnowledgeClient) -> None:
    module = await client.create(chunk_config=CHUNKING)
    assert module.dimension == knowledge.DIMENSION
    answer = await client.ingest(fileName="a.txt", content=TEXT, metadata={"topic": "all"})
    assert answer["chunkCount"] == 3
    document = answer["document"]
    assert (document["status"], document["_id"], document["fileName"]) == ("indexed", document["id"], "a.txt")
    chunks = await client.chunks(document["id"])
    assert [TEXT[each.char_start : each.char_end] for each in chunks] == [each.content for each in chunks]
    points = harness.neighbours.vectors.of(module, P1)
    assert set(points) == {each.id for each in chunks}
    first = points[chunks[0].id]
    assert first.text == "First paragraph about cats."
    assert first.metadata == {
        "topic": "all", "_ragModule": module.id, "_documentId": document["id"], "_fileName": "a.txt",
        "_chunkIndex": 0, "_version": 1,
    }  # fmt: skip
    module = await client.module()
    assert (module.document_count, module.chunk_count, module.total_chunks) == (1, 3, 3)


async def test_an_answer_comes_at_once_unless_asked_to_wait(harness: Harness, client: KnowledgeClient) -> None:
    await client.create()
    going_on = asyncio.Event()
    harness.neighbours.embedder.before = lambda texts: going_on.wait()
    answers = [
        await client.ingest(fileName="a.txt", content=TEXT, wait=False),
        await client.ingest_form(b"Text of a form.", "b.txt"),
    ]
    waiting = asyncio.ensure_future(client.ingest_form(b"Another one.", "c.txt", wait="true"))
    assert {each["document"]["status"] for each in answers} <= {"pending", "processing"}
    await until(lambda: harness.neighbours.embedder.in_flight == 3, 30)
    assert not waiting.done()
    going_on.set()
    assert (await waiting)["document"]["status"] == "indexed"
    assert {(await client.settled(each["document"]["id"])).status for each in answers} == {"indexed"}


async def test_base64_data_urls_files_of_buckets_and_forms(client: KnowledgeClient) -> None:
    await client.create()
    await client.upload(b"In a bucket.", "d.txt", keyHint="d.txt")
    answers = [
        await client.ingest(fileName="a.txt", data=base64.b64encode(b"In base64.").decode()),
        await client.ingest(fileName="b.txt", base64="data:text/plain;base64," + base64.b64encode(b"URL.").decode()),
        await client.ingest_form(b"In a form.", "c.txt", wait="yes", metadata='{"a": 1}'),
        await client.ingest(file={"bucketKey": "default", "objectKey": "d.txt"}, wait=True),
        await client.ingest(fileName="e.html", content="<p>In <b>HTML</b>.</p>", contentType="text/html"),
    ]
    assert [each["document"]["errorMessage"] for each in answers] == [""] * 5
    texts = [(await client.chunks(each["document"]["id"]))[0].content for each in answers]
    assert texts == ["In base64.", "URL.", "In a form.", "In a bucket.", "In **HTML**."]
    assert [each["document"]["fileName"] for each in answers] == ["a.txt", "b.txt", "c.txt", "d.txt", "e.html"]
    assert answers[2]["document"]["metadata"] == {"a": 1}
    for each in answers[:3]:
        await client.remove(each["document"]["id"])
    assert len(await client.keys()) == 2  # a file that was in the bucket before stays there


async def test_the_same_document_is_not_added_twice(harness: Harness, client: KnowledgeClient) -> None:
    await client.create()
    answers = await asyncio.gather(*(client.ingest(fileName="a.txt", content=TEXT) for _ in range(5)))
    assert len({each["document"]["id"] for each in answers}) == 1
    assert len(await client.documents()) == 1
    forced = await client.ingest(fileName="a.txt", content=TEXT, force=True)
    assert forced["document"]["id"] == answers[0]["document"]["id"]
    other = await client.ingest(fileName="b.txt", content=TEXT)
    assert other["document"]["id"] != answers[0]["document"]["id"]
    assert harness.neighbours.embedder.embedded[TEXT] == 1


async def test_changed_chunks_alone_are_embedded_again(harness: Harness, client: KnowledgeClient) -> None:
    module = await client.create(chunk_config=CHUNKING)
    id = (await client.ingest(fileName="a.txt", content=TEXT))["document"]["id"]
    changed = TEXT.replace("stars", "moons")
    answer = await client.reingest(id, content=changed)
    assert (answer["document"]["status"], answer["chunkCount"]) == ("indexed", 3)
    embedded = harness.neighbours.embedder.embedded
    assert {text: count for text, count in embedded.items() if count > 1} == {}
    assert embedded["Second paragraph about moons."] == 1
    await until_settled(harness)
    assert [each.content for each in await client.chunks(id)] == changed.split("\n\n")
    assert len(harness.neighbours.vectors.of(module, P1)) == 3
    assert (await harness.rows())["rag_chunks"] == 3
    assert (await harness.rows())["rag_texts"] == 1
    again = await client.reingest(id)
    assert (again["document"]["status"], again["chunkCount"]) == ("indexed", 3)
    assert max(embedded.values()) == 1


async def until_settled(harness: Harness) -> None:
    """Wait until no job is under way."""
    store = harness.running.platform.store
    async with asyncio.timeout(30):
        while await store.count(MAIN, JOB_INDEX):
            await asyncio.sleep(0.02)


async def test_the_old_content_serves_until_the_new_is_indexed(harness: Harness, client: KnowledgeClient) -> None:
    await client.create(chunk_config=CHUNKING)
    id = (await client.ingest(fileName="a.txt", content=TEXT))["document"]["id"]
    going_on = asyncio.Event()
    harness.neighbours.embedder.before = lambda texts: going_on.wait()
    await client.reingest(id, content="Something else.", wait=False)
    await until(lambda: harness.neighbours.embedder.in_flight == 1, 30)
    assert [each.content for each in await client.chunks(id)] == TEXT.split("\n\n")
    going_on.set()
    await client.settled(id)
    assert [each.content for each in await client.chunks(id)] == ["Something else."]


async def test_a_newer_version_takes_the_place_of_one_under_way(harness: Harness, client: KnowledgeClient) -> None:
    module = await client.create()
    going_on = asyncio.Event()
    harness.neighbours.embedder.before = lambda texts: going_on.wait()
    id = (await client.ingest(fileName="a.txt", content="One.", wait=False))["document"]["id"]
    await until(lambda: harness.neighbours.embedder.in_flight == 1, 30)
    await client.reingest(id, content="Two.", wait=False)
    await client.reingest(id, content="Three.", wait=False)
    going_on.set()
    assert (await client.settled(id)).status == "indexed"
    await until_settled(harness)
    assert [each.content for each in await client.chunks(id)] == ["Three."]
    assert [each.text for each in harness.neighbours.vectors.of(module, P1).values()] == ["Three."]
    assert (await harness.rows())["rag_texts"] == 1


async def test_a_deleted_document_leaves_nothing(harness: Harness, client: KnowledgeClient) -> None:
    module = await client.create(chunk_config=CHUNKING)
    kept = (await client.ingest(fileName="b.txt", content="Stays."))["document"]["id"]
    id = (await client.ingest(fileName="a.txt", data=base64.b64encode(TEXT.encode()).decode()))["document"]["id"]
    answer = await client.remove(id)
    assert (answer.success, answer.deleted_chunks) == (True, 3)
    await refused(client.document(id), C.NOT_FOUND, "documentId")
    await until_settled(harness)
    assert [each.id for each in await client.documents()] == [kept]
    assert [each.text for each in harness.neighbours.vectors.of(module, P1).values()] == ["Stays."]
    rows = await harness.rows()
    assert (rows["rag_documents"], rows["rag_chunks"], rows["rag_texts"]) == (1, 1, 1)
    assert await client.keys() == []
    await client.ingest(fileName="a.txt", content=TEXT)  # the same may come again
    assert (await client.module()).chunk_count == 4


async def test_a_document_is_deleted_while_it_is_ingested(harness: Harness, client: KnowledgeClient) -> None:
    module = await client.create()
    harness.neighbours.embedder.before = lambda texts: asyncio.Event().wait()
    id = (await client.ingest(fileName="a.txt", content=TEXT, wait=False))["document"]["id"]
    await until(lambda: harness.neighbours.embedder.in_flight == 1, 30)
    await client.remove(id)
    await until_settled(harness)
    assert not harness.neighbours.vectors.of(module, P1)
    assert (await harness.rows())["rag_documents"] == 0


async def test_a_service_that_is_away_is_waited_for(harness: Harness, client: KnowledgeClient) -> None:
    await client.create()
    away = [3]

    def before(texts: Any) -> None:
        if away[0]:
            away[0] -= 1
            raise Unavailable("Away.", reason="SERVICE_AWAY")

    harness.neighbours.embedder.before = before
    answer = await client.ingest(fileName="a.txt", content=TEXT)
    assert answer["document"]["status"] == "indexed"


async def test_a_damaged_document_says_what_is_wrong(harness: Harness, client: KnowledgeClient) -> None:
    module = await client.create()
    data = base64.b64encode(b"%PDF-1.7\nnot really").decode()
    document = (await client.ingest(fileName="a.pdf", data=data))["document"]
    assert document["status"] == "failed"
    assert "damaged" in document["errorMessage"]
    assert not harness.neighbours.vectors.of(module, P1)
    assert (await client.module()).chunk_count == 0


@pytest.mark.parametrize(
    ("body", "http", "field"),
    [
        ({"content": "x"}, 400, "fileName"),
        ({"fileName": "a.txt"}, 400, "content"),
        ({"fileName": "a.txt", "content": "  \n"}, 400, "content"),
        ({"fileName": "a.txt", "content": 7}, 400, "content"),
        ({"fileName": "a.txt", "data": ""}, 400, "data"),
        ({"fileName": "a.txt", "data": "!!!!"}, 400, "data"),
        ({"fileName": "a.png", "data": base64.b64encode(b"\x89PNG\r\n\x1a\n\0\0\0").decode()}, 415, "objectKey"),
        ({"fileName": "a.txt", "content": "x", "chunkConfig": {"chunkSize": 5, "chunkOverlap": 5}}, 400,
         "chunkConfig.chunkOverlap"),
        ({"fileName": "a.txt", "content": "x", "chunkConfig": {"strategy": "recursive"}}, 400, "chunkConfig.strategy"),
        ({"fileName": "a.txt", "content": "x", "metadata": [1]}, 400, "metadata"),
        ({"file": {"bucketKey": "default", "objectKey": "none.txt"}}, 404, "file"),
    ],
)  # fmt: skip
async def test_bad_documents_are_refused(
    harness: Harness, client: KnowledgeClient, body: dict[str, Any], http: int, field: str
) -> None:
    await client.create()
    error = await refused(client.ingest(**body), C.NOT_FOUND if http == 404 else C.INVALID_ARGUMENT, http=http)
    assert error.field == field
    rows = await harness.rows()
    assert (rows["rag_documents"], rows["rag_texts"]) == (0, 0)
    assert await client.keys() == []


async def test_unknown_things_are_not_found(client: KnowledgeClient) -> None:
    await refused(client.ingest("none", fileName="a.txt", content="x"), C.NOT_FOUND, "moduleKey", 404)
    await client.create()
    await refused(client.document("doc_none"), C.NOT_FOUND, "documentId", 404)
    await refused(client.reingest("doc_none"), C.NOT_FOUND, "documentId", 404)
    await refused(client.remove("doc_none"), C.NOT_FOUND, "documentId", 404)


@pytest.mark.parametrize(
    ("given", "code", "field"),
    [
        ({"embedding_model_key": "gone"}, C.FAILED_PRECONDITION, "embeddingModelKey"),
        ({"embedding_model_key": ""}, C.INVALID_ARGUMENT, "embeddingModelKey"),
        ({"name": ""}, C.INVALID_ARGUMENT, "name"),
        ({"vector_provider_key": "none"}, C.NOT_FOUND, "providerKey"),
        ({"file_bucket_key": "none"}, C.NOT_FOUND, "fileBucketKey"),
        ({"chunk_config": pb.ChunkConfig(chunk_size=5, chunk_overlap=9)}, C.INVALID_ARGUMENT,
         "chunkConfig.chunkOverlap"),
        ({"default_top_k": 1000}, C.INVALID_ARGUMENT, "defaultTopK"),
        ({"hybrid": pb.HybridConfig(mode="best")}, C.INVALID_ARGUMENT, "hybrid.mode"),
        ({"filterable_fields": ["_x"]}, C.INVALID_ARGUMENT, "filterableFields"),
    ],
)  # fmt: skip
async def test_bad_modules_are_refused(
    harness: Harness, client: KnowledgeClient, given: dict[str, Any], code: grpc.StatusCode, field: str
) -> None:
    await refused(client.create(**given), code, field)
    assert (await harness.rows())["rag_modules"] == 0
    assert not harness.neighbours.vectors.indexes


async def test_an_index_whose_dimension_does_not_fit_is_refused(client: KnowledgeClient) -> None:
    first = await client.create("one", vector_index_key="shared")
    assert first.vector_index_key == "shared"
    await client.create("two", vector_index_key="shared")
    await refused(
        client.create("three", vector_index_key="shared", embedding_model_key="embed-2"),
        C.INVALID_ARGUMENT, "vectorIndexKey", 400,
    )  # fmt: skip
    await refused(client.create("one"), C.ALREADY_EXISTS, "key", 409)


async def test_a_module_keeps_the_metric_of_its_index(harness: Harness, client: KnowledgeClient) -> None:
    """Distances of a Euclidean index were taken for similarities."""
    ref = IndexRef("default", "distances")
    info = IndexInfo(ref, knowledge.DIMENSION, "euclidean", hybrid=False)
    harness.neighbours.vectors.indexes[P1, ref] = knowledge.FakeIndex(info)
    await client.create(vector_index_key="distances")
    modules = Table(harness.running.platform.store, MODULES, Module)

    async def metric() -> str:
        return (await modules.scan(P1, {}).__anext__()).metric

    assert await metric() == "euclidean"
    begun = await client.reindex()
    assert (await client.reindexed(begun.id)).status == "completed"
    assert await metric() == "cosine"


async def test_a_disabled_module_takes_no_documents(client: KnowledgeClient) -> None:
    await client.create()
    await client.call(client.knowledge.UpdateModule, pb.UpdateModuleRequest(key="kb", status="disabled"))
    await refused(client.ingest(fileName="a.txt", content="x"), C.FAILED_PRECONDITION, "moduleKey", 409)


async def test_projects_and_tenants_see_nothing_of_each_other(harness: Harness) -> None:
    clients = [harness.client(), harness.client(project="p2"), harness.client("globex")]
    ids = []
    for at, client in enumerate(clients):
        await client.create()
        ids.append((await client.ingest(fileName="a.txt", content=f"Text {at}."))["document"]["id"])
    for at, client in enumerate(clients):
        assert [each.id for each in await client.documents()] == [ids[at]]
        assert [each.content for each in await client.chunks(ids[at])] == [f"Text {at}."]
        for other in ids[:at] + ids[at + 1 :]:
            await refused(client.document(other), C.NOT_FOUND)
            await refused(client.remove(other), C.NOT_FOUND)
            await refused(client.reingest(other, content="x"), C.NOT_FOUND)
    await clients[0].call(clients[0].knowledge.DeleteModule, pb.DeleteModuleRequest(key="kb"))
    await until_settled(harness)
    assert [(await client.module()).chunk_count for client in clients[1:]] == [1, 1]
    assert len(harness.neighbours.vectors.indexes) == 2


async def test_a_reindex_changes_over_when_it_is_whole(harness: Harness, client: KnowledgeClient) -> None:
    old = await client.create(chunk_config=CHUNKING)
    ids = [(await client.ingest(fileName=f"{at}.txt", content=f"{TEXT} {at}"))["document"]["id"] for at in range(10)]
    going_on = asyncio.Event()
    harness.neighbours.embedder.before = lambda texts: None if texts == ["dimension"] else going_on.wait()
    begun = await client.reindex(embedding_model_key="embed-2")
    assert (begun.status, begun.reason) == ("pending", "embedding-model")
    await until(lambda: harness.neighbours.embedder.in_flight, 30)
    now = await client.module()
    assert (now.vector_index_key, now.reindex.id) == (old.vector_index_key, begun.id)
    await refused(client.reindex(), C.ALREADY_EXISTS, "moduleKey", 409)
    assert (await client.module()).chunk_count == 30
    assert len(await client.chunks(ids[0])) == 3
    going_on.set()
    assert (await client.reindexed(begun.id)).status == "completed"
    module = await client.module()
    assert (module.embedding_model_key, module.dimension) == ("embed-2", knowledge.DIMENSION + 1)
    assert module.vector_index_key != old.vector_index_key
    assert (module.document_count, module.chunk_count) == (10, 30)
    assert len(harness.neighbours.vectors.of(module, P1)) == 30
    assert len(harness.neighbours.vectors.indexes) == 1
    assert (await harness.rows())["rag_chunks"] == 30
    await client.ingest(fileName="new.txt", content="New.")
    assert len(harness.neighbours.vectors.of(module, P1)) == 31


async def test_documents_change_and_go_during_a_reindex(harness: Harness, client: KnowledgeClient) -> None:
    await client.create(chunk_config=CHUNKING)
    ids = [(await client.ingest(fileName=f"{at}.txt", content=f"{TEXT} {at}"))["document"]["id"] for at in range(4)]
    held, going_on = asyncio.Event(), asyncio.Event()

    async def wait(texts: Any) -> None:
        if any("First paragraph" in each for each in texts) and not going_on.is_set():
            held.set()
            await going_on.wait()

    await client.reindex(chunk_config=pb.ChunkConfig(chunk_size=70, chunk_overlap=0))
    harness.neighbours.embedder.before = lambda texts: wait(texts)
    await asyncio.wait_for(held.wait(), 30)
    deleting = asyncio.ensure_future(client.remove(ids[0]))
    await client.reingest(ids[1], content="Changed meanwhile.", wait=False)
    added = (await client.ingest(fileName="new.txt", content="New meanwhile.", wait=False))["document"]["id"]
    going_on.set()
    await deleting
    await until_settled(harness)
    module = await client.module()
    assert module.chunk_config.chunk_size == 70
    contents = {id: [each.content for each in await client.chunks(id)] for id in (ids[1], added)}
    assert contents == {ids[1]: ["Changed meanwhile."], added: ["New meanwhile."]}
    points = harness.neighbours.vectors.of(module, P1)
    assert {point.metadata["_documentId"] for point in points.values()} == {*ids[1:], added}
    assert module.chunk_count == len(points) == (await harness.rows())["rag_chunks"]


async def test_a_cancelled_reindex_leaves_the_old_index(harness: Harness, client: KnowledgeClient) -> None:
    old = await client.create()
    await client.ingest(fileName="a.txt", content=TEXT)
    harness.neighbours.embedder.before = lambda texts: None if texts == ["dimension"] else asyncio.Event().wait()
    begun = await client.reindex(embedding_model_key="embed-2")
    await until(lambda: harness.neighbours.embedder.in_flight, 30)
    request = pb.CancelReindexRequest(module_key="kb", id=begun.id)
    assert (await client.call(client.knowledge.CancelReindex, request)).reindex.status == "cancelled"
    await refused(client.call(client.knowledge.CancelReindex, request), C.FAILED_PRECONDITION, http=409)
    harness.neighbours.embedder.before = None
    await until_settled(harness)
    assert (await client.module()).vector_index_key == old.vector_index_key
    assert len(harness.neighbours.vectors.indexes) == 1
    assert (await harness.rows())["rag_chunks"] == 1
    done = await client.reindex(embedding_model_key="embed-2")
    assert (await client.reindexed(done.id)).status == "completed"


async def test_an_update_of_the_chunking_reindexes(client: KnowledgeClient) -> None:
    await client.create(chunk_config=CHUNKING)
    id = (await client.ingest(fileName="a.txt", content=TEXT))["document"]["id"]
    request = pb.UpdateModuleRequest(key="kb", name="New name", chunk_config=pb.ChunkConfig(strategy="sentence"))
    module = (await client.call(client.knowledge.UpdateModule, request)).module
    assert module.name == "New name"
    assert (await client.reindexed(module.reindex.id)).reason == "chunk-config"
    assert [each.content for each in await client.chunks(id)] == [TEXT]
    window = pb.ChunkConfig(strategy="sentence", parent_window_size=5000)
    module = (
        await client.call(client.knowledge.UpdateModule, pb.UpdateModuleRequest(key="kb", chunk_config=window))
    ).module
    assert (module.chunk_config.parent_window_size, module.HasField("reindex")) == (5000, False)


async def test_a_deleted_module_leaves_nothing(harness: Harness, client: KnowledgeClient) -> None:
    await client.create("other", vector_index_key="shared")
    await client.create(vector_index_key="shared")
    await client.ingest("other", fileName="a.txt", content="Stays.")
    await client.ingest(fileName="a.txt", data=base64.b64encode(TEXT.encode()).decode())
    await client.call(client.knowledge.DeleteModule, pb.DeleteModuleRequest(key="kb"))
    await refused(client.module(), C.NOT_FOUND, http=404)
    again = await client.create()  # its key is free at once
    await until_settled(harness)
    assert (again.document_count, (await client.module()).document_count) == (0, 0)
    rows = await harness.rows()
    assert (rows["rag_modules"], rows["rag_documents"], rows["rag_chunks"], rows["rag_texts"]) == (2, 1, 1, 1)
    shared = harness.neighbours.vectors.of(await client.module("other"), P1)
    assert [each.text for each in shared.values()] == ["Stays."]
    assert await client.keys() == []


async def test_a_deleted_project_leaves_nothing(harness: Harness, client: KnowledgeClient) -> None:
    await client.create()
    await client.ingest(fileName="a.txt", content=TEXT)
    await client.reindex()
    removals = harness.running.platform.removals
    removals.again_seconds = 0.05
    await removals.begin(P1, Actor())
    await until_settled(harness)
    assert set((await harness.rows()).values()) == {0}


async def test_several_batches_are_embedded_at_a_time(harness: Harness, client: KnowledgeClient) -> None:
    """The embedding model would wait for the store between two batches. The first call is held until a second one
    comes: without overlap it would never be answered."""
    await client.create(chunk_config=CHUNKING)
    embedder = harness.neighbours.embedder
    embedder.before = lambda texts: until(lambda: embedder.most_in_flight >= 2, 30)
    text = "\n\n".join(f"Paragraph {at} of a long text." for at in range(200))
    answer = await client.ingest(fileName="a.txt", content=text)
    assert answer["chunkCount"] == 200
    assert 2 <= embedder.most_in_flight <= 4


async def test_contextual_headers_are_embedded_with_the_content(harness: Harness, client: KnowledgeClient) -> None:
    header = pb.ContextualHeader(enabled=True, model_key="chat")
    module = await client.create(chunk_config=pb.ChunkConfig(chunk_size=32, chunk_overlap=0, contextual_header=header))
    id = (await client.ingest(fileName="a.txt", content=TEXT))["document"]["id"]
    assert {each.header for each in await client.chunks(id)} == {"About the passage."}
    points = harness.neighbours.vectors.of(module, P1)
    assert {each.text.partition("\n\n")[0] for each in points.values()} == {"About the passage."}
    await client.reingest(id)
    assert len(harness.neighbours.chat.asked) == 3


@pytest.mark.parametrize("strategy", ["token", "markdown", "sentence", "semantic"])
async def test_every_strategy(client: KnowledgeClient, strategy: str) -> None:
    await client.create(chunk_config=pb.ChunkConfig(strategy=strategy))
    text = f"# Cats\n\n{TEXT}"
    document = (await client.ingest(fileName="a.md", content=text))["document"]
    assert document["status"] == "indexed", document
    chunks = await client.chunks(document["id"])
    assert [text[each.char_start : each.char_end] for each in chunks] == [each.content for each in chunks]
    if strategy == "markdown":
        assert list(chunks[0].heading_path) == ["Cats"]


async def test_a_repeated_ingestion_begins_the_job_of_one_that_was_cut_off(
    client: KnowledgeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is killed between record and job left the document pending until the job's delay was over."""
    await client.create()

    async def cut_off(jobs: Jobs, scope: Project, id: str) -> None:
        pass

    with monkeypatch.context() as patched:
        patched.setattr(Jobs, "hasten", cut_off)
        first = await client.ingest(fileName="a.txt", content=TEXT, wait=False)
    assert first["document"]["status"] == "pending"
    again = await client.ingest(fileName="a.txt", content=TEXT)
    assert (again["document"]["id"], again["document"]["status"]) == (first["document"]["id"], "indexed")
