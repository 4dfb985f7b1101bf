"""Strikes with gRPC that no gRPC client sends: oversized, compressed, unfinished and hanging requests."""

import asyncio
from collections import Counter
from collections.abc import Callable

from tests.load.attacks.attack import Headers, Strike, Target
from tests.support import http1_channel
from tests.support.http2_client import Stream, http2

HEALTH = "/grpc.health.v1.Health/Check"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"

HANG_SECONDS = 5
"""After which hanging calls are dropped and made anew."""
ANSWER_SECONDS = 60
"""After which an attacker gives up on an answer."""

Payload = Callable[[], bytes]
"""Makes the bytes on the wire when they are needed first, as they are large."""


def send(path: str, service: str, payload: Payload, *, who: str = "", headers: Headers = (), hold: float = 0) -> Strike:
    """One call on a connection of its own; with `hold`, a call that never ends, dropped after so many seconds."""

    async def strike(target: Target, seen: Counter[str]) -> None:
        data = payload()
        async with http2(target.ports[service]) as client:
            stream = client.start(path, [*headers, *target.bearer(who)])
            sending = asyncio.create_task(client.send(stream, data, end=not hold))
            try:
                async with asyncio.timeout(hold or ANSWER_SECONDS):
                    await client.answer(stream)
            except TimeoutError:
                pass
            finally:
                sending.cancel()
            seen[_outcome(stream)] += 1

    return strike


def hang(path: str, service: str, payload: Payload, streams: int, *, who: str = "", headers: Headers = ()) -> Strike:
    """Many calls on one connection that begin and do not end."""

    async def strike(target: Target, seen: Counter[str]) -> None:
        data = payload()
        async with http2(target.ports[service]) as client:
            opened = [client.start(path, [*headers, *target.bearer(who)]) for _ in range(streams)]
            sending = [asyncio.create_task(client.send(stream, data)) for stream in opened]
            await asyncio.sleep(HANG_SECONDS)
            for task in sending:
                task.cancel()
            seen.update(_outcome(stream) for stream in opened)

    return strike


def by_http1(path: str, port: str, payload: Payload, *, who: str) -> Strike:
    """One call on the port that speaks HTTP/1.1 to the edge."""

    async def strike(target: Target, seen: Counter[str]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", target.ports[port])
        try:
            writer.write(http1_channel.request(path, payload(), target.bearer(who)))
            async with asyncio.timeout(ANSWER_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            seen[head.partition(b"\r\n")[0].decode()] += 1
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError) as error:
            seen[type(error).__name__] += 1
        finally:
            writer.close()

    return strike


def _outcome(stream: Stream) -> str:
    if not stream.over:
        return "held"
    return f"grpc-status {stream.code} {stream.message[:60]}" if stream.headers else "reset"
