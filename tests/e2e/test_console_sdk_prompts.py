"""@cognipeer/console-sdk from npm, unchanged, in Node: prompts."""

import asyncio
import secrets
from typing import Any

import pytest

from tests.support import node
from tests.support.cluster import Cluster, Rest
from tests.support.connections import http_session

TEMPLATE = "Hi {{name}}:{{#items}} {{n}}{{/items}}"


async def make_prompt(cluster: Cluster, key: str) -> None:
    """Make a prompt with two versions, for which the SDK has no methods."""
    token = cluster.dev_token
    async with http_session() as http:
        rest = Rest(cluster.url, http)
        new = {"key": key, "name": "Greeting", "template": "Hello {{name}}", "metadata": {"tone": "plain"}}
        await rest.ok("POST", "/v1/prompts", new, token=token)
        change = {"template": f"Hello {{{{name}}}}\n{TEMPLATE}", "metadata": {"tone": "warm"}, "versionComment": "more"}
        await rest.ok("PATCH", f"/v1/prompts/{key}", change, token=token)


@pytest.fixture(scope="module", params=["", "/api/client/v1"])
def answers(cluster: Cluster, request: pytest.FixtureRequest) -> Any:
    """Answers to the SDK's calls, for each form of base URL that its users have."""
    node.install()
    run = f"run-{secrets.token_hex(4)}"
    asyncio.run(make_prompt(cluster, run))
    env = {"PORTICO_URL": cluster.url + request.param, "PORTICO_TOKEN": cluster.dev_token, "PORTICO_RUN": run}
    return {**node.run("prompts.mjs", env), "run": run}


def test_prompts(answers: Any) -> None:
    run = answers["run"]
    assert run in [each["key"] for each in answers["listed"]["prompts"]]
    (found,) = answers["searched"]["prompts"]
    prompt = answers["got"]["prompt"]
    assert prompt == found
    assert (prompt["key"], prompt["name"], prompt["currentVersion"]) == (run, "Greeting", 2)
    assert prompt["metadata"] == {"tone": "warm"}
    assert prompt["template"].endswith(TEMPLATE)
    assert answers["got"]["resolvedVersion"]["id"] == prompt["latestVersionId"]
    first = answers["gotFirst"]
    assert first["prompt"]["template"] == "Hello {{name}}"
    assert (first["resolvedVersion"]["version"], first["resolvedVersion"]["isLatest"]) == (1, False)


def test_versions(answers: Any) -> None:
    assert answers["versions"]["prompt"] == {
        "id": answers["got"]["prompt"]["id"],
        "key": answers["run"],
        "name": "Greeting",
    }
    told = [(each["version"], each["isLatest"], each["comment"]) for each in answers["versions"]["versions"]]
    assert told == [(2, True, "more"), (1, False, "")]
    assert all(each["promptId"] and each["createdBy"] and each["createdAt"] for each in answers["versions"]["versions"])


def test_rendering(answers: Any) -> None:
    """Nothing is escaped, and the query of the request counts."""
    first, second = 'Hello Ada <"&">', 'Hello Ada <"&">\nHi Ada <"&">: 1 2'
    texts = [
        answers[name]["rendered"]
        for name in ("rendered", "renderedFirst", "renderedNothing", "whilePlanned", "whenActive", "afterRollback")
    ]
    assert texts == [second, first, "Hello \nHi :", first, second, first]
    assert answers["rendered"]["prompt"] == {
        "key": answers["run"],
        "name": "Greeting",
        "description": "",
        "version": 2,
    }
    assert answers["whilePlanned"]["prompt"]["environment"] == "prod"


def test_deployments(answers: Any) -> None:
    assert answers["before"]["deployments"] == {"deployments": {}, "history": []}
    steps = [
        answers[name]["deployments"]["deployments"]["prod"]
        for name in ("promoted", "planned", "activated", "rolledBack")
    ]
    told = [
        (each["version"], each["rolloutStatus"], each.get("activeVersion"), each.get("rollbackVersion"))
        for each in steps
    ]
    assert told == [(1, "active", 1, None), (2, "planned", 1, None), (2, "active", 2, 1), (1, "active", 1, None)]
    assert all(each["environment"] == "prod" and each["rolloutStrategy"] == "manual" for each in steps)
    assert steps[0]["note"] == "go"
    assert steps[0]["updatedBy"]
    history = answers["deployments"]["deployments"]["history"]
    assert [(each["action"], each["version"]) for each in history] == [
        ("rollback", 1),
        ("activate", 2),
        ("plan", 2),
        ("promote", 1),
    ]
    assert answers["gotProd"]["resolvedVersion"]["version"] == 1
    assert answers["gotProd"]["prompt"]["deployments"]["prod"]["version"] == 1
    assert len(answers["gotProd"]["prompt"]["deploymentHistory"]) == 4


def test_comparison(answers: Any) -> None:
    comparison = answers["compared"]["comparison"]
    assert [(each["type"], each["line"]) for each in comparison["templateDiff"]] == [
        ("unchanged", "Hello {{name}}"),
        ("added", TEMPLATE),
    ]
    assert comparison["metadataDiff"] == [{"key": "tone", "fromValue": "plain", "toValue": "warm", "changed": True}]
    assert [comparison[name]["version"] for name in ("fromVersion", "toVersion")] == [1, 2]
    assert len(comparison["deploymentHistory"]) == 4
    assert comparison["comments"] == []


def test_refusals(answers: Any) -> None:
    assert all(each["api"] and each["message"] for each in answers["refusals"])
    assert [(each["status"], each["param"]) for each in answers["refusals"]] == [
        (404, "key"),
        (404, "version"),
        (404, "environment"),
        (400, "environment"),
        (404, "version"),
        (404, "environment"),
        (400, "versionId"),
        (404, "versionId"),
        (409, "action"),
        (404, "toVersionId"),
    ]
