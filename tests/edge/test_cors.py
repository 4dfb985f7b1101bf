"""Pages that may call from a browser."""

import pytest

from tests.support.edge import Edge
from tests.support.stub_services import PASSED_ON

LOCAL = ["http://localhost:3000", "http://localhost", "http://127.0.0.1:5173"]
FOREIGN = [
    "https://evil.example",
    "http://localhost.evil.example",
    "http://localhost:3000.evil.example",
    "http://evil-localhost:3000",
    "https://localhost:3000",
    "http://127x0x0x1:80",
    "null",
]
EXPOSED = {"x-request-id", "x-should-retry", "retry-after", "retry-after-ms", "x-ratelimit-remaining-requests"}


@pytest.mark.parametrize("origin", LOCAL)
@pytest.mark.parametrize("path", ["/v1/models", "/api/client/v1/chat/completions", "/v1/auth/login"])
def test_preflight_needs_no_token(edge: Edge, origin: str, path: str) -> None:
    asked = {"origin": origin, "access-control-request-method": "POST"}
    reply = edge.request("OPTIONS", path, headers=asked, token=False)
    assert reply.status == 200
    assert reply.headers["access-control-allow-origin"] == origin
    assert reply.headers["access-control-allow-credentials"] == "true"
    assert "DELETE" in reply.headers["access-control-allow-methods"]
    assert "authorization" in reply.headers["access-control-allow-headers"]
    assert reply.headers["vary"] == "Origin"


@pytest.mark.parametrize("origin", LOCAL)
def test_answers_and_errors_can_be_read_by_allowed_pages(edge: Edge, origin: str) -> None:
    headers = {"origin": origin}
    replies = [
        edge.chat(headers=headers),
        edge.chat({"do": "refuse:limit"}, headers),
        edge.chat(headers=headers, token=False),
        edge.request("GET", "/v1/nothing", headers=headers),
    ]
    assert [reply.status for reply in replies] == [200, 429, 401, 404]
    for reply in replies:
        assert reply.headers["access-control-allow-origin"] == origin
        assert set(reply.headers["access-control-expose-headers"].split(", ")) >= EXPOSED
        assert reply.headers["vary"] == "Origin"


def test_a_page_reads_the_rate_limits_and_retry_hints_of_a_provider(edge: Edge) -> None:
    """OpenAI's client retries by these headers, and in a browser it saw only some of them."""
    reply = edge.chat({"do": "limits"}, {"origin": LOCAL[0]})
    exposed = set(reply.headers["access-control-expose-headers"].split(", "))
    sent = {name for name in reply.headers if name.startswith(("x-ratelimit-", "x-should-", "retry-"))}
    assert sent == PASSED_ON.keys()
    assert exposed >= sent


@pytest.mark.parametrize("origin", FOREIGN)
def test_other_pages_may_not(edge: Edge, origin: str) -> None:
    asked = {"origin": origin, "access-control-request-method": "POST"}
    preflight = edge.request("OPTIONS", "/v1/models", headers=asked, token=False)
    answer = edge.chat(headers={"origin": origin})
    assert "access-control-allow-origin" not in preflight.headers
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["vary"] == "Origin"


def test_options_without_an_origin_is_like_any_other_request(edge: Edge) -> None:
    assert edge.request("OPTIONS", "/v1/models", token=False).status == 401
    assert edge.request("OPTIONS", "/v1/models").status == 404
