"""Records compiled for use, and kept in memory."""

from collections.abc import Awaitable, Callable, Hashable
from typing import Final, Generic, NamedTuple, TypeVar

from core import logs
from core.bounded import BoundedDict
from core.errors import FailedPrecondition
from core.runtime_pool import RuntimePool
from core.tenancy import Project

REFRESH_SECONDS: Final = 5.0
"""Most seconds until a change by another process is noticed, where processes do not tell each other."""
_MAX_KEPT = 500
_IDLE_SECONDS = 300.0

C = TypeVar("C")
Key = tuple[Project, str]

log = logs.get(__name__)


Version = Hashable
"""Differs wherever the compiled form does."""


class Source(NamedTuple, Generic[C]):
    """A record that was read."""

    version: Version
    compile: Callable[[], Awaitable[C]]


class CompiledRecords(Generic[C]):
    """Finds compiled records by their keys. `read` takes a key and the version that is known, if any; it returns the
    record from the store, None where it knows that this is still the version, and raises FailedPrecondition where there
    is no record. What has not changed is not compiled again; while the store is away, calls go on with what is known.
    """

    def __init__(self, read: Callable[[Project, str, Version | None], Awaitable[Source[C] | None]]) -> None:
        self._read = read
        self._pool: RuntimePool[Key, C] = RuntimePool(_MAX_KEPT, _IDLE_SECONDS, _nothing, REFRESH_SECONDS)
        self._last: BoundedDict[Key, tuple[Version, C]] = BoundedDict(_MAX_KEPT)
        """The last compiled form of each, with its version."""

    def forget(self, project: Project | None) -> None:
        """Forget the project's records after a change, or with None all: no later `find` returns what was before."""
        self._pool.invalidate(lambda key: project is None or key[0] == project)

    async def find(self, project: Project, key: str) -> C:
        """The compiled record of this key. Callers that come together share one look at the store."""
        place = (project, key)
        return self._pool.lookup(place) or await self._pool.get(place, lambda: self._build(place))

    async def _build(self, place: Key) -> C:
        last = self._last.get(place)
        try:
            source = await self._read(*place, last and last[0])
        except FailedPrecondition:
            self._last.pop(place, None)
            raise
        except Exception as error:  # a store's trouble, whatever its driver calls it
            if last is None:
                raise
            log.warning("record not checked", error=type(error).__name__)
            return last[1]
        if last is not None and (source is None or last[0] == source.version):
            return last[1]
        assert source is not None, "there is no known version"
        compiled = await source.compile()
        self._last[place] = (source.version, compiled)
        return compiled


async def _nothing(compiled: object) -> None:
    """A compiled form holds nothing that needs closing."""
