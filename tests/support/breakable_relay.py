"""A relay in front of a server, which can be cut and mended as if the server were stopped and started again."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.support.ports import reserved_port


@dataclass
class Relay:
    """Connections to `port` of loopback go on to `target_port`."""

    target_port: int
    port: int = field(default_factory=reserved_port)
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def mend(self) -> None:
        """Accept connections, again."""
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", self.port)

    async def cut(self) -> None:
        """Close every connection, and refuse further ones."""
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            onward_reader, onward = await asyncio.open_connection("127.0.0.1", self.target_port)
            pair = {writer, onward}
            self._writers |= pair
            try:
                await asyncio.gather(_pump(reader, onward), _pump(onward_reader, writer))
            finally:
                self._writers -= pair
                for each in pair:
                    each.transport.abort()
        writer.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()


@asynccontextmanager
async def relay(target_port: int) -> AsyncIterator[Relay]:
    made = Relay(target_port)
    await made.mend()
    try:
        yield made
    finally:
        await made.cut()
