"""@cognipeer/console-sdk from npm, unchanged, in Node: memory."""

import secrets
from typing import Any

import pytest

from tests.support import node
from tests.support.cluster import Cluster


@pytest.fixture(scope="module", params=["", "/api/client/v1"])
def answers(cluster: Cluster, request: pytest.FixtureRequest) -> Any:
    """Answers to the SDK's calls, for each form of base URL that its users have."""
    node.install()
    run = f"run-{secrets.token_hex(4)}"
    env = {"PORTICO_URL": cluster.url + request.param, "PORTICO_TOKEN": cluster.dev_token, "PORTICO_RUN": run}
    return {**node.run("memory.mjs", env), "run": run}


def test_stores(answers: Any) -> None:
    created, run = answers["created"], answers["run"]
    assert (created["name"], created["key"], created["status"]) == (f"Notes {run}", f"notes-{run}", "active")
    assert (created["memoryCount"], created["vectorProviderKey"]) == (0, "default")
    assert (created["embeddingModelKey"], created["_id"]) == ("echo-embedding", created["id"])
    assert created["config"]["maxMemories"] == 100
    assert answers["listedStores"]["stores"] == [created]
    assert answers["gotStore"] == created
    updated = answers["updatedStore"]
    assert (updated["name"], updated["config"]["defaultTopK"]) == (f"Notes {run}!", 7)
    assert (updated["config"]["maxMemories"], updated["createdAt"]) == (100, created["createdAt"])
    assert answers["deletedStore"] == {"success": True}


def test_memories(answers: Any) -> None:
    added = answers["added"]
    wanted = {
        "content": "Ada prefers dark mode",
        "scope": "user",
        "scopeId": "ada",
        "metadata": {"page": 3},
        "tags": ["ui", "theme"],
        "source": "manual",
        "importance": 0.8,
        "status": "active",
        "storeKey": answers["created"]["key"],
    }
    assert {name: added[name] for name in wanted} == wanted
    assert added["createdAt"].endswith("Z")
    assert answers["again"]["id"] == added["id"]
    assert answers["batch"] == {"added": 3, "duplicates": 1}
    assert answers["got"] == added  # the item itself
    assert (len(answers["listed"]["items"]), answers["listed"]["total"]) == (1, 2)
    assert answers["all"]["total"] == len(answers["all"]["items"]) == 4
    updated = answers["updated"]
    assert (updated["id"], updated["content"], updated["metadata"]) == (
        added["id"], "Ada prefers light mode", {"page": 4},
    )  # fmt: skip
    assert (updated["tags"], updated["scopeId"]) == (["ui", "theme"], "ada")
    assert answers["deletedOne"] == {"success": True}
    assert answers["deleted"] == {"deleted": 1}
    # The office and Oslo are left; the chat may have become a memory by then.
    assert answers["emptied"]["memoryCount"] in (2, 3)


def test_search_and_recall(answers: Any) -> None:
    found = answers["found"]
    (match,) = found["memories"]
    assert (match["content"], match["tags"], match["source"]) == ("Ada prefers light mode", ["ui", "theme"], "manual")
    assert 0.5 < match["score"] <= 1
    assert (found["query"], found["storeKey"]) == ("Ada prefers light mode", answers["created"]["key"])
    assert [each["scopeId"] for each in answers["foundOfBob"]["memories"]] == ["bob"]
    recalled = answers["recalled"]
    assert recalled["context"].splitlines()[0] == "- Ada lives in Oslo"
    assert recalled["memories"][0]["content"] == "Ada lives in Oslo"
    assert recalled["storeKey"] == answers["created"]["key"]
    assert answers["archived"]["status"] == "archived"
    assert answers["foundArchived"]["memories"] == []


def test_a_chat_with_memory(answers: Any) -> None:
    assert answers["chat"]["choices"][0]["message"]["content"]
    assert "Ada" in answers["chat"]["choices"][0]["message"]["content"]


def test_refusals(answers: Any) -> None:
    assert all(each["api"] and each["message"] for each in answers["refusals"])
    assert [(each["status"], each["param"]) for each in answers["refusals"]] == [
        (404, "storeKey"),
        (404, "vectorProviderKey"),
        (409, "embeddingModelKey"),
        (404, "memoryId"),
        (404, "storeKey"),
        (400, "source"),
        (400, "memories"),
        (400, "memories"),
        (400, "query"),
        (400, "scope"),
    ]
