"""Error mapping of a Qdrant server."""

from collections.abc import Callable, Mapping

import grpc
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from core.errors import InsufficientStorage, NotFound, PorticoError, Unavailable, UpstreamFailed
from services.vector.adapters.answers import AnswerTooLarge


def _not_qdrant() -> PorticoError:
    return UpstreamFailed("what answers at settings.url does not speak Qdrant's gRPC; its gRPC port is mostly 6334")


_REFUSALS: Mapping[grpc.StatusCode, Callable[[], PorticoError]] = {
    grpc.StatusCode.NOT_FOUND: lambda: NotFound("There is no such index."),
    grpc.StatusCode.UNAUTHENTICATED: lambda: UpstreamFailed("the Qdrant server refuses the API key"),
    grpc.StatusCode.PERMISSION_DENIED: lambda: UpstreamFailed("the Qdrant server refuses the API key"),
    grpc.StatusCode.INVALID_ARGUMENT: lambda: UpstreamFailed("the Qdrant server refuses the request"),
    grpc.StatusCode.UNIMPLEMENTED: _not_qdrant,
}
_STATUSES = {404: grpc.StatusCode.NOT_FOUND, 401: grpc.StatusCode.UNAUTHENTICATED,
             403: grpc.StatusCode.PERMISSION_DENIED, 400: grpc.StatusCode.INVALID_ARGUMENT}  # fmt: skip


def translated(error: Exception) -> PorticoError:
    """Map the error. The server's text is neither for the caller nor for the log: it may hold anything."""
    text = str(error).lower()
    if "no space left" in text or "disk is full" in text or "out of disk" in text:
        return InsufficientStorage("the disk of the Qdrant server is full")
    if isinstance(error, ValueError) and "not found" in text:  # as local mode says it
        return NotFound("There is no such index.")
    if "larger than max" in text or "exceeds hard limit" in text:  # as gRPC says of an answer, and of its headers
        return AnswerTooLarge()
    if "failed parsing http/2" in text:  # as gRPC says of a server that answers in HTTP/1.1
        return _not_qdrant()
    code = None
    if isinstance(error, grpc.aio.AioRpcError):
        code = error.code()
    elif isinstance(error, UnexpectedResponse):
        code = _STATUSES.get(error.status_code or 0)
    elif isinstance(error, ValueError) and not isinstance(error, ResponseHandlingException):
        code = grpc.StatusCode.INVALID_ARGUMENT
    refusal = None if code is None else _REFUSALS.get(code)
    return (
        Unavailable("The Qdrant server cannot be reached now. Try again in a moment.", retry_after=1.0)
        if refusal is None
        else refusal()
    )
