"""Calls at the same time, of which the first failure is the failure of all."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")


async def together(call: Callable[[S], Awaitable[T]], items: Sequence[S], at_a_time: int) -> list[T]:
    """Return what `call` returns for each item, in their order, at most `at_a_time` of them running. Where one raises,
    the others are cancelled, and its error is raised."""
    turn = asyncio.Semaphore(at_a_time)

    async def in_turn(item: S) -> T:
        async with turn:
            return await call(item)

    tasks = [asyncio.ensure_future(in_turn(item)) for item in items]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
