"""What a provider's error means to the caller.

The caller's own mistakes come back as such, with the provider's explanation, and so do limits and failures; what is
between Portico and the provider (credentials, credit) never looks like the caller's fault, and its text stays here.
"""

import re
from collections.abc import Mapping
from typing import Any

from core.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    PayloadTooLarge,
    PorticoError,
    RateLimited,
    Unavailable,
    Unprocessable,
    UnsupportedMedia,
    UpstreamFailed,
)
from services.inference.domain.answers.reports import NOTHING, Report, report_of
from services.inference.domain.json_values import NotJson, decode_leniently, encode
from services.inference.domain.scrubbing import Scrub, scrub_values

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_MAX_DETAILS_BYTES = 4096

_CALLERS: dict[int, tuple[type[PorticoError], str]] = {
    400: (InvalidInput, "The provider rejected the request."),
    404: (NotFound, "The provider does not know this model. Check the model's modelId."),
    409: (Conflict, "The provider reports a conflict."),
    413: (PayloadTooLarge, "The request is too large for the provider."),
    415: (UnsupportedMedia, "The provider does not take this kind of content."),
    422: (Unprocessable, "The provider cannot process the request."),
}
"""Mistakes that the caller can repair: what they are, and what to say where the provider does not say it itself."""

_CREDENTIALS = (
    "PROVIDER_REJECTED_CREDENTIALS",
    "The provider refused the credentials that are stored for it. Update the provider's credentials.",
)
_OURS: dict[int, tuple[str, str]] = {
    401: _CREDENTIALS,
    402: ("PROVIDER_OUT_OF_CREDIT", "The account at the provider has no credit left."),
    403: _CREDENTIALS,
}
"""Between Portico and the provider: reason and message."""

_OVERLOADED = frozenset({408, 503, 504, 529})
_QUOTA = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})

_OVERFLOW_CODES = frozenset({"context_length_exceeded", "exceed_context_size_error", "context_window_exceeded"})
_OVERFLOW_STATUSES = frozenset({0, 400, 413, 422, 500})
_OVERFLOW_TEXT = re.compile(
    r"""(?ix)
    exceed\w* \b .{0,80} \b context
    | context \b .{0,40} \b (?: exceed\w* | overflow\w* | too\ (?:long|small) )
    | maximum\ (?: context | model | prompt )\ length
    | longer\ than\ .{0,40} (?: context | model ) .{0,12} \ length
    | (?: prompt | input )\ is\ too\ long
    | input\ token\ count .{0,40} exceeds
    """
)
"""How vLLM, llama.cpp, SGLang, Gemini, Anthropic, Bedrock and others say that a conversation is too long."""


class Refusal(Exception):
    """A provider said no, by its answer's status or in the answer: `error` is for the caller, `status` the HTTP status
    that says the same; 0 where the provider gave no hint of one."""

    def __init__(self, error: PorticoError, status: int) -> None:
        super().__init__(error.message)
        self.error = error
        self.status = status


def refusal(status: int, body: bytes, scrub: Scrub) -> Refusal:
    """Of an answer that is not a success. A body that is no JSON may be a proxy's page, and is not passed on."""
    try:
        answer = decode_leniently(body)
    except NotJson:
        answer = None
    return _refusal(status, report_of(answer) or NOTHING, scrub)


def reported(report: Report, scrub: Scrub) -> Refusal:
    """Of an error within an answer whose status was a success."""
    return _refusal(report.status, report, scrub)


def malformed() -> UpstreamFailed:
    return UpstreamFailed("The provider's answer is not what its API promises.", reason="UPSTREAM_MALFORMED")


def _refusal(status: int, report: Report, scrub: Scrub) -> Refusal:
    message = scrub(report.message)
    if _is_overflow(status, report):
        text = message or "The conversation is longer than the model's context."
        return Refusal(_mistake(InvalidInput, text, report, scrub, "CONTEXT_LENGTH_EXCEEDED", "messages"), 400)
    if status in (403, 429) and report.names & _QUOTA:
        return Refusal(_out_of_quota(message, report, scrub), 429)
    if status == 403 and "model_not_found" in report.names:
        status = 404
    if status in _CALLERS:
        cls, text = _CALLERS[status]
        return Refusal(_mistake(cls, message or text, report, scrub), status)
    if status in _OURS:
        reason, text = _OURS[status]
        return Refusal(UpstreamFailed(text, reason=reason), status)
    if status == 429:
        text = message or "The provider's rate limit is reached. Try again later."
        details = _details(report, scrub)
        return Refusal(
            RateLimited(text, reason="RATE_LIMIT_EXCEEDED", retry_after=report.retry_after, details=details), status
        )
    if status in _OVERLOADED:
        text = message or "The provider cannot answer now. Try again later."
        return Refusal(Unavailable(text, reason="PROVIDER_UNAVAILABLE", retry_after=report.retry_after), status)
    if status and status < 500:
        text = message or f"The provider answered with status {status}."
        return Refusal(UpstreamFailed(text, reason="PROVIDER_REFUSED"), status)
    text = f"The provider failed: {message}" if message else "The provider failed."
    return Refusal(UpstreamFailed(text, reason="PROVIDER_FAILED", retry_after=report.retry_after), status)


def _is_overflow(status: int, report: Report) -> bool:
    return status in _OVERFLOW_STATUSES and (
        bool(report.names & _OVERFLOW_CODES) or _OVERFLOW_TEXT.search(report.message) is not None
    )


def _out_of_quota(message: str, report: Report, scrub: Scrub) -> PorticoError:
    """Waiting does not help, unlike with a rate limit, so another attempt is of no use."""
    text = message or "The quota of the account at the provider is used up."
    error = RateLimited(text, reason="INSUFFICIENT_QUOTA", details=_details(report, scrub))
    error.final = True
    return error


def _mistake(
    cls: type[PorticoError],
    message: str,
    report: Report,
    scrub: Scrub,
    reason: str | None = None,
    field: str | None = None,
) -> PorticoError:
    if reason is None and _CODE.fullmatch(report.code):
        reason = report.code.upper()
    return cls(
        message,
        reason=reason,
        field=scrub(report.param)[:128] or field,
        details=_details(report, scrub),
    )


def _details(report: Report, scrub: Scrub) -> Mapping[str, Any]:
    """What else the provider said of the error, such as Azure's `innererror`; nothing where that is too much."""
    if not report.more:
        return {}
    try:
        if len(encode(report.more)) > _MAX_DETAILS_BYTES:
            return {}
    except NotJson:
        return {}
    details: dict[str, Any] = scrub_values(report.more, scrub)
    return details
