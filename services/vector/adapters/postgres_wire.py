"""Checks of a PostgreSQL server's messages before the driver reads them.

The driver takes messages of any length and number, and does what they ask: hash a password two thousand million times,
decode text with a codec of the server's choice, look up types of its making. Its own parser trusts every length.
"""

import asyncio
import re
import struct
from collections.abc import Callable

from core.errors import PorticoError, UpstreamFailed
from services.vector.adapters.answers import AnswerTooLarge, malformed
from services.vector.adapters.postgres_limits import (
    MAX_COLUMNS,
    MAX_MESSAGE_BYTES,
    MAX_MESSAGES,
    MAX_MESSAGES_PER_ROW,
    MAX_QUIET_BYTES,
    MAX_ROW_BYTES,
    MAX_SCRAM_ITERATIONS,
    MAX_SIGN_IN_MESSAGES,
)

_HEAD = struct.Struct(">ci")
_CODE = struct.Struct(">i")
_COLUMN = struct.Struct(">ihihih")
_ROW_CODE = ord("D")
_ROW, _SIGN_IN, _PARAMETER, _COLUMNS = b"D", b"R", b"S", b"T"
_KNOWN = frozenset(b"RKZSNAECDTtn123Isv")
"""Types of messages that are read. No COPY: nothing here asks for it."""
_METHODS = frozenset({0, 3, 5, 10, 11, 12})
"""Success, password, MD5, SCRAM. Not Kerberos: that would be an identity of this machine's."""
_SCRAM_CHALLENGE = 11
_ITERATIONS = re.compile(rb"(?:^|,)i=(\d{1,9})(?:,|$)")
_ENCODINGS = frozenset({b"UTF8", b"UTF-8", b"utf8", b"utf-8", b"UNICODE"})
_SCALARS = frozenset({16, 17, 18, 19, 20, 21, 23, 25, 26, 114, 700, 701, 1043, 2278, 3802})
"""Types that a column may have, besides those of extensions: bool, bytea, char, name, int8, int2, int4, text, oid,
json, float4, float8, varchar, void, jsonb. An array of a few bytes can become hundreds of objects. That the driver asks
for the parts of a type, which come as arrays, is ruled out with them."""
_FIRST_OF_EXTENSIONS = 16384


class CheckedProtocol(asyncio.Protocol):
    """Stands before the driver's protocol. What breaks a rule closes the connection, and `refusal` says why."""

    def __init__(self, driver: asyncio.Protocol) -> None:
        self.refusal: PorticoError | None = None
        self._driver = driver
        self._transport: asyncio.Transport
        self._head = b""
        """Head of a message whose first bytes alone have come."""
        self._left = 0
        """Bytes of the present message that have not come."""
        self._kind = b""
        self._body: bytearray | None = None
        """Body of a message whose content matters."""
        self._sign_ins = MAX_SIGN_IN_MESSAGES
        self._bytes = self._messages = 0
        self.allow()

    def allow(self, *, bytes: int = MAX_QUIET_BYTES, rows: int = 0) -> None:
        """An operation begins whose answers may be so long, or has ended. `rows` are those read or written."""
        self._bytes = max(bytes, MAX_QUIET_BYTES)
        self._messages = MAX_MESSAGES + MAX_MESSAGES_PER_ROW * rows

    def refuse(self, refusal: PorticoError) -> None:
        """Close the connection at once: what it is in the middle of, nobody knows."""
        self.refusal = self.refusal or refusal
        self._transport.abort()

    # Callbacks of the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # it reads and writes
        self._driver.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self.refusal is not None:
            return
        try:
            self._check(data)
        except UpstreamFailed as refusal:
            self.refuse(refusal)
            return
        try:
            self._driver.data_received(data)
        except Exception:  # what it raises here is for the loop's log
            self.refuse(malformed())

    def connection_lost(self, error: Exception | None) -> None:
        self._driver.connection_lost(error)

    def pause_writing(self) -> None:
        self._driver.pause_writing()

    def resume_writing(self) -> None:
        self._driver.resume_writing()

    def eof_received(self) -> bool | None:
        return self._driver.eof_received()

    # Within

    def _check(self, data: bytes) -> None:
        self._bytes -= len(data)
        if self._bytes < 0:
            raise AnswerTooLarge
        at, end = 0, len(data)
        while at < end:
            if not self._left:
                if self._head == b"" and end - at > _HEAD.size and data[at] == _ROW_CODE:
                    # A row of many, whole: the frequent case, with as little as it needs.
                    after = at + 1 + int.from_bytes(data[at + 1 : at + 5])
                    if at + _HEAD.size <= after <= end and after - at <= MAX_ROW_BYTES and self._messages > 0:
                        self._messages -= 1
                        at = after
                        continue
                at = self._begin(data, at)
            else:
                taken = min(self._left, end - at)
                if self._body is not None:
                    self._body += data[at : at + taken]
                at += taken
                self._left -= taken
                if not self._left:
                    self._end()

    def _begin(self, data: bytes, at: int) -> int:
        """Read the head of a message; where in `data` its body begins."""
        if self._head or len(data) - at < _HEAD.size:
            missing = _HEAD.size - len(self._head)
            self._head += data[at : at + missing]
            if len(self._head) < _HEAD.size:
                return len(data)
            kind, length = _HEAD.unpack(self._head)
            at, self._head = at + missing, b""
        else:
            kind, length = _HEAD.unpack_from(data, at)
            at += _HEAD.size
        self._messages -= 1
        if self._messages < 0:
            raise AnswerTooLarge
        if kind[0] not in _KNOWN or length < 4:
            raise malformed()
        if length > (MAX_ROW_BYTES if kind == _ROW else MAX_MESSAGE_BYTES):
            raise AnswerTooLarge
        self._kind, self._left = kind, length - 4
        self._body = bytearray() if kind in _INSPECTED else None
        if not self._left:
            self._end()
        return at

    def _end(self) -> None:
        """A message is whole; its last bytes have not been passed on."""
        if self._body is not None:
            body, self._body = bytes(self._body), None
            try:
                _INSPECTED[self._kind](self, body)
            except (struct.error, ValueError, IndexError):
                raise malformed() from None

    def _check_sign_in(self, body: bytes) -> None:
        self._sign_ins -= 1
        (method,) = _CODE.unpack_from(body)
        if self._sign_ins < 0 or method not in _METHODS:
            raise UpstreamFailed("The PostgreSQL server asks for a way to sign in that is not supported.")
        if method == _SCRAM_CHALLENGE:
            found = _ITERATIONS.search(body, _CODE.size)
            if found is None or not 1 <= int(found[1]) <= MAX_SCRAM_ITERATIONS:
                raise UpstreamFailed(
                    "The PostgreSQL server wants the password hashed too often: "
                    f"scram_iterations is at most {MAX_SCRAM_ITERATIONS}."
                )

    def _check_parameter(self, body: bytes) -> None:
        """The driver decodes texts with the encoding that the server names, and asked for UTF-8."""
        name, value, _ = body.split(b"\0")
        if name == b"client_encoding" and value not in _ENCODINGS:
            raise malformed()

    def _check_columns(self, body: bytes) -> None:
        count, at = int.from_bytes(body[:2]), 2
        if count > MAX_COLUMNS:
            raise malformed()
        for _ in range(count):
            at = body.index(b"\0", at) + 1
            _, _, type, _, _, _ = _COLUMN.unpack_from(body, at)
            at += _COLUMN.size
            if type not in _SCALARS and type < _FIRST_OF_EXTENSIONS:
                raise malformed()


_INSPECTED: dict[bytes, Callable[[CheckedProtocol, bytes], None]] = {
    _SIGN_IN: CheckedProtocol._check_sign_in,
    _PARAMETER: CheckedProtocol._check_parameter,
    _COLUMNS: CheckedProtocol._check_columns,
}
