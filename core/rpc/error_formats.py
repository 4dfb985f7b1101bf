"""Errors over REST: HTTP status, body and headers, in the format that the RPC's contract names.

The service writes them into trailing metadata; the edge puts them in place of what its transcoder made of the gRPC
status. Native gRPC callers get the google.rpc.Status alone.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from core.errors import PorticoError
from core.rpc.errors import ErrorMapping, field_of, fitting, mapping_of, status_of
from core.rpc.headers import ERROR_BODY, HTTP_STATUS, SHOULD_RETRY

_MAX_BODY_BYTES = 24 * 1024
"""Most bytes of an error body in a header. The edge takes 60 KiB of headers from a service."""

Metadata = tuple[tuple[str, str | bytes], ...]


@dataclass(frozen=True, slots=True)
class ErrorContent:
    """The content of an error body."""

    mapping: ErrorMapping
    reason: str
    message: str
    field: str | None
    details: Mapping[str, Any]
    request_id: str

    @classmethod
    def of(cls, error: PorticoError, request_id: str) -> "ErrorContent":
        return cls(mapping_of(error), error.reason, error.message, field_of(error), error.details, request_id)


BodyWriter = Callable[[ErrorContent], dict[str, Any]]


class ErrorFormat(StrEnum):
    """Named as in portico.common.v1.ErrorFormat."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GRPC = "grpc"
    """The gRPC status alone, also over REST."""


def openai_body(content: ErrorContent) -> dict[str, Any]:
    """OpenAI's error body, with the id of the request beside it."""
    return {
        "error": {
            **content.details,
            "message": content.message,
            "type": content.mapping.type,
            "code": "invalid_api_key" if content.mapping.http == 401 else content.reason.lower(),
            "param": content.field,
        },
        "request_id": content.request_id,
    }


def anthropic_body(content: ErrorContent) -> dict[str, Any]:
    """Anthropic's error body."""
    status = content.mapping.http
    kind = _ANTHROPIC_TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
    return {"type": "error", "error": {"type": kind, "message": content.message}, "request_id": content.request_id}


_ANTHROPIC_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
"""Anthropic's error types by HTTP status; every other 4xx is an invalid_request_error, every other 5xx an api_error."""

BODY_WRITERS: dict[ErrorFormat, BodyWriter] = {
    ErrorFormat.OPENAI: openai_body,
    ErrorFormat.ANTHROPIC: anthropic_body,
}


def trailing_metadata(
    error: PorticoError, request_id: str, *, rest: bool, format: ErrorFormat = ErrorFormat.OPENAI
) -> Metadata:
    """Return what is sent with the status: its details, and for `rest` what the edge needs for the format."""
    status = status_of(error, request_id).SerializeToString()
    metadata: list[tuple[str, str | bytes]] = [("grpc-status-details-bin", status)]
    if rest and (write := BODY_WRITERS.get(format)) is not None:
        metadata.append((HTTP_STATUS, str(mapping_of(error).http)))
        metadata.append((ERROR_BODY, _body_text(ErrorContent.of(error, request_id), write)))
        if error.retry_after is not None:
            metadata.append(("retry-after", str(max(1, math.ceil(error.retry_after)))))
        if error.final:
            metadata.append((SHOULD_RETRY, "false"))
        metadata += error.headers
    return tuple(metadata)


def _body_text(content: ErrorContent, write: BodyWriter) -> str:
    """The error body in ASCII: whole, or else without the details and with as much of the message as fits."""
    text = _json(write(content))
    if len(text) > _MAX_BODY_BYTES:
        left = _MAX_BODY_BYTES - len(_json(write(replace(content, message="", details={}))))
        message = fitting(content.message, left, lambda text: len(_json(text)))
        text = _json(write(replace(content, message=message, details={})))
    return text


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
