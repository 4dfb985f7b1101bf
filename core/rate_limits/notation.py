"""Limits as they are written, such as "100/minute; 1000/hour", and the error that a limit raises."""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from math import ceil, inf

from limits import RateLimitItem, parse_many

from core.errors import RateLimited

INSTANT = 0.001
"""Seconds; for what will pass in the very next moment."""
_LONGEST_BUCKET = 128


def bounded(bucket: str) -> str:
    """The name of the bucket, or of a longer one its digest."""
    if len(bucket) > _LONGEST_BUCKET:
        return "#" + blake2b(bucket.encode(errors="surrogatepass"), digest_size=16).hexdigest()
    return bucket


@lru_cache(maxsize=1024)
def parsed(limit: str) -> Sequence[RateLimitItem]:
    """The windows of a limit. Raises ValueError for what is none."""
    items = parse_many(limit)
    if any(item.amount < 1 or item.get_expiry() < 1 for item in items):
        raise ValueError(f"a limit allows at least 1 in at least 1 second, not {limit!r}")
    return items


def refused(wait: float) -> RateLimited:
    """The error for a hit that passes in `wait` seconds; never, where that is infinite."""
    if wait == inf:
        return RateLimited("This is more than the rate limit allows at once.")
    return RateLimited(f"Too many requests: try again in {max(1, ceil(wait))} s.", retry_after=wait)
