"""Requests that are cheap to send and dear to read."""

from typing import Any

from google.protobuf.struct_pb2 import Struct


def members(count: int, digits: int = 1) -> Struct:
    """A Struct of so many members, whose names have so many digits or more.

    Made from bytes: to set them one by one takes long here, too.
    """
    entries = []
    for number in range(count):
        key = b"%0*d" % (digits, number)
        entry = b"\x0a%b%b\x12\x02\x20\x01" % (bytes([len(key)]), key)
        entries.append(b"\x0a%b%b" % (bytes([len(entry)]), entry))
    return Struct.FromString(b"".join(entries))


def repeated(message: Any, count: int) -> Any:
    """A message whose repeated fields have the entries of the given one's, `count` times."""
    return type(message).FromString(message.SerializeToString() * count)


def json_list(item: bytes, count: int) -> bytes:
    return b"[" + b",".join([item] * count) + b"]"


def json_object(count: int) -> bytes:
    return b"{" + b",".join([b'"k%d":1' % number for number in range(count)]) + b"}"
