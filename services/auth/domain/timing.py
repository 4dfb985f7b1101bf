"""Answers whose time does not tell what they had to read."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.errors import PorticoError


@asynccontextmanager
async def answered_after(seconds: float) -> AsyncIterator[None]:
    """Delay the block's answer, or refusal, until so long after its beginning: what it had to read tells on its
    time otherwise."""
    loop = asyncio.get_running_loop()
    earliest = loop.time() + seconds
    try:
        yield
    except PorticoError:
        await asyncio.sleep(earliest - loop.time())
        raise
    await asyncio.sleep(earliest - loop.time())
