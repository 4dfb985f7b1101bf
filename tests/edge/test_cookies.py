"""The session's cookie: a browser sends it along with the calls of any page, so only some pages may act with it."""

import json
import socket
from collections.abc import Iterator, Mapping

import pytest

from tests.support import attacks
from tests.support.edge import Edge, Reply, running

HOST = "portico.example"
OWN = [
    {"origin": f"http://{HOST}"},
    {"origin": f"http://{HOST}:80"},
    {"origin": f"https://{HOST}"},  # TLS may end in front of the edge
    {"referer": f"http://{HOST}/page?x=1"},
    {"referer": f"https://{HOST}"},
    {"sec-fetch-site": "same-origin"},
]
ALLOWED = [{"origin": "http://localhost:3000"}, {"referer": "http://127.0.0.1:5173/page"}]
FOREIGN: list[dict[str, str]] = [
    {},
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": ""},
    {"origin": f"http://{HOST}.evil.example"},
    {"origin": f"http://evil-{HOST}"},
    {"origin": f"http://{HOST}:8080"},
    {"origin": f"ftp://{HOST}"},
    {"origin": HOST},
    {"origin": "http://localhost.evil.example"},
    {"origin": "https://evil.example", "referer": f"http://{HOST}/"},
    {"origin": "https://evil.example", "sec-fetch-site": "same-origin"},
    {"origin": f"http://{HOST}, https://evil.example"},
    {"referer": "https://evil.example/"},
    {"referer": f"https://evil.example/?http://{HOST}/"},
    {"referer": f"http://{HOST}@evil.example/"},
    {"referer": "about:blank"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "none"},
    {"x-portico-page": "http://localhost:3000"},  # only the edge may say this
]
TLS = {"x-forwarded-for": "192.0.2.1", "x-forwarded-proto": "https"}
"""Headers added by a load balancer that has ended TLS."""
NAMES = ["__Host-portico_session", "portico_session"]


def _call(
    edge: Edge,
    page: Mapping[str, str],
    method: str = "POST",
    path: str = "/v1/chat/completions",
    *,
    name: str = NAMES[0],
) -> Reply:
    """As a page can make a browser send it without asking first: a simple request, with the cookie."""
    headers = {"host": HOST, "content-type": "text/plain", "cookie": f"{name}={edge.token}", **page}
    body = b'{"model":"m"}' if method in ("POST", "PUT", "PATCH") else None
    return edge.request(method, path, body, headers, token=False)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("page", OWN + ALLOWED, ids=str)
def test_pages_of_this_host_and_of_allowed_origins_act_with_the_cookie(
    edge: Edge, page: dict[str, str], name: str
) -> None:
    reply = _call(edge, page, name=name)
    assert reply.status == 200
    assert reply.json["metadata"]["authorization"] == f"Bearer {edge.token}"
    assert "x-portico-page" not in reply.json["metadata"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("page", FOREIGN, ids=str)
def test_other_pages_do_not(edge: Edge, page: dict[str, str], name: str) -> None:
    reply = _call(edge, page, name=name)
    assert reply.status == 403
    assert reply.error == {
        "message": "The session's cookie counts only in calls from pages of this host or of an allowed origin. "
        "Programs send the token as 'Authorization: Bearer ptc_...'.",
        "type": "permission_error",
        "code": "foreign_page",
        "param": None,
    }


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/v1/models/m"),
        ("PATCH", "/v1/models/m"),
        ("DELETE", "/v1/models/m"),
        ("POST", "/api/client/v1/models"),
        ("POST", "/v1/files"),
        ("POST", "/v1/auth/logout"),
        ("POST", "/v1/nothing"),
        ("POST", "/portico.inference.v1.ModelService/DeleteModel"),
    ],
)
def test_no_method_that_writes_and_no_path_is_left_out(edge: Edge, method: str, path: str) -> None:
    assert _call(edge, {"origin": "https://evil.example"}, method, path).status == 403


def test_no_page_signs_a_browser_in_as_somebody_else(edge: Edge) -> None:
    headers = {"host": HOST, "content-type": "text/plain"}
    body = json.dumps({"email": "a@b.c"}).encode()
    foreign = edge.request("POST", "/v1/auth/login", body, {**headers, "origin": "https://evil.example"}, token=False)
    assert foreign.status == 403
    own = edge.request("POST", "/v1/auth/login", body, {**headers, "origin": f"https://{HOST}"}, token=False)
    assert own.status == 200
    program = edge.request("POST", "/v1/auth/login", body, headers, token=False)
    assert program.status == 200


@pytest.mark.parametrize("page", FOREIGN, ids=str)
def test_reading_with_the_cookie_is_left_to_cors(edge: Edge, page: dict[str, str]) -> None:
    reply = _call(edge, page, "GET", "/v1/models")
    assert reply.status == 200
    assert "access-control-allow-origin" not in reply.headers


@pytest.mark.parametrize("page", FOREIGN, ids=str)
@pytest.mark.parametrize("header", ["authorization", "x-api-key"])
def test_a_token_in_a_header_may_come_from_anywhere(edge: Edge, page: dict[str, str], header: str) -> None:
    """No browser adds it by itself. The cookie beside it does not count."""
    value = f"Bearer {edge.token}" if header == "authorization" else edge.token
    assert _call(edge, {**page, header: value}).status == 200


@pytest.fixture(scope="module")
def behind_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """An edge behind a load balancer that ends TLS."""
    with running(tmp_path_factory.mktemp("behind_tls"), trusted_hops=1) as started:
        yield started


@pytest.mark.parametrize(("origin", "status"), [(f"https://{HOST}", 200), (f"http://{HOST}", 403)])
def test_behind_tls_a_page_without_it_is_another_origin(behind_tls: Edge, origin: str, status: int) -> None:
    """Whoever sits in the network can put anything into a page that came over plain HTTP."""
    assert _call(behind_tls, {"origin": origin, **TLS}).status == status


def test_behind_tls_a_cookie_that_a_neighbour_can_plant_is_none(behind_tls: Edge) -> None:
    """Any host of the same domain can set the plain name for this one."""
    page = {"origin": f"https://{HOST}", **TLS}
    assert _call(behind_tls, page, name="portico_session").status == 401
    assert _call(behind_tls, page, name="__Host-portico_session").status == 200


def test_the_name_that_no_neighbour_can_plant_wins(edge: Edge) -> None:
    cookie = f"portico_session=ptc_planted; __Host-portico_session={edge.token}; portico_session=ptc_planted"
    reply = edge.chat(headers={"cookie": cookie, "origin": "http://localhost"}, token=False)
    assert reply.status == 200
    assert reply.json["metadata"]["authorization"] == f"Bearer {edge.token}"


def test_cookies_in_several_headers_are_one_over_http2(edge: Edge) -> None:
    """Browsers split them so that each compresses by itself."""
    head = {":method": "GET", ":scheme": "http", ":authority": "x", ":path": "/v1/models"}
    block = attacks.header_block(head)
    for cookie in ("a=b", f"portico_session={edge.token}", "c=d"):
        block += attacks.header_block({"cookie": cookie})
    with socket.create_connection(("127.0.0.1", edge.port), timeout=20) as connection:
        flags = attacks.END_HEADERS | attacks.END_STREAM
        settings = attacks.frame(attacks.SETTINGS, 0, 0)
        connection.sendall(attacks.PREFACE + settings + attacks.frame(attacks.HEADERS, flags, 1, block))
        received = b""
        for frame in attacks.read_frames(connection):
            received += frame.payload if frame.kind == attacks.DATA else b""
            if frame.ends_stream:
                break
    assert json.loads(received)["object"] == "0  False"
