"""The limits of the edge, read from its configuration."""

from collections.abc import Iterator
from typing import Any

from core.limits import Limit, size
from tools import edge

_FILTER = "envoy.filters.http."
_OVERLOAD = {
    "reduce_timeouts": "idle connections and unread answers are closed sooner",
    "shrink_heap": "free memory goes back to the kernel",
    "reset_high_memory_stream": "the requests holding most memory are reset",
    "disable_http_keepalive": "connections are closed after their request",
    "stop_accepting_requests": "503",
    "reject_incoming_connections": "new connections are closed",
}
"""Answer to a client for each action of the overload manager."""
_TIMERS = {
    "HTTP_DOWNSTREAM_CONNECTION_IDLE": "idle time",
    "HTTP_DOWNSTREAM_STREAM_FLUSH": "time for a client to read the rest of an answer",
}
_EVICTED = "the one idle longest is forgotten"


def limits() -> list[Limit]:
    """Every limit of the edge, as its configuration has it."""
    bootstrap, listeners, members = (
        edge.load(edge.SOURCE / name) for name in ("envoy.yaml", "listener.yaml", "clusters.local.yaml")
    )
    manager = edge.connection_manager(listeners)
    routes = {route["name"]: route for route in manager["route_config"]["virtual_hosts"][0]["routes"]}
    return [
        *_connections(bootstrap, listeners, manager),
        *_calls_without_a_token(routes),
        *_large_json(routes),
        *_sizes(listeners, manager, routes),
        *_times(manager),
        *_times_of_routes(routes),
        *_calls_to_services(manager, members),
        *_overload(bootstrap),
    ]


def _connections(bootstrap: edge.Yaml, listeners: edge.Yaml, manager: edge.Yaml) -> Iterator[Limit]:
    every = edge.resource_monitor(bootstrap, "global_downstream_max_connections")
    yield Limit("connections", every["max_active_downstream_connections"], "", "edge", "closed")
    groups = len(listeners["resources"][0]["filter_chains"])
    one = edge.connection_limit(listeners)["max_connections"]
    yield Limit("connections", one, "", f"group of addresses, of which there are {groups}", "closed")
    http2 = manager["http2_protocol_options"]
    yield Limit("concurrent requests", http2["max_concurrent_streams"], "", "connection over HTTP/2", "stream refused")
    runtime = bootstrap["layered_runtime"]["layers"][0]["static_layer"]
    started = runtime["http.max_requests_per_io_cycle"]
    yield Limit("requests started", started, "", "connection and turn of the event loop", "wait for the next turn")
    idle = _seconds(manager["common_http_protocol_options"]["idle_timeout"])
    yield Limit("idle time", idle, "seconds", "connection", "closed")


def _calls_without_a_token(routes: edge.Yaml) -> Iterator[Limit]:
    limit = routes["public"]["typed_per_filter_config"][f"{_FILTER}local_ratelimit"]
    [descriptor] = limit["descriptors"]
    yield from _bucket("calls without a token", descriptor["token_bucket"], "address")
    every = limit["token_bucket"]
    yield Limit("calls without a token", every["max_tokens"], "", f"edge, in {_interval(every)}", "429")
    yield Limit("addresses counted", limit["max_dynamic_descriptors"], "", "edge", _EVICTED)


def _large_json(routes: edge.Yaml) -> Iterator[Limit]:
    unsized, limit = (
        routes[name]["typed_per_filter_config"][f"{_FILTER}local_ratelimit"] for name in ("unsized", "nowhere")
    )
    [descriptor] = unsized["descriptors"]
    yield from _bucket("writing requests without a Content-Length", descriptor["token_bucket"], "tenant")
    for rate_limit, descriptor in zip(limit["rate_limits"], limit["descriptors"], strict=True):
        [length] = rate_limit["actions"][-1]["header_value_match"]["headers"]
        what = f"JSON bodies over {size(length['range_match']['end'] - 1)}"
        yield from _bucket(what, descriptor["token_bucket"], "tenant")
    yield Limit("tenants counted", limit["max_dynamic_descriptors"], "", "edge", _EVICTED)


def _bucket(what: str, bucket: edge.Yaml, per: str) -> Iterator[Limit]:
    yield Limit(f"{what}, at once", bucket["max_tokens"], "", per, "429")
    yield Limit(f"{what}, sustained", bucket["tokens_per_fill"], "", f"{per}, in {_interval(bucket)}", "429")


def _interval(bucket: edge.Yaml) -> str:
    return f"{_seconds(bucket['fill_interval']):g} s"


def _sizes(listeners: edge.Yaml, manager: edge.Yaml, routes: edge.Yaml) -> Iterator[Limit]:
    default = edge.http_filter(manager, f"{_FILTER}buffer")["max_request_bytes"]
    yield Limit("JSON body", default, "bytes", "request", "413")
    for name, what in (
        ("raw", "body that is not parsed: chat, embeddings, vectors, traces, data of a prompt"),
        ("public", "body of a call without a token"),
        ("unsized", "JSON body without a Content-Length"),
    ):
        yield Limit(what, _body(routes[name]), "bytes", "request", "413")
    transcoder = edge.http_filter(manager, f"{_FILTER}grpc_json_transcoder")
    yield Limit("gRPC message made from a body", transcoder["max_request_body_size"], "bytes", "request", "413")
    yield Limit("answer of a unary call over REST", transcoder["max_response_body_size"], "bytes", "request", "500")
    yield Limit("headers", manager["max_request_headers_kb"] * 1024, "bytes", "request", "431")
    headers = manager["common_http_protocol_options"]["max_headers_count"]
    yield Limit("headers", headers, "", "request", "431")
    held = listeners["resources"][0]["per_connection_buffer_limit_bytes"]
    yield Limit("buffer", held, "bytes", "connection and direction", "the sender waits")
    http2 = manager["http2_protocol_options"]
    for name, per in (("initial_stream_window_size", "stream"), ("initial_connection_window_size", "connection")):
        yield Limit("flow-control window", http2[name], "bytes", f"{per} over HTTP/2", "the sender waits")


def _times(manager: edge.Yaml) -> Iterator[Limit]:
    for name, what, answer in (
        ("request_headers_timeout", "time for headers to arrive", "408"),
        ("request_timeout", "time for an upload to arrive", "408"),
        ("stream_idle_timeout", "time without any data", "408, or the end of the stream"),
        ("stream_flush_timeout", "time for a client to read the rest of an answer", "the end of the stream"),
        ("drain_timeout", "time between GOAWAY and closing", "closed"),
        ("delayed_close_timeout", "time to read an error before its connection is closed", "closed"),
    ):
        yield Limit(what, _seconds(manager[name]), "seconds", "request", answer)


def _times_of_routes(routes: edge.Yaml) -> Iterator[Limit]:
    arrival = (
        ("public", "time for a body of a call without a token to arrive", "408"),
        ("nowhere", "time for any other body to arrive, but uploads", "408"),
        ("public_native", "a call without a token over gRPC", "DEADLINE_EXCEEDED"),
        ("auth", "a call of auth over gRPC", "DEADLINE_EXCEEDED"),
        ("inference", "a call of inference over gRPC, but chat and embeddings", "DEADLINE_EXCEEDED"),
        ("vector", "a call of vector over gRPC", "DEADLINE_EXCEEDED"),
        ("rag", "a call of rag over gRPC, but files", "DEADLINE_EXCEEDED"),
        ("tracing", "a call of tracing over gRPC", "DEADLINE_EXCEEDED"),
    )
    for name, what, answer in arrival:
        time = routes[name]["route"]["max_stream_duration"]["max_stream_duration"]
        yield Limit(what, _seconds(time), "seconds", "request", answer)
    for name, what in (
        ("auth_rest", "auth"),
        ("vector_rest", "vector"),
        ("tracing_rest", "tracing"),
        ("inference", "inference, but chat and embeddings, over gRPC"),
    ):
        time = routes[name]["route"]["timeout"]
        yield Limit(f"time for {what} to answer", _seconds(time), "seconds", "request", "504")


def _calls_to_services(manager: edge.Yaml, members: edge.Yaml) -> Iterator[Limit]:
    retries = manager["route_config"]["virtual_hosts"][0]["retry_policy"]["num_retries"]
    yield Limit("retries of a request that has not reached a service", retries, "", "request", "503")
    limited = {
        cluster["name"]: cluster["circuit_breakers"]["thresholds"][0]
        for cluster in members["resources"]
        if "circuit_breakers" in cluster
    }
    for key, what in (
        ("max_connections", "connections"),
        ("max_requests", "concurrent requests"),
        ("max_pending_requests", "requests waiting for a connection"),
        ("max_retries", "concurrent retries"),
    ):
        for value in sorted({limit[key] for limit in limited.values()}):
            names = [name for name, limit in limited.items() if limit[key] == value]
            per = "service" if len(names) == len(limited) else f"service, of {', '.join(names)}"
            yield Limit(f"{what} to a service", value, "", per, "503")


def _overload(bootstrap: edge.Yaml) -> Iterator[Limit]:
    memory = edge.resource_monitor(bootstrap, "fixed_heap")["max_heap_size_bytes"]
    yield Limit("memory", memory, "bytes", "edge", "as follows")
    kept = bootstrap["memory_allocator_manager"]
    for name, what in (
        ("soft_memory_limit_bytes", "memory in use and kept for reuse"),
        ("max_unfreed_memory_bytes", "memory kept for reuse"),
    ):
        yield Limit(what, kept[name], "bytes", "edge", "what is free goes back to the kernel")
    for action in bootstrap["overload_manager"]["actions"]:
        answer = _OVERLOAD[action["name"].rpartition(".")[2]]
        for timer in action.get("typed_config", {}).get("timer_scale_factors", ()):
            what = f"{_TIMERS[timer['timer']]} when shortened, at least"
            yield Limit(what, _seconds(timer["min_timeout"]), "seconds", "edge", "")
        for trigger in action["triggers"]:
            what = "memory in use" if trigger["name"].endswith("fixed_heap") else "connections in use"
            scaled = trigger.get("scaled")
            percent = round(100 * (scaled["scaling_threshold"] if scaled else trigger["threshold"]["value"]))
            further = f", fully at {round(100 * scaled['saturation_threshold'])} %" if scaled else ""
            yield Limit(what, percent, "%", "edge", answer + further)


def _body(route: edge.Yaml) -> int:
    most: int = route["typed_per_filter_config"][f"{_FILTER}buffer"]["buffer"]["max_request_bytes"]
    return most


def _seconds(duration: Any) -> float:
    return float(str(duration).removesuffix("s"))
