"""The encoding of a gRPC call on HTTP/1.1.

All is as on HTTP/2: messages stand in gRPC's frames of flag, length and content, metadata are headers, and the status
and trailing metadata are trailers, which HTTP/1.1 has in chunked bodies. A call that ends without a message has the
status among its headers.
"""

import base64
import re
from collections.abc import Iterable
from urllib.parse import quote

import grpc

FRAME_BYTES = 5
"""Length of the prefix of a message: a flag, and the length in four bytes."""

_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\n"
CHUNKED = _ANSWER + b"transfer-encoding: chunked\r\n"
EMPTY = _ANSWER + b"content-length: 0\r\n"
CLOSE = b"connection: close\r\n"
OK_STATUS = b"grpc-status: 0\r\n"

_NAME = re.compile(r"[a-z0-9_.-]+")
_VALUE = re.compile(r"(?:[!-~](?:[ -~]*[!-~])?)?")
_TIMEOUT = re.compile(r"([0-9]{1,8})([HMSmun])")
_SECONDS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_PRINTABLE = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")

Pairs = Iterable[tuple[str, str | bytes]]


class Refused(Exception):
    """A call that is none of ours. The text is for whoever made it."""

    def __init__(self, code: grpc.StatusCode, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def message_of(body: bytes | bytearray) -> bytes:
    """The one message of a request's body. Raises Refused."""
    if len(body) < FRAME_BYTES or FRAME_BYTES + int.from_bytes(body[1:FRAME_BYTES], "big") != len(body):
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, "The body must be one gRPC message.")
    if body[0]:
        raise Refused(grpc.StatusCode.UNIMPLEMENTED, "Compressed messages are not supported.")
    return body[FRAME_BYTES:] if isinstance(body, bytes) else bytes(memoryview(body)[FRAME_BYTES:])


def chunk_of(message: bytes) -> bytes:
    """A message in its frame, as one chunk."""
    size = len(message)
    return b"%x\r\n\0%b%b\r\n" % (size + FRAME_BYTES, size.to_bytes(4, "big"), message)


def last(status: bytes) -> bytes:
    """The end of a body, with these status lines as trailers."""
    return b"0\r\n" + status + b"\r\n"


OK = last(OK_STATUS)


def seconds_of(timeout: str | None) -> float | None:
    """The seconds of a `grpc-timeout`; None where it cannot be read."""
    found = _TIMEOUT.fullmatch(timeout) if timeout else None
    return int(found[1]) * _SECONDS[found[2]] if found else None


def header_lines(metadata: Pairs) -> bytes:
    """Encode headers. Raises ValueError for what no header can carry: a line break in a value would begin a header of
    its own."""
    return b"".join(_line(name, value) for name, value in metadata)


def status_lines(code: grpc.StatusCode, text: str, metadata: Pairs) -> bytes:
    """Status and trailing metadata."""
    message = quote(text, safe=_PRINTABLE)
    return b"grpc-status: %d\r\ngrpc-message: %b\r\n" % (code.value[0], message.encode()) + header_lines(metadata)


def _line(name: str, value: str | bytes) -> bytes:
    if isinstance(value, bytes):
        value = base64.b64encode(value).decode().rstrip("=")
    if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
        raise ValueError(f"the header {name!r} cannot be sent")
    return f"{name}: {value}\r\n".encode()
