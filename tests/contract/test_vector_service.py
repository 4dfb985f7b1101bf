"""The vector service on a real server, store and engine: every RPC, bad input, and what one project sees of another."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import orjson
import pytest
from google.api.httpbody_pb2 import HttpBody

from portico.vector.v1 import (
    index_service_pb2 as index_pb,
)
from portico.vector.v1 import (
    migration_service_pb2 as migration_pb,
)
from portico.vector.v1 import (
    point_service_pb2 as point_pb,
)
from portico.vector.v1 import (
    provider_service_pb2 as provider_pb,
)
from tests.support import serving
from tests.support.serving import connect
from tests.support.tokens import Signer
from tests.support.vector_client import Client, point, served, struct

pytestmark = pytest.mark.each_store

CODE = grpc.StatusCode


class Harness(serving.Harness):
    def client(self, tenant: str = "acme", project: str = "p1", **claims: Any) -> Client:
        return Client(self.channel, self.signer.token(tenant=tenant, project=project, **claims))


@pytest.fixture
async def harness(tmp_path: Path, signer: Signer) -> AsyncIterator[Harness]:
    async with (
        served(tmp_path, signer) as running,
        connect(running.port) as channel,
    ):
        yield Harness(running, channel, signer, tmp_path)


@pytest.fixture
def client(harness: Harness) -> Client:
    return harness.client()


async def refusal(call: Any) -> tuple[grpc.StatusCode, dict[str, Any]]:
    """The status, and the body that REST callers get."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    trailing = dict(caught.value.trailing_metadata() or ())
    return caught.value.code(), orjson.loads(trailing["x-error-body"])["error"]


async def test_the_default_provider_is_there_and_the_drivers_are_told(client: Client) -> None:
    listed = await client.providers.ListProviders(provider_pb.ListProvidersRequest())
    assert [(each.key, each.driver, each.status) for each in listed.providers] == [("default", "embedded", "active")]
    drivers = (await client.providers.ListDrivers(provider_pb.ListDriversRequest())).drivers
    assert "embedded" in [each.id for each in drivers]
    embedded = next(each for each in drivers if each.id == "embedded")
    assert list(embedded.capabilities.metrics) == ["cosine", "dot", "euclidean"]
    assert "$exists" in embedded.capabilities.filter_operators


async def test_a_provider_is_made_changed_and_removed(client: Client) -> None:
    made = await client.providers.CreateProvider(
        provider_pb.CreateProviderRequest(driver="embedded", label="Second disk", metadata=struct(a=1))
    )
    assert (made.provider.key, made.provider.metadata["a"]) == ("second-disk", 1)
    request = provider_pb.UpdateProviderRequest(provider_key="second-disk", label="Disk two")
    assert (await client.providers.UpdateProvider(request)).provider.label == "Disk two"
    got = await client.providers.GetProvider(provider_pb.GetProviderRequest(provider_key=made.provider.id))
    assert got.provider.label == "Disk two"
    deletion = provider_pb.DeleteProviderRequest(provider_key="second-disk")
    assert (await client.providers.DeleteProvider(deletion)).success
    assert (await refusal(client.providers.DeleteProvider(deletion)))[0] is CODE.NOT_FOUND


async def test_credentials_go_in_and_never_come_out(harness: Harness, client: Client) -> None:
    made = await client.providers.CreateProvider(
        provider_pb.CreateProviderRequest(
            driver="qdrant",
            label="Cloud",
            credentials=struct(apiKey="hunter2"),
            settings=struct(url="https://93.184.216.34"),
        )
    )
    listed = await client.providers.ListProviders(provider_pb.ListProvidersRequest(driver="qdrant"))
    got = await client.providers.GetProvider(provider_pb.GetProviderRequest(provider_key="cloud"))
    assert [made.provider.has_credentials, listed.providers[0].has_credentials] == [True, True]
    assert "hunter2" not in f"{made} {listed} {got}"
    stored = b"".join(path.read_bytes() for path in harness.folder.glob("tenant_*"))
    assert b"Cloud" in stored
    assert b"hunter2" not in stored


@pytest.mark.parametrize(
    ("driver", "credentials", "settings", "field"),
    [
        ("nonsense", {}, {}, "driver"),
        ("qdrant", {}, {}, "settings.url"),
        ("qdrant", {}, {"url": "nonsense"}, "settings.url"),
        ("qdrant", {}, {"url": "http://127.0.0.2:6334"}, "settings.url"),
        ("qdrant", {}, {"url": "http://169.254.169.254"}, "settings.url"),
        ("qdrant", {}, {"url": "http://[::1"}, "settings.url"),
        ("qdrant", {"password": "x"}, {"url": "https://93.184.216.34"}, "credentials.password"),
        ("pgvector", {"connectionString": "postgresql://a:b@10.0.0.5/x"}, {}, "credentials.connectionString"),
        ("pgvector", {"connectionString": "postgresql://8.8.8.8/x?host=10.0.0.5"}, {}, "credentials.connectionString"),
        ("pgvector", {"connectionString": "postgresql://[x"}, {}, "credentials.connectionString"),
        ("pgvector", {"connectionString": "postgresql://8.8.8.8:99999/x"}, {}, "credentials.connectionString"),
        ("pgvector", {}, {"host": "8.8.8.8", "port": "1" * 5000}, "settings.port"),
        ("pgvector", {}, {"host": "127.0.0.2", "database": "x", "user": "y"}, "settings.host"),
        ("embedded", {}, {"path": "/etc"}, "settings.path"),
    ],
)
async def test_a_provider_that_cannot_be_is_refused(
    client: Client, driver: str, credentials: dict[str, str], settings: dict[str, str], field: str
) -> None:
    request = provider_pb.CreateProviderRequest(
        driver=driver, label="x", credentials=struct(**credentials), settings=struct(**settings)
    )
    code, error = await refusal(client.providers.CreateProvider(request))
    assert (code, error["param"]) == (CODE.INVALID_ARGUMENT, field)


async def test_an_index_is_made_once_and_told_as_reused_with_200(client: Client) -> None:
    request = index_pb.CreateIndexRequest(provider_key="default", name="My Docs", dimension=3, metric="dotproduct")
    statuses = []
    for _ in range(2):
        call = client.indexes._stub.CreateIndex(request, metadata=client.metadata, timeout=30)
        answer = await call
        statuses.append((answer.reused, dict(await call.initial_metadata()).get("x-http-status")))
        index = answer.index
        assert (index.key, index.index_id, index.metric, index.record_id) == ("my-docs", "my-docs", "dot", index.id)
    assert statuses == [(False, "201"), (True, None)]
    request.dimension = 4
    code, error = await refusal(client.indexes.CreateIndex(request))
    assert (code, error["code"]) == (CODE.ALREADY_EXISTS, "index_exists")


async def test_of_eight_simultaneous_creates_one_makes_the_index(client: Client) -> None:
    """All that found it half made answered 201, as if each had made it."""
    request = index_pb.CreateIndexRequest(provider_key="default", name="Same", dimension=3)

    async def create() -> tuple[bool, str | None, str]:
        call = client.indexes._stub.CreateIndex(request, metadata=client.metadata, timeout=30)
        answer = await call
        return answer.reused, dict(await call.initial_metadata()).get("x-http-status"), answer.index.id

    answers = await asyncio.gather(*(create() for _ in range(8)))
    assert sorted((reused, status or "200") for reused, status, _ in answers) == [(False, "201"), *[(True, "200")] * 7]
    assert len({id for _, _, id in answers}) == 1


async def test_a_list_that_asks_for_no_page_is_complete(client: Client) -> None:
    """`vectors.indexes.list(providerKey)` of @cognipeer/console-sdk has no page: of 52 indexes it gave 50."""
    names = [f"index-{number}" for number in range(52)]
    for name in names:
        await client.index(name)
    page = await client.indexes.ListIndexes(index_pb.ListIndexesRequest(provider_key="default"))
    assert [index.name for index in page.indexes] == names[::-1]
    assert page.next_page_token == ""


async def test_an_index_is_listed_got_changed_and_deleted(client: Client) -> None:
    for name in ("a", "b", "c"):
        await client.index(name)
    names: list[str] = []
    token = ""
    while True:
        request = index_pb.ListIndexesRequest(provider_key="default", page_size=2, page_token=token)
        page = await client.indexes.ListIndexes(request)
        names += [index.name for index in page.indexes]
        token = page.next_page_token
        if not token:
            break
    assert names == ["c", "b", "a"]
    change = index_pb.UpdateIndexRequest(provider_key="default", index_id="a", name="A2", metadata=struct(n=1))
    changed = (await client.indexes.UpdateIndex(change)).index
    assert (changed.key, changed.name, changed.metadata["n"]) == ("a", "A2", 1)
    got = await client.indexes.GetIndex(index_pb.GetIndexRequest(provider_key="default", index_id="a"))
    assert (got.index.name, got.provider.key) == ("A2", "default")
    deletion = index_pb.DeleteIndexRequest(provider_key="default", index_id="a")
    assert (await client.indexes.DeleteIndex(deletion)).success
    assert (await refusal(client.indexes.DeleteIndex(deletion)))[0] is CODE.NOT_FOUND


async def test_vectors_over_grpc(client: Client) -> None:
    await client.index()
    assert await client.upsert(point("a", 1, 0, 0, lang="en", n=1), point("b", 0, 1, 0, lang="de", n=2)) == 2
    assert await client.upsert(point("b", 0, 0.9, 0, lang="de", n=3)) == 1
    matches = await client.query(0, 1, 0.1, top_k=1, include_values=True)
    assert [(match.id, match.metadata["n"]) for match in matches] == [("b", 3)]
    assert len(matches[0].values) == 3
    assert [match.id for match in await client.query(0, 1, 0, filter=struct(n={"$lt": 2}))] == ["a"]
    request = point_pb.FetchRequest(provider_key="default", index_id="docs", ids=["b", "x", "a"])
    fetched = (await client.points.Fetch(request)).points
    assert [each.id for each in fetched] == ["b", "a"]
    assert await client.count() == 2
    assert await client.count(filter=struct(lang="de")) == 1
    by_ids = point_pb.DeleteRequest(provider_key="default", index_id="docs", ids=["a", "x"])
    assert (await client.points.Delete(by_ids)).deleted == 1
    german = struct(lang={"$in": ["de"]})
    by_filter = point_pb.DeleteRequest(provider_key="default", index_id="docs", filter=german)
    assert (await client.points.Delete(by_filter)).deleted == 1
    assert await client.count() == 0


async def test_vectors_over_rest(client: Client) -> None:
    await client.index()
    vectors = [{"id": "a", "values": [1, 0, 0], "metadata": {"n": 1}}, {"id": "b", "values": [0, 1.5, 0]}]
    assert await client.json("UpsertVectors", {"vectors": vectors}) == {"success": True, "upserted": 2}
    found = await client.json("QueryVectors", {"query": {"vector": [1, 0, 0], "topK": 1}})
    (match,) = found["result"]["matches"]
    assert (match["id"], match["metadata"], match["score"]) == ("a", {"n": 1}, pytest.approx(1))
    assert "values" not in match
    found = await client.json("QueryVectors", {"query": {"vector": [1, 0, 0], "filter": {"n": {"$exists": False}}}})
    assert [(each["id"], each["metadata"]) for each in found["result"]["matches"]] == [("b", {})]
    fetched = await client.json("FetchVectors", {"ids": ["a"]})
    assert fetched["vectors"][0]["metadata"] == {"n": 1}
    assert await client.json("CountVectors", b"") == {"count": 2}
    assert await client.json("CountVectors", {"filter": {"n": 1}}) == {"count": 1}
    assert await client.json("DeleteVectors", {"ids": ["a", "b"]}) == {"success": True, "deleted": 2}


async def test_a_hybrid_index_ranks_by_words_too(client: Client) -> None:
    await client.index(hybrid=True)
    await client.upsert(point("a", 1, 0, 0, text="the red fox"), point("b", 0.9, 0.1, 0, text="a blue whale"))
    for fusion in ("rrf", "weighted"):
        matches = await client.query(1, 0, 0, text="whale", fusion=fusion, dense_weight=0.1, top_k=2)
        assert {match.id for match in matches} == {"a", "b"}
    assert (await client.query(1, 0, 0, text="whale", fusion="weighted", dense_weight=0.1))[0].id == "b"


async def test_stats_and_the_query_log(harness: Harness, client: Client) -> None:
    await client.index()
    await client.upsert(point("a", 1, 0, 0))
    await client.query(1, 0, 0)
    await client.query(1, 0, 0, filter=struct(x=1))
    request = index_pb.GetIndexStatsRequest(provider_key="default", index_id="docs")
    async with asyncio.timeout(30):
        while (stats := await client.indexes.GetIndexStats(request)).queries < 2:
            pass
    assert (stats.vectors, stats.queries, stats.filtered_queries) == (1, 2, 1)
    assert stats.mean_top_score == pytest.approx(1)
    assert stats.mean_latency_ms > 0
    logs = await client.indexes.ListQueryLogs(
        index_pb.ListQueryLogsRequest(provider_key="default", index_id="docs", page_size=1)
    )
    assert [(each.filtered, each.match_count, each.top_k) for each in logs.queries] == [(True, 0, 5)]
    assert logs.next_page_token


BAD_UPSERTS = [
    ([point("a", 1, 0)], "vectors[0].values"),
    ([point("a", 1, 0, float("nan"))], "vectors[0].values"),
    ([point("a", 1, 0, float("inf"))], "vectors[0].values"),
    ([point("", 1, 0, 0)], "vectors[0].id"),
    ([point("a\0", 1, 0, 0)], "vectors[0].id"),
    ([point("a", 1, 0, 0), point("a", 0, 1, 0)], "vectors[1].id"),
    ([], "vectors"),
    ([point("a", 0, 0, 0)], "vectors[0].values"),
    ([point("a", 1, 0, 0, x="y" * 50_000)], "vectors[0].metadata"),
    ([point("a", *[1.0] * 65_537)], "vectors[0].values"),
    ([point(f"p{at}", 1, 0, 0) for at in range(10_000)], "vectors"),
]


async def test_bad_vectors_are_refused_whole(client: Client) -> None:
    await client.index()
    for points, field in BAD_UPSERTS:
        code, error = await refusal(client.upsert(point("good", 1, 1, 1), *points) if points else client.upsert())
        expected = field.replace("[1]", "[2]").replace("[0]", "[1]")
        assert (code, error["param"]) == (CODE.INVALID_ARGUMENT, expected)
    assert await client.count() == 0


@pytest.mark.parametrize(
    ("method", "body", "field"),
    [
        ("UpsertVectors", b"{", "body"),
        ("UpsertVectors", b'{"vectors":[{"id":"a","values":[1,0,NaN]}]}', "body"),
        ("UpsertVectors", {"vectors": [{"id": "a", "values": [1, 0]}]}, "vectors[0].values"),
        ("UpsertVectors", {"vectors": [{"id": "a", "values": [1, "x", 0]}]}, "vectors[0].values[1]"),
        ("UpsertVectors", {"vectors": []}, "vectors"),
        ("UpsertVectors", {"vectors": [{"id": "a", "values": [1, 0, 0]}] * 2}, "vectors[1].id"),
        ("QueryVectors", {"vector": [1, 0, 0]}, "query"),
        ("QueryVectors", {"query": {"vector": [1, 0]}}, "vector"),
        ("QueryVectors", {"query": {"vector": [1, 0, 0], "topK": 0}}, "topK"),
        ("QueryVectors", {"query": {"vector": [1, 0, 0], "topK": 5000}}, "topK"),
        ("QueryVectors", {"query": {"vector": [1, 0, 0], "filter": {"a": {"$regex": "x"}}}}, "filter.a.$regex"),
        ("QueryVectors", {"query": {"vector": [1, 0, 0], "filter": {"a": {"$gt": "x"}}}}, "filter.a.$gt"),
        ("QueryVectors", {"query": {"vector": [1, 0, 0], "text": "words"}}, "text"),
        ("FetchVectors", {"ids": []}, "ids"),
        ("DeleteVectors", {}, "ids"),
        ("DeleteVectors", {"filter": {}}, "ids"),
        ("DeleteVectors", {"ids": ["a"], "filter": {"a": 1}}, "ids"),
        ("CountVectors", {"filter": {"$raw": 1}}, "filter.$raw"),
    ],
)
async def test_bad_json_says_where(client: Client, method: str, body: Any, field: str | None) -> None:
    await client.index()
    code, error = await refusal(client.json(method, body))
    assert (code, error["type"], error["param"]) == (CODE.INVALID_ARGUMENT, "invalid_request_error", field)


async def test_what_is_not_there_is_404_everywhere(client: Client) -> None:
    for call in calls(client, "default", "nothing") + calls(client, "nowhere", "docs"):
        assert (await refusal(call))[0] is CODE.NOT_FOUND


def calls(client: Client, provider: str, index: str) -> list[Any]:
    """Every call that names an index."""
    at: dict[str, Any] = {"provider_key": provider, "index_id": index}
    body = HttpBody(data=b'{"ids":["a"],"vectors":[{"id":"a","values":[1,0,0]}],"query":{"vector":[1,0,0]}}')
    return [
        client.indexes.GetIndex(index_pb.GetIndexRequest(**at)),
        client.indexes.UpdateIndex(index_pb.UpdateIndexRequest(**at, name="x")),
        client.indexes.DeleteIndex(index_pb.DeleteIndexRequest(**at)),
        client.indexes.GetIndexStats(index_pb.GetIndexStatsRequest(**at)),
        client.indexes.ListQueryLogs(index_pb.ListQueryLogsRequest(**at)),
        client.points.Upsert(point_pb.UpsertRequest(**at, points=[point("a", 1, 0, 0)])),
        client.points.Query(point_pb.QueryRequest(**at, vector=[1, 0, 0])),
        client.points.Fetch(point_pb.FetchRequest(**at, ids=["a"])),
        client.points.Delete(point_pb.DeleteRequest(**at, ids=["a"])),
        client.points.Count(point_pb.CountRequest(**at)),
        client.rest.UpsertVectors(point_pb.UpsertVectorsRequest(**at, body=body)),
        client.rest.QueryVectors(point_pb.QueryVectorsRequest(**at, body=body)),
        client.rest.FetchVectors(point_pb.FetchVectorsRequest(**at, body=body)),
        client.rest.DeleteVectors(point_pb.DeleteVectorsRequest(**at, body=body)),
        client.rest.CountVectors(point_pb.CountVectorsRequest(**at, body=HttpBody())),
        client.migrations.CreateMigration(
            migration_pb.CreateMigrationRequest(
                source_provider_key=provider, source_index_id=index, destination_provider_key="default"
            )
        ),
    ]


async def test_scopes_are_asked_before_anything_else(harness: Harness) -> None:
    reader = harness.client(scopes=["vectors:read"])
    code, _ = await refusal(reader.upsert(point("a", 1, 0, 0)))
    assert code is CODE.PERMISSION_DENIED
    assert (await refusal(reader.count()))[0] is CODE.NOT_FOUND
    writer = harness.client(scopes=["vectors:write"])
    request = provider_pb.CreateProviderRequest(driver="embedded", label="x")
    assert (await refusal(writer.providers.CreateProvider(request)))[0] is CODE.PERMISSION_DENIED
    nobody = harness.client(scopes=["models:admin"])
    assert (await refusal(nobody.count()))[0] is CODE.PERMISSION_DENIED


LOCATIONS = [("acme", "p1"), ("acme", "p2"), ("globex", "p1"), ("globex", "p2")]


async def test_the_same_keys_in_four_projects_are_four_indexes(harness: Harness) -> None:
    clients = {location: harness.client(*location) for location in LOCATIONS}
    for number, (location, client) in enumerate(clients.items()):
        await client.index(metadata=struct(of="-".join(location)))
        points = [point(f"p{at}", 1, at, number, of="-".join(location)) for at in range(number + 1)]
        await client.upsert(*points)
        request = provider_pb.CreateProviderRequest(driver="embedded", label="Mine", description="-".join(location))
        await client.providers.CreateProvider(request)
    for number, (location, client) in enumerate(clients.items()):
        mine = "-".join(location)
        listed = await client.indexes.ListIndexes(index_pb.ListIndexesRequest(provider_key="default"))
        assert [index.metadata["of"] for index in listed.indexes] == [mine]
        providers = await client.providers.ListProviders(provider_pb.ListProvidersRequest())
        assert [each.description for each in providers.providers if each.key == "mine"] == [mine]
        assert {match.metadata["of"] for match in await client.query(1, 0, 0, top_k=100)} == {mine}
        fetched = await client.json("FetchVectors", {"ids": [f"p{at}" for at in range(4)]})
        assert [each["metadata"]["of"] for each in fetched["vectors"]] == [mine] * (number + 1)
        assert await client.count() == number + 1
    first = clients["acme", "p1"]
    await first.json("DeleteVectors", {"filter": {"of": {"$exists": True}}})
    for number, client in enumerate(clients.values()):
        assert await client.count() == (0 if client is first else number + 1)
    await first.indexes.DeleteIndex(index_pb.DeleteIndexRequest(provider_key="default", index_id="docs"))
    assert await clients["acme", "p2"].count() == 2
    folders = {path.relative_to(harness.folder / "vectors").parts[:2] for path in index_folders(harness.folder)}
    assert folders == {("acme", "p2"), ("globex", "p1"), ("globex", "p2")}


def index_folders(folder: Path) -> Iterator[Path]:
    return (path.parent for path in (folder / "vectors").rglob("index.json"))


async def test_records_of_others_are_not_there_by_id_either(harness: Harness, client: Client) -> None:
    await client.index()
    providers = (await client.providers.ListProviders(provider_pb.ListProvidersRequest())).providers
    for location in LOCATIONS[1:]:
        other = harness.client(*location)
        for call in calls(other, "default", "docs") + calls(other, providers[0].id, "docs"):
            assert (await refusal(call))[0] is CODE.NOT_FOUND
        request = provider_pb.GetProviderRequest(provider_key=providers[0].id)
        assert (await refusal(other.providers.GetProvider(request)))[0] is CODE.NOT_FOUND


def _embedded(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {}


def _pgvector(request: pytest.FixtureRequest) -> dict[str, Any]:
    server: dict[str, Any] = request.getfixturevalue("postgres_server")
    return server | {"schema": f"test_{uuid4().hex[:8]}"}


def _qdrant(request: pytest.FixtureRequest) -> dict[str, Any]:
    if not (url := os.environ.get("QDRANT_URL")):
        pytest.skip("QDRANT_URL names no server")
    return {"url": url, "collectionPrefix": f"test-{uuid4().hex[:8]}"}


DESTINATIONS = {"embedded": _embedded, "pgvector": _pgvector, "qdrant": _qdrant}


@pytest.mark.parametrize("driver", list(DESTINATIONS))
async def test_a_migration_between_providers(
    harness: Harness, client: Client, driver: str, request: pytest.FixtureRequest
) -> None:
    settings = struct(**DESTINATIONS[driver](request))
    second = provider_pb.CreateProviderRequest(driver=driver, label="Second", key="second", settings=settings)
    await client.providers.CreateProvider(second)
    await client.index(metric="euclidean")
    await client.upsert(*(point(f"p{at:03}", 1, at, 0, n=at) for at in range(120)))
    begun = (
        await client.migrations.CreateMigration(
            migration_pb.CreateMigrationRequest(
                source_provider_key="default", source_index_id="docs", destination_provider_key="second", batch_size=50
            )
        )
    ).migration
    get = migration_pb.GetMigrationRequest(id=begun.id)
    async with asyncio.timeout(30):
        while (now := (await client.migrations.GetMigration(get)).migration).job.status in ("queued", "running"):
            pass
    assert (now.job.status, now.job.done, now.job.total, now.verified) == ("succeeded", 120, 120, True)
    assert (now.destination_provider_key, now.destination_index_id) == ("second", "docs")
    count = point_pb.CountRequest(provider_key="second", index_id="docs", filter=struct(n={"$gte": 100}))
    assert (await client.points.Count(count)).count == 20
    asked: dict[str, Any] = {"index_id": "docs", "vector": [1, 50, 0], "top_k": 10, "filter": struct(n={"$ne": 50})}
    ours, theirs = [
        (await client.points.Query(point_pb.QueryRequest(provider_key=key, **asked))).matches
        for key in ("default", "second")
    ]
    assert {match.id: match.score for match in theirs} == pytest.approx({match.id: match.score for match in ours})
    listed = await client.migrations.ListMigrations(migration_pb.ListMigrationsRequest())
    assert [each.id for each in listed.migrations] == [begun.id]
    cancel = migration_pb.CancelMigrationRequest(id=begun.id)
    assert (await refusal(client.migrations.CancelMigration(cancel)))[0] is CODE.FAILED_PRECONDITION
    for location in LOCATIONS[1:]:
        other = harness.client(*location)
        assert not (await other.migrations.ListMigrations(migration_pb.ListMigrationsRequest())).migrations
        assert (await refusal(other.migrations.GetMigration(get)))[0] is CODE.NOT_FOUND
        assert (await refusal(other.migrations.CancelMigration(cancel)))[0] is CODE.NOT_FOUND


async def test_all_is_there_after_a_restart(tmp_path: Path, signer: Signer) -> None:
    for turn in range(2):
        async with (
            served(tmp_path, signer) as running,
            connect(running.port) as channel,
        ):
            client = Client(channel, signer.token())
            if turn == 0:
                await client.index()
                await client.upsert(point("a", 1, 0, 0, n=1))
                await client.query(1, 0, 0)
            else:
                assert [match.metadata["n"] for match in await client.query(1, 0, 0)] == [1]
                request = index_pb.ListQueryLogsRequest(provider_key="default", index_id="docs")
                assert len((await client.indexes.ListQueryLogs(request)).queries) >= 1
