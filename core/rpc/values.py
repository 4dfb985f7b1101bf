"""Between protobuf's well-known types and plain values."""

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.struct_pb2 import Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp

from core.errors import InvalidInput
from core.fields import MAX_SMALL_JSON_BYTES, too_long
from core.free_json import EXACT

_UNBOUNDED: Final = 2**53
_LONGEST_WIRE: Final = 6
"""Bytes that a byte of JSON may become in a Struct: "1," is 11."""
_SHORTEST_JSON: Final = 2
"""Bytes of a value and what parts it from the next."""


def json_of(struct: Struct, field: str) -> dict[str, Any]:
    """A caller's Struct. Its numbers are all floats: whole ones become integers again, as they were in the caller's
    JSON. Raises InvalidInput, naming `field`, for an integer that may have been rounded on the way here. Takes about a
    microsecond for each value: what a caller may send unbounded belongs into `small_json_of` or `offload`."""
    return _Reader(field, _UNBOUNDED).object(struct)


def small_json_of(struct: Struct, field: str, at_most: int = MAX_SMALL_JSON_BYTES) -> dict[str, Any]:
    """Convert as `json_of`, for small JSON. What cannot be `at_most` bytes of JSON is not converted: raises
    InvalidInput, naming the field."""
    try:
        if struct.ByteSize() > at_most * _LONGEST_WIRE:
            raise _TooManyValues
        return _Reader(field, at_most // _SHORTEST_JSON).object(struct)
    except _TooManyValues:
        raise too_long(field, at_most) from None


def json_of_answer(struct: Struct) -> dict[str, Any]:
    """Convert the Struct of a service's answer as `json_of`, but keep as floats the whole numbers that may have been
    rounded: it is not for the caller of a query to repair what is stored."""
    return _Reader(None, _UNBOUNDED).object(struct)


def struct_of(values: Mapping[str, Any]) -> Struct:
    """Integers beyond 2^53 become the nearest float, for a Struct has no others."""
    struct = Struct()
    struct.update(values)
    return struct


def timestamp_of(seconds: float | None) -> Timestamp | None:
    """Exact to the microsecond."""
    if seconds is None:
        return None
    timestamp = Timestamp()
    timestamp.FromMicroseconds(round(seconds * 1_000_000))
    return timestamp


def seconds_of(timestamp: Timestamp) -> float:
    """Convert a timestamp, by hand because the library's own conversion raises for what no timestamp may be."""
    return float(timestamp.seconds) + timestamp.nanos / 1e9


class _TooManyValues(Exception):
    """There are more values than allowed."""


class _Reader:
    """Converts a Struct of at most `values` values, the content of a caller's `field`, or None for an answer. Raises
    _TooManyValues, and for a field InvalidInput."""

    def __init__(self, field: str | None, values: int) -> None:
        self._field = field
        self._left = values

    def object(self, struct: Struct) -> dict[str, Any]:
        return {name: self._value(value) for name, value in struct.fields.items()}

    def _value(self, value: Value) -> Any:
        self._left -= 1
        if self._left < 0:
            raise _TooManyValues
        match value.WhichOneof("kind"):
            case "number_value":
                return self._number(value.number_value)
            case "string_value":
                return value.string_value
            case "bool_value":
                return value.bool_value
            case "struct_value":
                return self.object(value.struct_value)
            case "list_value":
                return [self._value(each) for each in value.list_value.values]
            case _:
                return None

    def _number(self, number: float) -> float:
        if not number.is_integer():
            return number
        if abs(number) >= EXACT:
            if self._field is None:
                return number
            raise InvalidInput(
                f"{self._field} holds a whole number of 2^53 or more, which may have been rounded on its way here. "
                "Send it as a text.",
                field=self._field,
            )
        return int(number)
