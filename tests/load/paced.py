"""A provider that streams at a set pace: each chunk in a segment of its own, as a model that thinks between words.

`python -m tests.load.paced --pause-ms 5` listens on a free loopback port and prints it. `POST /<n>/v1/chat/completions`
answers with n chunks. Pacing matters: chunks that arrive together are cheaper for a gateway to pass on.
"""

import argparse
import asyncio
import contextlib
import re
import socket

from tests.load import answers

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKS = re.compile(rb"POST /(\d{1,6})/")


async def serve(pause: float) -> asyncio.Server:
    """Listen on a free loopback port; `pause` is in seconds and comes before each chunk."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await _answer(reader, writer, pause)
        writer.close()

    return await asyncio.start_server(handle, "127.0.0.1", 0, backlog=1024)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pause: float) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    length, chunks = _LENGTH.search(head), _CHUNKS.match(head)
    await reader.readexactly(int(length[1]) if length else 0)
    writer.write(_HEAD)
    for event in answers.events(int(chunks[1]) if chunks else 1):
        await asyncio.sleep(pause)
        writer.write(b"%x\r\n%b\r\n" % (len(event), event))
        await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()


async def _main(pause: float) -> None:
    server = await serve(pause)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pause-ms", type=float, default=5.0, help="wait before each chunk, milliseconds")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main(parser.parse_args().pause_ms / 1000))
