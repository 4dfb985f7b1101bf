"""What a servicer adds to its answer over REST beside the message: HTTP headers, such as a cookie, and the status.

Native gRPC calls never see them. They go with the first message of a stream, or with the error in its place, so a
streaming RPC has to set them before it yields.
"""

from contextvars import ContextVar

Headers = tuple[tuple[str, str], ...]

_headers: ContextVar[Headers] = ContextVar("portico_reply", default=())
_status: ContextVar[int] = ContextVar("portico_reply_status", default=0)


def add_header(name: str, value: str) -> None:
    """`name` in lower case, `value` in ASCII."""
    _headers.set((*_headers.get(), (name, value)))


def headers() -> Headers:
    return _headers.get()


def set_status(status: int) -> None:
    """The HTTP status of this success, where it is not always what the contract names."""
    _status.set(status)


def status() -> int:
    """0: as the contract says."""
    return _status.get()
