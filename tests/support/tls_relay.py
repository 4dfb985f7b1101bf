"""TLS in front of a server that does not speak it."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.support.connections import listening


@asynccontextmanager
async def tls_relay(port: int, context: ssl.SSLContext) -> AsyncIterator[int]:
    """Yield a port of 127.0.0.1 where TLS is ended; what it holds goes to `port`."""
    working: set[asyncio.Task[None]] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, ssl.SSLError):
                while data := await reader.read(65_536):
                    writer.write(data)
                    await writer.drain()
            writer.close()
        except asyncio.CancelledError:
            writer.transport.abort()
            raise

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", port)
        for task in (
            asyncio.create_task(pump(reader, behind_writer)),
            asyncio.create_task(pump(behind_reader, writer)),
        ):
            working.add(task)
            task.add_done_callback(working.discard)

    async with listening(lambda sock: asyncio.start_server(serve, sock=sock, ssl=context)) as relayed:
        try:
            yield relayed
        finally:
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)
