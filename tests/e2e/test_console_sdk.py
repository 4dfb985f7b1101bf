"""@cognipeer/console-sdk from npm, unchanged, in Node."""

from typing import Any

import pytest

from tests.support import node
from tests.support.cluster import Cluster


@pytest.fixture(scope="module", params=["", "/api/client/v1"])
def answers(cluster: Cluster, request: pytest.FixtureRequest) -> Any:
    """Answers to the SDK's calls, for each form of base URL that its users have."""
    node.install()
    return node.run("inference.mjs", {"PORTICO_URL": cluster.url + request.param, "PORTICO_TOKEN": cluster.dev_token})


def test_chat(answers: Any) -> None:
    whole = answers["whole"]
    assert "Hello, Portico!" in whole["choices"][0]["message"]["content"]
    assert whole["model"] == "echo"
    assert whole["request_id"]
    assert whole["usage"]["total_tokens"] > 0


def test_streaming(answers: Any) -> None:
    frames = answers["frames"]
    text = "".join(choice["delta"].get("content") or "" for frame in frames for choice in frame["choices"])
    assert "Hello, Portico!" in text
    assert len({frame["id"] for frame in frames}) == 1
    assert frames[-1]["usage"]["total_tokens"] > 0


def test_embeddings(answers: Any) -> None:
    assert [item["index"] for item in answers["embeddings"]["data"]] == [0, 1]
    assert all(len(item["embedding"]) > 100 for item in answers["embeddings"]["data"])
    assert answers["embeddings"]["usage"]["total_tokens"] > 0


def test_an_error_carries_message_and_type(answers: Any) -> None:
    refused = answers["refused"]
    assert refused["api"] is True
    assert refused["status"] == 404
    assert refused["type"] == "invalid_request_error"
    assert "no-such-model" in refused["message"]


def test_a_spend_report(answers: Any) -> None:
    spend = answers["spend"]
    assert (spend["object"], spend["group_by"], spend["currency"]) == ("spend.report", "day", "USD")
    assert spend["total_tokens"] == spend["total_input_tokens"] + spend["total_output_tokens"] > 0
    (model,) = spend["by_model"]
    assert (model["model_key"], model["category"], model["calls"]) == ("echo", "llm", spend["total_calls"])
    assert sum(period["calls"] for period in spend["timeseries"]) == spend["total_calls"]
