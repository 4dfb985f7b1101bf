"""Metrics of a running Portico, and the dashboards that read them."""

import asyncio
import json
import re
import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.cluster import Cluster, Rest, until
from tests.support.connections import http_session
from tools.supervisor import EDGE_PORTS, ROOT, service_names

DASHBOARDS = ROOT / "deploy" / "grafana"
CLUSTERS = [*service_names(), *EDGE_PORTS.values()]
BY_PROMETHEUS = {"job", "instance"}
"""Labels that Prometheus adds to what it reads."""
_NAME = re.compile(r"^[A-Za-z_:][\w:]*", re.MULTILINE)
_SELECTOR = re.compile(r"\b(?P<name>[a-z_:][a-z0-9_:]*)\s*(?P<labels>\{[^}]*\})?(?=\s*(?:\[|\)|$|/|\*))", re.IGNORECASE)
_MATCHER = re.compile(r"(?P<label>\w+)\s*(?:=~|!~|!=|=)\s*\"(?P<value>[^\"]*)\"")
_GROUPING = re.compile(r"\b(?:by|without)\s*\(([^)]*)\)")

Series = dict[str, list[dict[str, str]]]
"""The labels of each metric's samples."""


def series(text: str) -> Series:
    found: Series = defaultdict(list)
    written = set(_NAME.findall(text))
    for family in text_string_to_metric_families(text):
        for sample in family.samples:  # the parser ends the names of all counters with _total
            name = sample.name if sample.name in written else sample.name.removesuffix("_total")
            found[name].append(sample.labels)
    return found


def queries(name: str) -> Iterator[str]:
    """All queries of a dashboard, with what Grafana puts in for an interval."""
    dashboard = json.loads((DASHBOARDS / name).read_text())
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield target["expr"].replace("$__rate_interval", "5m")


def check(query: str, read: Series) -> None:
    """Every metric of the query is there, with the labels that it is selected and grouped by."""
    assert query.count("(") == query.count(")"), query
    grouped = {label.strip() for labels in _GROUPING.findall(query) for label in labels.split(",")}
    bare = _GROUPING.sub("", query)
    names = [found for found in _SELECTOR.finditer(bare) if not found["name"].isdigit()]
    assert names, query
    for found in names:
        samples = read.get(found["name"])
        assert samples, f"{query}: there is no {found['name']}"
        labels = {label for sample in samples for label in sample} | BY_PROMETHEUS
        matchers = dict(_MATCHER.findall(found["labels"] or ""))
        assert matchers.keys() | grouped <= labels, f"{query}: {found['name']} has {labels}"


def free_ports(count: int) -> int:
    """The first of so many ports in a row that nobody listens on."""
    for base in range(21_000, 32_000, 50):
        held = []
        try:
            for port in range(base, base + count):
                taken = socket.socket()
                held.append(taken)
                taken.bind(("127.0.0.1", port))
        except OSError:
            continue
        finally:
            for each in held:
                each.close()
        return base
    raise AssertionError("no free ports")


@pytest.fixture
async def measured(own_cluster: Cluster) -> AsyncIterator[tuple[Cluster, Rest, int]]:
    """A Portico with metrics ports, after a few calls."""
    base = free_ports(len(CLUSTERS) + 1)
    own_cluster.env = {"PORTICO_METRICS_PORT": str(base)}
    await asyncio.to_thread(own_cluster.start)
    async with http_session() as http:
        yield own_cluster, Rest(own_cluster.url, http), base


async def read(rest: Rest, url: str, token: str = "") -> str:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with rest.http.get(url, headers=headers) as response:
        assert response.status == 200, url
        assert response.headers["Content-Type"].startswith("text/plain")
        return await response.text()


async def use(rest: Rest, token: str) -> None:
    """Use so much that each family has something."""
    chat = {"model": "echo", "messages": [{"role": "user", "content": "hello"}]}
    prompt = {"key": "p", "name": "P", "template": "Hi"}
    guardrail = {"key": "g", "name": "G", "type": "preset", "policy": {"wordFilter": {"words": ["never"]}}}
    await rest.ok("POST", "/v1/chat/completions", chat, token=token)
    assert (await rest.call("POST", "/v1/chat/completions", chat | {"model": "nope"}, token=token)).status == 404
    await rest.ok("POST", "/v1/prompts", prompt, token=token)
    await rest.ok("POST", "/v1/guardrails", guardrail, token=token)
    await rest.ok("POST", "/v1/guardrails/evaluate", {"guardrail_key": "g", "text": "hello"}, token=token)
    indexes = "/v1/vector/providers/default/indexes"
    await rest.ok("POST", indexes, {"name": "docs", "dimension": 3, "metric": "cosine"}, token=token)
    file = {"fileName": "a.txt", "data": "aGVsbG8=", "contentType": "text/plain"}
    await rest.ok("POST", "/v1/files/buckets/default/objects", file, token=token)


async def test_every_query_of_the_dashboards_finds_what_it_asks_for(measured: tuple[Cluster, Rest, int]) -> None:
    cluster, rest, base = measured
    token = cluster.dev_token
    await use(rest, token)
    operators: Series = defaultdict(list)
    for number, name in enumerate([*CLUSTERS, "edge"]):
        if name not in EDGE_PORTS.values():
            text = await read(rest, f"http://127.0.0.1:{base + number}/metrics")
            for metric, samples in series(text).items():
                operators[metric] += samples
    for query in queries("operators.json"):
        check(query, operators)

    async def project() -> Series:
        found: Series = defaultdict(list)
        for path in ("", "/auth", "/vector", "/rag"):
            found |= series(await read(rest, f"{cluster.url}/v1/metrics{path}", token))
        return found

    async def recorded() -> Any:
        found = await project()
        return found if found.get("portico_model_requests_30d") and found["portico_guardrail_evaluations_30d"] else None

    found = await until(recorded)
    for query in queries("project.json"):
        check(query, found)


async def test_the_edge_shows_nothing_but_its_metrics(measured: tuple[Cluster, Rest, int]) -> None:
    """The admin interface can stop the edge and tells its configuration."""
    _, rest, base = measured
    edge = f"http://127.0.0.1:{base + len(CLUSTERS)}"
    assert "envoy_server_live" in await read(rest, f"{edge}/metrics")
    for method, path in (
        ("POST", "/quitquitquit"),
        ("GET", "/config_dump"),
        ("GET", "/"),
        ("POST", "/metrics"),
        ("GET", "/metrics/../config_dump"),
        ("GET", "/metrics%2f..%2fconfig_dump"),
    ):
        async with rest.http.request(method, edge + path) as response:
            assert response.status == 404


def test_a_query_of_what_is_not_there_is_found() -> None:
    """The check itself."""
    read = {"portico_calls_total": [{"code": "OK", "method": "m"}]}
    check('sum by (code) (rate(portico_calls_total{code!="OK"}[5m]))', read)
    for wrong in (
        "sum(rate(portico_call_total[5m]))",
        'sum(rate(portico_calls_total{status="OK"}[5m]))',
        "sum by (status) (rate(portico_calls_total[5m]))",
        "sum(rate(portico_calls_total[5m])) / sum(portico_other)",
    ):
        with pytest.raises(AssertionError):
            check(wrong, read)


def test_the_dashboards_are_valid() -> None:
    for path in sorted(Path(DASHBOARDS).glob("*.json")):
        dashboard = json.loads(path.read_text())
        ids = [panel["id"] for panel in dashboard["panels"]]
        assert len(ids) == len(set(ids))
        assert all(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
