"""Errors as metadata: whole where they fit, cut where they do not, and always within the limits of the transports."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given
from hypothesis import strategies as st

from core import errors
from core.rpc.error_formats import trailing_metadata
from core.rpc.errors import grpc_message

CLIENT_LIMIT = 8 * 1024
"""Of metadata, in gRPC clients that are not told otherwise."""
EDGE_LIMIT = 60 * 1024
_PRINTABLE = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")


def size_of(metadata: Any) -> int:
    """As gRPC counts: names and values, with 32 bytes for each pair."""
    lengths = (len(name) + len(value) * (4 / 3 if name.endswith("-bin") else 1) + 32 for name, value in metadata)
    return round(sum(lengths))


def sent(text: str) -> int:
    return len(quote(text, safe=_PRINTABLE))


@pytest.mark.parametrize("character", ["x", "%", "\n", "é", "漢", "\U0001f600", '"'])
def test_the_longest_error_fits_both_transports(character: str) -> None:
    error = errors.InvalidInput(
        character * 20_000,
        field=character * 30_000,
        metadata={"scope": "s"},
        details={"innererror": {"a": character * 99}},
    )
    native = trailing_metadata(error, "r" * 128, rest=False)
    assert size_of(native) + sent(grpc_message(error)) + 300 < CLIENT_LIMIT
    rest = trailing_metadata(error, "r" * 128, rest=True)
    assert size_of(rest) + sent(grpc_message(error)) < EDGE_LIMIT / 1.5
    body = dict(rest)["x-error-body"]
    assert isinstance(body, str)
    assert body.isascii()
    assert json.loads(body)["error"]["message"].startswith(character * 1500)


def test_some_kilobytes_arrive_whole() -> None:
    """litellm#25505: a provider's explanation was cut after 250 characters, before it came to the point."""
    message = "word " * 500
    error = errors.InvalidInput(message, details={"innererror": {"code": "x"}})
    metadata = dict(trailing_metadata(error, "r", rest=True))
    body = json.loads(metadata["x-error-body"])["error"]
    assert body["message"] == message
    assert body["innererror"] == {"code": "x"}
    assert grpc_message(error) == message


def test_the_status_and_its_details_say_the_same() -> None:
    """Readers of google.rpc.Status refuse details whose message is not the status'."""
    error = errors.InvalidInput("漢" * 4000, field="f")
    status = status_pb2.Status.FromString(dict(trailing_metadata(error, "r", rest=False))["grpc-status-details-bin"])
    assert status.message == grpc_message(error)
    bad = error_details_pb2.BadRequest()
    assert any(detail.Unpack(bad) for detail in status.details)
    assert status.message.startswith(bad.field_violations[0].description)


@given(st.text(max_size=5000), st.integers(0, 3000))
def test_a_cut_message_is_the_beginning_of_the_whole(text: str, more: int) -> None:
    error = errors.InvalidInput(text + "ü" * more)
    message = grpc_message(error)
    assert sent(message) <= 2560
    assert message == error.message or error.message.startswith(message.removesuffix("..."))


def test_details_cannot_take_the_place_of_what_every_error_has() -> None:
    error = errors.NotFound("no", details={"message": "other", "type": "other", "code": 5, "param": 6, "more": 7})
    body = json.loads(dict(trailing_metadata(error, "r", rest=True))["x-error-body"])
    assert body["error"] == {
        "message": "no", "type": "invalid_request_error", "code": "not_found", "param": None, "more": 7,
    }  # fmt: skip


def test_headers_and_the_word_on_retries_are_for_rest_alone() -> None:
    error = errors.Unavailable("away")
    error.final = True
    error.headers = (("x-ratelimit-limit-requests", "5"),)
    rest = dict(trailing_metadata(error, "r", rest=True))
    assert rest["x-should-retry"] == "false"
    assert rest["x-ratelimit-limit-requests"] == "5"
    assert set(dict(trailing_metadata(error, "r", rest=False))) == {"grpc-status-details-bin"}
    assert "x-should-retry" not in dict(trailing_metadata(errors.Unavailable("away"), "r", rest=True))
