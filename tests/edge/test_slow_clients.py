"""Clients that hold what they have got: connections, headers, bodies and answers that never end are all ended here.

The edge is the real one with its times made short: how long they are in truth is in the table of limits.
"""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPResponse

import grpc
import pytest

from portico.auth.v1 import account_service_pb2
from portico.inference.v1 import model_service_pb2, openai_service_pb2, openai_service_pb2_grpc
from tests.support import attacks
from tests.support.edge import Configuration, Edge, Reply, running

GUARD_SECONDS = 30.0
DRIP_SECONDS = 0.05
CHAT = "/v1/chat/completions"


def _hasty(configuration: Configuration) -> None:
    """All times that this file is about, made short."""
    manager = configuration.manager
    manager["common_http_protocol_options"]["idle_timeout"] = "3s"
    manager["request_headers_timeout"] = manager["stream_flush_timeout"] = "1s"
    manager["drain_timeout"] = "0.1s"
    for route in configuration.routes.values():
        if "max_stream_duration" in route.get("route", {}):
            route["route"]["max_stream_duration"] = {"max_stream_duration": "1s"}


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    with running(tmp_path_factory.mktemp("hasty"), patch=_hasty) as started:
        yield started


@pytest.fixture(scope="module")
def hasty_channel(hasty: Edge) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{hasty.port}", options=[("grpc.enable_http_proxy", 0)]) as opened:
        yield opened


@contextmanager
def _connection(edge: Edge, first: bytes = b"") -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", edge.port), timeout=GUARD_SECONDS) as opened:
        opened.sendall(first)
        yield opened


@contextmanager
def _dripping(connection: socket.socket) -> Iterator[None]:
    """Meanwhile, a byte at a time goes out."""
    stop = threading.Event()

    def drip() -> None:
        while not stop.wait(DRIP_SECONDS):
            try:
                connection.sendall(b" ")
            except OSError:
                return

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _everything(connection: socket.socket) -> bytes:
    """Read until the other side closes. Raises TimeoutError if it does not."""
    received = b""
    try:
        while piece := connection.recv(65536):
            received += piece
    except ConnectionResetError:
        pass
    return received


def _reply(connection: socket.socket) -> Reply:
    response = HTTPResponse(connection)
    response.begin()
    return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())


def _head(edge: Edge, path: str, *, token: bool, length: int = 60000) -> bytes:
    authorization = f"authorization: Bearer {edge.token}\r\n" if token else ""
    return (
        f"POST {path} HTTP/1.1\r\nhost: x\r\n{authorization}content-type: application/json\r\n"
        f"content-length: {length}\r\n\r\n"
    ).encode()


SETTINGS = attacks.PREFACE + attacks.frame(attacks.SETTINGS, 0, 0)
"""First bytes of an HTTP/2 client."""
HALF = attacks.frame(attacks.HEADERS, 0, 1, attacks.header_block({":method": "POST"}))
"""Headers to which more belong."""


@pytest.mark.parametrize(
    "beginnings",
    [
        {"nothing": b"", "an empty line": b"\r\n", "part of a preface": b"PRI * HTTP"},
        {"HTTP/2 and nothing": SETTINGS, "part of a frame": SETTINGS + b"\0\0", "part of headers": SETTINGS + HALF},
    ],
    ids=["HTTP/1.1", "HTTP/2"],
)
def test_connections_on_which_no_request_comes_are_closed(hasty: Edge, beginnings: dict[str, bytes]) -> None:
    with ExitStack() as stack:
        opened = {name: stack.enter_context(_connection(hasty, first)) for name, first in beginnings.items()}
        for connection in opened.values():
            _everything(connection)


def test_headers_that_never_end_are_refused(hasty: Edge) -> None:
    with _connection(hasty, b"GET /v1/models HTTP/1.1\r\nhost: ") as connection, _dripping(connection):
        reply = _reply(connection)
        assert reply.status == 408
        assert reply.error["code"] == "request_timeout"
        _everything(connection)


@pytest.mark.parametrize(
    ("path", "token"),
    [
        ("/v1/auth/login", False),
        ("/api/client/v1/auth/login", False),
        ("/v1/auth/register", False),
        ("/v1/models", True),
        ("/v1/nothing", True),
        (CHAT, True),
        ("/v1/vector/providers/p/indexes/i/upsert", True),
    ],
)
def test_bodies_that_drip_are_refused(hasty: Edge, path: str, token: bool) -> None:
    with _connection(hasty, _head(hasty, path, token=token)) as connection, _dripping(connection):
        reply = _reply(connection)
        assert reply.status == 408
        assert reply.error == {
            "message": "The request took too long to arrive.",
            "type": "invalid_request_error",
            "code": "request_timeout",
            "param": None,
        }


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """A hasty edge before services that wait for messages as long as it takes."""
    with running(tmp_path_factory.mktemp("patient"), patch=_hasty, recorder=True) as started:
        yield started


@pytest.mark.parametrize(
    ("method", "token"),
    [
        ("portico.auth.v1.AccountService/Login", False),
        ("portico.auth.v1.AccountService/Register", False),
        ("portico.auth.v1.AccountService/AcceptInvitation", False),
        ("portico.auth.v1.TokenService/CreateToken", True),
        ("portico.inference.v1.ModelService/CreateModel", True),
        ("portico.vector.v1.PointService/Upsert", True),
        ("portico.rag.v1.BucketService/CreateBucket", True),
    ],
)
def test_a_call_over_grpc_whose_message_never_comes(patient: Edge, method: str, token: bool) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{patient.port}", options=[("grpc.enable_http_proxy", 0)]) as channel:
        call = channel.stream_unary(f"/{method}", bytes, bytes)
        assert _refusal(call, tuple(patient.bearer.items()) if token else ()) is grpc.StatusCode.DEADLINE_EXCEEDED


def _refusal(call: grpc.StreamUnaryMultiCallable, metadata: tuple[tuple[str, str], ...]) -> grpc.StatusCode:
    """Return the status of a call without a message."""
    never = threading.Event()

    def messages() -> Iterator[bytes]:
        never.wait()
        yield from ()

    try:
        with pytest.raises(grpc.RpcError) as caught:
            call(messages(), metadata=metadata, timeout=GUARD_SECONDS)
    finally:
        never.set()
    assert isinstance(caught.value, grpc.Call)
    code: grpc.StatusCode = caught.value.code()
    return code


def test_an_answer_that_nobody_takes_is_dropped(hasty: Edge) -> None:
    """A client that opens no window for the answer would keep the stream for an hour."""
    no_window = attacks.frame(attacks.SETTINGS, 0, 0, struct.pack(">HI", attacks.INITIAL_WINDOW_SIZE, 0))
    head = {":method": "GET", ":scheme": "http", ":authority": "x", ":path": "/v1/auth/jwks"}
    asked = attacks.frame(attacks.HEADERS, attacks.END_HEADERS | attacks.END_STREAM, 1, attacks.header_block(head))
    with _connection(hasty, attacks.PREFACE + no_window + asked) as connection:
        kinds = []
        for frame in attacks.read_frames(connection):
            kinds.append(frame.kind)
            if frame.kind == attacks.RST_STREAM:
                break
    assert attacks.RST_STREAM in kinds
    assert attacks.DATA not in kinds


def test_what_takes_long_for_a_reason_goes_on(hasty: Edge, hasty_channel: grpc.Channel) -> None:
    """An upload over a slow line, a model that thinks and a stream over gRPC outlive the times above by far."""
    with ExitStack() as stack:
        upload = stack.enter_context(_connection(hasty, _head(hasty, "/v1/files", token=True, length=10)))
        connection, thinking = hasty.open("POST", CHAT, {"do": "hold"}, {"x-request-id": "thinker"})
        stack.callback(connection.close)
        request = openai_service_pb2.CreateChatCompletionRequest()
        request.body.data = b'{"do": "hold"}'
        native = openai_service_pb2_grpc.OpenAIServiceStub(hasty_channel).CreateChatCompletion(
            request, metadata=(*hasty.bearer.items(), ("x-request-id", "native-thinker"))
        )
        assert next(native).data == b"data: first\n\n"
        assert thinking.readline() == b"data: first\n"

        for _ in range(3):  # each takes as long as a body may take to arrive
            slow = stack.enter_context(_connection(hasty, _head(hasty, "/v1/models", token=True)))
            assert _reply(slow).status == 408

        assert native.is_active()
        native.cancel()
        thinking.close()
        connection.close()
        hasty.stub_services["inference"].wait_for("cancelled thinker")  # not before
        upload.sendall(b"0123456789")
        assert _reply(upload).status == 501  # from the service: the stub has no files


def test_times_end_with_the_body(hasty: Edge) -> None:
    """A body in time may be answered later: the times are for its arrival."""
    reply = hasty.request("POST", "/v1/auth/login", {"email": "later@example.com"}, token=False)
    assert reply.status == 200


def test_messages_that_come_in_time_are_answered(hasty: Edge, hasty_channel: grpc.Channel) -> None:
    login = hasty_channel.unary_unary(
        "/portico.auth.v1.AccountService/Login",
        account_service_pb2.LoginRequest.SerializeToString,
        account_service_pb2.LoginResponse.FromString,
    )
    assert login(account_service_pb2.LoginRequest(email="a@b.c")).token
    get = hasty_channel.unary_unary(
        "/portico.inference.v1.ModelService/GetModel",
        model_service_pb2.GetModelRequest.SerializeToString,
        model_service_pb2.GetModelResponse.FromString,
    )
    assert get(model_service_pb2.GetModelRequest(id="m"), metadata=tuple(hasty.bearer.items())).id == "m"
