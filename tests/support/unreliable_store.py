"""A document store as one behind a network is: slow, away for a while, or gone before its answer has come."""

import asyncio
import random
from collections.abc import Callable
from typing import Any, cast

from core.errors import Unavailable
from core.storage.ports import DocumentStore

AWAY = "The store is away."


class UnreliableStore:
    """Passes calls on to another store, at times that differ from call to call.

    While `away`, calls fail and change nothing. Of all others, the share `refused` fails in the same way, and the share
    `lost` is carried out and fails all the same, because its answer is lost.
    """

    def __init__(
        self, store: DocumentStore, *, seconds: float = 0.0, refused: float = 0.0, lost: float = 0.0, seed: int = 1
    ) -> None:
        self._store = store
        self._seconds = seconds
        self._random = random.Random(seed)
        self.refused = refused
        self.lost = lost
        self.away = False
        self.failures = 0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._store, name)
        if name == "close":
            return cast("Callable[..., Any]", method)

        async def call(*args: Any, **kwargs: Any) -> Any:
            await self._pause()
            if self.away or self._random.random() < self.refused:
                raise self._failure()
            answer = await method(*args, **kwargs)
            await self._pause()
            if self._random.random() < self.lost:
                raise self._failure()
            return answer

        return call

    def _failure(self) -> Unavailable:
        self.failures += 1
        return Unavailable(AWAY)

    async def _pause(self) -> None:
        """At least one turn of the loop, in which others run."""
        await asyncio.sleep(self._random.uniform(0.0, self._seconds))


def unreliable(store: DocumentStore, **options: Any) -> tuple[DocumentStore, UnreliableStore]:
    """The same object twice: as a store, and as what a test turns on and off."""
    made = UnreliableStore(store, **options)
    return cast("DocumentStore", made), made
