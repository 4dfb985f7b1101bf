"""Server-sent events: frames arrive as they are written, and leaving ends the call behind the edge."""

from contextlib import closing

import grpc
import pytest

from portico.inference.v1 import openai_service_pb2, openai_service_pb2_grpc
from tests.support.edge import Edge

CHAT = "/v1/chat/completions"


def test_a_stream_arrives_whole(edge: Edge) -> None:
    reply = edge.chat({"do": "stream:3"})
    assert reply.status == 200
    assert reply.headers["content-type"] == "text/event-stream"
    assert reply.headers["cache-control"] == "no-cache, no-transform"
    assert reply.headers["x-accel-buffering"] == "no"
    assert reply.headers["x-request-id"]
    assert "content-length" not in reply.headers
    assert reply.body == b"data: 0\n\ndata: 1\n\ndata: 2\n\ndata: [DONE]\n\n"


def test_whole_answers_are_not_marked_as_streams(edge: Edge) -> None:
    headers = edge.chat().headers
    assert headers["cache-control"] == "no-store"
    assert "x-accel-buffering" not in headers


def test_a_frame_arrives_before_the_next_is_written_and_leaving_cancels_the_call(edge: Edge) -> None:
    """The service writes one frame and then waits for ever: the frame comes only if nothing holds it back."""
    connection, response = edge.open("POST", CHAT, {"do": "hold"}, {"x-request-id": "leaver"})
    with closing(connection):
        assert response.status == 200
        assert response.readline() == b"data: first\n"
        response.close()
    edge.stub_services["inference"].wait_for("cancelled leaver")


def test_leaving_before_the_first_frame_cancels_the_call(edge: Edge) -> None:
    head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {edge.token}\r\nx-request-id: early\r\n"
    edge.leave(f'{head}content-type: application/json\r\ncontent-length: 14\r\n\r\n{{"do":"never"}}'.encode())
    edge.stub_services["inference"].wait_for("cancelled early")


def test_a_long_stream(edge: Edge) -> None:
    reply = edge.chat({"do": "stream:5000"})
    assert reply.body.count(b"\n\n") == 5001


def test_native_streams(edge: Edge, channel: grpc.Channel) -> None:
    stub = openai_service_pb2_grpc.OpenAIServiceStub(channel)
    request = openai_service_pb2.CreateChatCompletionRequest()
    request.body.data = b'{"do": "hold"}'
    call = stub.CreateChatCompletion(request, metadata=(*edge.bearer.items(), ("x-request-id", "native-leaver")))
    assert next(call).data == b"data: first\n\n"
    call.cancel()
    edge.stub_services["inference"].wait_for("cancelled native-leaver")
    with pytest.raises(grpc.RpcError):
        next(call)
