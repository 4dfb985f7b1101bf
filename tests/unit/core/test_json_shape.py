"""JSON texts that would take too much to read are refused before they are read."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import json_shape
from core.errors import InvalidInput
from core.json_shape import Bounds

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.characters(codec="utf-8"))
    | st.sampled_from(['"', "\\", ",:[{"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=30,
)


def counted(value: Any) -> tuple[int, int]:
    """Nodes and entries behind the first of a list or object, as Python sees them."""
    if isinstance(value, dict):
        parts = [counted(each) for each in value.values()]
        return 1 + len(value) + sum(n for n, _ in parts), max(0, len(value) - 1) + sum(e for _, e in parts)
    if isinstance(value, list):
        parts = [counted(each) for each in value]
        return 1 + sum(n for n, _ in parts), max(0, len(value) - 1) + sum(e for _, e in parts)
    return 0, 0


def fits(text: bytes, bounds: Bounds) -> bool:
    try:
        json_shape.check(text, bounds)
    except InvalidInput:
        return False
    return True


@given(JSON, st.booleans(), st.integers(1, 40))
def test_the_counts_are_exact_however_the_text_is_cut(value: Any, ascii_only: bool, size: int) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only).encode()
    nodes, entries = counted(value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_shape, "_SLICE", size)
        assert fits(text, Bounds(nodes, entries))
        assert not nodes or not fits(text, Bounds(nodes - 1, entries))
        assert not entries or not fits(text, Bounds(nodes, entries - 1))


@pytest.mark.parametrize(
    "text",
    [
        b"[" + b"{}," * 100_001 + b"{}]",
        b"[" * 100_001,
        b"{" + b",".join(b'"%d":1' % number for number in range(100_001)) + b"}",
        b"[" + b"1," * 500_001 + b"1]",
    ],
    ids=["objects", "depth", "members", "numbers"],
)
def test_what_exceeds_the_bounds_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidInput) as caught:
        json_shape.check(text)
    assert (caught.value.reason, caught.value.field) == ("TOO_MANY_VALUES", "body")


@pytest.mark.parametrize("text", [b"x" * 3_000_000, b"," * 3_000_000, b'\\"' * 1_500_000, b"\\\\" * 1_500_000])
def test_a_long_string_is_one_value(text: bytes) -> None:
    json_shape.check(b'{"a":"' + text + b'"}')


def test_the_field_of_a_part_is_named() -> None:
    with pytest.raises(InvalidInput) as caught:
        json_shape.check(b"[1,2,3]", Bounds(9, 1), "metadata")
    assert caught.value.field == "metadata"
    assert caught.value.message.startswith("metadata has more than 1 entries")
