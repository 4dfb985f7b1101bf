"""Parser of request messages, within bounds and without blocking the event loop.

A message costs by the number of its fields, not by its length: 30 MiB may be one text, or fifteen million empty
messages that take seconds and a gigabyte. So the fields of a large message are counted on the wire first, and if they
are many, the message is parsed chunk by chunk in the worker thread, for protobuf itself lets nobody else run.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError, Message

from core.errors import InvalidInput, PayloadTooLarge
from core.free_json import MAX_DEPTH
from core.offload import LARGE_BYTES, offload_request
from core.rpc.limits import KIB, MAX_REQUEST_BYTES, MAX_REQUEST_FIELDS, MIB
from core.rpc.protobuf_wire import FieldCounter, chunks

_FEW_FIELDS = 1_000
"""Most fields that are parsed on the event loop, however long the texts in them are."""

Deserialize = Callable[[bytes], Any]
"""`FromString` of a message's class; or `bytes`, for a servicer that reads the message itself and bounds what it makes
of it."""


class Parser:
    """Parses the request messages of one RPC."""

    def __init__(
        self, deserialize: Deserialize, max_bytes: int = MAX_REQUEST_BYTES, max_fields: int = MAX_REQUEST_FIELDS
    ) -> None:
        self._deserialize = deserialize
        self._raw = deserialize is bytes
        self._class: type[Message] = Message if self._raw else deserialize.__self__  # type: ignore[attr-defined]
        self._counter = FieldCounter(None if self._raw else cast(Descriptor, self._class.DESCRIPTOR))
        self._max_bytes = max_bytes
        self._max_fields = max_fields

    async def parse(self, data: bytes) -> Any:
        """Parse a request message. Raises PayloadTooLarge for too many bytes, InvalidInput for too many fields and for
        what is no such message, and RateLimited where too many large ones of the tenant wait."""
        if len(data) > self._max_bytes:
            raise too_large(self._max_bytes)
        if self._raw:
            return data
        try:
            if len(data) > LARGE_BYTES and self.is_large(data):
                return await offload_request(lambda: self._in_chunks(data), len(data))
            return self._deserialize(data)
        except DecodeError:
            raise InvalidInput(
                "The request cannot be read. Text must be UTF-8, in paths and queries too, and JSON nested at most "
                f"{MAX_DEPTH} deep."
            ) from None

    def small(self, data: bytes) -> Any:
        """The message of a refused call; None where it is large or cannot be parsed."""
        if self._raw or len(data) > LARGE_BYTES:
            return None
        with suppress(DecodeError):
            return self._deserialize(data)
        return None

    def is_large(self, data: bytes) -> bool:
        """Return whether a message takes so long to parse that it must not be done on the event loop. Raises
        DecodeError."""
        return self._counter.exceeds(data, _FEW_FIELDS)

    def _in_chunks(self, data: bytes) -> Message:
        if self._counter.exceeds(data, self._max_fields):
            raise InvalidInput(
                f"The request has more than {self._max_fields} fields: send less at once.", reason="TOO_MANY_VALUES"
            )
        whole = self._class()
        for chunk in chunks(data, LARGE_BYTES):
            whole.MergeFromString(chunk)
        return whole


def too_large(max_bytes: int) -> PayloadTooLarge:
    """The error for a request beyond `max_bytes`."""
    unit, name = (MIB, "MiB") if max_bytes >= MIB else (KIB, "KiB")
    return PayloadTooLarge(f"A request to this call may have at most {max_bytes // unit} {name}. Send less at a time.")
