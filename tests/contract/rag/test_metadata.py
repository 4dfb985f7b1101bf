"""Metadata of files: what is accepted is given back exactly, everywhere; what cannot be is refused before anything is
stored (apache/cxf#3152: metadata nested 34 deep was stored, and every list with the file was 500 from then on)."""

import base64
from typing import Any

import orjson
import pytest
from google.protobuf.json_format import MessageToDict

from core.free_json import MAX_DEPTH
from portico.rag.v1 import bucket_service_pb2 as bucket_pb
from portico.rag.v1 import file_rest_service_pb2 as rest_pb
from portico.rag.v1 import file_service_pb2 as file_pb
from tests.support.rag_client import RagClient, form
from tests.support.rag_harness import CODE, Harness, refused, struct


def nested(depth: int) -> dict[str, Any]:
    value: Any = 1
    for _ in range(depth - 1):
        value = {"a": value}
    return {"a": value}


def as_json(metadata: bytes) -> tuple[bytes, str]:
    data = base64.b64encode(b"x").decode()
    return b'{"fileName":"a.txt","data":"%s","metadata":%s}' % (data.encode(), metadata), "application/json"


def as_form(metadata: bytes) -> tuple[bytes, str]:
    return form(b"x", metadata=metadata.decode()), "multipart/form-data; boundary=portico-boundary"


both_ways = pytest.mark.parametrize("body_of", [as_json, as_form])


@both_ways
@pytest.mark.parametrize(
    "metadata",
    [
        orjson.dumps(nested(MAX_DEPTH + 1)),
        b'{"a":' * 34 + b"1" + b"}" * 34,
        b'{"a":' + b"[" * 300 + b"]" * 300 + b"}",
        b'{"a":NaN}',
        b'{"a":1e400}',
        b'{"a":9223372036854775808}',
        b'{"a":"\\u0000"}',
        b'{"\\u0000":1}',
        b'{"a":"\\ud800."}',
        b'{"a":1,"a":2}',
    ],
)
async def test_what_cannot_be_given_back_is_refused_before_anything_is_stored(
    client: RagClient, harness: Harness, body_of: Any, metadata: bytes
) -> None:
    body, content_type = body_of(metadata)
    error = await refused(client.send([body], content_type), CODE.INVALID_ARGUMENT, http=400)
    assert error.field in ("metadata", "body")  # the body where it is no JSON at all
    assert await client.keys() == []
    assert harness.objects() == []


@both_ways
async def test_what_is_accepted_is_the_same_in_answer_record_list_and_header(client: RagClient, body_of: Any) -> None:
    """google.protobuf.Struct would make 9007199254740993 an even number, and 1 of 1.0."""
    exact = b'{"big":9007199254740993,"least":-9223372036854775808,"one":1,"float":1.0,"e":100000.0,"%s":[null]}' % (
        b"n" * 600
    )
    body, content_type = body_of(exact)
    uploaded = (await client.send([body], content_type))["file"]
    key = uploaded["key"]
    got = await client.call(client.records.GetObject, rest_pb.GetObjectRequest(bucket_key="default", object_key=key))
    listed = await client.call(client.records.ListObjects, rest_pb.ListObjectsRequest(bucket_key="default"))
    header = orjson.loads((await client.download(key)).headers["x-file-metadata"])
    for record in (uploaded, orjson.loads(got.data)["file"], orjson.loads(listed.data)["files"][0], header):
        assert orjson.dumps(record["metadata"]) == exact


async def test_what_is_nested_as_deep_as_accepted_is_given_back(client: RagClient) -> None:
    file = await client.upload(b"x", metadata=nested(MAX_DEPTH))
    assert file["metadata"] == nested(MAX_DEPTH)
    assert MessageToDict((await client.get(file["key"])).metadata) == nested(MAX_DEPTH)
    assert await client.keys() == [file["key"]]


async def test_records_over_rest_are_written_as_the_edge_would_write_the_messages(client: RagClient) -> None:
    """So that a client sees no difference between the answers of the service and of the edge."""

    def as_the_edge(message: Any) -> Any:
        return MessageToDict(message, always_print_fields_with_no_presence=True)

    await client.upload(b"x" * 70_000, keyHint="a", metadata={"n": 0.5})
    await client.upload(b"y", "b.md", keyHint="b")
    asked: list[tuple[str, str, dict[str, Any]]] = [
        ("GetFile", "GetObject", {"object_key": "a"}),
        ("ListFiles", "ListObjects", {}),
        ("ListFiles", "ListObjects", {"limit": 1}),
    ]
    for native, rest, fields in asked:
        typed = getattr(file_pb, f"{native}Request")(bucket_key="default", **fields)
        raw = getattr(rest_pb, f"{rest}Request")(bucket_key="default", **fields)
        message = as_the_edge(await client.call(getattr(client.files, native), typed))
        body = await client.call(getattr(client.records, rest), raw)
        answer = orjson.loads(body.data)
        assert (body.content_type, answer) == ("application/json", message)
    asked_for = rest_pb.ConvertObjectRequest(bucket_key="default", object_key="b")
    converting = orjson.loads((await client.call(client.records.ConvertObject, asked_for)).data)
    assert converting["file"].keys() == message["files"][0].keys()


async def test_an_integer_that_may_have_been_rounded_is_refused(client: RagClient) -> None:
    request = bucket_pb.CreateBucketRequest(name="x", metadata=struct({"a": 2.0**53}))
    await refused(client.call(client.buckets.CreateBucket, request), CODE.INVALID_ARGUMENT, "metadata", http=400)
