"""Native gRPC: calls that are there nowhere are refused at once, and reflection tells what there is."""

import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha import reflection_pb2

from core.rpc import schema
from tests.support.edge import Edge

GUARD_SECONDS = 20.0
versions = pytest.mark.parametrize("version", [schema.V1, schema.ALPHA])


def open_stream(channel: grpc.Channel, path: str, metadata: Any, stop: threading.Event) -> grpc.StatusCode:
    """Return the status of a call that has sent one message and may send more."""

    def messages() -> Iterator[bytes]:
        yield b""
        stop.wait(GUARD_SECONDS)

    call = channel.stream_stream(path, lambda message: message, lambda data: data)
    try:
        with pytest.raises(grpc.RpcError) as caught:
            list(call(messages(), metadata=metadata, timeout=GUARD_SECONDS))
    finally:
        stop.set()
    assert isinstance(caught.value, grpc.Call)
    code: grpc.StatusCode = caught.value.code()
    return code


@pytest.mark.parametrize(
    "path",
    [
        "/no.such.v1.Service/Call",
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v2.ServerReflection/ServerReflectionInfo",
        "/portico.auth.v1.TrustService/WatchRevocations",
        "/portico.auth.v1.NoSuchService/Call",
        "/portico.inference.v1.ModelService/NoSuchCall",
        "/v1/models",
    ],
)
def test_an_unknown_call_is_refused_while_its_stream_is_open(edge: Edge, channel: grpc.Channel, path: str) -> None:
    """`grpcurl list` never returned: the edge waited for the end of the stream."""
    metadata = tuple(edge.bearer.items())
    assert open_stream(channel, path, metadata, threading.Event()) is grpc.StatusCode.UNIMPLEMENTED


def test_without_a_token_it_is_refused_for_that(channel: grpc.Channel) -> None:
    for path in ("/no.such.v1.Service/Call", f"/{schema.V1}/ServerReflectionInfo"):
        assert open_stream(channel, path, (), threading.Event()) is grpc.StatusCode.UNAUTHENTICATED


class Reflection:
    """As grpcurl asks."""

    def __init__(self, channel: grpc.Channel, version: str, metadata: Any) -> None:
        self._call = channel.stream_stream(
            f"/{version}/ServerReflectionInfo",
            reflection_pb2.ServerReflectionRequest.SerializeToString,
            reflection_pb2.ServerReflectionResponse.FromString,
        )
        self._metadata = metadata

    def ask(self, **question: Any) -> Any:
        """The first answer, while the stream of questions stays open."""
        stop = threading.Event()

        def questions() -> Iterator[Any]:
            yield reflection_pb2.ServerReflectionRequest(**question)
            stop.wait(GUARD_SECONDS)

        try:
            return next(self._call(questions(), metadata=self._metadata, timeout=GUARD_SECONDS))
        finally:
            stop.set()

    def files(self, **question: Any) -> dict[str, FileDescriptorProto]:
        answer = self.ask(**question).file_descriptor_response.file_descriptor_proto
        return {file.name: file for file in map(FileDescriptorProto.FromString, answer)}


@versions
def test_whoever_has_a_token_can_ask_what_there_is(edge: Edge, channel: grpc.Channel, version: str) -> None:
    asked = Reflection(channel, version, tuple(edge.bearer.items()))
    names = {each.name for each in asked.ask(list_services="").list_services_response.service}
    assert {
        "portico.auth.v1.TokenService",
        "portico.inference.v1.InferenceService",
        "portico.rag.v1.FileService",
        "portico.vector.v1.PointService",
        schema.V1,
        schema.ALPHA,
    } <= names
    assert "portico.auth.v1.TrustService" not in names
    for name in names:
        files = asked.files(file_containing_symbol=name)
        assert any(f"{file.package}.{each.name}" == name for file in files.values() for each in file.service)
        assert {each for file in files.values() for each in file.dependency} <= files.keys()
    assert "google/rpc/error_details.proto" in asked.files(file_containing_symbol="google.rpc.ErrorInfo")
    assert asked.ask(file_containing_symbol="no.such.Thing").error_response.error_code == 5
