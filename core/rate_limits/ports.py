"""Rate limits: how much a bucket may use in a window of time.

    await limits.hit(project, "chat", "100/minute; 1000/hour")            # one request
    await limits.hit(project, "tokens", "20000/minute", cost=1200)        # what it used

A sliding window counter: the count of the running fixed window, and that of the last one, weighted by how much of it
the sliding window still covers. Unlike a fixed window, this does not let twice the limit through at a border; unlike a
log of every hit, a bucket costs two numbers whatever its limit and cost. What is refused is not counted.

The notation of limits is that of the library `limits`.
"""

from typing import Protocol

from core.tenancy import Scope


class RateLimits(Protocol):
    """Every method takes the scope first."""

    async def hit(self, scope: Scope, bucket: str, limit: str, cost: int = 1, *, strict: bool = False) -> None:
        """Count `cost`, or raise RateLimited with `retry_after` and count nothing. Raises ValueError for a `limit`
        that is none. A cost above the limit is refused without `retry_after`: it will never pass.

        While counters that replicas share are away, each replica counts by itself. With `strict`, for limits that must
        not be multiplied by the number of replicas, such as attempts at a password, Unavailable is raised instead.
        """

    async def give_back(self, scope: Scope, bucket: str, limit: str, cost: int = 1) -> None:
        """Take back what a `hit` has counted, as far as it was counted in a window that still runs. What cannot be
        reached now stays counted."""
