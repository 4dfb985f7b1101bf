"""Mapping of a provider's errors, in whatever form they are reported."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import (
    InvalidInput,
    NotFound,
    PayloadTooLarge,
    PorticoError,
    RateLimited,
    Unavailable,
    Unprocessable,
    UpstreamFailed,
)
from services.inference.domain.codecs.error_reports import Report, report_in, report_of
from services.inference.domain.codecs.errors import Refusal, refusal, reported
from services.inference.domain.codecs.scrubbing import scrubber

SECRET = "my-provider-key"
SCRUB = scrubber((SECRET,), "gpt-4o", "our-model")


def error_for(status: int, body: bytes = b"") -> PorticoError:
    return refusal(status, body, SCRUB).error


def body(**error: Any) -> bytes:
    return json.dumps({"error": error}).encode()


def within(answer: Any) -> Refusal:
    """Of an answer whose status was a success."""
    report = report_in(answer)
    assert report is not None
    return reported(report, SCRUB)


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_are_not_the_callers(status: int) -> None:
    error = error_for(status, body(message=f"Incorrect API key {SECRET}", more={"a": "b"}))
    assert isinstance(error, UpstreamFailed)
    assert error.reason == "PROVIDER_REJECTED_CREDENTIALS"
    assert SECRET not in error.message
    assert error.details == {}


def test_the_callers_mistake_comes_with_its_explanation() -> None:
    error = error_for(400, body(message="gpt-4o takes 8 tokens", code="context_length_exceeded", param="messages"))
    assert isinstance(error, InvalidInput)
    assert (error.message, error.reason, error.field) == (
        "our-model takes 8 tokens",
        "CONTEXT_LENGTH_EXCEEDED",
        "messages",
    )


@pytest.mark.parametrize(
    ("answer", "message", "field"),
    [
        ({"error": {"message": "no such tool", "param": "tools"}}, "no such tool", "tools"),
        ({"object": "error", "message": "no such tool", "type": "BadRequestError", "code": 400}, "no such tool", None),
        ({"detail": "no such tool"}, "no such tool", None),
        ({"detail": [{"loc": ["body", "tools", 0], "msg": "no such tool"}]}, "tools.0: no such tool", "tools.0"),
        ({"detail": {"error": {"message": "no such tool"}}}, "no such tool", None),
        ({"object": "error", "message": {"detail": [{"msg": "no such tool"}]}}, "no such tool", None),
        ({"error": "no such tool"}, "no such tool", None),
        ({"error": "Bad Request", "message": "no such tool", "status": 400}, "no such tool", None),
        ({"error": {"error": {"message": "no such tool"}}}, "no such tool", None),
        ({"error": ["no such tool"]}, "no such tool", None),
        ({"error": True, "message": "no such tool"}, "no such tool", None),
        ({"message": "no such tool"}, "no such tool", None),
        ({"code": 20015, "message": "no such tool", "data": None}, "no such tool", None),
        ({"errors": [{"code": 1, "message": "no such tool"}], "success": False}, "no such tool", None),
        ({"error_code": 336003, "error_msg": "no such tool"}, "no such tool", None),
        ({"title": "Bad Request", "detail": "no such tool", "status": 400}, "no such tool", None),
        ([{"error": {"code": 400, "message": "no such tool", "status": "INVALID_ARGUMENT"}}], "no such tool", None),
        (
            {"type": "error", "error": {"type": "invalid_request_error", "message": "no such tool"}},
            "no such tool",
            None,
        ),
        ({"choices": [{"error": {"code": 400, "message": "no such tool"}}]}, "no such tool", None),
    ],
)
def test_an_error_is_read_in_any_form(answer: Any, message: str, field: str | None) -> None:
    """claude-code-router#1799, bifrost#5963: a form that is not OpenAI's own lost its message."""
    error = error_for(400, json.dumps(answer).encode())
    assert isinstance(error, InvalidInput)
    assert (error.message, error.field) == (message, field)


@pytest.mark.parametrize(
    "data",
    [b"", b"<html>10.0.0.7</html>", b"[]", b"null", b'"x"', b'{"error":{"message":5}}', b'{"error":{}}', b"\xff"],
)
def test_what_is_no_error_is_not_passed_on(data: bytes) -> None:
    assert error_for(400, data).message == "The provider rejected the request."


@pytest.mark.parametrize("name", ["error", "message", "detail", "more"])
def test_nesting_without_end_does_no_harm(name: str) -> None:
    opening = b'{"%b":' % name.encode()
    for depth in (200, 900, 5000):
        nested = opening * depth + b'"x"' + b"}" * depth
        assert error_for(400, nested).message == "The provider rejected the request."
        assert error_for(400, b'{"error":{"message":"why","more":' + nested + b"}}").details == {} or depth == 200


def test_a_byte_order_mark_does_not_hide_the_message() -> None:
    assert error_for(400, b"\xef\xbb\xbf" + body(message="why")).message == "why"


@pytest.mark.parametrize("leak", [SECRET, "sk-abcdef123456", "Bearer abcdefghijk", "ptc_eyJhbGciOi"])
def test_secrets_are_taken_out(leak: str) -> None:
    error = error_for(400, body(message=f"bad: {leak}!", param=leak, innererror={"a": [leak, {"b": leak}]}))
    assert leak not in f"{error.message} {error.field} {error.details}"
    assert leak not in within({"error": {"message": f"bad: {leak}!"}}).error.message


def test_a_code_that_is_none_is_left_out() -> None:
    assert error_for(400, body(message="x", code="no code\n")).reason == "INVALID_INPUT"


@pytest.mark.parametrize(
    ("status", "cls", "reason"),
    [
        (400, InvalidInput, "INVALID_INPUT"),
        (404, NotFound, "NOT_FOUND"),
        (413, PayloadTooLarge, "PAYLOAD_TOO_LARGE"),
        (422, Unprocessable, "UNPROCESSABLE"),
        (429, RateLimited, "RATE_LIMIT_EXCEEDED"),
        (402, UpstreamFailed, "PROVIDER_OUT_OF_CREDIT"),
        (408, Unavailable, "PROVIDER_UNAVAILABLE"),
        (503, Unavailable, "PROVIDER_UNAVAILABLE"),
        (529, Unavailable, "PROVIDER_UNAVAILABLE"),
        (500, UpstreamFailed, "PROVIDER_FAILED"),
        (302, UpstreamFailed, "PROVIDER_REFUSED"),
        (418, UpstreamFailed, "PROVIDER_REFUSED"),
    ],
)
def test_what_each_status_is(status: int, cls: type[PorticoError], reason: str) -> None:
    error = error_for(status)
    assert isinstance(error, cls)
    assert error.reason == reason
    assert error.message


@pytest.mark.parametrize("status", [429, 500, 503])
def test_limits_and_failures_come_with_their_explanation(status: int) -> None:
    """litellm#4941: "Loading model" and "no KV cache" were "The provider failed."."""
    assert "Loading model" in error_for(status, body(message="Loading model")).message


def test_a_used_up_quota_is_not_a_rate_limit() -> None:
    """OpenAI says 429 to both; one passes by waiting, the other does not."""
    quota = error_for(429, body(message="You exceeded your current quota", code="insufficient_quota"))
    assert isinstance(quota, RateLimited)
    assert (quota.reason, quota.final) == ("INSUFFICIENT_QUOTA", True)
    limit = error_for(429, body(message="Rate limit reached", code="rate_limit_exceeded", type="requests"))
    assert isinstance(limit, RateLimited)
    assert (limit.reason, limit.final) == ("RATE_LIMIT_EXCEEDED", False)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, {"code": "context_length_exceeded", "message": "too long"}),
        (400, {"code": 400, "type": "exceed_context_size_error", "message": "too long", "n_ctx": 256}),
        (500, {"code": 500, "type": "server_error", "message": "Context size has been exceeded."}),
        (400, {"message": "the request exceeds the available context size. try increasing the context size"}),
        (400, {"message": "request (4390 tokens) exceeds the available context size (4096 tokens), try increasing it"}),
        (400, {"message": "This model's maximum context length is 16384 tokens. However, you requested 19591 tokens"}),
        (400, {"message": "The decoder prompt (length 9) is longer than the maximum model length of 8."}),
        (400, {"message": "The input (9 tokens) is longer than the model's context length (8 tokens)."}),
        (400, {"message": "prompt is too long: 210000 tokens > 200000 maximum"}),
        (400, {"message": "The input token count (9) exceeds the maximum number of tokens allowed (8)."}),
        (400, {"message": "Input is too long for requested model."}),
        (413, {"message": "Your input exceeds the context window of this model."}),
        (422, {"message": "This model's maximum prompt length is 131072 but the request contains 200000 tokens."}),
    ],
)
def test_a_conversation_that_is_too_long_is_always_the_same_error(status: int, error: dict[str, Any]) -> None:
    """Clients shorten the conversation when they read this code, and give up at any other."""
    found = refusal(status, body(**error), SCRUB)
    assert isinstance(found.error, InvalidInput)
    assert (found.error.reason, found.error.field, found.status) == ("CONTEXT_LENGTH_EXCEEDED", "messages", 400)
    assert found.error.message == error["message"]


@pytest.mark.parametrize(
    "message",
    [
        "max_tokens must be at least 1",
        "context_length is not a field",
        "Rate limit: tokens per minute",
        "context deadline exceeded",
        "the quota of the context cache is exceeded",
    ],
)
def test_other_mistakes_are_not_taken_for_it(message: str) -> None:
    assert error_for(400, body(message=message)).reason == "INVALID_INPUT"
    assert error_for(500, body(message=message)).reason == "PROVIDER_FAILED"


def test_a_model_that_the_account_lacks_is_no_refusal_of_credentials() -> None:
    said = body(
        message="Project p does not have access to gpt-4o", type="invalid_request_error", code="model_not_found"
    )
    error = error_for(403, said)
    assert isinstance(error, NotFound)
    assert (error.reason, error.message) == ("MODEL_NOT_FOUND", "Project p does not have access to our-model")


def test_what_else_the_provider_says_of_a_mistake_stays() -> None:
    """langchainjs#1929: which of Azure's content filters it was stands in `innererror`."""
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"hate": {"filtered": True}}}
    error = error_for(400, body(message="filtered", code="content_filter", status=400, innererror=inner))
    assert (error.reason, error.details) == ("CONTENT_FILTER", {"status": 400, "innererror": inner})
    assert error_for(400, body(message="x", more="y" * 5000)).details == {}


@pytest.mark.parametrize(
    ("answer", "cls", "status"),
    [
        ({"error": {"code": 429, "message": "slow down"}}, RateLimited, 429),
        ({"error": {"code": "429", "message": "slow down"}}, RateLimited, 429),
        ({"error": {"code": "rate_limit_exceeded", "message": "slow down"}}, RateLimited, 429),
        ({"error": {"status": "RESOURCE_EXHAUSTED", "message": "slow down"}}, RateLimited, 429),
        ({"error": {"type": "overloaded_error", "message": "slow down"}}, Unavailable, 529),
        ({"error": {"type": "BadRequestError", "message": "slow down"}}, InvalidInput, 400),
        ({"error": {"type": "invalid_request_error", "code": "model_not_found", "message": "x"}}, NotFound, 404),
        ({"object": "error", "code": 503, "message": "slow down"}, Unavailable, 503),
        ({"choices": [{"index": 0}, {"error": {"code": 502, "message": "slow down"}}]}, UpstreamFailed, 502),
        ({"error": {"code": 401, "message": "slow down"}}, UpstreamFailed, 401),
        ({"error": "slow down", "status": 429}, RateLimited, 429),
        ({"error": {"code": 7, "message": "slow down"}}, UpstreamFailed, 0),
        ({"error": "slow down"}, UpstreamFailed, 0),
    ],
)
def test_an_error_in_a_success_has_the_status_that_it_names(answer: Any, cls: type[PorticoError], status: int) -> None:
    """litellm#25505: a 200 with an error in it reached the client as a 502, or as a 200."""
    found = within(answer)
    assert isinstance(found.error, cls)
    assert found.status == status
    if status != 401:
        assert found.error.message.endswith(("slow down", "x"))


def test_googles_word_on_when_to_come_back_is_read() -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}]
    error = error_for(429, json.dumps([{"error": {"code": 429, "message": "m", "details": details}}]).encode())
    assert error.retry_after == 34.5


@pytest.mark.parametrize(
    "answer",
    [
        {"choices": [{"message": {"content": "error"}}]},
        {"choices": [{"index": 0}], "error": None, "errors": []},
        {"model": "m", "message": {"role": "assistant", "content": "Hi"}, "done": True},
        {},
    ],
)
def test_an_answer_is_no_error(answer: Any) -> None:
    assert report_of(answer) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 600) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["error", "errors", "message", "detail", "code", "type", "status", "param", "object", "choices", "loc",
             "msg", "details", "retryDelay", "more"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(JSON, st.sampled_from([200, 400, 403, 429, 500]))
def test_json_of_any_shape_never_crashes(answer: Any, status: int) -> None:
    report = report_of(answer)
    assert report is None or isinstance(report, Report)
    if report is not None:
        reported(report, SCRUB)
    error = refusal(status, json.dumps(answer).encode(), SCRUB).error
    assert isinstance(error.message, str)
    assert error.field is None or isinstance(error.field, str)
