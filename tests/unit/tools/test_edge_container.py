"""The entry of the edge's container: its settings, Envoy's configuration and the order of a stop."""

from pathlib import Path

import pytest
import yaml

from core import config
from core.config import ConfigError
from tools import edge_container
from tools.edge_container import EdgeSettings

ALL = "auth=a:1,inference=i:2,inference_http1=i:3,vector=v:4,vector_http1=v:5,rag=r:6,tracing=t:7"


def settings(**env: str) -> EdgeSettings:
    return config.load(EdgeSettings, {"PORTICO_EDGE_CLUSTERS": ALL, **env})


def test_the_configuration_names_the_addresses_and_listens_for_others(tmp_path: Path) -> None:
    given = settings(PORTICO_EDGE_FOLDER=str(tmp_path), PORTICO_EDGE_METRICS_PORT="9902", PORTICO_DRAIN_SECONDS="7")
    command = edge_container.command(given)

    clusters = {each["name"]: each for each in yaml.safe_load((tmp_path / "clusters.yaml").read_text())["resources"]}
    [endpoint] = clusters["vector_http1"]["load_assignment"]["endpoints"][0]["lb_endpoints"]
    assert endpoint["endpoint"]["address"]["socket_address"] == {"address": "v", "port_value": 5}
    listeners = {each["name"]: each for each in yaml.safe_load((tmp_path / "listener.yaml").read_text())["resources"]}
    assert listeners["metrics"]["address"]["socket_address"] == {"address": "0.0.0.0", "port_value": 9902}
    assert listeners["edge"]["address"]["socket_address"] == {"address": "0.0.0.0", "port_value": 8080}
    assert command[command.index("--drain-time-s") + 1] == "7"


def test_an_address_without_a_port_is_refused() -> None:
    with pytest.raises(ConfigError, match="'auth=a', which is not name=host:port"):
        settings(PORTICO_EDGE_CLUSTERS="auth=a")


def test_a_stop_fails_readiness_first_and_waits_for_requests_under_way() -> None:
    events: list[str] = []
    active = iter((2, 1, 0))

    def admin(method: str, path: str) -> str:
        events.append(f"{method} {path.partition('?')[0]}")
        return f"http.edge.downstream_rq_active: {next(active)}\n" if method == "GET" else "OK\n"

    edge_container.drain(admin, settings(PORTICO_DRAIN_SECONDS="3"), lambda seconds: events.append(f"sleep {seconds}"))
    assert events == [
        "POST /healthcheck/fail",
        "POST /drain_listeners",
        "sleep 3.0",
        *("GET /stats", "sleep 0.2") * 2,
        "GET /stats",
    ]


def test_a_stop_waits_no_longer_than_the_grace() -> None:
    waits: list[float] = []

    def admin(method: str, path: str) -> str:
        return "http.edge.downstream_rq_active: 1\n"

    edge_container.drain(admin, settings(PORTICO_DRAIN_SECONDS="0", PORTICO_GRACE_SECONDS="2"), waits.append)
    assert sum(waits) == pytest.approx(2, abs=0.3)


def test_a_stop_ends_where_envoy_is_gone() -> None:
    def admin(method: str, path: str) -> str:
        raise ConnectionRefusedError

    edge_container.drain(admin, settings(), lambda seconds: pytest.fail("nothing is left to wait for"))


def test_envoy_gets_a_secret_that_lies_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s" * 32 + "\n")
    given = settings(PORTICO_EDGE_SECRET_FILE=str(tmp_path / "secret"))
    assert edge_container.environment(given)["PORTICO_EDGE_SECRET"] == "s" * 32
