"""Serialized messages that would take too long to parse: found by the number of their fields, not by their length."""

from typing import Any

import pytest
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.struct_pb2 import ListValue, Struct, Value

from core.errors import InvalidInput, PayloadTooLarge
from core.rpc.parsing import Parser
from portico.inference.v1.inference_service_pb2 import ChatMessage, ChatRequest
from portico.vector.v1.point_service_pb2 import Point, UpsertRequest

MIB = 1024 * 1024


def struct(values: dict[str, Any]) -> Struct:
    made = Struct()
    made.update(values)
    return made


@pytest.mark.parametrize(
    "message",
    [
        HttpBody(content_type="application/json", data=b"x" * (8 * MIB)),
        ChatRequest(model="m", messages=[ChatMessage(role="user", content="x" * MIB)] * 3),
        UpsertRequest(points=[Point(id="a", values=[0.5] * 65536)] * 8),
    ],
)
def test_a_long_message_of_few_fields_is_parsed_at_once(message: Any) -> None:
    assert not Parser(type(message).FromString, 32 * MIB).is_large(message.SerializeToString())


@pytest.mark.parametrize(
    ("kind", "entry"),
    [
        (ChatRequest, ChatRequest(messages=[ChatMessage()])),
        (HttpBody, HttpBody(extensions=[{}])),
        (ListValue, ListValue(values=[Value()])),
        (Struct, struct({"k": None})),
    ],
)
async def test_a_message_of_too_many_fields_is_refused_unparsed(kind: Any, entry: Any) -> None:
    """Fifteen million empty messages held the event loop for three seconds and took a gigabyte."""
    parser = Parser(kind.FromString, max_fields=60_000)
    data = entry.SerializeToString() * 70_000
    assert parser.is_large(data)
    with pytest.raises(InvalidInput) as caught:
        await parser.parse(data)
    assert caught.value.reason == "TOO_MANY_VALUES"


@pytest.mark.parametrize(
    "message",
    [
        UpsertRequest(
            provider_key="p",
            index_id="i",
            points=[Point(id=f"p{at}", values=[0.5] * 50, metadata=struct({"a": at, "b": "x"})) for at in range(3000)],
        ),
        ChatRequest(model="m", extra=struct({f"k{at}": at for at in range(9000)}), temperature=0.5, seed=-1),
    ],
)
async def test_what_is_parsed_in_chunks_is_the_whole_message(message: Any) -> None:
    parser, data = Parser(type(message).FromString, 32 * MIB), message.SerializeToString()
    assert parser.is_large(data)
    assert await parser.parse(data) == message


@pytest.mark.parametrize(
    "end", [b"\x12", b"\x12\x05a", b"\xff" * 30, b"\x0b", b"\x1a\x02\x0a\x01", b"\x0a\x02\xff\xff"]
)
async def test_a_broken_message_is_refused(end: bytes) -> None:
    data = UpsertRequest(points=[Point(id="a")] * 40_000).SerializeToString() + end
    parser = Parser(UpsertRequest.FromString)
    with pytest.raises(InvalidInput, match="cannot be read"):
        await parser.parse(data)


def test_a_look_at_a_refused_request_parses_nothing_large() -> None:
    parser = Parser(ChatRequest.FromString)
    assert parser.small(ChatRequest(model="m").SerializeToString()) == ChatRequest(model="m")
    assert parser.small(b"\x12\x00" * 50_000) is None
    assert parser.small(b"\xff") is None


@pytest.mark.parametrize(("limit", "said"), [(2 * MIB, "2 MiB"), (64 * 1024, "64 KiB")])
async def test_a_message_of_too_many_bytes_is_refused_unparsed(limit: int, said: str) -> None:
    with pytest.raises(PayloadTooLarge, match=said):
        await Parser(HttpBody.FromString, limit).parse(b"\xff" * (limit + 1))
