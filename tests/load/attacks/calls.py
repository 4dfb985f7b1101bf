"""Requests as data: made once, sent again and again."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc

SECONDS = 120
"""Until an attacker gives a call up."""
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Call:
    """A request to a service's own gRPC port. `method` is without the package's first part:
    "vector.v1.PointService/Query". Unary calls are sent as streams of one message, which is the same on the wire."""

    method: str
    messages: tuple[bytes, ...]

    async def send(self, channel: grpc.aio.Channel, token: str) -> int:
        """The bytes of the answer. Raises AioRpcError."""
        metadata = (("authorization", f"Bearer {token}"),)
        call = channel.stream_stream(f"/portico.{self.method}")(self.messages, metadata=metadata, timeout=SECONDS)
        return sum([len(message) async for message in call])


@dataclass(frozen=True, slots=True)
class Attack:
    """A request that is cheap to send and would be dear to serve."""

    service: str
    name: str
    make: Callable[[], Call]


def call(method: str, message: Any, entry: Any = None, count: int = 0) -> Call:
    """Of a protobuf message; `entry` is one of its kind, whose repeated fields are added to it `count` times."""
    repeated = b"" if entry is None else entry.SerializeToString() * count
    return Call(method, (message.SerializeToString() + repeated,))
