"""The limits of free JSON: what is accepted can be given back (apache/cxf#3152, wandb/weave#7578)."""

import json
import math
from typing import Any

import msgspec
import orjson
import pytest
from google.protobuf.struct_pb2 import Struct
from hypothesis import given
from hypothesis import strategies as st

from core import free_json
from core.errors import InvalidInput
from core.rpc.values import json_of, struct_of
from portico.inference.v1 import model_service_pb2

KIB = 1024


def nested(depth: int, *, lists: bool = False) -> dict[str, Any]:
    """`depth` objects, or lists in one object, inside each other."""
    value: Any = 1
    for _ in range(depth - 1):
        value = [value] if lists else {"a": value}
    return {"a": value}


def check(value: Any) -> None:
    free_json.check("metadata", value, at_most=16 * KIB)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (nested(33), "metadata must be nested at most 32 deep."),
        (nested(33, lists=True), "metadata must be nested at most 32 deep."),
        (nested(900), "metadata must be nested at most 32 deep."),
        ({"a": math.nan}, "metadata holds a number that is not finite."),
        ({"a": [-math.inf]}, "metadata holds a number that is not finite."),
        ({"a": 2**63}, "metadata holds an integer beyond 64 bits. Send it as a text."),
        ({"a": -(2**63) - 1}, "metadata holds an integer beyond 64 bits. Send it as a text."),
        ({"a": {"b": 10**40}}, "metadata holds an integer beyond 64 bits. Send it as a text."),
        ({"a": "x\0"}, "metadata holds a NUL character."),
        ({"a": {"x\0": 1}}, "metadata holds a NUL character."),
        ({"a": "\udc00"}, "metadata holds half of a surrogate pair, which is not Unicode."),
        ({"\ud800": 1}, "metadata holds half of a surrogate pair, which is not Unicode."),
        ({"a": object()}, "metadata is not a JSON object: it holds a object."),
        ({"a" * 17_000: 1}, "metadata must be at most 16384 bytes of JSON; it has 17006."),
    ],
)
def test_what_cannot_be_given_back_is_refused(value: Any, message: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check(value)
    assert (refused.value.message, refused.value.field) == (message, "metadata")


def test_the_limits_themselves_are_accepted() -> None:
    check(nested(32))
    check(nested(32, lists=True))
    check({"a": 2**63 - 1, "b": -(2**63), "c": 1e308, "d": "\U0010ffff", "x" * 16_000: None, "e": True, "f": []})


@pytest.mark.parametrize("lists", [False, True])
def test_protobuf_reads_what_is_nested_as_deep_as_accepted(lists: bool) -> None:
    """The deepest place of a Struct in an answer is the settings of a model in a list."""
    settings = model_service_pb2.ModelSettings(extra_body=struct_of(nested(free_json.MAX_DEPTH, lists=lists)))
    answer = model_service_pb2.ListModelsResponse(models=[model_service_pb2.Model(settings=settings)])
    read = model_service_pb2.ListModelsResponse.FromString(answer.SerializeToString())
    assert json_of(read.models[0].settings.extra_body, "extraBody") == nested(free_json.MAX_DEPTH, lists=lists)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 2}',
        '{"a":1,"\\u0061":2}',
        '{"a" :1,"a"\n:2}',
        '{"b": "x : y", "a": {"c": 1, "c": 1}}',
        '{"a": [{"c": 1}, {"c": 1, "c": 1}]}',
    ],
)
@pytest.mark.parametrize("kind", [str, str.encode, lambda text: msgspec.Raw(text.encode())])
def test_a_name_twice_in_one_object_is_refused(text: str, kind: Any) -> None:
    """One of the values would be lost, without a word."""
    with pytest.raises(InvalidInput, match="with a name twice") as refused:
        free_json.read("metadata", kind(text))
    assert refused.value.field == "metadata"


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=9), values, max_size=4), st.sampled_from([None, 1, "\t"]))
def test_an_object_is_read_exactly(value: dict[str, Any], indent: int | str | None) -> None:
    read = free_json.read("metadata", json.dumps(value, indent=indent))
    assert orjson.dumps(read) == orjson.dumps(value)  # 1 is not 1.0


def test_null_is_an_empty_object_and_other_values_are_refused() -> None:
    assert free_json.read("metadata", "null") == {}
    for text in ("[]", "1", '"a"', "{", '{"a": NaN}', '{"a": 1e400}', '{"a": "\\ud800"}'):
        with pytest.raises(InvalidInput):
            free_json.read("metadata", text)


@pytest.mark.parametrize("number", [2.0**53, -(2.0**53), 1e300])
def test_an_integer_that_may_have_been_rounded_in_a_struct_is_refused(number: float) -> None:
    """The edge parses numbers of a Struct into floats: 9007199254740993 has become 9007199254740992 by then."""
    struct = Struct()
    struct.update({"a": {"b": [number]}})
    with pytest.raises(InvalidInput) as refused:
        json_of(struct, "metadata")
    assert refused.value.field == "metadata"


def test_smaller_numbers_of_a_struct_are_exact() -> None:
    numbers = {"a": 2**53 - 1, "b": -(2**53) + 1, "c": 0.1, "d": 1, "e": 1.5e-300}
    read = json_of(struct_of(numbers), "metadata")
    assert (read, type(read["d"])) == (numbers, int)
