"""Sessions and events as SDKs spell them."""

from typing import Any

import orjson
import pytest

from core.errors import InvalidInput
from portico.tracing.v1 import session_service_pb2 as pb
from services.tracing import mapping
from services.tracing.domain import custom, merging
from services.tracing.domain.records import Event, TraceSender


def event(**given: Any) -> Event:
    return custom.event({"id": "e", "type": "ai_call", **given}, "event").event


def content(**given: Any) -> Any:
    return orjson.loads(custom.event({"id": "e", "type": "ai_call", **given}, "event").content or b"{}")


@pytest.mark.parametrize(
    "given",
    [
        {"inputTokens": 5, "outputTokens": 7, "cachedInputTokens": 2, "reasoningTokens": 3},
        {"usage": {"promptTokens": 5, "completionTokens": 7, "cachedTokens": 2, "reasoningTokens": 3}},
        {
            "usage": {
                "prompt_tokens": 5,
                "completion_tokens": "7",
                "prompt_tokens_details": {"cached_tokens": 2},
                "completion_tokens_details": {"reasoning_tokens": 3},
            }
        },
        {"metadata": {"usage": {"input_tokens": 5, "output_tokens": 7, "cacheReadTokens": 2, "reasoning_tokens": 3.0}}},
    ],
)
def test_every_spelling_of_usage_counts(given: dict[str, Any]) -> None:
    made = event(**given)
    assert (made.input_tokens, made.output_tokens, made.total_tokens) == (5, 7, 12)
    assert (made.cached_input_tokens, made.reasoning_tokens) == (2, 3)


@pytest.mark.parametrize("value", [-1, True, "many", None, 1e300, [1]])
def test_what_is_no_count_is_none(value: Any) -> None:
    assert event(inputTokens=value).input_tokens is None


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"finishReason": " LENGTH "}, "length"),
        ({"metadata": {"finish_reason": "stop"}}, "stop"),
        ({"metadata": {"finishReasons": ["tool_calls", "stop"]}}, "tool_calls"),
        ({"metadata": {"finish_reasons": "max_tokens,stop"}}, "max_tokens"),
    ],
)
def test_finish_reasons(given: dict[str, Any], reason: str) -> None:
    assert event(**given).finish_reason == reason


def test_an_event_without_an_id_has_one_of_its_content() -> None:
    """Regression guard: an append that is sent again must not count twice."""
    given = {"type": "tool_call", "label": "x", "timestamp": "2026-01-01T00:00:00Z"}
    first, again = custom.event(given, "event").event, custom.event(dict(reversed(given.items())), "event").event
    assert first.id == again.id
    assert first.id != custom.event({**given, "label": "y"}, "event").event.id


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"status": "failed"}, "error"),
        ({"type": "llm_error"}, "error"),
        ({"error": "no"}, "error"),
        ({"status": "completed"}, "completed"),
        ({"status": "running"}, "in_progress"),
    ],
)
def test_statuses(given: dict[str, Any], status: str) -> None:
    assert event(**given).status == status


def test_errors_become_objects() -> None:
    assert event(error="no").error == {"message": "no"}
    assert event(error={"message": "m", "type": "T", "other": 1}).error == {"message": "m", "type": "T"}
    assert event(metadata={"error": "in metadata"}, status="error").error == {"message": "in metadata"}


def test_sections_and_tools() -> None:
    made = content(
        data={"sections": [{"kind": "message", "content": "hi"}, "malformed"], "toolDetails": {"name": "t"}},
        toolDefinitions=[
            {"type": "function", "function": {"name": "a"}},
            {"name": "b", "description": "x" * 40_000},
            3,
        ],
        responseFormat={"type": "json_object"},
        metadata={"more": 1},
    )
    assert [section["kind"] for section in made["sections"]] == ["message", "tool_definitions", "response_format"]
    assert made["sections"][1]["tools"] == [{"name": "a"}, {"name": "b", "truncated": True}]
    assert made["metadata"] == {"more": 1, "toolDetails": {"name": "t"}}


def test_a_session_keeps_what_its_metadata_may_hold() -> None:
    given = {f"k{at}": at for at in range(20)} | {"bad name": 1, "long": "x" * 201}
    patch = custom.ingested({"sessionId": "s", "metadata": {"bad name": 1, "long": "x" * 201, **given}}, TraceSender())
    assert patch.metadata == {f"k{at}": at for at in range(10)}


def test_a_large_configuration_is_not_kept_in_the_record() -> None:
    patch = custom.ingested({"sessionId": "s", "config": {"prompt": "x" * 100_000}}, TraceSender())
    assert patch.config["truncated"] is True


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "sessionId"),
        ({"sessionId": ""}, "sessionId"),
        ({"sessionId": 3}, "sessionId"),
        ({"sessionId": "s\0"}, "sessionId"),
        ({"sessionId": "s", "events": {}}, "events"),
        ({"sessionId": "s", "events": [{}, 1]}, "events[1]"),
        ({"sessionId": "s", "events": [{"timestamp": "soon"}]}, "events[0].timestamp"),
        ({"sessionId": "s", "startedAt": []}, "startedAt"),
        ({"sessionId": "s", "events": [{"metadata": {"n": 2**70}}]}, "events[0]"),
    ],
)
def test_a_bad_body_is_refused_and_its_field_named(body: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        custom.ingested(body, TraceSender())
    assert refused.value.field == field


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+10:00", "1969-12-31T23:59:59Z", 2**53, -1, "9999-12-31T23:59:59Z"])
def test_a_time_that_no_answer_could_hold_is_refused(at: Any) -> None:
    """One such event made every list of its project fail."""
    with pytest.raises(InvalidInput):
        event(timestamp=at)


def test_numbers_that_no_answer_could_hold_are_none() -> None:
    made = event(sequence=2**40, durationMs=1e15)
    assert (made.sequence, made.duration_ms) == (None, None)


def test_a_session_can_be_shown_whatever_was_sent() -> None:
    deep: Any = "x"
    for _ in range(200):
        deep = {"a": deep}
    body = {"sessionId": "s", "agent": deep, "config": deep, "startedAt": "9999-12-30T00:00:00Z", "durationMs": 9e11}
    patch = custom.ingested(body, TraceSender())
    session = merging.new_session("s", patch, 0.0)
    merging.apply(session, patch, 0.0)
    pb.Session.FromString(mapping.session(session).SerializeToString())
