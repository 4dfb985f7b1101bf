"""Queries and answers on a real server and store, with stand-ins for inference and vector."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import orjson
import pytest

from core.errors import RateLimited
from core.tenancy import Project, Tenant
from portico.rag.v1 import knowledge_service_pb2 as knowledge_pb
from portico.rag.v1 import retrieval_service_pb2 as pb
from services.rag.domain.knowledge.tables import MODULES
from services.rag.domain.retrieval.tables import QUERIES
from tests.support import serving
from tests.support.rag_harness import refused
from tests.support.retrieval_client import RetrievalClient, eventually, neighbours, served
from tests.support.serving import connect
from tests.support.tokens import Signer

C = grpc.StatusCode


class Harness(serving.Harness):
    def client(self, tenant: str = "acme", project: str = "p1", **claims: Any) -> RetrievalClient:
        return RetrievalClient(self.channel, self.signer.token(tenant=tenant, project=project, **claims))


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


async def test_the_sdks_query_finds_what_was_ingested(client: RetrievalClient) -> None:
    await client.create()
    fees = await client.ingest(fileName="fees.md", content="the fee is ten euros", metadata={"lang": "en"}, wait=True)
    await client.ingest(fileName="pets.md", content="dogs are welcome", wait=True)
    result = await client.query("what is the fee", topK=1)
    assert (result["query"], result["ragModuleKey"], result["topK"]) == ("what is the fee", "kb", 1)
    assert result["latencyMs"] > 0
    (match,) = result["matches"]
    assert match["content"] == "the fee is ten euros"
    assert (match["documentId"], match["fileName"]) == (fees["document"]["id"], "fees.md")
    assert (match["chunkIndex"], match["charStart"], match["charEnd"]) == (0, 0, 20)
    assert match["metadata"] == {"lang": "en"}
    assert match["score"] == match["vectorScore"] > 0
    assert (await client.query("fee", topK=1, responseDetail="text"))["matches"] == [{"content": match["content"]}]


async def test_what_is_deleted_or_ingested_anew_is_found_no_more(client: RetrievalClient) -> None:
    await client.create()
    made = await client.ingest(fileName="fees.md", content="the fee is ten euros", wait=True)
    id = made["document"]["id"]
    await client.reingest(id, wait=True, content="the charge is two euros")
    assert [each["content"] for each in (await client.query("fee"))["matches"]] == ["the charge is two euros"]
    await client.remove(id)
    assert (await client.query("fee"))["matches"] == []


async def test_windows_are_cut_out_of_the_text(client: RetrievalClient) -> None:
    await client.create(
        chunk_config=knowledge_pb.ChunkConfig(
            chunk_size=25, chunk_overlap=0, parent_window_size=60, separators=["\n\n"]
        )
    )
    text = "the opening hours\n\nthe fee is ten euros\n\nthe closing words"
    await client.ingest(fileName="fees.md", content=text, wait=True)
    (match,) = (await client.query("fee ten euros", topK=1))["matches"]
    assert match["content"] == "the fee is ten euros"
    assert match["window"] == text


async def test_projects_and_tenants_with_the_same_keys_are_apart(harness: Harness) -> None:
    for tenant, project in (("acme", "p1"), ("acme", "p2"), ("globex", "p1")):
        client = harness.client(tenant, project)
        await client.create()
        await client.ingest(fileName="a.md", content=f"the secret of {tenant} {project}", wait=True)
    for tenant, project in (("acme", "p1"), ("acme", "p2"), ("globex", "p1")):
        client = harness.client(tenant, project)
        found = await client.query("the secret", topK=10)
        assert [each["content"] for each in found["matches"]] == [f"the secret of {tenant} {project}"]
        whole = orjson.loads((await client.answer("the secret"))[0])
        assert [each["content"] for each in whole["answer"]["citations"]] == [f"the secret of {tenant} {project}"]
        log = await _log(client, 2)
        assert {each.query for each in log} == {"the secret"}
        assert len(log) == 2
    stranger = harness.client("acme", "p3")
    await refused(stranger.query("the secret"), C.NOT_FOUND, "moduleKey", 404)


async def test_an_answer_is_whole_or_streamed(client: RetrievalClient, beside: Any) -> None:
    await client.create()
    await client.ingest(fileName="fees.md", content="the fee is ten euros", wait=True)
    (whole,) = await client.answer("what is the fee")
    answer = orjson.loads(whole)["answer"]
    assert (answer["text"], answer["mode"], answer["model"]) == ("An answer [1]. ", "stuff", "chat")
    assert answer["usage"] == {"inputTokens": 10, "outputTokens": 5}
    (citation,) = answer["citations"]
    assert (citation["number"], citation["fileName"], citation["content"]) == (1, "fees.md", "the fee is ten euros")
    *events, done = await client.answer("what is the fee", stream=True)
    assert done == b"data: [DONE]\n\n"
    read = [orjson.loads(event.removeprefix(b"data: ")) for event in events]
    assert [each["type"] for each in read] == ["answer.started", *["answer.delta"] * 3, "answer.completed"]
    assert "".join(each["text"] for each in read[1:-1]) == read[-1]["answer"]["text"] == answer["text"]
    assert read[0]["result"]["matches"][0]["content"] == "the fee is ten euros"


async def test_an_error_before_the_first_text_is_the_calls(client: RetrievalClient, beside: Any) -> None:
    await client.create()
    await client.ingest(fileName="fees.md", content="the fee is ten euros", wait=True)
    beside.chat.error = RateLimited("Slow down.", retry_after=3.0)
    for stream in (False, True):
        await refused(client.answer("what is the fee", stream=stream), C.RESOURCE_EXHAUSTED, http=429)


async def test_bad_questions_are_refused_by_field(client: RetrievalClient) -> None:
    await client.create(filterable_fields=["lang"])
    await refused(client.query("x", "none"), C.NOT_FOUND, "moduleKey", 404)
    await refused(client.query(""), C.INVALID_ARGUMENT, "query", 400)
    await refused(client.query("x", topK=1000), C.INVALID_ARGUMENT, "topK", 400)
    await refused(client.query("x", filter={"secret": 1}), C.INVALID_ARGUMENT, "filter.secret", 400)
    await refused(client.query("x", filter={"lang": {"$like": 1}}), C.INVALID_ARGUMENT, "filter.lang.$like", 400)
    await refused(client.answer("x", mode="best"), C.INVALID_ARGUMENT, "mode", 400)
    update = knowledge_pb.UpdateModuleRequest(key="kb", status="disabled")
    await client.call(client.knowledge.UpdateModule, update)
    await refused(client.query("x"), C.FAILED_PRECONDITION, "moduleKey", 409)


async def test_queries_are_logged_and_counted(client: RetrievalClient) -> None:
    await client.create()
    await client.ingest(fileName="fees.md", content="the fee is ten euros", wait=True)
    await client.query("what is the fee", topK=3)
    await client.query("zzz", minScore=0.9)
    missed, hit = await _log(client, 2)
    assert (hit.query, hit.top_k, hit.match_count, hit.kind) == ("what is the fee", 3, 1, "query")
    assert (missed.match_count, missed.min_score_applied) == (0, 0.9)
    assert not missed.HasField("top_score")
    stats = await client.call(
        client.retrieval.GetModuleQueryStats, pb.GetModuleQueryStatsRequest(module_key="kb", days=2)
    )
    assert (stats.queries, stats.zero_hit_rate, [day.queries for day in stats.by_day]) == (2, 0.5, [0, 2])
    assert sum(band.queries for band in stats.scores) == 1
    request = pb.GetModuleQueryStatsRequest(module_key="kb", days=91)
    await refused(client.call(client.retrieval.GetModuleQueryStats, request), C.INVALID_ARGUMENT, "days", 400)


async def test_a_deleted_module_takes_its_log_of_queries_along(harness: Harness, client: RetrievalClient) -> None:
    """Questions of callers stayed until they were too old, and no request could reach them."""
    await client.create()
    await client.query("what is the fee")
    await client.call(client.knowledge.DeleteModule, knowledge_pb.DeleteModuleRequest(key="kb"))
    store, project = harness.running.platform.store, Project(Tenant("acme"), "p1")
    await eventually(lambda: store.count(project, MODULES), lambda left: left == 0)
    assert await store.count(project, QUERIES) == 0


async def _log(client: RetrievalClient, count: int) -> list[pb.ModuleQuery]:
    """The log, when it holds so many queries."""
    request = pb.ListModuleQueriesRequest(module_key="kb")
    answer = await eventually(
        lambda: client.call(client.retrieval.ListModuleQueries, request), lambda page: len(page.queries) >= count
    )
    return list(answer.queries)
