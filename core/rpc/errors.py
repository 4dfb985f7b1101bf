"""The table from Portico's errors to gRPC status and HTTP status, and the google.rpc.Status of an error.

Every error carries a google.rpc.Status with ErrorInfo, and BadRequest or RetryInfo where they fit.
`core.rpc.error_formats` has what is added for calls over REST.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from core import errors

DOMAIN = "portico"

_MAX_STATUS_BYTES = 2560
"""Most bytes of `grpc-message` as it is sent. With the details, which repeat it in base64, it must fit into the 8 KiB
of metadata that a gRPC client takes if it is not told otherwise."""
_DESCRIPTION = 250
"""Characters of the message that a field violation repeats."""
_MAX_FIELD_BYTES = 250
_ESCAPED = re.compile(rb"[^ -$&-~]")


@dataclass(frozen=True, slots=True)
class ErrorMapping:
    """Mapping of an error class: the gRPC status code, the HTTP status, and the `type` in OpenAI's error body."""

    code: grpc.StatusCode
    http: int
    type: str


_INVALID = "invalid_request_error"
_C = grpc.StatusCode

ERROR_MAPPINGS: dict[type[errors.PorticoError], ErrorMapping] = {
    errors.PorticoError: ErrorMapping(_C.INTERNAL, 500, "server_error"),
    errors.InvalidInput: ErrorMapping(_C.INVALID_ARGUMENT, 400, _INVALID),
    errors.PayloadTooLarge: ErrorMapping(_C.INVALID_ARGUMENT, 413, _INVALID),
    errors.UnsupportedMedia: ErrorMapping(_C.INVALID_ARGUMENT, 415, _INVALID),
    errors.RangeNotSatisfiable: ErrorMapping(_C.OUT_OF_RANGE, 416, _INVALID),
    errors.Unprocessable: ErrorMapping(_C.INVALID_ARGUMENT, 422, _INVALID),
    errors.ContentBlocked: ErrorMapping(_C.INVALID_ARGUMENT, 400, "guardrail_block"),
    errors.Unauthenticated: ErrorMapping(_C.UNAUTHENTICATED, 401, "authentication_error"),
    errors.PermissionDenied: ErrorMapping(_C.PERMISSION_DENIED, 403, "permission_error"),
    errors.NotFound: ErrorMapping(_C.NOT_FOUND, 404, _INVALID),
    errors.Conflict: ErrorMapping(_C.ALREADY_EXISTS, 409, _INVALID),
    errors.FailedPrecondition: ErrorMapping(_C.FAILED_PRECONDITION, 409, _INVALID),
    errors.PreconditionFailed: ErrorMapping(_C.FAILED_PRECONDITION, 412, _INVALID),
    errors.RateLimited: ErrorMapping(_C.RESOURCE_EXHAUSTED, 429, "rate_limit_error"),
    errors.BudgetExceeded: ErrorMapping(_C.RESOURCE_EXHAUSTED, 429, "insufficient_quota"),
    errors.InsufficientStorage: ErrorMapping(_C.RESOURCE_EXHAUSTED, 507, "server_error"),
    errors.Unavailable: ErrorMapping(_C.UNAVAILABLE, 503, "server_error"),
    errors.DeadlineExceeded: ErrorMapping(_C.DEADLINE_EXCEEDED, 504, "server_error"),
    errors.RequestTimeout: ErrorMapping(_C.DEADLINE_EXCEEDED, 408, _INVALID),
    errors.UpstreamFailed: ErrorMapping(_C.UNAVAILABLE, 502, "server_error"),
}


def mapping_of(error: errors.PorticoError) -> ErrorMapping:
    """The row of the error's own class, or of the nearest one above it."""
    return next(ERROR_MAPPINGS[cls] for cls in type(error).__mro__ if cls in ERROR_MAPPINGS)


def internal() -> errors.PorticoError:
    """The error that clients get for one that is not in the tree."""
    return errors.PorticoError("Something went wrong on our side. Quote the request id when you report it.")


def grpc_message(error: errors.PorticoError) -> str:
    """The text of the gRPC status: the message, or as much of it as fits."""
    return fitting(error.message, _MAX_STATUS_BYTES, lambda text: _sent_bytes(text.encode()))


def status_of(error: errors.PorticoError, request_id: str) -> status_pb2.Status:
    """google.rpc.Status with its details. Its message is that of the gRPC status, which readers compare."""
    info = error_details_pb2.ErrorInfo(
        reason=error.reason, domain=DOMAIN, metadata={**error.metadata, "request_id": request_id}
    )
    details: list[Any] = [info]
    if field := field_of(error):
        description = error.message[:_DESCRIPTION]
        violation = error_details_pb2.BadRequest.FieldViolation(field=field, description=description)
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if error.retry_after is not None:
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(int(error.retry_after * 1e9))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    status = status_pb2.Status(code=mapping_of(error).code.value[0], message=grpc_message(error))
    for detail in details:
        status.details.append(_packed(detail))
    return status


def field_of(error: errors.PorticoError) -> str | None:
    """The name of the field as it is sent: some are paths that the caller chose."""
    return error.field and fitting(error.field, _MAX_FIELD_BYTES, lambda text: _sent_bytes(text.encode()))


def _sent_bytes(text: bytes) -> int:
    """Bytes of a `grpc-message`: what is not printable ASCII, and the percent sign, takes three."""
    return len(text) + 2 * len(_ESCAPED.findall(text))


def fitting(text: str, limit: int, size: Callable[[str], int]) -> str:
    """The beginning of the text whose `size` is within the limit."""
    if len(text) * 12 <= limit:  # what a character takes at most in either form
        return text
    while (taken := size(text)) > limit:
        text = f"{text[: min(len(text) - 4, len(text) * limit // taken)]}..."
    return text


def _packed(message: Any) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
