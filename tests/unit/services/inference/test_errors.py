"""What a provider's refusal becomes."""

import json
from typing import Any

import pytest

from core.errors import InvalidInput, NotFound, PorticoError, RateLimited, Unavailable, UpstreamFailed
from services.inference.domain.errors import response_error, scrubber, stream_error

SECRET = "my-provider-key"


def error_for(status: int, body: bytes = b"", retry_after: float | None = None) -> PorticoError:
    return response_error(status, body, retry_after, scrubber((SECRET,), "gpt-4o", "our-model"))


def body(**error: Any) -> bytes:
    return json.dumps({"error": error}).encode()


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_are_not_the_callers(status: int) -> None:
    error = error_for(status, body(message=f"Incorrect API key {SECRET}"))
    assert isinstance(error, UpstreamFailed)
    assert error.reason == "PROVIDER_REJECTED_CREDENTIALS"
    assert SECRET not in error.message


def test_the_callers_mistake_comes_with_its_explanation() -> None:
    error = error_for(400, body(message="gpt-4o takes 8 tokens", code="context_length_exceeded", param="messages"))
    assert isinstance(error, InvalidInput)
    assert (error.message, error.reason, error.field) == (
        "our-model takes 8 tokens",
        "CONTEXT_LENGTH_EXCEEDED",
        "messages",
    )


@pytest.mark.parametrize(
    "data", [b"", b"<html>10.0.0.7</html>", b"[]", b'{"error":"x"}', b'{"error":{"message":5}}', b'{"error":{}}']
)
def test_what_is_no_openai_error_is_not_passed_on(data: bytes) -> None:
    assert error_for(400, data).message == "The provider rejected the request."


@pytest.mark.parametrize("leak", [SECRET, "sk-abcdef123456", "Bearer abcdefghijk", "ptc_eyJhbGciOi"])
def test_secrets_are_taken_out(leak: str) -> None:
    assert leak not in error_for(400, body(message=f"bad: {leak}!")).message
    assert leak not in stream_error({"message": f"bad: {leak}!"}, scrubber((SECRET,), "a", "b")).message


def test_a_code_that_is_none_is_left_out() -> None:
    assert error_for(400, body(message="x", code="no code\n")).reason == "INVALID_INPUT"


def test_limits_and_outages() -> None:
    limited = error_for(429, retry_after=7.0)
    assert isinstance(limited, RateLimited)
    assert limited.retry_after == 7.0
    assert isinstance(error_for(404), NotFound)
    assert isinstance(error_for(402), UpstreamFailed)
    assert isinstance(error_for(503), Unavailable)
    assert isinstance(error_for(500), UpstreamFailed)
    assert isinstance(error_for(302), UpstreamFailed)
    assert isinstance(error_for(418), UpstreamFailed)
