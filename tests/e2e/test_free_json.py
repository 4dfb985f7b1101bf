"""Free JSON through the edge, at every entrance: nested as deep as accepted it comes back, deeper it is refused."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from core.free_json import MAX_DEPTH
from tests.support.cluster import Rest, Tenant

INDEXES = "/v1/vector/providers/default/indexes"
OBJECTS = "/v1/files/buckets/default/objects"


def nested(depth: int) -> dict[str, Any]:
    value: Any = 1
    for _ in range(depth - 1):
        value = {"a": value}
    return {"a": value}


def provider(value: object) -> dict[str, Any]:
    return {"key": "deep", "driver": "echo", "label": "Deep", "metadata": value}


def model(**more: object) -> dict[str, Any]:
    return {"key": "m", "name": "M", "category": "llm", "providerKey": "echo", "modelId": "echo", **more}


Entrance = tuple[str, Callable[[Any], Any], str, Callable[[Any], Any]]
"""Path and body of a POST, path of the GET, alone or in a list, and the place in the answer."""

ENTRANCES: dict[str, Entrance] = {
    "file": (
        OBJECTS,
        lambda v: {"fileName": "a.txt", "data": "YQ==", "keyHint": "deep", "metadata": v},
        OBJECTS,
        lambda a: a["files"][0]["metadata"],
    ),
    "bucket": (
        "/v1/files/buckets",
        lambda v: {"key": "deep", "name": "Deep", "metadata": v},
        "/v1/files/buckets",
        lambda a: next(each for each in a["buckets"] if each["key"] == "deep")["metadata"],
    ),
    "index": (
        INDEXES,
        lambda v: {"name": "deep", "dimension": 2, "metadata": v},
        INDEXES,
        lambda a: a["indexes"][0]["metadata"],
    ),
    "model provider": (
        "/v1/models/providers",
        provider,
        "/v1/models/providers",
        lambda a: next(each for each in a["providers"] if each["key"] == "deep")["metadata"],
    ),
    "file provider": (
        "/v1/files/providers",
        lambda v: {**provider(v), "driver": "local"},
        "/v1/files/providers",
        lambda a: next(each for each in a["providers"] if each["key"] == "deep")["metadata"],
    ),
    "vector provider": (
        "/v1/vector/providers",
        lambda v: {**provider(v), "driver": "embedded"},
        "/v1/vector/providers/deep",
        lambda a: a["provider"]["metadata"],
    ),
    "model metadata": (
        "/v1/models",
        lambda v: model(metadata=v),
        "/v1/models",
        lambda a: next(each for each in a["models"] if each["key"] == "m")["metadata"],
    ),
    "model requestDefaults": (
        "/v1/models",
        lambda v: model(settings={"requestDefaults": v}),
        "/v1/models/m",
        lambda a: a["model"]["settings"]["requestDefaults"],
    ),
    "model extraBody": (
        "/v1/models",
        lambda v: model(settings={"extraBody": v}),
        "/v1/models",
        lambda a: next(each for each in a["models"] if each["key"] == "m")["settings"]["extraBody"],
    ),
}


@pytest.mark.parametrize("name", ENTRANCES)
async def test_every_entrance_has_the_limits_of_the_ways_out(rest: Rest, tenant: Tenant, name: str) -> None:
    """apache/cxf#3152, wandb/weave#7578: what was accepted could not be given back, and broke every list."""
    path, body_of, read_path, found = ENTRANCES[name]
    refused: list[tuple[str, Any]] = [
        ("33 deep", nested(MAX_DEPTH + 1)),
        ("34 deep", nested(MAX_DEPTH + 2)),
        ("100 deep", nested(100)),
        ("a NUL", {"a": "\0"}),
        ("beyond 64 bits", {"a": 2**63}),
    ]
    for what, value in refused:
        answer = await rest.call("POST", path, body_of(value), token=tenant.session)
        assert (answer.status, answer.body["error"]["type"]) == (400, "invalid_request_error"), (what, answer.raw)
    kept = {**nested(MAX_DEPTH), "n": 1, "most": 2**53 - 1, "f": 0.5, "x" * 1000: "\U0001f600", "l": [[None, True]]}
    await rest.ok("POST", path, body_of(kept), token=tenant.session)
    assert found(await rest.ok("GET", read_path, token=tenant.session)) == kept


@pytest.mark.parametrize("number", [2**53, 2**53 + 1, -(2**60) - 1])
async def test_a_number_that_the_edge_would_round_is_refused_by_name(rest: Rest, tenant: Tenant, number: int) -> None:
    answer = await rest.call(
        "POST", "/v1/files/buckets", {"name": "x", "metadata": {"a": number}}, token=tenant.session
    )
    assert (answer.status, answer.body["error"]["param"]) == (400, "metadata")


async def test_numbers_of_64_bits_are_exact_where_json_travels_raw(rest: Rest, tenant: Tenant) -> None:
    exact = '{"a":9223372036854775807,"b":1,"c":1.0}'
    body = f'{{"fileName":"a.txt","data":"YQ==","keyHint":"k","metadata":{exact}}}'.encode()
    uploaded = await rest.call("POST", OBJECTS, data=body, token=tenant.session)
    assert uploaded.status == 201
    got = await rest.call("GET", f"{OBJECTS}/k", token=tenant.session)
    listed = await rest.call("GET", OBJECTS, token=tenant.session)
    for answer in (uploaded, got, listed):
        assert exact.encode() in answer.raw
    header = (await rest.call("GET", f"{OBJECTS}/k/download", token=tenant.session)).headers["x-file-metadata"]
    assert exact in header
    await rest.ok("POST", INDEXES, {"name": "v", "dimension": 1}, token=tenant.session)
    vectors = f'{{"vectors":[{{"id":"a","values":[1],"metadata":{exact}}}]}}'.encode()
    assert (await rest.call("POST", f"{INDEXES}/v/upsert", data=vectors, token=tenant.session)).status == 200
    fetched = await rest.call("POST", f"{INDEXES}/v/fetch", {"ids": ["a"]}, token=tenant.session)
    assert exact.encode() in fetched.raw
    twice = b'{"vectors":[{"id":"a","values":[1],"metadata":{"a":1,"a":2}}]}'
    assert (await rest.call("POST", f"{INDEXES}/v/upsert", data=twice, token=tenant.session)).status == 400
    deep = json.dumps({"vectors": [{"id": "a", "values": [1], "metadata": nested(MAX_DEPTH + 1)}]}).encode()
    assert (await rest.call("POST", f"{INDEXES}/v/upsert", data=deep, token=tenant.session)).status == 400
