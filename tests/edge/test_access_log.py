"""One line of JSON for each request, without what is nobody's business."""

from tests.support.edge import Edge

FIELDS = {
    "time",
    "request_id",
    "method",
    "path",
    "status",
    "flags",
    "duration_ms",
    "bytes_in",
    "bytes_out",
    "tenant",
    "user",
    "upstream",
}


def test_what_a_line_says(edge: Edge) -> None:
    reply = edge.request("POST", "/api/client/v1/chat/completions?q=private", {"model": "private"})
    line = edge.logged(reply)
    assert set(line) == FIELDS
    assert line["method"] == "POST"
    assert line["path"] == "/v1/chat/completions"
    assert line["status"] == 200
    assert (line["tenant"], line["user"], line["upstream"]) == ("acme", "u1", "inference_http1")
    assert line["bytes_in"] == len('{"model": "private"}')
    assert line["bytes_out"] == len(reply.body)


def test_refusals_are_logged_without_an_identity(edge: Edge) -> None:
    forged = {"x-tenant-id": "victim", "x-user-id": "root"}
    line = edge.logged(edge.chat(headers=forged, token=False))
    assert line["status"] == 401
    assert line["tenant"] is None
    assert line["user"] is None


def test_secrets_stay_out(edge: Edge) -> None:
    cookie = {"cookie": "portico_session=ptc_private"}
    edge.logged(edge.request("GET", "/v1/models?key=ptc_private", headers=cookie))
    text = edge.access_log.read_text()
    assert "private" not in text
    assert edge.token not in text


def test_probes_are_not_logged(edge: Edge) -> None:
    edge.request("GET", "/health/live")
    edge.logged(edge.chat())
    assert "/health/" not in edge.access_log.read_text()
