"""Mapping of providers' errors to those that callers get.

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
from services.inference.domain.codecs.error_reports import NOTHING, Report, report_of
from services.inference.domain.codecs.scrubbing import Scrub, scrub_values
from services.inference.domain.json_values import NotJson, decode_leniently, encode

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_MAX_DETAILS_BYTES = 4096

ErrorClass = tuple[type[PorticoError], str, str]
"""The meaning to the caller of an HTTP status of a provider: error, reason (empty: the provider's own code), and what
to say where the provider does not say it itself."""

_CREDENTIALS: ErrorClass = (
    UpstreamFailed,
    "PROVIDER_REJECTED_CREDENTIALS",
    "The provider refused the credentials that are stored for it. Update the provider's credentials.",
)
_AWAY: ErrorClass = (Unavailable, "PROVIDER_UNAVAILABLE", "The provider cannot answer now. Try again later.")
_FAILED: ErrorClass = (UpstreamFailed, "PROVIDER_FAILED", "The provider failed.")
_REFUSED: ErrorClass = (UpstreamFailed, "PROVIDER_REFUSED", "The provider refused the request.")

_ERROR_CLASSES: dict[int, ErrorClass] = {
    400: (InvalidInput, "", "The provider rejected the request."),
    401: _CREDENTIALS,
    402: (UpstreamFailed, "PROVIDER_OUT_OF_CREDIT", "The account at the provider has no credit left."),
    403: _CREDENTIALS,
    404: (NotFound, "", "The provider does not know this model. Check the model's modelId."),
    408: _AWAY,
    409: (Conflict, "", "The provider reports a conflict."),
    413: (PayloadTooLarge, "", "The request is too large for the provider."),
    415: (UnsupportedMedia, "", "The provider does not take this kind of content."),
    422: (Unprocessable, "", "The provider cannot process the request."),
    429: (RateLimited, "RATE_LIMIT_EXCEEDED", "The provider's rate limit is reached. Try again later."),
    503: _AWAY,
    504: _AWAY,
    529: _AWAY,
}
_OURS = frozenset({401, 402, 403})
"""Between Portico and the provider, whose words stay here: they may name the account, or parts of the key."""

_OVERFLOW, _NO_QUOTA = "CONTEXT_LENGTH_EXCEEDED", "INSUFFICIENT_QUOTA"
_QUOTA = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
_OVERFLOW_CODES = frozenset({"context_length_exceeded", "exceed_context_size_error", "context_window_exceeded"})
_OVERFLOW_STATUSES = frozenset({0, 400, 413, 422, 500})
_OVERFLOW_TEXT = re.compile(
    r"""(?ix)
    exceed\w* \b .{0,80} \b context\ (?: length | window | size | limit )
    | context\ (?: length | window | size | limit ) \b .{0,40} \b (?: exceed\w* | overflow\w* | too\ (?:long|small) )
    | maximum\ (?: context | model | prompt )\ length
    | longer\ than\ .{0,40} (?: context | model ) .{0,12} \ length
    | (?: prompt | input )\ is\ too\ long
    | input\ token\ count .{0,40} exceeds
    """
)
"""Words of vLLM, llama.cpp, SGLang, Gemini, Anthropic, Bedrock and others for a conversation that is too long."""


class Refusal(Exception):
    """A refusal by a provider, by its answer's status or in the answer: `error` is for the caller, `status` the HTTP
    status that says the same; 0 where the provider gave no hint of one."""

    def __init__(self, error: PorticoError, status: int) -> None:
        super().__init__(error.message)
        self.error = error
        self.status = status


def refusal(status: int, body: bytes, scrub: Scrub) -> Refusal:
    """The refusal in an answer that is not a success. A body that is no JSON may be a proxy's page, and is not passed
    on."""
    try:
        answer = decode_leniently(body)
    except NotJson:
        answer = None
    return _refusal(status, report_of(answer) or NOTHING, scrub)


def reported(report: Report, scrub: Scrub) -> Refusal:
    """The refusal of an error reported in an answer whose status was a success."""
    return _refusal(report.status, report, scrub)


def malformed() -> UpstreamFailed:
    return UpstreamFailed("The provider's answer is not what its API promises.", reason="UPSTREAM_MALFORMED")


def _refusal(status: int, report: Report, scrub: Scrub) -> Refusal:
    status, reason = _classified(status, report)
    cls, usual, text = _ERROR_CLASSES.get(status) or (_REFUSED if 0 < status < 500 else _FAILED)
    said = "" if status in _OURS else scrub(report.message)
    own = report.code.upper() if _CODE.fullmatch(report.code) else None
    error = cls(
        f"{text.removesuffix('.')}: {said}" if said and usual == _FAILED[1] else said or text,
        reason=reason or usual or own,
        field=_field(status, reason, report, scrub),
        retry_after=report.retry_after,
        details={} if status in _OURS or status >= 500 else _details(report, scrub),
    )
    error.final = reason == _NO_QUOTA  # waiting does not help, unlike with a rate limit
    return Refusal(error, status)


def _classified(status: int, report: Report) -> tuple[int, str]:
    """The status that says what is meant where the provider's own does not, and the reason if it is known from that."""
    if status in _OVERFLOW_STATUSES and (
        report.names & _OVERFLOW_CODES or _OVERFLOW_TEXT.search(report.message) is not None
    ):
        return 400, _OVERFLOW
    if status in (403, 429) and report.names & _QUOTA:
        return 429, _NO_QUOTA
    if status == 403 and "model_not_found" in report.names:
        return 404, ""
    return status, ""


def _field(status: int, reason: str, report: Report, scrub: Scrub) -> str | None:
    """The field of the request that the error is about."""
    if not 400 <= status < 500 or status in _OURS:
        return None
    return scrub(report.param) or ("messages" if reason == _OVERFLOW else None)


def _details(report: Report, scrub: Scrub) -> Mapping[str, Any]:
    """Further details from the provider of the error, such as Azure's `innererror`; none where they are too large."""
    if not report.more:
        return {}
    try:
        if len(encode(report.more)) > _MAX_DETAILS_BYTES:
            return {}
    except NotJson:
        return {}
    details: dict[str, Any] = scrub_values(report.more, scrub)
    return details
