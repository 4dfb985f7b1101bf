"""Load for a rolling update: chats at a fixed rate, one in five streamed, each on a connection of its own.

Runs in a pod, on Python's own library: URL and TOKEN say where and as whom. Prints a line of JSON for every failed
call, and at SIGTERM a last one with the totals.
"""

import asyncio
import json
import os
import signal
import sys
import time
from urllib.parse import urlsplit

RATE = float(os.environ.get("RATE", "100"))
ADDRESS = urlsplit(os.environ["URL"])
TOKEN = os.environ["TOKEN"]
_SECONDS = 60.0
"""Time limit of a call."""


class Totals:
    def __init__(self) -> None:
        self.ok = self.streams = self.failed = 0
        self.slowest = 0.0


def request(number: int, streamed: bool) -> bytes:
    body = {
        "model": "echo",
        "messages": [{"role": "user", "content": f"number {number} " + "and so on " * (40 if streamed else 1)}],
        "stream": streamed,
    }
    data = json.dumps(body).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: {ADDRESS.hostname}\r\nAuthorization: Bearer {TOKEN}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + data


async def exchange(content: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(ADDRESS.hostname, ADDRESS.port or 80)
    try:
        writer.write(content)
        await writer.drain()
        return await reader.read()
    finally:
        writer.close()


async def call(number: int, totals: Totals) -> None:
    streamed = number % 5 == 0
    begun = time.monotonic()
    try:
        async with asyncio.timeout(_SECONDS):
            answer = await exchange(request(number, streamed))
        good = answer.startswith(b"HTTP/1.1 200 ") and (b"[DONE]" in answer if streamed else b'"usage"' in answer)
        failure = "" if good else answer[:600].decode(errors="replace")
    except (OSError, TimeoutError) as error:
        failure = repr(error)
    took = time.monotonic() - begun
    if failure:
        totals.failed += 1
        print(json.dumps({"failed": number, "at": time.time(), "seconds": round(took, 3), "why": failure}), flush=True)
        return
    totals.ok += 1
    totals.streams += streamed
    totals.slowest = max(totals.slowest, took)


async def main() -> None:
    totals, stopping, calls = Totals(), asyncio.Event(), set()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    number, begun = 0, time.monotonic()
    while not stopping.is_set():
        await asyncio.sleep(max(0.0, begun + number / RATE - time.monotonic()))
        number += 1
        task = asyncio.create_task(call(number, totals))
        calls.add(task)
        task.add_done_callback(calls.discard)
        if number % 1000 == 0:
            print(
                json.dumps({"sent": number, "seconds": round(time.monotonic() - begun, 1), **vars(totals)}), flush=True
            )
    await asyncio.gather(*calls)
    seconds = round(time.monotonic() - begun, 1)
    print(json.dumps({"total": number, "seconds": seconds, **vars(totals)}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
    sys.exit(0)
