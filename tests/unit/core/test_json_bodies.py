"""Errors for JSON bodies that do not fit."""

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import json_bodies
from core.errors import InvalidInput, UnsupportedMedia
from tests.support.compression import COMPRESS


class Item(msgspec.Struct):
    name: str
    notes: dict[str, Any] = {}


class Order(msgspec.Struct):
    items: list[Item]


ORDER = msgspec.json.Decoder(Order)


def refusal(body: bytes) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        json_bodies.read(ORDER, body)
    return caught.value


def test_a_body_that_fits() -> None:
    assert json_bodies.read(ORDER, b'{"items":[{"name":"a"}]}') == Order([Item("a")])


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        (b"{}", "items", "items is missing."),
        (b'{"items":[{}]}', "items[0].name", "items[0].name is missing."),
        (b'{"items":[{"name":1}]}', "items[0].name", "Expected `str`, got `int` at items[0].name."),
        (b"[]", "body", "Expected `object`, got `array` as the body."),
    ],
)
def test_a_body_of_another_shape(body: bytes, field: str, message: str) -> None:
    error = refusal(body)
    assert (error.field, error.message) == (field, message)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "truncated"),
        (b"{", "truncated"),
        (b"nonsense", "invalid character"),
        (b"\xff", "invalid character"),
        (b'{"items":[{"name":"\xff"}]}', "UTF-8"),
        (b'{"items":[{"name":"a","notes":{"\xff":1}}]}', "UTF-8"),
        (b'{"items":[{"name":"a","notes":{"x":' + b"[" * 100_000, "nested too deeply"),
    ],
    ids=["empty", "cut", "text", "byte", "text that is not UTF-8", "key that is not UTF-8", "deep"],
)
def test_a_body_that_is_no_json(body: bytes, why: str) -> None:
    """Depth, and bytes within a text, are no errors of msgspec's own kind, and were errors of ours."""
    error = refusal(body)
    assert (error.field, error.reason) == ("body", "INVALID_JSON")
    assert error.message.startswith("The body is not valid JSON: ")
    assert why in error.message


def test_a_part_of_a_body_is_named_as_what_it_is() -> None:
    names = msgspec.json.Decoder(list[str])
    for part, told in (
        (b'["a",1]', ("items[0].names[1]", "Expected `str`, got `int` at items[0].names[1].")),
        (b"{}", ("items[0].names", "Expected `array`, got `object` at items[0].names.")),
        (b'["\xff"]', ("items[0].names", "items[0].names is not valid JSON: its text is not UTF-8.")),
    ):
        with pytest.raises(InvalidInput) as caught:
            json_bodies.read(names, part, "items[0].names")
        assert (caught.value.field, caught.value.message) == told
    with pytest.raises(InvalidInput) as caught:
        json_bodies.read(ORDER, b'{"items":[{}]}', "order")
    assert caught.value.field == "order.items[0].name"


@given(st.binary(max_size=60).map(lambda middle: b'{"items":[{"name":"' + middle + b'"}]}'))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with suppress(InvalidInput):
        assert json_bodies.read(ORDER, body).items


@pytest.mark.parametrize("coding", ["gzip", "zstd", "deflate"])
def test_a_compressed_body_is_refused_with_the_name_of_its_coding(coding: str) -> None:
    """sub2api#2826: a gzipped request was called "not valid UTF-8"."""
    error = refusal(COMPRESS[coding](b'{"items":[]}'))
    assert isinstance(error, UnsupportedMedia)
    assert (error.field, error.reason) == ("body", "UNSUPPORTED_ENCODING")
    assert coding in error.message


def test_a_byte_order_mark_is_no_part_of_the_json() -> None:
    assert json_bodies.read(ORDER, b'\xef\xbb\xbf{"items":[]}') == Order([])
    assert "invalid character" in refusal(b"\xef\xbb\xbf" * 2 + b"{}").message
