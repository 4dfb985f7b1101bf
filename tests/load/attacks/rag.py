"""Attacks on rag."""

from collections.abc import Iterator
from functools import partial

from google.api.httpbody_pb2 import HttpBody

from portico.rag.v1 import bucket_service_pb2 as bucket_pb
from portico.rag.v1 import file_service_pb2 as pb
from tests.load.attacks.attack import MIB, Attack
from tests.load.attacks.calls import Call, call, calling
from tests.load.attacks.raw_grpc import hang
from tests.support.http2_client import frame
from tests.support.large_requests import json_list, json_object, members, repeated

_FORM = "multipart/form-data; boundary=b"
_FILE_PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
_METADATA_PART = b'--b\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n'
_END = b"\r\n--b--\r\n"
_UPLOAD = "rag.v1.FileService/UploadFile"
UPLOAD = f"/portico.{_UPLOAD}"
_FILES = 1000


def upload(content_type: str, body: bytes) -> Call:
    sent = HttpBody(content_type=content_type, data=body)
    return call(_UPLOAD, pb.UploadFileRequest(bucket_key="default", body=sent))


def json_upload(rest: bytes) -> Call:
    return upload("application/json", b'{"fileName":"a","data":"YQ==",' + rest)


def many_extensions() -> Call:
    body = repeated(HttpBody(extensions=[{}]), 15 * MIB)
    return call(_UPLOAD, pb.UploadFileRequest(bucket_key="default", body=body))


def files_with_metadata() -> Iterator[Call]:
    """For pages of them."""
    notes = b'{"a":%b}' % json_list(b"1", 8000)
    for number in range(_FILES):
        yield upload("application/json", b'{"fileName":"f%d","data":"YQ==","metadata":%b}' % (number, notes))


_rag = partial(calling, "rag")

ATTACKS = [
    Attack(
        "rag",
        "uploads that hang",
        hang(UPLOAD, "rag", lambda: frame(bytes(2_000_000), size=2_100_000), 50, who="insider"),
        workers=6,
        known=True,
    ),
    Attack(
        "rag",
        "42 uploads that hang, of 40 calls at a time",
        hang(UPLOAD, "rag", lambda: b"", 42, who="insider"),
        workers=1,
        known=True,
        env={"PORTICO_MAX_CONCURRENT_CALLS": "40"},
    ),
    _rag(
        "bucket: 12 MiB of metadata",
        lambda: call(
            "rag.v1.BucketService/CreateBucket", bucket_pb.CreateBucketRequest(name="x", metadata=members(850_000))
        ),
    ),
    _rag(
        "upload: 12 MiB of metadata in JSON",
        lambda: json_upload(b'"metadata":%b}' % json_list(b"[]", 4_000_000)),
        known=True,
    ),
    _rag("upload: 1.5 million members in JSON", lambda: json_upload(json_object(1_500_000)[1:])),
    _rag(
        "upload: 60 KiB of metadata in a form",
        lambda: upload(_FORM, _METADATA_PART + b'{"a":%b}\r\n' % json_list(b"[]", 20_000) + _FILE_PART + b"x" + _END),
    ),
    _rag(
        "upload: 30 MiB of almost-boundaries in one message",
        lambda: upload(_FORM, _FILE_PART + b"\r\n--a" * (6 * MIB) + _END),
    ),
    _rag("upload: 15 million empty extensions in one message", many_extensions),
    _rag(
        "files: pages of 1,000 with 16 KiB of numbers each",
        lambda: call("rag.v1.FileService/ListFiles", pb.ListFilesRequest(bucket_key="default", limit=1000)),
        records=True,
    ),
]
