"""Field counts of encoded messages, compared with what the real parser makes of the same bytes."""

from typing import Any

import pytest
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message
from hypothesis import example, given
from hypothesis import strategies as st

from core.rpc.protobuf_wire import FieldCounter, chunks
from portico.inference.v1.inference_service_pb2 import ChatRequest
from portico.vector.v1.point_service_pb2 import UpsertRequest


def counter_of(message: Any) -> FieldCounter:
    return FieldCounter(message.DESCRIPTOR)


CHAT = counter_of(ChatRequest)
UPSERT = counter_of(UpsertRequest)
ENDLESS = 10**9

Objects = st.SearchStrategy[dict[str, Any]]
json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)
json_objects: Objects = st.dictionaries(st.text(max_size=4), json_values, max_size=4)
points: Objects = st.builds(
    dict, id=st.text(max_size=9), values=st.lists(st.floats(width=32), max_size=5), metadata=json_objects
)
parts: Objects = st.one_of(
    st.builds(dict, text=st.text(max_size=5)),
    st.builds(lambda url: {"image_url": {"url": url}}, st.text(max_size=5)),
    st.builds(lambda other: {"other": other}, json_objects),
)
messages: Objects = st.builds(dict, role=st.sampled_from(["", "user"]), parts=st.lists(parts, max_size=3))
chats: Objects = st.builds(
    dict,
    model=st.text(max_size=5),
    messages=st.lists(messages, max_size=4),
    stop=st.lists(st.text(max_size=3), max_size=3),
    extra=json_objects,
)


def counted(message: Message) -> int:
    """Fields of a parsed message, as they are written."""
    return sum(_of_field(field, value) for field, value in message.ListFields())


def _of_field(field: FieldDescriptor, value: Any) -> int:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        inner = field.message_type.fields_by_name["value"].message_type
        return sum(3 + (counted(value[key]) if inner else 0) for key in value)
    if field.is_repeated:
        if field.message_type is not None:
            return sum(1 + counted(each) for each in value)
        return 1 if field.is_packed else len(value)
    return 1 + (counted(value) if field.message_type is not None else 0)


def check(counter: FieldCounter, data: bytes, count: int) -> None:
    assert not counter.exceeds(data, count)
    assert count == 0 or counter.exceeds(data, count - 1)
    assert len(data) >= 2 * count


@given(chats)
def test_a_message_has_as_many_fields_as_were_written(chat: dict[str, Any]) -> None:
    message = ChatRequest(**{name: value for name, value in chat.items() if name != "extra"})
    message.extra.update(chat["extra"])
    check(CHAT, message.SerializeToString(), counted(message))


@given(st.lists(points, max_size=2))
def test_a_packed_list_of_numbers_is_one_field(given_points: list[dict[str, Any]]) -> None:
    message = UpsertRequest(index_id="docs")
    for point in given_points:
        message.points.add(id=point["id"], values=point["values"]).metadata.update(point["metadata"])
    check(UPSERT, message.SerializeToString(), counted(message))


# -- the wire, with all that no encoder of ours would write


def varint(value: int, padding: int = 0) -> bytes:
    """With `padding` bytes more than it needs: parsers take that."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    for _ in range(padding):
        out[-1] |= 0x80
        out.append(0)
    return bytes(out)


MODEL, MESSAGES, TEMPERATURE, STOP, EXTRA = 1, 2, 3, 6, 12
MESSAGE_PARTS, UNKNOWN = 3, 1000
Wire = tuple[bytes, int]
"""Encoded fields, and how many."""


def field(number: int, kind: int, content: bytes, inner: int = 0) -> Wire:
    return varint(number << 3 | kind) + content, 1 + inner


def sized(number: int, inner: Wire, padding: int = 0) -> Wire:
    data, count = inner
    return field(number, 2, varint(len(data), padding) + data, count)


def joined(fields: list[Wire]) -> Wire:
    return b"".join(data for data, _ in fields), sum(count for _, count in fields)


leaf = st.one_of(
    st.builds(lambda text: sized(MODEL, (text.encode(), 0)), st.text(max_size=4)),
    st.builds(lambda text: sized(STOP, (text.encode(), 0)), st.text(max_size=4)),
    st.builds(lambda data: field(TEMPERATURE, 1, data), st.binary(min_size=8, max_size=8)),
    st.builds(lambda data: field(UNKNOWN, 5, data), st.binary(min_size=4, max_size=4)),
    st.builds(lambda value, pad: field(UNKNOWN, 0, varint(value, pad)), st.integers(0, 2**32), st.integers(0, 3)),
    st.builds(lambda data, pad: sized(UNKNOWN, (data, 0), pad), st.binary(max_size=9), st.integers(0, 2)),
    st.builds(lambda value: field(MESSAGES, 0, varint(value)), st.integers(0, 99)),  # known, of another kind: unknown
)
empty = st.just((b"", 0))
part = st.builds(lambda url: sized(2, sized(1, (url.encode(), 0))), st.text(max_size=3)) | st.builds(
    lambda text: sized(1, (text.encode(), 0)), st.text(max_size=3)
)
message_fields = st.lists(st.builds(lambda inner: sized(MESSAGE_PARTS, inner), empty | part) | leaf, max_size=4)
wires = st.lists(
    leaf | message_fields.map(joined).map(lambda inner: sized(MESSAGES, inner)),
    max_size=6,
).map(joined)


def parses(data: bytes) -> bool:
    try:
        ChatRequest.FromString(data)
    except DecodeError:
        return False
    return True


@given(wires)
def test_unknown_fields_and_odd_encodings_are_counted(wire: Wire) -> None:
    data, count = wire
    if parses(data):
        check(CHAT, data, count)


@given(st.binary(max_size=60))
@example(b"\x12")
@example(b"\x12\x05")
@example(b"\x0b\x0b")
@example(b"\x0c")
@example(b"\x0b\x14")
@example(b"\x12\x02\x12\xff\x01\x00")
@example(b"\x0f")
@example(b"\xff" * 20)
@example(b"\x09\x00")
@example(b"\x08\x80")
@example(b"\xa3\x06\xa4\x06")
def test_what_the_parser_takes_the_counter_takes(data: bytes) -> None:
    """Garbage is refused with the parser's own error, and nothing else is raised. Groups are refused as well."""
    refusal = ""
    try:
        CHAT.exceeds(data, ENDLESS)
    except DecodeError as error:
        refusal = str(error)
    assert not refusal or "group" in refusal or not parses(data)


@given(wires, st.data())
def test_a_message_that_is_cut_off_is_no_message(wire: Wire, data: st.DataObject) -> None:
    whole, _ = wire
    cut = whole[: data.draw(st.integers(0, len(whole)))]
    try:
        CHAT.exceeds(cut, ENDLESS)
    except DecodeError:
        assert not parses(cut)


def test_depth_without_end_is_refused_without_recursion() -> None:
    value = b""
    for _ in range(300):
        value = b"\x0a" + varint(len(value)) + value
        value = b"\x32" + varint(len(value)) + value
    entry = b"\x12" + varint(len(value)) + value
    struct = b"\x0a" + varint(len(entry)) + entry
    nested = b"\x62" + varint(len(struct)) + struct
    assert not parses(nested)
    with pytest.raises(DecodeError):
        CHAT.exceeds(nested, ENDLESS)


def test_empty_messages_are_counted_and_not_allocated() -> None:
    """16 MiB of them took a gigabyte to parse."""
    data = b"\x12\x00" * (1 << 16)
    assert CHAT.exceeds(data, (1 << 16) - 1)
    assert not CHAT.exceeds(data, 1 << 16)


def test_attachments_of_an_http_body_are_counted() -> None:
    body = HttpBody(data=b"x" * 1000)
    for _ in range(5):
        body.extensions.add()
    check(counter_of(HttpBody), body.SerializeToString(), 6)


def test_a_group_does_not_hide_what_follows_it() -> None:
    """The count ended at the first one, and the parser, which skips groups, took in all that came behind."""
    data = b"\xa3\x06\xa4\x06" + b"\x12\x00" * 100
    assert parses(data)
    with pytest.raises(DecodeError):
        CHAT.exceeds(data, 50)


@given(wires, st.integers(0, 20))
def test_chunks_are_the_whole_and_each_is_a_message(wire: Wire, size: int) -> None:
    data, _ = wire
    if parses(data):
        cut = list(chunks(data, size))
        assert b"".join(cut) == data
        assert all(len(chunk) > size for chunk in cut[:-1])
        merged = ChatRequest()
        for chunk in cut:
            merged.MergeFromString(chunk)
        assert merged == ChatRequest.FromString(data)
