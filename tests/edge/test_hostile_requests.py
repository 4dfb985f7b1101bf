"""Requests that break what a filter expects of them are refused in the edge's own shape, and none is answered twice."""

import pytest

from tests.support.edge import Edge, Reply

CHAT = "POST /v1/chat/completions HTTP/1.1\r\n"
BODY = 'content-type: application/json\r\ncontent-length: 13\r\n\r\n{"model":"m"}'
LONG = "x" * 50_000

MALFORMED = {
    "CONNECT": "CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n",
    "CONNECT with a token": "CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n<bearer>\r\n",
    "two hosts": CHAT + "host: a\r\nhost: b\r\n<bearer>" + BODY,
    "the same host twice": CHAT + "host: a\r\nhost: a\r\n<bearer>" + BODY,
    "two hosts in one": CHAT + "host: a,b\r\n<bearer>" + BODY,
    "two hosts at a public path": "POST /v1/auth/login HTTP/1.1\r\nhost: a\r\nhost: b\r\n" + BODY,
    "no method we know": "BREW /v1/models HTTP/1.1\r\nhost: a\r\n<bearer>\r\n",
    "no slash": "GET v1/models HTTP/1.1\r\nhost: a\r\n<bearer>\r\n",
    "only a query": "GET ?x=1 HTTP/1.1\r\nhost: a\r\n<bearer>\r\n",
    "GET *": "GET * HTTP/1.1\r\nhost: a\r\n<bearer>\r\n",
    "NUL in the path": "GET /v1/mo\0dels HTTP/1.1\r\nhost: a\r\n<bearer>\r\n",
    "bytes in the path": "GET /v1/mod\xffels HTTP/1.1\r\nhost: a\r\n<bearer>\r\n",
    "NUL in a header": "GET /v1/models HTTP/1.1\r\nhost: a\r\nx-a: b\0c\r\n<bearer>\r\n",
    "a transfer encoding": CHAT + "host: a\r\ntransfer-encoding: chunked, identity\r\n<bearer>\r\n0\r\n\r\n",
}
UNKNOWN_TOKEN = {
    "a good and a bad authorization": CHAT + "host: a\r\n<bearer>authorization: Bearer ptc_x\r\n" + BODY,
    "a bad and a good authorization": CHAT + "host: a\r\nauthorization: Bearer ptc_x\r\n<bearer>" + BODY,
    "the same authorization twice": CHAT + "host: a\r\n<bearer><bearer>" + BODY,
    "a password and a token": CHAT + "host: a\r\nauthorization: Basic eDp5\r\n<bearer>" + BODY,
    "a token and a password": CHAT + "host: a\r\n<bearer>authorization: Basic eDp5\r\n" + BODY,
    "two keys": CHAT + "host: a\r\nx-api-key: <token>\r\nx-api-key: <token>\r\n" + BODY,
    "two headers of cookies": CHAT + "host: a\r\ncookie: a=b\r\ncookie: portico_session=<token>\r\n" + BODY,
    "a long token": CHAT + f"host: a\r\nauthorization: bearer ptc_{LONG}\r\n" + BODY,
    "a long space": CHAT + f"host: a\r\nauthorization: bearer{' ' * 50_000}x\r\n" + BODY,
    "a long key": CHAT + f"host: a\r\nx-api-key: ptc_{LONG}\r\n" + BODY,
    "many empty cookies": CHAT + f"host: a\r\ncookie: {';' * 50_000}\r\n" + BODY,
    "many names like the session's": "GET /v1/models HTTP/1.1\r\n"
    f"host: a\r\ncookie: {'portico_session=ptc_' * 2500}\r\n\r\n",
}
NOWHERE = {
    "OPTIONS *": "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n",
    "OPTIONS * with a token": "OPTIONS * HTTP/1.1\r\nhost: a\r\n<bearer>\r\n",
    "OPTIONS * as a preflight": "OPTIONS * HTTP/1.1\r\nhost: a\r\norigin: http://localhost\r\n"
    "access-control-request-method: GET\r\n\r\n",
    "TRACE": "TRACE /v1/models HTTP/1.1\r\nhost: a\r\n<bearer>\r\n",
    "a long alias": f"GET /agents/{LONG}/tools HTTP/1.1\r\nhost: a\r\n<bearer>\r\n",
    "an alias of an alias": f"GET {'/api/client/v1' * 3000}/models HTTP/1.1\r\nhost: a\r\n<bearer>\r\n",
}
SERVED = {
    "another host in the path": "POST http://other.example/v1/chat/completions HTTP/1.1\r\nhost: a\r\n<bearer>" + BODY,
    "an alias in an absolute path": "POST http://x/api/client/v1/chat/completions HTTP/1.1\r\nhost: a\r\n<bearer>"
    + BODY,
    "a query that is none": "GET /v1/models?& HTTP/1.1\r\nhost: a\r\n<bearer>\r\n",
    "an escape that is none": "GET /v1/models/%zz%f HTTP/1.1\r\nhost: a\r\n<bearer>\r\n",
    "two ids": CHAT + "host: a\r\nx-request-id: a\r\nx-request-id: b\r\n<bearer>" + BODY,
    "an authorization behind an empty one": CHAT + "host: a\r\nauthorization:\r\n<bearer>" + BODY,
    "no host": CHAT + "host:\r\n<bearer>" + BODY,
    "HTTP/2 offered": "GET /v1/models HTTP/1.1\r\nhost: a\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\n"
    "http2-settings: AAMAAABkAAQAAP__\r\n<bearer>\r\n",
}


def _sent(edge: Edge, request: str) -> Reply:
    filled = request.replace("<bearer>", f"authorization: Bearer {edge.token}\r\n").replace("<token>", edge.token)
    return edge.raw(filled.encode("latin-1"))


@pytest.mark.parametrize("request_", MALFORMED.values(), ids=MALFORMED.keys())
def test_what_is_not_well_formed_is_a_bad_request(edge: Edge, request_: str) -> None:
    reply = _sent(edge, request_)
    assert reply.status == 400
    assert reply.error["code"] == "bad_request"
    assert reply.error["type"] == "invalid_request_error"


@pytest.mark.parametrize("request_", UNKNOWN_TOKEN.values(), ids=UNKNOWN_TOKEN.keys())
def test_what_is_not_one_token_is_none(edge: Edge, request_: str) -> None:
    reply = _sent(edge, request_)
    assert reply.status == 401
    assert reply.error["code"] == "invalid_api_key"


@pytest.mark.parametrize("request_", NOWHERE.values(), ids=NOWHERE.keys())
def test_what_leads_nowhere_is_not_found(edge: Edge, request_: str) -> None:
    reply = _sent(edge, request_)
    assert reply.status == 404
    assert reply.error["code"] == "not_found"


@pytest.mark.parametrize("request_", SERVED.values(), ids=SERVED.keys())
def test_what_is_odd_and_harmless_is_served(edge: Edge, request_: str) -> None:
    assert _sent(edge, request_).status == 200


def test_more_headers_than_any_client_sends_are_refused(edge: Edge) -> None:
    head = "".join(f"h{number}: x\r\n" for number in range(101))
    reply = _sent(edge, f"GET /v1/models HTTP/1.1\r\nhost: a\r\n{head}<bearer>\r\n")
    assert reply.status == 431
    assert reply.error["message"] == "The headers are larger than 60 KiB, or more than 100."


def test_the_script_of_the_edge_met_no_error(edge: Edge) -> None:
    """It would be skipped, and with it the aliases, the request id and the checks of pages."""
    for request in (*MALFORMED.values(), *UNKNOWN_TOKEN.values(), *NOWHERE.values(), *SERVED.values()):
        _sent(edge, request)
    assert edge.statistics()["http.edge.lua.errors"] == 0
