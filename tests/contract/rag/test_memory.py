"""MemoryService on a real server and store, with fakes of inference and vector."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.struct_pb2 import ListValue, Value

from core.app import Platform
from core.errors import Unavailable
from core.rpc.server import ServiceRegistration
from core.storage.closed_projects import close_project
from core.tenancy import MAIN, Project, Tenant
from portico.rag.v1 import memory_service_pb2 as pb
from portico.rag.v1 import memory_service_pb2_grpc
from services.rag import app
from services.rag.domain.memory.tables import MEMORIES, MEMORY_INTENTS, MEMORY_STORES
from services.rag.settings import Settings
from tests.support import serving
from tests.support.auth_service import Refused
from tests.support.fake_services import FakeEmbedder, FakeVectors, services_of
from tests.support.rag_harness import CODE, refused, struct
from tests.support.removal import delete_project, hurry, records_of, removed
from tests.support.serving import connect
from tests.support.tokens import Signer


class Client:
    """One project's token on the service."""

    def __init__(self, channel: grpc.aio.Channel, token: str) -> None:
        self._stub = memory_service_pb2_grpc.MemoryServiceStub(channel)
        self._metadata = (("authorization", f"Bearer {token}"), *serving.REST)

    async def call(self, rpc: str, request: Any) -> Any:
        try:
            return await getattr(self._stub, rpc)(request, metadata=self._metadata, timeout=60)
        except grpc.aio.AioRpcError as error:
            raise Refused(error) from None

    async def make_store(self, key: str = "notes", **more: Any) -> Any:
        given = {"name": key, "key": key, "vector_provider_key": "default", "embedding_model_key": "words", **more}
        return (await self.call("CreateMemoryStore", pb.CreateMemoryStoreRequest(**given))).store

    async def store(self, key: str = "notes") -> Any:
        return (await self.call("GetMemoryStore", pb.GetMemoryStoreRequest(store_key=key))).store

    async def add(self, content: str, **more: Any) -> Any:
        request = pb.AddMemoryRequest(**{"store_key": "notes", "content": content, **more})
        return (await self.call("AddMemory", request)).memory

    async def contents(self, **more: Any) -> list[str]:
        found = await self.call("ListMemories", pb.ListMemoriesRequest(store_key="notes", **more))
        return [each.content for each in found.items]

    async def found(self, query: str, **more: Any) -> list[str]:
        request = pb.SearchMemoriesRequest(**{"store_key": "notes", "query": query, **more})
        return [each.content for each in (await self.call("SearchMemories", request)).memories]


@dataclass
class MemoryService(serving.Harness):
    """The running service and its fakes."""

    embedder: FakeEmbedder
    vectors: FakeVectors

    def client(self, tenant: str = "acme", project: str = "p1", **claims: Any) -> Client:
        return Client(self.channel, self.signer.token(tenant=tenant, project=project, **claims))


@pytest.fixture
async def service(tmp_path: Path, signer: Signer) -> AsyncIterator[MemoryService]:
    embedder, vectors = FakeEmbedder(), FakeVectors()
    services = services_of(embedder, vectors)

    async def build(platform: Platform, settings: Settings) -> Sequence[ServiceRegistration]:
        return await app.serve(platform, settings, services=services)

    async with (
        serving.served("rag", Settings, build, tmp_path, signer) as running,
        connect(running.port) as channel,
    ):
        yield MemoryService(running, channel, signer, tmp_path, embedder, vectors)


@pytest.fixture
def client(service: MemoryService) -> Client:
    return service.client()


async def test_a_store_and_its_settings(client: Client) -> None:
    store = await client.make_store(description="For Ada", config={"max_memories": 5, "ranking": {"recency": 0.0}})
    assert store == await client.store()
    assert (store.id, store.status, store.memory_count) == (store.record_id, "active", 0)
    assert store.vector_index_key.startswith("mem-notes-")
    config = store.config
    assert (config.embedding_dimension, config.metric, config.default_scope) == (256, "cosine", "global")
    assert (config.deduplication, config.auto_embed, config.max_memories) == (True, True, 5)
    assert (config.ranking.similarity, config.ranking.recency) == (0.7, 0.0)
    assert not config.HasField("default_min_score")
    change = pb.UpdateMemoryStoreRequest(store_key="notes", name="New", config={"ttl_days": 2.0}, status="inactive")
    changed = (await client.call("UpdateMemoryStore", change)).store
    assert (changed.name, changed.status, changed.description) == ("New", "inactive", "For Ada")
    assert (changed.config.ttl_days, changed.config.max_memories) == (2.0, 5)
    for wanted, count in (("inactive", 1), ("active", 0), ("error", 0)):
        page = await client.call("ListMemoryStores", pb.ListMemoryStoresRequest(status=wanted))
        assert len(page.stores) == count
    page = await client.call("ListMemoryStores", pb.ListMemoryStoresRequest(search="ADA"))
    assert [each.key for each in page.stores] == ["notes"]
    await client.call("DeleteMemoryStore", pb.DeleteMemoryStoreRequest(store_key="notes"))
    await refused(client.store(), CODE.NOT_FOUND, "storeKey")


async def test_a_memory_from_its_making_to_its_end(client: Client) -> None:
    await client.make_store()
    given = {"scope": "user", "scope_id": "ada", "tags": ["a", "b"], "source": "agent", "importance": 0.0}
    memory = await client.add("Likes tea", metadata=struct({"n": 1, "list": [1, 2]}), **given)
    assert (memory.scope, memory.scope_id, list(memory.tags), memory.source) == ("user", "ada", ["a", "b"], "agent")
    assert (memory.importance, memory.status, memory.store_key, memory.access_count) == (0.0, "active", "notes", 0)
    assert not memory.HasField("expires_at")
    again = await client.call(
        "AddMemory", pb.AddMemoryRequest(store_key="notes", content="Likes tea", scope="user", scope_id="ada")
    )
    assert (again.memory, again.duplicate) == (memory, True)
    one = pb.GetMemoryRequest(store_key="notes", memory_id=memory.id)
    assert await client.call("GetMemory", one) == memory
    change = pb.UpdateMemoryRequest(store_key="notes", memory_id=memory.id, content="Likes coffee", tags=ListValue())
    changed = await client.call("UpdateMemory", change)
    assert (changed.content, list(changed.tags), changed.metadata) == ("Likes coffee", [], memory.metadata)
    assert await client.found("coffee", scope="user", scope_id="ada", top_k=1) == ["Likes coffee"]
    assert (await client.store()).memory_count == 1
    await client.call("DeleteMemory", pb.DeleteMemoryRequest(store_key="notes", memory_id=memory.id))
    await refused(client.call("GetMemory", one), CODE.NOT_FOUND, "memoryId")
    assert (await client.store()).memory_count == 0


async def test_batches_conversations_bulk_deletion_and_recall(client: Client) -> None:
    await client.make_store()
    batch = pb.AddMemoriesRequest(store_key="notes", memories=[{"content": text} for text in ("one", "two", "one")])
    answer = await client.call("AddMemories", batch)
    assert (answer.added, answer.duplicates) == (2, 1)
    talk = pb.AddConversationRequest(store_key="notes", messages=[{"role": "user", "content": "three"}], tags=["t"])
    assert (await client.call("AddConversation", talk)).added == 1
    assert await client.contents() == ["User: three", "two", "one"]
    assert await client.contents(search="TW") == ["two"]
    first = await client.call("ListMemories", pb.ListMemoriesRequest(store_key="notes", limit=2))
    assert (len(first.items), first.total) == (2, 3)
    assert await client.contents(page_token=first.next_page_token) == ["one"]
    recall = await client.call("RecallMemories", pb.RecallMemoriesRequest(store_key="notes", query="two"))
    assert (recall.context, len(recall.memories), recall.store_key, recall.tokens) == ("- two", 1, "notes", 2)
    none = pb.DeleteMemoriesRequest(store_key="notes")
    await refused(client.call("DeleteMemories", none), CODE.INVALID_ARGUMENT, "scope")
    tagged = pb.DeleteMemoriesRequest(store_key="notes", tags="t,u")
    assert (await client.call("DeleteMemories", tagged)).deleted == 1
    old = pb.DeleteMemoriesRequest(store_key="notes", before="2020-01-01")
    assert (await client.call("DeleteMemories", old)).deleted == 0
    every = pb.DeleteMemoriesRequest(store_key="notes", all=True)
    assert (await client.call("DeleteMemories", every)).deleted == 2


async def test_uses_are_counted_behind_the_answers(client: Client, service: MemoryService) -> None:
    await client.make_store()
    memory = await client.add("tea")
    await client.found("tea")
    one = pb.GetMemoryRequest(store_key="notes", memory_id=memory.id)
    async with asyncio.timeout(30):
        while not (found := await client.call("GetMemory", one)).access_count:
            await asyncio.sleep(0.05)
    assert found.HasField("last_accessed_at")
    assert (await client.store()).HasField("last_activity_at")


@pytest.mark.parametrize(
    ("rpc", "request_", "field"),
    [
        ("AddMemory", pb.AddMemoryRequest(store_key="notes"), "content"),
        ("AddMemory", pb.AddMemoryRequest(store_key="notes", content="x", source="moon"), "source"),
        ("AddMemory", pb.AddMemoryRequest(store_key="notes", content="x", scope="user"), "scopeId"),
        ("AddMemories", pb.AddMemoriesRequest(store_key="notes"), "memories"),
        ("AddMemories", pb.AddMemoriesRequest(store_key="notes", memories=[{"content": "x"}] * 101), "memories"),
        (
            "AddMemories",
            pb.AddMemoriesRequest(store_key="notes", memories=[{"content": "x"}, {"content": "y", "importance": 2}]),
            "memories[1].importance",
        ),
        ("SearchMemories", pb.SearchMemoriesRequest(store_key="notes"), "query"),
        ("SearchMemories", pb.SearchMemoriesRequest(store_key="notes", query="x", top_k=101), "topK"),
        ("RecallMemories", pb.RecallMemoriesRequest(store_key="notes", query="x", max_tokens=-1), "maxTokens"),
        ("ListMemories", pb.ListMemoriesRequest(store_key="notes", limit=1001), "limit"),
        ("ListMemories", pb.ListMemoriesRequest(store_key="notes", status="moon"), "status"),
        ("ListMemories", pb.ListMemoriesRequest(store_key="notes", page_token="x"), "pageToken"),
        ("DeleteMemories", pb.DeleteMemoriesRequest(store_key="notes", before="soon"), "before"),
        (
            "UpdateMemory",
            pb.UpdateMemoryRequest(store_key="notes", memory_id="{id}", tags=ListValue(values=[Value(number_value=1)])),
            "tags",
        ),
        ("UpdateMemory", pb.UpdateMemoryRequest(store_key="notes", memory_id="{id}"), "body"),
        ("UpdateMemory", pb.UpdateMemoryRequest(store_key="notes", memory_id="{id}", status="expired"), "status"),
        (
            "UpdateMemoryStore",
            pb.UpdateMemoryStoreRequest(store_key="notes", config={"auto_embed": False}),
            "config.autoEmbed",
        ),
        ("UpdateMemoryStore", pb.UpdateMemoryStoreRequest(store_key="notes", status="error"), "status"),
    ],
)  # fmt: skip
async def test_bad_input_is_refused_by_the_name_of_its_field(
    client: Client, rpc: str, request_: Any, field: str
) -> None:
    await client.make_store()
    memory = await client.add("there")
    if rpc == "UpdateMemory":
        request_.memory_id = memory.id
    await refused(client.call(rpc, request_), CODE.INVALID_ARGUMENT, field)
    assert await client.contents() == ["there"]


@pytest.mark.parametrize(
    ("rpc", "request_"),
    [
        ("GetMemoryStore", pb.GetMemoryStoreRequest(store_key="none")),
        ("UpdateMemoryStore", pb.UpdateMemoryStoreRequest(store_key="none", name="x")),
        ("DeleteMemoryStore", pb.DeleteMemoryStoreRequest(store_key="none")),
        ("AddMemory", pb.AddMemoryRequest(store_key="none", content="x")),
        ("AddMemories", pb.AddMemoriesRequest(store_key="none", memories=[{"content": "x"}])),
        ("ListMemories", pb.ListMemoriesRequest(store_key="none")),
        ("GetMemory", pb.GetMemoryRequest(store_key="none", memory_id="x")),
        ("UpdateMemory", pb.UpdateMemoryRequest(store_key="none", memory_id="x", content="x")),
        ("DeleteMemory", pb.DeleteMemoryRequest(store_key="none", memory_id="x")),
        ("DeleteMemories", pb.DeleteMemoriesRequest(store_key="none", all=True)),
        ("SearchMemories", pb.SearchMemoriesRequest(store_key="none", query="x")),
        ("RecallMemories", pb.RecallMemoriesRequest(store_key="none", query="x")),
    ],
)
async def test_an_unknown_store_is_404_in_every_call(client: Client, rpc: str, request_: Any) -> None:
    """Most answered 500."""
    await refused(client.call(rpc, request_), CODE.NOT_FOUND, "storeKey", 404)


async def test_tenants_and_projects_with_the_same_keys_share_nothing(service: MemoryService) -> None:
    """Stores were found by their key alone, memories by their id alone, in whatever project."""
    scopes = [("acme", "p1"), ("acme", "p2"), ("globex", "p1")]
    clients = [service.client(*scope) for scope in scopes]
    ids = []
    for number, client in enumerate(clients):
        await client.make_store()
        await client.add("tea for all")
        ids.append((await client.add(f"tea of {number}")).id)
    for number, client in enumerate(clients):
        own = {"tea for all", f"tea of {number}"}
        assert set(await client.found("tea")) == set(await client.contents()) == own
        assert (await client.store()).memory_count == 2
        recall = await client.call(
            "RecallMemories", pb.RecallMemoriesRequest(store_key="notes", query="tea", min_score=0.0)
        )
        assert set(recall.context.splitlines()) == {f"- {text}" for text in own}
        foreign = ids[(number + 1) % 3]
        for rpc, request in (
            ("GetMemory", pb.GetMemoryRequest(store_key="notes", memory_id=foreign)),
            ("UpdateMemory", pb.UpdateMemoryRequest(store_key="notes", memory_id=foreign, content="mine")),
            ("DeleteMemory", pb.DeleteMemoryRequest(store_key="notes", memory_id=foreign)),
        ):
            await refused(client.call(rpc, request), CODE.NOT_FOUND, "memoryId")
    every = pb.DeleteMemoriesRequest(store_key="notes", all=True)
    assert (await clients[0].call("DeleteMemories", every)).deleted == 2
    await clients[0].call("DeleteMemoryStore", pb.DeleteMemoryStoreRequest(store_key="notes"))
    for client in clients[1:]:
        assert len(await client.found("tea")) == len(await client.contents()) == 2


@pytest.mark.parametrize("scope", ["files:admin", "memory:read"])
async def test_the_scopes_of_the_token_count(service: MemoryService, scope: str) -> None:
    await service.client().make_store()
    client = service.client(scopes=[scope])
    await refused(client.add("x"), CODE.PERMISSION_DENIED)
    if scope == "memory:read":
        assert await client.contents() == []
    else:
        await refused(client.contents(), CODE.PERMISSION_DENIED)


async def test_a_service_that_is_away_is_503_and_nothing_is_half_written(
    client: Client, service: MemoryService
) -> None:
    await client.make_store()
    service.embedder.error = Unavailable("The inference service cannot be reached now.")
    await refused(client.add("x"), CODE.UNAVAILABLE, http=503)
    service.embedder.error = None
    service.vectors.error = Unavailable("The vector service cannot be reached now.")
    await refused(client.add("x"), CODE.UNAVAILABLE, http=503)
    await refused(
        client.call("SearchMemories", pb.SearchMemoriesRequest(store_key="notes", query="x")), CODE.UNAVAILABLE
    )
    service.vectors.error = None
    assert (await client.contents(), (await client.store()).memory_count) == ([], 0)
    assert await client.add("x")


async def test_many_at_once_agree(client: Client, service: MemoryService) -> None:
    """The count was kept by reading and writing, and duplicates were found by looking before the insert."""
    await client.make_store()
    await asyncio.gather(*(client.add(f"note {number % 10}") for number in range(40)))
    store = await client.store()
    assert (store.memory_count, len(await client.contents())) == (10, 10)
    assert sum(len(points) for points in service.vectors.points.values()) == 10


async def test_a_deleted_project_leaves_nothing(service: MemoryService) -> None:
    hurry(service.running)
    for project in ("p1", "p2"):
        client = service.client(project=project)
        await client.make_store(config={"ttl_days": 1.0})
        await client.add("tea")
    await delete_project(service.running)
    await removed(service.running)
    assert await records_of(service.running, "acme", "p1", MEMORY_STORES, MEMORIES) == 0
    assert await records_of(service.running, "acme", "p2", MEMORY_STORES, MEMORIES) == 2
    assert await service.running.platform.store.count(MAIN, MEMORY_INTENTS, {"project": "p1"}) == 0


async def test_nothing_begins_in_a_deleted_project(client: Client, service: MemoryService) -> None:
    await close_project(service.running.platform.store, Project(Tenant("acme"), "p1"))
    error = await refused(client.make_store(), CODE.NOT_FOUND)
    assert error.reason == "PROJECT_DELETED"
    assert service.vectors.infos == {}
