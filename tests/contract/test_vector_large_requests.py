"""Vector calls that are cheap to send and dear to answer: refused with the name of what is too large."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import grpc
import orjson
import pytest

from core import offload
from portico.vector.v1 import index_service_pb2 as index_pb
from portico.vector.v1 import point_service_pb2 as point_pb
from services.vector.adapters.embedded import codec
from services.vector.domain import points
from services.vector.domain.points import Point
from tests.support import serving
from tests.support.large_requests import json_list, members, repeated
from tests.support.serving import connect
from tests.support.tokens import Signer
from tests.support.vector_client import Client, point, served, struct

CODE = grpc.StatusCode
MIB = 1024 * 1024


class Harness(serving.Harness):
    def client(self, tenant: str = "acme") -> Client:
        return Client(self.channel, self.signer.token(tenant=tenant))


@pytest.fixture
async def harness(tmp_path: Path, signer: Signer) -> AsyncIterator[Harness]:
    async with (
        served(tmp_path, signer) as running,
        connect(running.port) as channel,
    ):
        yield Harness(running, channel, signer, tmp_path)


@pytest.fixture
async def client(harness: Harness) -> Client:
    made = harness.client()
    await made.index()
    return made


async def refused_field(call: Awaitable[Any]) -> str | None:
    """The field that a 400 names."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    trailing = dict(caught.value.trailing_metadata() or ())
    assert (caught.value.code(), trailing["x-http-status"]) == (CODE.INVALID_ARGUMENT, "400"), caught.value.details()
    field: str | None = orjson.loads(trailing["x-error-body"])["error"]["param"]
    return field


def query(**members: bytes) -> bytes:
    given = {"vector": b"[1,0,0]", **members}
    return b'{"query":{%b}}' % b",".join(b'"%b":%b' % (name.encode(), value) for name, value in given.items())


def any_of(values: bytes) -> bytes:
    return b'{"a":{"$in":%b}}' % values


TEXTS = json_list(b'"x"', 1_000)

REST: dict[str, tuple[str, bytes, str | None]] = {
    "points": ("UpsertVectors", b'{"vectors":%b}' % json_list(b'{"id":"","values":0}', 400_000), "body"),
    "point count": ("UpsertVectors", b'{"vectors":%b}' % json_list(b'{"id":"","values":0}', 10_001), "vectors"),
    "numbers": ("UpsertVectors", b'{"vectors":[{"id":"a","values":%b}]}' % json_list(b"0", MIB), "vectors[0].values"),
    "filter": ("QueryVectors", query(filter=any_of(json_list(b"1", 200_000))), "query.filter"),
    "wide filter": ("QueryVectors", query(filter=b'{"$or":%b}' % json_list(any_of(TEXTS), 11)), "filter.$or[10].a.$in"),
    "long name": ("QueryVectors", query(filter=b'{"%b":1}' % (b"a." * 100_000)), None),
    "objects": ("QueryVectors", query(x=json_list(b"{}", 200_000)), "body"),
    "ids to fetch": ("FetchVectors", b'{"ids":%b}' % json_list(b'""', 2_000_000), "body"),
    "ids to delete": ("DeleteVectors", b'{"ids":%b}' % json_list(b'""', 2_000_000), "body"),
    "filter to delete": ("DeleteVectors", b'{"filter":%b}' % any_of(json_list(b'"xyz"', 90_000)), "filter"),
    "filter to count": ("CountVectors", b'{"filter":%b}' % any_of(json_list(b'"xyz"', 90_000)), "filter"),
}


@pytest.mark.parametrize("name", REST)
async def test_json_of_too_many_values_is_refused(client: Client, name: str) -> None:
    """A filter of 8 MiB took a second in which nobody was served."""
    method, body, field = REST[name]
    found = await refused_field(client.json(method, body))
    assert found == field or field is None


def many_points(count: int) -> point_pb.UpsertRequest:
    request: point_pb.UpsertRequest = repeated(point_pb.UpsertRequest(points=[point_pb.Point()]), count)
    request.provider_key, request.index_id = "default", "docs"
    return request


Call = Callable[[Client], Awaitable[Any]]
WHERE: dict[str, Any] = {"provider_key": "default", "index_id": "docs"}
GRPC: dict[str, tuple[Call, str | None]] = {
    "points": (
        lambda c: c.points.Upsert(many_points(50_000)),
        "vectors",
    ),
    "fields": (
        lambda c: c.points.Upsert(many_points(1_100_000)),
        None,
    ),
    "metadata": (
        lambda c: c.points.Upsert(
            point_pb.UpsertRequest(points=[point_pb.Point(id="a", metadata=members(100_000))], **WHERE)
        ),
        "vectors[0].metadata",
    ),
    "filter": (
        lambda c: c.points.Query(point_pb.QueryRequest(vector=[1, 0, 0], filter=members(50_000, digits=40), **WHERE)),
        "filter",
    ),
    "filter to delete": (
        lambda c: c.points.Delete(point_pb.DeleteRequest(filter=members(50_000, digits=40), **WHERE)),
        "filter",
    ),
    "filter to count": (
        lambda c: c.points.Count(point_pb.CountRequest(filter=members(50_000, digits=40), **WHERE)),
        "filter",
    ),
    "ids to fetch": (lambda c: c.points.Fetch(point_pb.FetchRequest(ids=["x"] * 200_000, **WHERE)), "ids"),
    "ids to delete": (lambda c: c.points.Delete(point_pb.DeleteRequest(ids=["x"] * 200_000, **WHERE)), "ids"),
    "index": (
        lambda c: c.indexes.CreateIndex(
            index_pb.CreateIndexRequest(provider_key="default", name="x", dimension=3, metadata=members(20_000))
        ),
        "metadata",
    ),
    "changed index": (
        lambda c: c.indexes.UpdateIndex(index_pb.UpdateIndexRequest(metadata=members(20_000), **WHERE)),
        "metadata",
    ),
}


@pytest.mark.parametrize("name", GRPC)
async def test_messages_of_too_many_values_are_refused(
    client: Client, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were converted, for seconds, before anything was counted."""
    monkeypatch.setattr("core.fields.small_json", None)
    call, field = GRPC[name]
    assert await refused_field(call(client)) == field


async def test_a_large_filter_is_answered(client: Client) -> None:
    await client.upsert(point("a", 1, 0, 0, a="x"), point("b", 1, 0, 0, a="y"))
    found = await client.json("QueryVectors", query(filter=b'{"$or":%b}' % json_list(any_of(TEXTS), 9)))
    assert [match["id"] for match in found["result"]["matches"]] == ["a"]


class TestAnswers:
    """Answers are bounded before they are made."""

    async def test_too_many_numbers_of_a_query(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        """They were made, for seconds, and then too large to send: a 500."""
        await client.upsert(point("a", 1, 0, 0))
        monkeypatch.setattr(points, "MAX_ANSWER_NUMBERS", 300)
        assert len(await client.query(1, 0, 0, top_k=100, include_values=True)) == 1
        assert len(await client.query(1, 0, 0, top_k=101)) == 1
        request = point_pb.QueryRequest(vector=[1, 0, 0], top_k=101, include_values=True, **WHERE)
        assert await refused_field(client.points.Query(request)) == "topK"

    async def test_too_many_numbers_of_a_fetch(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        await client.upsert(point("a", 1, 0, 0))
        monkeypatch.setattr(points, "MAX_ANSWER_NUMBERS", 6)
        body = b'{"ids":["a","b"]}'
        assert len((await client.json("FetchVectors", body))["vectors"]) == 1
        assert await refused_field(client.json("FetchVectors", b'{"ids":["a","b","c"]}')) == "ids"

    @pytest.mark.parametrize("hybrid", [False, True])
    async def test_too_much_metadata(self, client: Client, hybrid: bool) -> None:
        await client.index("long", hybrid=hybrid)
        long = struct(text="x" * 40_000)
        total = 120 if not hybrid else 450
        for start in range(0, total, 30):
            batch = [
                point_pb.Point(id=f"{number}", values=[1, 0, 0], metadata=long, text="w")
                for number in range(start, start + 30)
            ]
            await client.upsert(*batch, index_id="long")
        text = {"text": "w"} if hybrid else {}
        assert len(await client.query(1, 0, 0, index_id="long", top_k=20, **text)) == 20
        wanted = {"query": {"vector": [1, 0, 0], "topK": total, **text}}
        assert await refused_field(client.json("QueryVectors", wanted, "long")) == "topK"
        ids = {"ids": [f"{number}" for number in range(120)]}
        assert await refused_field(client.json("FetchVectors", ids, "long")) == "ids"

    async def test_too_much_json(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        await client.upsert(*(point(f"{number}", 1, 0, 0, t="x" * 100) for number in range(20)))
        monkeypatch.setattr("services.vector.mapping_json.MAX_ANSWER_BYTES", 1_000)
        body: dict[str, Any] = {"query": {"vector": [1, 0, 0], "topK": 5}}
        assert len((await client.json("QueryVectors", body))["result"]["matches"]) == 5
        body["query"]["topK"] = 20
        assert await refused_field(client.json("QueryVectors", body)) == "topK"
        ids = json.dumps({"ids": [f"{number}" for number in range(20)]}).encode()
        assert await refused_field(client.json("FetchVectors", ids)) == "ids"


async def test_points_with_many_values_are_written_in_small_batches(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five hundred points of 40 KiB of numbers held the process that other tenants' indexes share for many seconds."""
    batches: list[int] = []

    def rows(batch: Sequence[Point]) -> list[codec.Row]:
        batches.append(len(batch))
        return [(each.id, each.values.tobytes(), each.metadata, each.text) for each in batch]

    monkeypatch.setattr(codec, "encode_points", rows)
    dense = struct(a=[1] * 6_000)
    batch = [point_pb.Point(id=f"{number}", values=[1, 0, 0], metadata=dense) for number in range(10)]
    assert await client.upsert(*batch) == 10
    assert batches == [3, 3, 3, 1]


async def test_others_go_on_while_a_large_body_is_read(harness: Harness, client: Client) -> None:
    other = harness.client("globex")
    await other.index()
    await other.upsert(point("b", 1, 0, 0))
    event = threading.Event()
    offload._WORKER.submit(event.wait, 30)
    try:
        long = "x" * 100_000
        large = asyncio.ensure_future(
            client.json("UpsertVectors", {"vectors": [{"id": "a", "values": [1, 0, 0], "text": long}]})
        )
        for _ in range(20):
            assert [match.id for match in await other.query(1, 0, 0)] == ["b"]
        assert not large.done()
    finally:
        event.set()
    assert (await large)["upserted"] == 1
