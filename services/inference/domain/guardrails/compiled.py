"""Records compiled for use, and kept in memory."""

import time
from collections.abc import Awaitable, Callable
from typing import Final, Generic, NamedTuple, TypeVar

from core.bounded import BoundedDict
from core.tenancy import Project

REFRESH_SECONDS: Final = 5.0
"""Most seconds until a change by another process is noticed."""
_MAX_KEPT = 500

C = TypeVar("C")


class Source(NamedTuple, Generic[C]):
    """A record that was read. `version` differs wherever the compiled form does."""

    version: object
    compile: Callable[[], Awaitable[C]]


class _Kept(NamedTuple, Generic[C]):
    compiled: C
    version: object
    checked: float


class CompiledRecords(Generic[C]):
    """Finds compiled records by their keys. `read` reads one from the store; its errors are `find`'s."""

    def __init__(self, read: Callable[[Project, str], Awaitable[Source[C]]]) -> None:
        self._read = read
        self._kept: BoundedDict[tuple[Project, str], _Kept[C]] = BoundedDict(_MAX_KEPT)
        self._changes = 0

    def forget(self, project: Project) -> None:
        """Forget the project's records after a change: no later `find` returns what was before."""
        self._changes += 1
        for key in [key for key in self._kept if key[0] == project]:
            del self._kept[key]

    async def find(self, project: Project, key: str) -> C:
        """The compiled record of this key."""
        kept = self._kept.get((project, key))
        now = time.monotonic()
        if kept is not None and now - kept.checked < REFRESH_SECONDS:
            return kept.compiled
        while True:
            changes = self._changes
            source = await self._read(project, key)
            same = kept is not None and kept.version == source.version
            compiled = kept.compiled if kept is not None and same else await source.compile()
            if changes == self._changes:  # or what was read may be what was before
                self._kept[project, key] = _Kept(compiled, source.version, now)
                return compiled
