"""What a servicer adds to its answer over REST beside the message: HTTP headers, such as a cookie.

Native gRPC calls never see them. For unary RPCs alone: a stream's head may be long gone.
"""

from contextvars import ContextVar

Headers = tuple[tuple[str, str], ...]

_headers: ContextVar[Headers] = ContextVar("portico_reply", default=())


def add_header(name: str, value: str) -> None:
    """`name` in lower case, `value` in ASCII."""
    _headers.set((*_headers.get(), (name, value)))


def headers() -> Headers:
    return _headers.get()
