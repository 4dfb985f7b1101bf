"""What a provider's refusal means to the caller.

The caller's own mistakes come back as such, with the provider's explanation; what is between Portico and the provider
(credentials, credit, limits, outages) never looks like the caller's fault.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson

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

Scrub = Callable[[str], str]

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_KEY_LIKE = re.compile(r"(?i)\b(?:sk-|ptc_|gsk_|bearer\s+)[A-Za-z0-9_.*~+/=-]{6,}")

_CALLERS: dict[int, tuple[type[PorticoError], str]] = {
    400: (InvalidInput, "The provider rejected the request."),
    404: (NotFound, "The provider does not know this model. Check the model's modelId."),
    409: (Conflict, "The provider reports a conflict."),
    413: (PayloadTooLarge, "The request is too large for the provider."),
    415: (UnsupportedMedia, "The provider does not take this kind of content."),
    422: (Unprocessable, "The provider cannot process the request."),
}
"""Mistakes that the caller can repair: what they are, and what to say where the provider does not say it itself."""

_OVERLOADED = frozenset({408, 503, 504, 529})


def response_error(status: int, body: bytes, retry_after: float | None, scrub: Scrub) -> PorticoError:
    """The error for a provider's answer that is not a success. `retry_after` is in seconds."""
    if status in _CALLERS:
        cls, message = _CALLERS[status]
        return _callers_mistake(cls, message, _details(body), scrub)
    if status in (401, 403):
        return UpstreamFailed(
            "The provider refused the credentials that are stored for it. Update the provider's credentials.",
            reason="PROVIDER_REJECTED_CREDENTIALS",
        )
    if status == 402:
        return UpstreamFailed("The account at the provider has no credit left.", reason="PROVIDER_OUT_OF_CREDIT")
    if status == 429:
        message = "The provider's rate limit is reached. Try again later."
        return RateLimited(message, reason="PROVIDER_RATE_LIMITED", retry_after=retry_after)
    if status in _OVERLOADED:
        message = "The provider cannot answer now. Try again later."
        return Unavailable(message, reason="PROVIDER_UNAVAILABLE", retry_after=retry_after)
    if status >= 500:
        return UpstreamFailed("The provider failed.", reason="PROVIDER_FAILED", retry_after=retry_after)
    return UpstreamFailed(f"The provider answered with status {status}.", reason="PROVIDER_REFUSED")


def stream_error(error: object, scrub: Scrub) -> PorticoError:
    """The error for an error frame within a stream."""
    message = error.get("message") if isinstance(error, dict) else error
    text = f"The provider broke off: {scrub(message)}" if isinstance(message, str) else ""
    return UpstreamFailed(text or "The provider broke off the answer.", reason="PROVIDER_FAILED")


def malformed() -> UpstreamFailed:
    return UpstreamFailed("The provider's answer is not what its API promises.", reason="UPSTREAM_MALFORMED")


def scrubber(secrets: tuple[str, ...], model_id: str, model_key: str) -> Scrub:
    """Takes the route's own secrets and whatever looks like a key out of a text, and says the public model key."""
    private = re.compile(rf"(?<![\w-]){re.escape(model_id)}(?![\w-])") if model_id != model_key else None

    def scrub(text: str) -> str:
        for secret in secrets:
            text = text.replace(secret, "***")
        text = _KEY_LIKE.sub("***", text)
        return text if private is None else private.sub(lambda _: model_key, text)

    return scrub


def _callers_mistake(
    cls: type[PorticoError], message: str, details: Mapping[str, Any] | None, scrub: Scrub
) -> PorticoError:
    if details is None:
        return cls(message)
    code, field = details.get("code"), details.get("param")
    return cls(
        scrub(details["message"]),
        reason=code.upper() if isinstance(code, str) and _CODE.fullmatch(code) else None,
        field=scrub(field)[:128] if isinstance(field, str) and field else None,
    )


def _details(body: bytes) -> Mapping[str, Any] | None:
    """The error object of a well-formed OpenAI error body; anything else may be a proxy's page."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    error = answer.get("error") if isinstance(answer, dict) else None
    return error if isinstance(error, dict) and isinstance(error.get("message"), str) and error["message"] else None
