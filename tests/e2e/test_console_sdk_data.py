"""@cognipeer/console-sdk from npm, unchanged, in Node: vectors and files."""

import secrets
from typing import Any

import pytest

from tests.support import node
from tests.support.cluster import Cluster

BASES = ["", "/api/client/v1"]


def run(program: str, cluster: Cluster, base: str) -> Any:
    node.install()
    env = {
        "PORTICO_URL": cluster.url + base,
        "PORTICO_TOKEN": cluster.dev_token,
        "PORTICO_RUN": f"run-{secrets.token_hex(4)}",
    }
    return {**node.run(program, env), "run": env["PORTICO_RUN"]}


@pytest.fixture(scope="module", params=BASES)
def vectors(cluster: Cluster, request: pytest.FixtureRequest) -> Any:
    return run("vectors.mjs", cluster, request.param)


@pytest.fixture(scope="module", params=BASES)
def files(cluster: Cluster, request: pytest.FixtureRequest) -> Any:
    return run("files.mjs", cluster, request.param)


def test_vector_providers(vectors: Any) -> None:
    assert vectors["created"]["provider"]["key"] == vectors["run"]
    assert vectors["created"]["provider"]["_id"]
    assert {vectors["run"], "default"} <= {each["key"] for each in vectors["providers"]["providers"]}


def test_vector_indexes(vectors: Any) -> None:
    index = vectors["index"]["index"]
    assert index["key"] == index["indexId"]
    assert (index["dimension"], index["providerKey"]) == (3, vectors["run"])
    assert vectors["again"]["reused"] is True
    assert vectors["again"]["index"]["_id"] == index["_id"]
    assert [each["indexId"] for each in vectors["indexes"]["indexes"]] == [index["indexId"]]
    assert vectors["got"]["provider"]["key"] == vectors["run"]
    assert vectors["updated"]["index"]["name"] == "Documents"
    assert vectors["updated"]["index"]["metadata"] == {"b": 2}
    assert vectors["removed"]["success"] is True


def test_vector_points(vectors: Any) -> None:
    for answer in ("upserted", "upsertedToo", "deleted", "deletedToo"):
        assert vectors[answer]["success"] is True
    matches = vectors["matches"]["result"]["matches"]
    assert [match["id"] for match in matches] == ["one", "three"]
    assert matches[0]["score"] == pytest.approx(1.0)
    assert matches[0]["metadata"] == {"lang": "en", "year": 2024}
    assert [match["id"] for match in vectors["filtered"]["result"]["matches"]] == ["two"]
    assert [match["id"] for match in vectors["left"]["result"]["matches"]] == ["three"]
    assert vectors["refused"]["api"] is True
    assert vectors["refused"]["status"] == 400
    assert "dimension" in vectors["refused"]["message"].lower()


def test_file_providers_and_buckets(files: Any) -> None:
    assert files["provider"]["key"] == files["run"]
    assert {files["run"], "default"} <= {each["key"] for each in files["providers"]}
    assert files["buckets"]["count"] == len(files["buckets"]["buckets"]) >= 1
    assert files["bucket"]["bucket"]["key"] == "default"
    assert files["bucket"]["bucket"]["provider"]


def test_files(files: Any) -> None:
    uploaded = files["uploaded"]["file"]
    assert uploaded["name"] == uploaded["fileName"] == "Hello World.txt"
    assert uploaded["size"] == len("Hello, Portico!")
    assert uploaded["metadata"] == {"run": files["run"]}
    assert files["text"] == "Hello, Portico!"
    assert files["contentType"].startswith("text/plain")
    key = f"{files['run']}/notes with space.md"
    assert files["hinted"]["file"]["key"] == key
    assert key in {each["key"] for each in files["listed"]["files"]}
    assert files["got"]["file"]["key"] == key
    assert files["deleted"]["objectKey"] == key


def test_refusals(files: Any) -> None:
    assert [refusal["status"] for refusal in files["refusals"]] == [404, 400, 400, 404]
    assert all(refusal["api"] and refusal["message"] for refusal in files["refusals"])
