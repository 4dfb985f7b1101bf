"""Vectors on the wire to PostgreSQL: two 16-bit integers (length, nothing), then big-endian 32-bit floats.

Arrays go there as texts, which the statement casts: for any array type the driver would have to ask the server for its
parts, and trust the answer.
"""

import struct
import sys
from array import array
from collections.abc import Iterable
from typing import Any

from services.vector.domain.points import Vector

_HEAD = struct.Struct(">HH")


def encoded(vector: Vector) -> bytes:
    return _HEAD.pack(len(vector), 0) + _swapped(vector).tobytes()


def decoded(data: bytes) -> Vector:
    vector = array("f")
    vector.frombytes(data[_HEAD.size :])
    return _swapped(vector)


def numbers_literal(numbers: Iterable[int]) -> str:
    """An array of whole numbers, to be cast from text."""
    return f"{{{','.join(map(str, numbers))}}}"


def texts_literal(texts: Iterable[str]) -> str:
    """An array of texts, to be cast from text."""
    return "{" + ",".join('"' + each.replace("\\", r"\\").replace('"', r"\"") + '"' for each in texts) + "}"


def _swapped(vector: Vector) -> Vector:
    if sys.byteorder == "big":
        return vector
    swapped = vector[:]
    swapped.byteswap()
    return swapped


async def register(connection: Any) -> None:
    """The extension may lie in any schema."""
    schema = await connection.fetchval(
        "SELECT nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace WHERE extname = 'vector'"
    )
    await connection.set_type_codec("vector", schema=schema, encoder=encoded, decoder=decoded, format="binary")
