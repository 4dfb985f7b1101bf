"""Bounds on request messages while they arrive: how many at a time, and for how long.

gRPC takes in a few KiB of a message by itself and the rest once the message is read, as fast as it comes. So a call
reads its message only when it has a slot, and a caller has as many slots for messages of one kind as fit into a fixed
number of bytes. Messages that are complete on arrival, which nearly all are, hold a slot for a moment; a caller whose
messages drip in waits for its own slots and takes nobody else's.
"""

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from core.errors import RateLimited, RequestTimeout
from core.rpc.limits import MAX_WAITING, MIB

SWEEP_SECONDS = 1.0
"""Longest delay before a message that takes too long is noticed."""

Task = asyncio.Task[Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """Messages that share slots: those of RPCs with one limit."""

    max_bytes: int
    """The limit, that of the RPC."""
    arriving_bytes: int
    """Bytes that the transport may take in of one message before it is refused."""


class Arrivals:
    """`memory` is the bytes of one caller's messages of one kind, `seconds` the time of one message."""

    def __init__(self, *, memory: int = 64 * MIB, seconds: float = 30.0) -> None:
        self._memory = memory
        self._slots: dict[Kind, Slots] = {}
        self.times = ArrivalTimes(seconds)

    def slots(self, kind: Kind) -> "Slots":
        """Return the slots of all callers."""
        if kind not in self._slots:
            self._slots[kind] = Slots(max(1, self._memory // kind.arriving_bytes))
        return self._slots[kind]

    @property
    def idle(self) -> bool:
        """True if nothing is arriving."""
        return not any(slots.callers for slots in self._slots.values()) and not len(self.times)


class Slots:
    """A semaphore for each caller, of `count` slots. A caller that holds none takes no memory."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._held: dict[str, int] = {}
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @property
    def callers(self) -> int:
        """Number of callers that hold slots."""
        return len(self._held)

    def take(self, caller: str) -> bool:
        """A slot, if one is free at once; otherwise `wait` for it. To be given back."""
        held = self._held.get(caller, 0)
        if held >= self.count:
            return False
        self._held[caller] = held + 1
        return True

    async def wait(self, caller: str) -> None:
        """A slot, to be given back, in the order of asking. Raises RateLimited where too many wait."""
        waiting = self._waiting.setdefault(caller, deque())
        if len(waiting) >= MAX_WAITING:
            raise RateLimited(
                "Too many of your requests are arriving at once. Send fewer at a time.",
                reason="TOO_MANY_ARRIVING",
                retry_after=1.0,
            )
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it came at the same moment
                self.give_back(caller)
            raise

    def give_back(self, caller: str) -> None:
        if caller in self._waiting and self._hand_over(caller):
            return
        held = self._held[caller] - 1
        if held:
            self._held[caller] = held
        else:
            del self._held[caller]

    def _hand_over(self, caller: str) -> bool:
        """Hand the slot over to the next caller that still waits."""
        waiting = self._waiting[caller]
        while waiting:
            turn = waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return True
        del self._waiting[caller]
        return False


class ArrivalTimes:
    """Cancels calls whose message has not arrived within `seconds`."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._due: dict[Task, float] = {}
        """Deadline of each task, the first to end first: all have the same time."""
        self._late: set[Task] = set()
        self._sweeper: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._due) + len(self._late)

    def begin(self) -> Task:
        """Start timing the running task; call `end` afterwards."""
        task = asyncio.current_task()
        assert task is not None
        self._due[task] = time.monotonic() + self._seconds
        if self._sweeper is None:
            self._arm(task.get_loop())
        return task

    def end(self, task: Task) -> None:
        """The message has arrived, or nobody waits for it any more."""
        self._due.pop(task, None)

    def check(self, task: Task) -> None:
        """Check why a task was cancelled: raises RequestTimeout where its time is over and nobody else cancelled it."""
        if task in self._late:
            self._late.remove(task)
            if task.uncancel() == 0:
                raise RequestTimeout(
                    f"The request did not arrive within {self._seconds:g} seconds. Send it faster, or less at a time."
                ) from None

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        self._sweeper = loop.call_later(min(SWEEP_SECONDS, self._seconds), self._sweep, loop)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = time.monotonic()
        while self._due:
            task, due = next(iter(self._due.items()))
            if due > now:
                break
            del self._due[task]
            self._late.add(task)
            task.cancel()
        self._sweeper = None
        if self._due:
            self._arm(loop)
