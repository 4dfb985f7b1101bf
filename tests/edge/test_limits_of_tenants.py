"""Limits of large JSON of one tenant: nobody else is served while the edge transcodes it."""

from collections.abc import Iterator

import pytest

from tests.support.edge import Configuration, Edge, Reply, running

PATH = "/v1/models"
KIB = 1024
LARGE, MEDIUM = 2, 5


def _strict(configuration: Configuration) -> None:
    """Limits that a test can reach; no request is given back before the test is over."""
    for name in ("nowhere", "unsized"):
        limit = configuration.routes[name]["typed_per_filter_config"]["envoy.filters.http.local_ratelimit"]
        for descriptor, count in zip(limit["descriptors"], (MEDIUM, LARGE), strict=False):
            descriptor["token_bucket"] = {"max_tokens": count, "tokens_per_fill": 1, "fill_interval": "3600s"}


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    with running(tmp_path_factory.mktemp("strict"), patch=_strict) as started:
        yield started


def _create(edge: Edge, tenant: str, size: int, path: str = PATH) -> Reply:
    """Create a model with a body of `size` bytes."""
    body = b'{"key":"k","name":"' + b"x" * (size - 21) + b'"}'
    return edge.request("POST", path, body, _headers(edge, tenant), token=False)


def _headers(edge: Edge, tenant: str) -> dict[str, str]:
    return {"authorization": f"Bearer {edge.signer.token(tenant=tenant)}", "content-type": "application/json"}


@pytest.mark.parametrize(("size", "count"), [(100 * KIB, LARGE), (16 * KIB + 1, LARGE), (16 * KIB, MEDIUM)])
def test_a_tenant_sends_so_much_large_json(strict: Edge, size: int, count: int) -> None:
    tenant = f"sends {size} bytes"
    statuses = [_create(strict, tenant, size).status for _ in range(count)]
    assert statuses == [201] * count
    for path in (PATH, f"/api/client{PATH}", "/v1/nothing"):
        refused = _create(strict, tenant, size, path)
        assert refused.status == 429
        assert refused.headers["retry-after"] == "1"
        assert refused.error["type"] == "rate_limit_error"
        assert refused.error["code"] == "rate_limited"
    assert _create(strict, f"another than {tenant}", size).status == 201


def test_tokens_and_aliases_do_not_give_a_tenant_more(strict: Edge) -> None:
    """Every call has a token of its own, and its path another spelling."""
    paths = [PATH, f"/api/client{PATH}", f"{PATH}/", f"{PATH}?x=1"]
    statuses = [_create(strict, "many tokens", 20 * KIB, path).status for path in paths]
    assert statuses == [201] * LARGE + [429] * (len(paths) - LARGE)


@pytest.mark.parametrize(
    "rest", ["\r\n", "transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"], ids=["none", "chunked"]
)
def test_requests_without_a_length_are_no_large_ones(strict: Edge, rest: str) -> None:
    """So curl -X POST sends them. What they may hold is small, and they are counted all the same."""
    head = "".join(f"{name}: {value}\r\n" for name, value in _headers(strict, f"sends {len(rest)}").items())
    request = f"POST {PATH} HTTP/1.1\r\nhost: x\r\n{head}{rest}"
    statuses = [strict.raw(request.encode()).status for _ in range(MEDIUM + 1)]
    assert statuses == [201] * MEDIUM + [429]


def test_other_calls_are_not_counted(strict: Edge) -> None:
    headers = _headers(strict, "does other things")
    for _ in range(MEDIUM + 1):
        assert _create(strict, "does other things", 4 * KIB).status == 201
        assert strict.request("GET", PATH, headers=headers, token=False).status == 200
        assert strict.request("DELETE", f"{PATH}/m", headers=headers, token=False).status == 200
        chat = strict.request("POST", "/v1/chat/completions", b"x" * 100 * KIB, headers, token=False)
        assert chat.status == 200
