"""@cognipeer/console-sdk from npm, unchanged, in Node: rerankers."""

import pytest

from tests.support import node
from tests.support.cluster import Cluster
from tools.seed import call


@pytest.mark.parametrize("prefix", ["", "/api/client/v1"])
def test_rerankers(cluster: Cluster, prefix: str) -> None:
    node.install()
    made = call(
        cluster.url,
        "POST",
        "/v1/rerankers",
        {"name": "Words", "strategy": "heuristic", "metadata": {"a": 1}},
        token=cluster.dev_token,
    )["reranker"]
    env = {
        "PORTICO_URL": cluster.url + prefix,
        "PORTICO_TOKEN": cluster.dev_token,
        "PORTICO_RERANKER": made["key"],
    }
    answers = node.run("rerankers.mjs", env)
    assert made in answers["listed"]
    assert answers["got"] == made
    assert made["_id"] == made["id"]
    ran = answers["ran"]
    assert [each["index"] for each in ran["results"]] == [1, 0]
    assert ran["results"][0]["document"] == {"text": "The cat eats fish."}
    meta = ran["meta"]
    assert (meta["reranker"], meta["strategy"], meta["api_version"]) == (made["key"], "heuristic", {"version": "2"})
    assert meta["latency_ms"] >= 0
    assert [each["document"]["text"] for each in answers["first"]["results"]] == ["a cat"]
    assert answers["missing"] == {"status": 404}
