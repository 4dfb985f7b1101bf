"""The edge's scripts run for what is not plain, and for no other call."""

from tests.support.edge import Edge


def _runs(edge: Edge) -> int:
    return edge.statistics()["http.edge.lua.executions"]


def test_a_plain_call_runs_no_script(edge: Edge) -> None:
    before = _runs(edge)
    assert edge.chat().status == 200
    assert edge.chat({"do": "stream:3"}).status == 200
    assert _runs(edge) == before


def test_what_is_not_plain_runs_them(edge: Edge) -> None:
    """An alias on the way in; an error on the way out."""
    before = _runs(edge)
    assert edge.request("POST", "/api/client/v1/chat/completions", {}).status == 200
    assert _runs(edge) == before + 1
    assert edge.chat({"do": "refuse:absent"}).status == 404
    assert _runs(edge) == before + 2
