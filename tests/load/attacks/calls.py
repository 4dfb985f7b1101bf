"""gRPC requests to a service's own port: made once, sent again and again."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc

from tests.load.attacks.attack import Attack, Target

SECONDS = 120
"""After which an attacker gives up on a call."""
AT_A_TIME = 4
ANY_SIZE = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


@dataclass(frozen=True, slots=True)
class Call:
    """A request. `method` lacks the first part of the package's name: "vector.v1.PointService/Query".

    Unary calls are sent as streams of one message, which is the same on the wire.
    """

    method: str
    messages: tuple[bytes, ...]

    async def send(self, channel: grpc.aio.Channel, token: str) -> int:
        """Return the size of the answer in bytes. Raises AioRpcError."""
        metadata = (("authorization", f"Bearer {token}"),)
        call = channel.stream_stream(f"/portico.{self.method}")(self.messages, metadata=metadata, timeout=SECONDS)
        return sum([len(message) async for message in call])


def call(method: str, message: Any, entry: Any = None, count: int = 0) -> Call:
    """A call of a protobuf message, followed by the repeated fields of `entry`, `count` times."""
    repeated = b"" if entry is None else entry.SerializeToString() * count
    return Call(method, (message.SerializeToString() + repeated,))


def calling(service: str, name: str, make: Callable[[], Call], *, known: bool = False, records: bool = False) -> Attack:
    """The attack of some that send the same call, over and over, each as soon as the last is answered."""

    async def strike(target: Target, seen: Counter[str]) -> None:
        request = make()

        async def repeat(channel: grpc.aio.Channel) -> None:
            while True:
                try:
                    await request.send(channel, target.insider)
                    seen["OK"] += 1
                except grpc.aio.AioRpcError as error:
                    seen[f"{error.code().name} {(error.details() or '')[:60]}"] += 1

        async with grpc.aio.insecure_channel(f"127.0.0.1:{target.ports[service]}", options=ANY_SIZE) as channel:
            await asyncio.gather(*(repeat(channel) for _ in range(AT_A_TIME)))

    return Attack(service, name, strike, workers=1, known=known, records=records)
