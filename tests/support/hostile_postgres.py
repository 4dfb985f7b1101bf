"""A relay in front of a real PostgreSQL server that turns hostile where a test says: from then on it answers itself.

async with HostilePostgres(server) as relay:
    relay.attack = Attack(b"SELECT id, embedding", [message(b"N", NOTICE)], forever=True)
"""

import asyncio
import contextlib
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from tests.support.connections import listening

MIB = 1024 * 1024


def message(kind: bytes, body: bytes = b"", length: int | None = None) -> bytes:
    """One message of the server's; `length` is what it claims, if not the truth."""
    return kind + struct.pack(">i", len(body) + 4 if length is None else length) + body


READY = message(b"Z", b"I")
SIGNED_IN = message(b"R", struct.pack(">i", 0))


def columns(*types: int) -> bytes:
    """The description of so many columns."""
    each = b"".join(b"c\0" + struct.pack(">ihihih", 0, 0, type, -1, -1, 0) for type in types)
    return message(b"T", struct.pack(">h", len(types)) + each)


def row(*values: bytes) -> bytes:
    return message(b"D", struct.pack(">h", len(values)) + b"".join(struct.pack(">i", len(v)) + v for v in values))


@dataclass(frozen=True)
class Attack:
    """Bytes sent instead of an answer, once the client has sent `trigger` (empty: as soon as it connects), or, with
    `next`, what it sends after that. The last chunk is sent `forever`, or else the connection stays open and silent."""

    trigger: bytes
    pieces: Sequence[bytes]
    forever: bool = False
    next: bool = False
    afterwards: bytes = b""
    """The answer to what the client sends after that, before the connection is closed."""
    most: int = 64 * MIB
    """Sent at most, of what is sent forever."""


class HostilePostgres:
    """Listens on a free port while entered."""

    def __init__(self, server: Mapping[str, Any]) -> None:
        self.attack: Attack | None = None
        self.connections = 0
        self.attacks = 0
        self.sent = 0
        """Bytes that attacks got rid of."""
        self._upstream = server
        self._running: set[asyncio.Task[None]] = set()
        self._listening = listening(lambda sock: asyncio.start_server(self._accept, sock=sock))
        self._port = 0

    @property
    def address(self) -> dict[str, Any]:
        """As `tests.support.postgres` yields it."""
        return {**self._upstream, "port": self._port}

    async def __aenter__(self) -> Self:
        self._port = await self._listening.__aenter__()
        return self

    async def __aexit__(self, *raised: Any) -> None:
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._listening.__aexit__(*raised)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = self._upstream["host"], self._upstream["port"]
        from_server, to_server = await asyncio.open_connection(host, port)
        back = asyncio.create_task(_copy(from_server, writer))
        try:
            with contextlib.suppress(ConnectionError):
                await self._relay(reader, writer, to_server, back)
        finally:
            back.cancel()
            to_server.transport.abort()
            writer.transport.abort()

    async def _relay(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        to_server: asyncio.StreamWriter,
        back: "asyncio.Task[None]",
    ) -> None:
        data, armed = b"", False
        while True:
            attack = self.attack
            triggered = attack is not None and attack.trigger in data
            if attack is not None and (armed if attack.next else triggered):
                back.cancel()
                await self._run(attack, writer)
                while await reader.read(65536):
                    if attack.afterwards:
                        writer.write(attack.afterwards)
                        writer.close()
                return
            armed = armed or triggered
            to_server.write(data)
            if not (data := await reader.read(MIB)):
                return

    async def _run(self, attack: Attack, writer: asyncio.StreamWriter) -> None:
        self.attacks += 1
        for piece in attack.pieces:
            writer.write(piece)
            await writer.drain()
            self.sent += len(piece)
        last = attack.pieces[-1] if attack.pieces else b""
        last *= max(1, 65536 // max(1, len(last)))
        while attack.forever and self.sent < attack.most and not writer.is_closing():
            writer.write(last)
            await writer.drain()
            self.sent += len(last)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(MIB):
        writer.write(data)
        await writer.drain()
    writer.close()
