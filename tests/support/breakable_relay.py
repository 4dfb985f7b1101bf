"""A relay in front of a server, which can be cut and mended as if the server were stopped and started again."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

from tests.support.connections import listening
from tests.support.ports import reserved_port


@dataclass
class Relay:
    """Connections to `port` of loopback go on to `target_port`."""

    target_port: int
    port: int = field(default_factory=reserved_port)
    _listening: AbstractAsyncContextManager[int] | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def mend(self) -> None:
        """Accept connections, again."""
        self._listening = listening(lambda sock: asyncio.start_server(self._relay, sock=sock), port=self.port)
        await self._listening.__aenter__()

    async def cut(self) -> None:
        """Close every connection, and refuse further ones."""
        assert self._listening is not None
        for writer in self._writers:
            writer.transport.abort()
        await self._listening.__aexit__(None, None, None)

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
