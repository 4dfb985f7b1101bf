"""Checks of callers' fields, and protobuf's values."""

from collections.abc import Callable
from typing import Any

import pytest

from core import fields
from core.errors import InvalidInput
from core.rpc.values import json_of, json_of_answer, small_json_of, struct_of, timestamp_of
from tests.support.large_requests import members


def test_what_fits_comes_back_clean() -> None:
    assert fields.text("name", "  a b ", at_least=1, at_most=3) == "a b"
    assert fields.small_json("metadata", {"a": [1, None]}) == {"a": [1, None]}
    assert fields.one_of("status", "on", ("on", "off")) == "on"
    assert (fields.between("size", 0, 1, 9, default=5), fields.between("size", 9, 1, 9, default=5)) == (5, 9)
    assert (fields.page_size(0), fields.page_size(1000)) == (50, 1000)
    assert fields.key("key", "a-1") == "a-1"


@pytest.mark.parametrize(
    "check",
    [
        lambda: fields.text("f", " ", at_least=1, at_most=3),
        lambda: fields.text("f", "abcd", at_most=3),
        lambda: fields.text("f", "a\0", at_most=3),
        lambda: fields.small_json("f", {"a": "x" * 17_000}),
        lambda: fields.one_of("f", "x", ("on", "off")),
        lambda: fields.between("f", 10, 1, 9, default=5),
        lambda: fields.between("f", -1, 1, 9, default=5),
        lambda: fields.key("f", "A"),
        lambda: fields.count("f", range(4), 3),
        lambda: small_json_of(members(20_000), "f"),
        lambda: small_json_of(struct_of({"a": [1] * 9_000}), "f"),
        lambda: small_json_of(struct_of({"a": "x" * 100_000}), "f"),
        lambda: small_json_of(struct_of({"a": [[[1, 1]]]}), "f", 8),
        lambda: fields.key("f", "-a"),
        lambda: fields.key("f", "a" * 65),
        lambda: fields.key("f", "a\n"),
    ],
)
def test_what_does_not_fit_names_the_field(check: Callable[[], object]) -> None:
    with pytest.raises(InvalidInput) as caught:
        check()
    assert caught.value.field == "f"


@pytest.mark.parametrize("size", [-1, 1001])
def test_pages_are_bounded(size: int) -> None:
    with pytest.raises(InvalidInput) as caught:
        fields.page_size(size)
    assert caught.value.field == "pageSize"


def test_a_slug_is_plain_and_never_empty() -> None:
    assert fields.slug("  Café -- au lait ", "x") == "cafe-au-lait"
    assert fields.slug("日本", "index") == "index"
    assert fields.slug("a" * 59 + " b", "x", at_most=60) == "a" * 59


def test_values_survive_protobuf() -> None:
    values = {"n": 1, "f": 0.5, "t": "x", "b": True, "z": None, "l": [1, {"a": 2}], "o": {"k": []}}
    back = json_of(struct_of(values), "metadata")
    assert back == values
    assert isinstance(back["n"], int)
    assert small_json_of(struct_of(values), "metadata") == values


def test_large_numbers_of_an_answer_are_no_fault_of_its_reader() -> None:
    """A query over vectors with such a number in their metadata was refused."""
    assert json_of_answer(struct_of({"n": 2**60, "small": 3})) == {"n": float(2**60), "small": 3}
    with pytest.raises(InvalidInput):
        json_of(struct_of({"n": 2**60}), "metadata")


@pytest.mark.parametrize(
    "values",
    [
        {"a": [1] * 8_100},
        {"a": [[]] * 5_400},
        {"a": "x" * 16_000},
        {f"{number}": number for number in range(1_400)},
        {f"{number}": {} for number in range(1_500)},
    ],
)
def test_what_may_be_kept_is_never_too_long_to_convert(values: dict[str, Any]) -> None:
    assert fields.small_json("f", small_json_of(struct_of(values), "f")) == values


def test_what_is_too_long_is_not_converted(monkeypatch: pytest.MonkeyPatch) -> None:
    """12 MiB of metadata were converted, which took seconds, and then found to be more than 16 KiB."""
    monkeypatch.setattr("core.rpc.values._Reader", None)
    with pytest.raises(InvalidInput) as caught:
        small_json_of(members(100_000), "metadata")
    assert caught.value.message == "metadata must be at most 16384 bytes of JSON."
    assert timestamp_of(None) is None
    moment = timestamp_of(1.5)
    assert moment is not None
    assert moment.ToMicroseconds() == 1_500_000
