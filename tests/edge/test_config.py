"""The committed files: Envoy reads them, and they agree with the contracts."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.quotas.plans import FEATURES
from core.rpc import schema as schema_of_services
from core.rpc.policy import Policy, policies_of
from services.tracing.servicers import spans
from tests.support.contracts import bindings, rpcs
from tools import edge, edge_limits

_ADDRESSES = {
    "auth": ("127.0.0.1", 1),
    "inference": ("127.0.0.1", 2),
    "inference_http1": ("127.0.0.1", 3),
    "rag": ("127.0.0.1", 4),
    "tracing": ("127.0.0.1", 5),
    "vector": ("127.0.0.1", 6),
    "vector_http1": ("127.0.0.1", 7),
}


def _committed() -> dict[str, Any]:
    return edge.load(edge.SOURCE / "listener.yaml")


def test_envoy_reads_the_rendered_files(tmp_path: Path) -> None:
    edge.render(tmp_path, port=8080, clusters=_ADDRESSES, access_log=tmp_path / "access.log")
    edge.validate(tmp_path)


def test_an_unknown_cluster_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        edge.render(tmp_path, port=8080, clusters={"nobody": ("127.0.0.1", 1)})


def test_render_sets_what_differs_between_machines(tmp_path: Path) -> None:
    command = edge.render(
        tmp_path, port=1234, clusters=_ADDRESSES, cors_origins=["https://a.example", "http://b:*"], trusted_hops=1
    )
    listeners = edge.load(tmp_path / "listener.yaml")
    manager = edge.connection_manager(listeners)
    [keys] = (item for item in edge.load(tmp_path / "clusters.yaml")["resources"] if item["name"] == "keys")
    asked = keys["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]

    assert listeners["resources"][0]["address"]["socket_address"] == {"address": "127.0.0.1", "port_value": 1234}
    assert listeners["resources"][1]["address"] == asked == {"pipe": {"path": "@portico-edge-keys-1234"}}
    assert edge.allowed_origins(manager) == {"safe_regex": {"regex": r"https://a\.example|http://b(:\d+)?"}}
    assert manager["xff_num_trusted_hops"] == 1
    assert "--disable-hot-restart" in command
    assert "admin" not in edge.load(tmp_path / "envoy.yaml")


def test_the_allowed_origins_stand_in_one_place(tmp_path: Path) -> None:
    """CORS and the check of pages that act with the cookie must not know different ones."""
    edge.render(tmp_path, port=8080, clusters=_ADDRESSES, cors_origins=["https://only.example"])
    text = (tmp_path / "listener.yaml").read_text()
    manager = edge.connection_manager(edge.load(tmp_path / "listener.yaml"))
    policies = edge.http_filter(manager, "envoy.filters.http.rbac")["rules"]["policies"]
    [page] = policies["foreign_page"]["principals"]
    assert page["header"]["string_match"] == edge.allowed_origins(manager)
    assert text.count("only\\.example") == 1


def test_committed_origins_are_the_default_ones(tmp_path: Path) -> None:
    edge.render(tmp_path, port=8080, clusters=_ADDRESSES)
    rendered = edge.connection_manager(edge.load(tmp_path / "listener.yaml"))
    assert edge.allowed_origins(rendered) == edge.allowed_origins(edge.connection_manager(_committed()))


def test_many_origins_fit(tmp_path: Path) -> None:
    """They are one expression, and Envoy bounds the size of those."""
    origins = [f"https://app-{number}.tenant.example:8443" for number in range(50)]
    edge.render(tmp_path, port=8080, clusters=_ADDRESSES, cors_origins=origins)
    edge.validate(tmp_path)


def test_filter_chains_differ_in_nothing_but_whose_connections_they_count() -> None:
    """Addresses are dealt to them by a hash: each chain gets its share, and every address the same filters."""
    listener = _committed()["resources"][0]
    chains = listener["filter_chains"]
    matcher = listener["filter_chain_matcher"]["matcher_list"]["matchers"]
    rest = listener["filter_chain_matcher"]["on_no_match"]
    thresholds = [
        (hashing["modulo"], hashing["threshold"])
        for each in matcher
        for hashing in [each["predicate"]["single_predicate"]["custom_match"]["typed_config"]]
    ]
    names = [each["on_match"]["action"]["typed_config"]["value"] for each in matcher]
    names.append(rest["action"]["typed_config"]["value"])

    assert all(chain["filters"] == chains[0]["filters"] for chain in chains)
    assert thresholds == [(len(chains), number) for number in range(len(chains) - 1, 0, -1)]
    assert names == [str(number) for number in range(len(chains) - 1, -1, -1)]
    assert {chain["name"] for chain in chains} == set(names)


def _keys(content: Any) -> Iterator[str]:
    """Names of all fields that hold a number or a time."""
    if isinstance(content, dict):
        for name, value in content.items():
            if isinstance(value, dict | list):
                yield from _keys(value)
            elif not isinstance(value, bool) and re.fullmatch(r"\d+(\.\d+)?s?", str(value)):
                yield name
    elif isinstance(content, list):
        for item in content:
            yield from _keys(item)


NO_LIMITS = {
    "port_value",
    "status",
    "status_code",
    "exact",  # a status too
    "modulo",
    "threshold",
    "numerator",
    "start",
    "default_value",
    "xff_num_trusted_hops",
    "jwt_cache_size",
    "cache_duration",
    "failed_refetch_duration",
    "max_connections_to_accept_per_socket_event",
    "base_interval",
    "max_interval",
    "connect_timeout",
    "interval",
    "no_traffic_interval",
    "unhealthy_interval",
    "unhealthy_threshold",
    "healthy_threshold",
    "refresh_interval",
    "minimum_account_to_track_power_of_two",
    "bytes_to_release",
    "memory_release_interval",
    "error_level",
    "max_age",
}
"""Numbers that say how something is done, or that are about the edge's own calls: they bound no client."""


def test_no_limit_is_missing_in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every number of the configuration is read for it, or is known to bound nobody."""
    read: set[str] = set()

    class Watched(dict[str, Any]):
        def __getitem__(self, name: str) -> Any:
            read.add(name)
            return super().__getitem__(name)

        def get(self, name: str, default: Any = None) -> Any:
            read.add(name)
            return super().get(name, default)

    def watched(content: Any) -> Any:
        if isinstance(content, dict):
            return Watched({name: watched(value) for name, value in content.items()})
        return [watched(item) for item in content] if isinstance(content, list) else content

    load = edge.load
    monkeypatch.setattr(edge, "load", lambda path: watched(load(path)))
    edge_limits.limits()
    files = [load(edge.SOURCE / name) for name in ("envoy.yaml", "listener.yaml", "clusters.local.yaml")]
    assert {name for content in files for name in _keys(content)} - read <= NO_LIMITS


def test_public_paths_are_those_of_public_rpcs() -> None:
    """A path too many would let strangers in, one too few would lock them out of signing in."""
    rules = edge.http_filter(edge.connection_manager(_committed()), "envoy.filters.http.jwt_authn")["rules"]
    *public, page, rest = rules
    expected = {
        path
        for rpc in rpcs()
        if rpc.access == "public"
        for path in (rpc.path, *(binding.template for binding in rpc.bindings))
    }

    assert {rule["match"]["path"] for rule in public} == expected
    assert page == {"match": edge.route(edge.connection_manager(_committed()), "page")["match"]}
    assert all("requires" not in rule for rule in public)
    assert rest == {"match": {"prefix": "/"}, "requires": {"provider_name": "portico"}}


def test_no_other_rpc_answers_at_a_public_path() -> None:
    """The rules know paths, not methods: another method at a public path would go without a token."""
    public = {binding.template for binding in bindings() if binding.rpc.access == "public"}
    other = {binding.template for binding in bindings() if binding.rpc.access != "public"}
    assert not public & other


def test_transcoder_serves_every_service_that_has_rest_paths() -> None:
    transcoder = edge.http_filter(edge.connection_manager(_committed()), "envoy.filters.http.grpc_json_transcoder")
    assert set(transcoder["services"]) == {each.rpc.method.containing_service.full_name for each in bindings()}


def test_every_package_has_a_cluster_and_readiness_asks_it() -> None:
    manager = edge.connection_manager(_committed())
    routes = manager["route_config"]["virtual_hosts"][0]["routes"]
    routed = {
        route["match"]["prefix"]: route["route"]["cluster"]
        for route in routes
        if "cluster" in route.get("route", {}) and "prefix" in route["match"]
    }
    packages = {rpc.method.containing_service.file.package for rpc in rpcs() if rpc.access != "internal"}
    members = edge.load(edge.SOURCE / "clusters.local.yaml")["resources"]
    clusters = {item["name"] for item in members}

    hot = {prefix: cluster for prefix, cluster in routed.items() if cluster.endswith("_http1")}
    assert hot == {
        "/portico.inference.v1.OpenAIService/": "inference_http1",
        "/portico.inference.v1.AnthropicService/": "inference_http1",
        "/portico.vector.v1.PointRestService/": "vector_http1",
    }
    schema = {f"/{name}/" for name in (schema_of_services.V1, schema_of_services.ALPHA)}
    assert {routed[prefix] for prefix in schema} == {"auth"}
    assert routed.pop("/opentelemetry.proto.collector.trace.v1.TraceService/") == "tracing"
    assert set(routed) - set(hot) - schema == {f"/{package}." for package in packages}
    assert set(edge.http_filter(manager, "ready")["cluster_min_healthy_percentages"]) == set(routed.values())
    assert clusters == {*routed.values(), "keys", "admin"}


def test_internal_rpcs_have_no_route() -> None:
    routes = edge.connection_manager(_committed())["route_config"]["virtual_hosts"][0]["routes"]
    internal = [rpc.path for rpc in rpcs() if rpc.access == "internal"]
    assert internal
    for path in internal:
        first = next(route for route in routes if path.startswith(route["match"].get("prefix", "\0")))
        assert first["direct_response"] == {"status": 404}, path


def test_the_features_of_the_edge_are_those_of_the_contracts() -> None:
    """A feature that the edge does not know would be refused by the service alone, one too many would be refused to
    all."""
    script = (edge.SOURCE / "features.lua").read_text()
    services = dict(re.findall(r'\["([\w.]+)"\] = "(\w+)"', script))
    methods = dict(re.findall(r'\["([\w.]+/\w+)"\] = "?(\w+)', script))
    traces = services.pop("opentelemetry.proto.collector.trace.v1.TraceService")
    assert traces == spans.policy(1).feature
    wanted = {policy.method[1:]: policy.feature for policy in _policies()}
    known = {path: str(methods.get(path, services.get(path.partition("/")[0], ""))) for path in wanted}
    known = {path: feature.replace("false", "") for path, feature in known.items()}
    assert known == wanted
    assert set(wanted.values()) - {""} == set(FEATURES)


def _policies() -> Iterator[Policy]:
    services = {rpc.method.containing_service.full_name: rpc.method.containing_service for rpc in rpcs()}
    for service in services.values():
        yield from policies_of(service).values()
