"""Normalisation, formatting and comparison of recorded answers."""

import pytest

from tests.compat.client import Answer
from tests.compat.corpus import Request
from tests.compat.json_text import rewrite
from tests.compat.normalise import Normaliser
from tests.compat.recording import differences, shown

NOW = 1_790_000_000.0  # 2026-09-21T14:13:20Z


@pytest.fixture
def normaliser() -> Normaliser:
    return Normaliser(NOW, {"http://127.0.0.1:4711": "<edge>"})


def test_one_value_has_one_name_everywhere(normaliser: Normaliser) -> None:
    first, second = "a" * 32, "b" * 32
    assert normaliser.body(f'{{"id":"{first}","parent":"{second}","again":["{first}"]}}') == (
        '{"id":"<id:1>","parent":"<id:2>","again":["<id:1>"]}'
    )
    assert normaliser.body(f'"job_{second}"') == '"job_<id:2>"'


def test_a_checksum_is_no_id(normaliser: Normaliser) -> None:
    text = f'"{"0af3" * 16}"'
    assert normaliser.body(text) == text


def test_times_are_hours_from_now(normaliser: Normaliser) -> None:
    times = '{"a":"2026-09-21T14:13:25.123Z","b":"2026-09-28T14:13:21Z","c":"2001-01-01T00:00:00Z","d":1790000004}'
    assert normaliser.body(times) == '{"a":"<now>","b":"<now+168h>","c":"2001-01-01T00:00:00Z","d":<now>}'


def test_all_other_bytes_stay(normaliser: Normaliser) -> None:
    text = '{ "a" : [1.50, 12345678901234567890, -0,\n"\\u00fc ü"], "b":{},"a":null}  '
    assert normaliser.body(text) == text


def test_an_error_keeps_its_kind_and_loses_its_text(normaliser: Normaliser) -> None:
    body = '{"error":{"message":"No \\"x\\".","type":"t","code":"c","param":null},"request_id":"r","message":"kept"}'
    assert normaliser.body(body) == body.replace('No \\"x\\".', "<text>")
    assert normaliser.body('{"error":{"message":""}}') == '{"error":{"message":""}}'


def test_an_error_in_a_stream_is_one_too(normaliser: Normaliser) -> None:
    stream = 'data: {"n":1}\n\n: keep-alive\n\ndata: {"error":{"message":"gone"}}\n\ndata: [DONE]\n\n'
    assert normaliser.body(stream) == stream.replace("gone", "<text>")


def test_durations_and_places_in_lists_have_names(normaliser: Normaliser) -> None:
    assert normaliser.body('{"latencyMs":1.5,"firstByteMs":0,"nextPageToken":"abc","nextCursor":""}') == (
        '{"latencyMs":<ms>,"firstByteMs":0,"nextPageToken":"<page:1>","nextCursor":""}'
    )


def test_maps_have_no_order(normaliser: Normaliser) -> None:
    assert normaliser.body('{"z":1,"metadata":{"b":{"d":1,"c":2},"a":3},"y":2}') == (
        '{"z":1,"metadata":{"a":3,"b":{"c":2,"d":1}},"y":2}'
    )


def test_usual_headers_are_shown_where_they_are_otherwise(normaliser: Normaliser) -> None:
    request = Request("area", "area/one", "GET", "/v1/x")
    usual = {"content-type": "application/json", "server": "portico", "vary": "Origin"}
    headers = [*usual.items(), ("x-request-id", "area.one"), ("cache-control", "no-cache"), ("content-length", "3")]
    block = shown(request, Answer(200, headers, b"{}"), normaliser)
    assert block.splitlines()[3:-1] == ["cache-control: no-cache", "content-length: 3", "no x-content-type-options"]


def test_bytes_that_are_no_text_are_escaped(normaliser: Normaliser) -> None:
    block = shown(Request("area", "area/one", "GET", "/"), Answer(200, [], b"\x89PNG\r\n\x00ok\n"), normaliser)
    assert block.splitlines()[-3:] == ["| \\x89PNG\\x0d", "| \\x00ok", "|"]


def test_a_long_wait_counts_down(normaliser: Normaliser) -> None:
    assert [normaliser.header("retry-after", seconds) for seconds in ("7", "1549")] == ["7", "<seconds>"]


@pytest.mark.parametrize("text", ["", "{", "[1", '{"a"}', '{"a":1}x', "a b", '{"a":', "[1,"])
def test_what_is_not_json_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        rewrite(text, lambda path, written: written, ())


def test_a_difference_names_its_request_and_shows_the_lines(normaliser: Normaliser) -> None:
    request = Request("area", "area/one", "GET", "/v1/x")
    old, new = (
        shown(request, Answer(200, [("etag", tag), ("date", tag)], b'{"a":1}'), normaliser) for tag in ("v1", "v2")
    )
    (told,) = differences({"area/one": old}, {"area/one": new})
    assert told.startswith("area/one is answered differently:")
    assert "-etag: v1\n+etag: v2" in told
    assert "date" not in told
    assert differences({"area/one": old}, {"area/one": old}) == []


def test_a_long_body_is_folded_where_objects_end(normaliser: Normaliser) -> None:
    item = '{"id":"x","text":"' + "t" * 60 + '"}'
    block = shown(Request("a", "a/b", "GET", "/"), Answer(200, [], f"[{item},{item},{item}]".encode()), normaliser)
    lines = [line for line in block.splitlines()[3:] if line[0] in "|+"]
    assert "".join(line[2:] for line in lines) == f"[{item},{item},{item}]"
    assert [line[0] for line in lines] == ["|", "+", "+"]
