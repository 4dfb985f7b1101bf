"""The one error tree. Domain code raises these; `core.rpc.errors` alone knows what they are on the wire.

    PorticoError
    ├── InvalidInput                 the caller's mistake; `field` names where
    │   ├── PayloadTooLarge
    │   ├── UnsupportedMedia
    │   ├── RangeNotSatisfiable      no such part of the content
    │   ├── Unprocessable            well-formed, but cannot be done
    │   └── ContentBlocked           a guardrail does not let it pass
    ├── Unauthenticated              no identity, or not a valid one
    ├── PermissionDenied             a valid identity that may not
    ├── NotFound                     not there, or not yours: the same answer
    ├── Conflict                     something with that name exists
    ├── FailedPrecondition           the present state does not allow it
    ├── RateLimited                  too much; `retry_after` says when again
    │   └── BudgetExceeded           a budget or an amount is used up: trying again soon is of no use
    ├── InsufficientStorage          the disk or store is full
    ├── Unavailable                  cannot be served now; `retry_after` where known
    ├── DeadlineExceeded             took longer than the caller or a limit allows
    │   └── RequestTimeout           the caller sends its request too slowly
    └── UpstreamFailed               a provider refused us or answered nonsense

The message is written for the caller of the API: it says what to do and never holds a secret, a host name or another
tenant's data. Whatever is not in this tree reaches the client as "internal error" with the request id and no more.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

SERVICE_AWAY = "SERVICE_AWAY"
"""Reason of Unavailable where another service of Portico cannot be reached."""

_LONGEST_MESSAGE = 4000
_LONGEST_FIELD = 100
"""Characters. `core.rpc.errors` sees to it that what an error becomes fits into headers."""


def _clip(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


class PorticoError(Exception):
    """`reason` is stable UPPER_SNAKE for programs; `message` is for people; `retry_after` is in seconds.

    `details` are JSON fields for the error body over REST, beside those that every error has; `headers` are HTTP
    headers for an answer over REST, names in lower case and values in ASCII. Native gRPC calls see neither.
    """

    default_reason: ClassVar[str] = "INTERNAL"

    def __init__(
        self,
        message: str,
        *,
        reason: str | None = None,
        field: str | None = None,
        retry_after: float | None = None,
        metadata: Mapping[str, str] | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        self.message = _clip(message, _LONGEST_MESSAGE)
        super().__init__(self.message)
        self.reason = reason or self.default_reason
        self.field = field if field is None else _clip(field, _LONGEST_FIELD)
        self.retry_after = retry_after
        self.metadata = dict(metadata or {})
        self.details = dict(details or {})
        self.headers: tuple[tuple[str, str], ...] = ()
        self.final = False
        """Another attempt is of no use: it was made already, or the provider said so."""


class InvalidInput(PorticoError):
    default_reason = "INVALID_INPUT"


class PayloadTooLarge(InvalidInput):
    default_reason = "PAYLOAD_TOO_LARGE"


class UnsupportedMedia(InvalidInput):
    default_reason = "UNSUPPORTED_MEDIA"


class RangeNotSatisfiable(InvalidInput):
    default_reason = "RANGE_NOT_SATISFIABLE"


class Unprocessable(InvalidInput):
    default_reason = "UNPROCESSABLE"


class ContentBlocked(InvalidInput):
    default_reason = "GUARDRAIL_BLOCKED"


class Unauthenticated(PorticoError):
    default_reason = "UNAUTHENTICATED"


class PermissionDenied(PorticoError):
    default_reason = "PERMISSION_DENIED"


class NotFound(PorticoError):
    default_reason = "NOT_FOUND"


class Conflict(PorticoError):
    default_reason = "CONFLICT"


class FailedPrecondition(PorticoError):
    default_reason = "FAILED_PRECONDITION"


class PreconditionFailed(FailedPrecondition):
    """A condition of the request's own, such as If-Match."""

    default_reason = "PRECONDITION_FAILED"


class RateLimited(PorticoError):
    default_reason = "RATE_LIMITED"


class BudgetExceeded(RateLimited):
    default_reason = "INSUFFICIENT_QUOTA"


class InsufficientStorage(PorticoError):
    default_reason = "INSUFFICIENT_STORAGE"


class Unavailable(PorticoError):
    default_reason = "UNAVAILABLE"


class DeadlineExceeded(PorticoError):
    default_reason = "DEADLINE_EXCEEDED"


class RequestTimeout(DeadlineExceeded):
    default_reason = "REQUEST_TIMEOUT"


class UpstreamFailed(PorticoError):
    default_reason = "UPSTREAM_FAILED"
