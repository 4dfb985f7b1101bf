"""The committed files: Envoy reads them, and they agree with the contracts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.api import annotations_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from portico.common.v1 import access_pb2
from tools import edge

_ADDRESSES = {
    "auth": ("127.0.0.1", 1),
    "inference": ("127.0.0.1", 2),
    "inference_http1": ("127.0.0.1", 3),
    "rag": ("127.0.0.1", 4),
    "vector": ("127.0.0.1", 5),
    "vector_http1": ("127.0.0.1", 6),
}


def _committed() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((edge.SOURCE / "listener.yaml").read_text())
    return content


def _methods() -> Iterator[tuple[str, str, Any]]:
    """Service, RPC and options of all that Portico defines."""
    files = FileDescriptorSet.FromString(edge.DESCRIPTOR.read_bytes())
    for file in files.file:
        for service in file.service:
            for method in service.method:
                yield f"{file.package}.{service.name}", method.name, method.options


def _rest_paths(options: Any) -> list[str]:
    rule = options.Extensions[annotations_pb2.http]
    rules = [rule, *rule.additional_bindings] if options.HasExtension(annotations_pb2.http) else []
    return [getattr(each, each.WhichOneof("pattern")) for each in rules]


def _rule(options: Any) -> str | None:
    rule: str | None = options.Extensions[access_pb2.access].WhichOneof("rule")
    return rule


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
    listeners = yaml.safe_load((tmp_path / "listener.yaml").read_text())
    manager = edge.connection_manager(listeners)
    policy = manager["route_config"]["virtual_hosts"][0]["typed_per_filter_config"]["envoy.filters.http.cors"]
    clusters = {item["name"]: item for item in yaml.safe_load((tmp_path / "clusters.yaml").read_text())["resources"]}
    own = clusters["edge_self"]["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]

    assert listeners["resources"][0]["address"]["socket_address"] == {"address": "127.0.0.1", "port_value": 1234}
    assert own["socket_address"]["port_value"] == 1234
    assert policy["allow_origin_string_match"] == [
        {"exact": "https://a.example"},
        {"safe_regex": {"regex": r"http://b(:\d+)?"}},
    ]
    assert manager["xff_num_trusted_hops"] == 1
    assert "--disable-hot-restart" in command
    assert "admin" not in yaml.safe_load((tmp_path / "envoy.yaml").read_text())


def test_committed_origins_are_the_default_ones(tmp_path: Path) -> None:
    edge.render(tmp_path, port=8080, clusters=_ADDRESSES)
    rendered = yaml.safe_load((tmp_path / "listener.yaml").read_text())
    assert edge.cors_policy(edge.connection_manager(rendered)) == edge.cors_policy(
        edge.connection_manager(_committed())
    )


def test_public_paths_are_those_of_public_rpcs() -> None:
    """A path too many would let strangers in, one too few would lock them out of signing in."""
    rules = edge.http_filter(edge.connection_manager(_committed()), "envoy.filters.http.jwt_authn")["rules"]
    *public, rest = rules
    expected = {
        path
        for service, name, options in _methods()
        if _rule(options) == "public"
        for path in (f"/{service}/{name}", *_rest_paths(options))
    }

    assert {rule["match"]["path"] for rule in public} == expected
    assert all("requires" not in rule for rule in public)
    assert rest == {"match": {"prefix": "/"}, "requires": {"provider_name": "portico"}}


def test_no_other_rpc_answers_at_a_public_path() -> None:
    """The rules know paths, not methods: another method at a public path would go without a token."""
    public: set[str] = set()
    other: set[str] = set()
    for _, _, options in _methods():
        (public if _rule(options) == "public" else other).update(_rest_paths(options))
    assert not public & other


def test_transcoder_serves_every_service_that_has_rest_paths() -> None:
    transcoder = edge.http_filter(edge.connection_manager(_committed()), "envoy.filters.http.grpc_json_transcoder")
    assert set(transcoder["services"]) == {service for service, _, options in _methods() if _rest_paths(options)}


def test_every_package_has_a_cluster_and_readiness_asks_it() -> None:
    manager = edge.connection_manager(_committed())
    routes = manager["route_config"]["virtual_hosts"][0]["routes"]
    routed = {
        route["match"]["prefix"]: route["route"]["cluster"] for route in routes if "cluster" in route.get("route", {})
    }
    packages = {service.rsplit(".", 1)[0] for service, _, _ in _methods() if service.startswith("portico.")}
    members = yaml.safe_load((edge.SOURCE / "clusters.local.yaml").read_text())["resources"]
    clusters = {item["name"] for item in members}

    hot = {prefix: cluster for prefix, cluster in routed.items() if cluster.endswith("_http1")}
    assert hot == {
        "/portico.inference.v1.OpenAIService/": "inference_http1",
        "/portico.vector.v1.PointRestService/": "vector_http1",
    }
    assert set(routed) - set(hot) == {f"/{package}." for package in packages}
    assert set(edge.http_filter(manager, "ready")["cluster_min_healthy_percentages"]) == set(routed.values())
    assert clusters == {*routed.values(), "edge_self"}


def test_internal_rpcs_have_no_route() -> None:
    routes = edge.connection_manager(_committed())["route_config"]["virtual_hosts"][0]["routes"]
    internal = [f"/{service}/{name}" for service, name, options in _methods() if _rule(options) == "internal"]
    assert internal
    for path in internal:
        first = next(route for route in routes if path.startswith(route["match"]["prefix"]))
        assert first["direct_response"] == {"status": 404}, path
