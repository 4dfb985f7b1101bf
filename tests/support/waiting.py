"""Polls for conditions that a test cannot get an event for."""

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Return when `condition` holds; AssertionError if it does not within `seconds`."""
    loop = asyncio.get_running_loop()
    give_up = loop.time() + seconds
    while not condition():
        assert loop.time() < give_up, "what the test waits for did not come about"
        await asyncio.sleep(0.001)
