"""Errors of the library `redis` as errors of Portico."""

from collections.abc import Iterator
from contextlib import contextmanager

from redis import exceptions as library

from core.errors import Unavailable

_RETRY_SECONDS = 1.0

REFUSED = (library.BusyLoadingError, library.ReadOnlyError, library.ClusterDownError, library.TryAgainError)
"""The server says that it has not carried the command out, and that another attempt may succeed: it loads its data, or
a failover is under way."""
_CANNOT_SERVE = (library.OutOfMemoryError, library.NoPermissionError, library.RedisClusterException)
_CANNOT_SERVE_CODES = ("MISCONF", "NOREPLICAS", "BUSY", "OOM")
"""Codes of further answers for which the library has no class."""


class RedisLost(Unavailable):
    """Redis cannot be reached, or does not answer in time. The command may have been carried out."""

    default_reason = "REDIS_UNAVAILABLE"


class RedisRefused(Unavailable):
    """Redis answers, but refuses the command: it is out of memory, a replica, or does not permit it."""

    default_reason = "REDIS_REFUSED"


@contextmanager
def translated() -> Iterator[None]:
    """Raise Unavailable for whatever is Redis's or the network's trouble. What is left is a bug, such as a script with
    an error."""
    try:
        yield
    except (*REFUSED, *_CANNOT_SERVE, library.AuthenticationError, library.AuthorizationError) as error:
        raise _refused() from error
    except (library.ConnectionError, library.TimeoutError, TimeoutError, OSError) as error:
        raise RedisLost("The cache server cannot be reached now. Try again.", retry_after=_RETRY_SECONDS) from error
    except library.ResponseError as error:
        if str(error).startswith(_CANNOT_SERVE_CODES):
            raise _refused() from error
        raise


def _refused() -> RedisRefused:
    return RedisRefused("The cache server cannot serve this now. Try again.", retry_after=_RETRY_SECONDS)
