"""Limits of one address at a time: connections, and calls of RPCs that need no token."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path

import grpc
import pytest

from portico.auth.v1 import account_service_pb2, account_service_pb2_grpc
from tests.support.edge import Configuration, Edge, Reply, running
from tools import edge as tool

CONNECTIONS = 20
CALLS = 5
ADDRESSES = [f"127.0.0.{number}" for number in range(2, 100)]


def _strict(configuration: Configuration) -> None:
    """Limits that a test can reach; no call is given back before the test is over."""
    tool.connection_limit(configuration.listeners)["max_connections"] = CONNECTIONS
    for name in ("public", "public_native"):
        limit = configuration.routes[name]["typed_per_filter_config"]["envoy.filters.http.local_ratelimit"]
        [descriptor] = limit["descriptors"]
        descriptor["token_bucket"] = {"max_tokens": CALLS, "tokens_per_fill": 1, "fill_interval": "3600s"}


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    with running(tmp_path_factory.mktemp("strict"), patch=_strict) as started:
        yield started


def _is_open(connection: socket.socket, edge: Edge) -> bool:
    """Return whether the edge has kept the connection: it answers, or it has hung up."""
    try:
        connection.sendall(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")
        return connection.recv(100).startswith(b"HTTP/1.1 200")
    except ConnectionError:
        return False


def test_an_address_gets_so_many_connections_and_others_still_get_theirs(strict: Edge) -> None:
    with ExitStack() as stack:

        def connect(address: str) -> socket.socket:
            made = socket.create_connection(("127.0.0.1", strict.port), timeout=20, source_address=(address, 0))
            return stack.enter_context(made)

        held = [connect("127.0.0.2") for _ in range(2 * CONNECTIONS)]
        assert sum(_is_open(each, strict) for each in held) == CONNECTIONS
        others = [_is_open(connect(address), strict) for address in ADDRESSES]
        # of 16 groups, one is full; the addresses are dealt to them by a hash, so these shares are the same in each run
        assert 0.75 * len(others) < sum(others) < len(others)

        for each in held:
            each.close()
        assert _is_open(connect("127.0.0.2"), strict)


def _login(edge: Edge, address: str, path: str = "/v1/auth/login", headers: dict[str, str] | None = None) -> Reply:
    connection = HTTPConnection("127.0.0.1", edge.port, timeout=20, source_address=(address, 0))
    with ExitStack() as stack:
        stack.callback(connection.close)
        connection.request("POST", path, b"{}", {"content-type": "application/json", **(headers or {})})
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Reply(response.status, found, response.read())


def test_an_address_makes_so_many_calls_without_a_token_however_spelled(strict: Edge) -> None:
    paths = ["/v1/auth/login", "/api/client/v1/auth/login", "/v1/auth/register", "/v1/auth/login?x=1"]
    statuses = [_login(strict, "127.0.0.3", path).status for path in (*paths, "/v1/auth/login")]
    assert 429 not in statuses
    for path in paths:
        refused = _login(strict, "127.0.0.3", path)
        assert refused.status == 429
        assert refused.error["type"] == "rate_limit_error"
        assert refused.error["code"] == "rate_limited"
        assert refused.headers["retry-after"] == "1"
    assert _login(strict, "127.0.0.4").status == 200
    token = {"authorization": f"Bearer {strict.token}"}
    assert _login(strict, "127.0.0.3", "/v1/chat/completions", token).status == 200


def test_an_address_makes_so_many_calls_without_a_token_over_grpc(strict: Edge) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{strict.port}", options=[("grpc.enable_http_proxy", 0)]) as channel:
        stub = account_service_pb2_grpc.AccountServiceStub(channel)
        for _ in range(CALLS):
            stub.Login(account_service_pb2.LoginRequest(email="a@b.c"))
        with pytest.raises(grpc.RpcError) as caught:
            stub.Login(account_service_pb2.LoginRequest(email="a@b.c"))
    assert isinstance(caught.value, grpc.Call)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert caught.value.details() == "Too many requests of this kind have come from you. Try again in a moment."


def test_the_keys_are_fetched_whatever_addresses_do(strict: Edge) -> None:
    """The edge asks itself for them: were it counted as an address, an attack from there would leave it without."""
    for _ in range(2 * CALLS):
        _login(strict, "127.0.0.1")
    assert _login(strict, "127.0.0.1").status == 429
    fresh = {"authorization": f"Bearer {strict.signer.token()}"}
    statuses = {address: _login(strict, address, "/v1/chat/completions", fresh).status for address in ADDRESSES[:40]}
    assert set(statuses.values()) == {200}, statuses


def test_behind_a_load_balancer_the_clients_address_counts(tmp_path: Path) -> None:
    """All connections are the balancer's: it has to limit those, and the edge counts calls by the address it names."""
    with running(tmp_path, patch=_strict, trusted_hops=1) as edge:
        first, second = {"x-forwarded-for": "192.0.2.1"}, {"x-forwarded-for": "192.0.2.2"}
        statuses = [_login(edge, "127.0.0.1", headers=first).status for _ in range(CALLS + 1)]
        assert statuses == [200] * CALLS + [429]
        assert _login(edge, "127.0.0.1", headers=second).status == 200
        forged = {"x-forwarded-for": "192.0.2.3, 192.0.2.1"}
        assert _login(edge, "127.0.0.1", headers=forged).status == 429


def test_behind_a_load_balancer_connections_are_not_counted_by_address(tmp_path: Path) -> None:
    tool.render(tmp_path, port=1, clusters={}, trusted_hops=1)
    configuration = Configuration(tool.load(tmp_path / "envoy.yaml"), tool.load(tmp_path / "listener.yaml"))
    every = tool.resource_monitor(configuration.bootstrap, "global_downstream_max_connections")
    limit = tool.connection_limit(configuration.listeners)
    assert limit["max_connections"] == every["max_active_downstream_connections"]
    assert configuration.manager["common_http_protocol_options"]["idle_timeout"] == "620s"
