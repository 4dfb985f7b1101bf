"""Between protobuf's well-known types and plain values."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.struct_pb2 import Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp

_MAX_EXACT = 2**53


def json_of(struct: Struct) -> dict[str, Any]:
    """A Struct's numbers are all floats: whole ones become integers again, as they were in the caller's JSON."""
    return {name: _json_value(value) for name, value in struct.fields.items()}


def struct_of(values: Mapping[str, Any]) -> Struct:
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
    return float(timestamp.seconds) + timestamp.nanos / 1e9


def _json_value(value: Value) -> Any:
    match value.WhichOneof("kind"):
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() and abs(number) <= _MAX_EXACT else number
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return json_of(value.struct_value)
        case "list_value":
            return [_json_value(each) for each in value.list_value.values]
        case _:
            return None
