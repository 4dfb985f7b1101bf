"""Headers as bytes: encoded once per provider, so that a request only joins them."""

import re
from collections.abc import Mapping

from core.errors import InvalidInput
from core.http.origin import Origin

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"(?:[!-~\x80-\xff](?:[\t !-~\x80-\xff]*[!-~\x80-\xff])?)?")
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding", "expect", "upgrade"})
"""Headers that the client itself sets; a second opinion would let a request be read in two ways."""
_NO_COMPRESSION = b"Accept-Encoding: identity\r\n"
"""Header against compression. Without it a server may compress as it likes (RFC 9110, 12.5.3), and some then hold
events back."""


def header_block(origin: Origin, headers: Mapping[str, str]) -> bytes:
    """The headers that every request to one provider carries. Raises InvalidInput naming a header that cannot be
    sent."""
    return b"Host: " + origin.authority.encode("ascii") + b"\r\n" + _NO_COMPRESSION + header_lines(headers)


def header_lines(headers: Mapping[str, str]) -> bytes:
    """Further headers of one request. Raises InvalidInput naming a header that cannot be sent, never its value."""
    return b"".join(_line(name, value) for name, value in headers.items())


def _line(name: str, value: str) -> bytes:
    if not _NAME.fullmatch(name):
        raise InvalidInput("A header's name may hold letters, digits and hyphens only.", field="headers")
    if name.lower() in _OURS:
        raise InvalidInput(f"The header {name} cannot be set.", field=f"headers.{name}")
    if not _VALUE.fullmatch(value):
        raise InvalidInput(
            f"The value of the header {name} holds a line break, outer blanks or characters beyond Latin-1.",
            field=f"headers.{name}",
        )
    return f"{name}: {value}\r\n".encode("latin-1")
