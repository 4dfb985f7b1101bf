"""A dict of bounded size that evicts its oldest entry."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class BoundedDict(OrderedDict[K, V]):
    """Holds at most `capacity` entries, in the order in which they were set; `move_to_end` counts as setting, and
    reading does not. The first one is evicted for one too many.

    `evicted` is called with each entry that had to go. Entries that are `busy` stay, as does the one just set, so that
    with too many of them there may be more than `capacity` for a while.
    """

    def __init__(
        self,
        capacity: int,
        *,
        evicted: Callable[[K, V], object] | None = None,
        busy: Callable[[K, V], bool] | None = None,
    ) -> None:
        super().__init__()
        self._capacity = capacity
        self._evicted = evicted
        self._busy = busy

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        if len(self) > self._capacity:
            self._shrink()

    def evict(self) -> None:
        """Evict the first entry, whether it is busy or not."""
        key, value = self.popitem(last=False)
        if self._evicted is not None:
            self._evicted(key, value)

    def _shrink(self) -> None:
        if self._busy is None:
            while len(self) > self._capacity:
                self.evict()
            return
        idle = [key for key, value in list(self.items())[:-1] if not self._busy(key, value)]
        for key in idle[: len(self) - self._capacity]:
            value = self.pop(key)
            if self._evicted is not None:
                self._evicted(key, value)
