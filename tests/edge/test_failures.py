"""Answers to clients while a service is down. Every test has an edge of its own, with limits small enough to reach."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.edge import Configuration, Edge, running, stub_service
from tools import edge as tool

FILTER_CHAINS = len(tool.load(tool.SOURCE / "listener.yaml")["resources"][0]["filter_chains"])
"""Each fetches the keys for itself."""


def _impatient(configuration: Configuration) -> None:
    manager = configuration.manager
    jwks = tool.http_filter(manager, "envoy.filters.http.jwt_authn")["providers"]["portico"]["remote_jwks"]
    jwks["cache_duration"] = "0.2s"
    jwks["async_fetch"]["failed_refetch_duration"] = "0.2s"
    for route in manager["route_config"]["virtual_hosts"][0]["routes"]:
        if route.get("route", {}).get("cluster") == "auth":
            route["route"]["timeout"] = "1s"


@pytest.fixture
def fragile(tmp_path: Path) -> Iterator[Edge]:
    with running(tmp_path, patch=_impatient) as started:
        yield started


def test_health_says_live_when_up_and_ready_when_all_is(fragile: Edge) -> None:
    assert fragile.request("GET", "/health/live", token=False).json == {"status": "ok"}
    assert fragile.request("GET", "/health/ready", token=False).json == {"status": "ok"}

    fragile.stub_services["inference"].stop()
    fragile.wait_for("/health/ready", 503)
    unready = fragile.request("GET", "/health/ready", token=False)
    assert unready.headers["content-type"] == "application/json"
    assert unready.json["status"] == "unavailable"
    assert fragile.request("GET", "/health/live", token=False).status == 200

    refused = fragile.chat()
    assert refused.status == 503
    assert refused.error["code"] == "service_unavailable"
    assert refused.headers["retry-after"] == "1"
    assert fragile.request("GET", "/v1/auth/jwks").status == 200

    fragile.stub_services["inference"], _ = stub_service("inference", fragile.signer, fragile.ports)
    try:
        fragile.wait_for("/health/ready", 200)
        assert fragile.chat().status == 200
    finally:
        fragile.stub_services["inference"].stop()


def test_traffic_goes_on_while_auth_is_down(fragile: Edge) -> None:
    """Keys are fetched again all the time and the fetch fails now: the last ones must stay good."""
    for _ in range(5 * FILTER_CHAINS):
        fragile.stub_services["auth"].wait_for("keys")
    fragile.stub_services["auth"].stop()
    fragile.wait_for("/health/ready", 503)  # many refresh intervals later
    fresh = {"authorization": f"Bearer {fragile.signer.token()}"}  # not in any cache
    assert fragile.chat(headers=fresh, token=False).status == 200
    assert fragile.chat(headers={"authorization": "Bearer ptc_rubbish"}, token=False).status == 401
    assert fragile.request("POST", "/v1/auth/login", {}, token=False).status == 503


def test_a_service_that_does_not_answer(fragile: Edge) -> None:
    reply = fragile.request("POST", "/v1/auth/login", {"email": "never@example.com"}, token=False)
    assert reply.status == 504
    assert reply.error["code"] == "timeout"
    assert reply.error["type"] == "server_error"


def test_before_auth_has_come_up_a_token_is_neither_good_nor_bad(tmp_path: Path) -> None:
    """A 401 would make a client drop a good token."""
    with running(tmp_path, wait=False, stop="auth") as edge:
        reply = edge.chat()
        assert reply.status == 503
        assert reply.error["code"] == "service_unavailable"
        assert reply.headers["retry-after"] == "1"
        edge.stub_services["auth"], _ = stub_service("auth", edge.signer, edge.ports)
        try:
            edge.wait_for("/v1/models", 200)
        finally:
            edge.stub_services["auth"].stop()
