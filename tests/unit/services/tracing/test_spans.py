"""The meaning of spans, by each convention."""

from typing import Any

import orjson
import pytest

from core.errors import InvalidInput
from core.rpc.values import struct_of
from services.tracing import mapping_otlp
from services.tracing.domain import contents
from services.tracing.domain.otlp.events import patches
from services.tracing.domain.records import Event, Patch, TraceSender
from tests.support.spans import TRACE, request, span

OTHER = "0af7651916cd43dd0000000000000000"


def patch_of(*spans: Any, **resource: Any) -> Patch:
    batch = mapping_otlp.from_protobuf(request(*spans, **resource).SerializeToString())
    (patch,) = patches(batch.spans, TraceSender())
    return patch


def event_of(name: str = "step", **attributes: Any) -> Event:
    return patch_of(span(1, name, **attributes)).events[0].event


@pytest.mark.parametrize(
    ("attributes", "type_"),
    [
        ({"cognipeer__event__type": "summarization", "openinference__span__kind": "LLM"}, "summarization"),
        ({"openinference__span__kind": "LLM"}, "ai_call"),
        ({"openinference__span__kind": "TOOL"}, "tool_call"),
        ({"openinference__span__kind": "RERANKER"}, "retrieval"),
        ({"openinference__span__kind": "EMBEDDING"}, "embedding"),
        ({"openinference__span__kind": "EVALUATOR"}, "guardrail"),
        ({"openinference__span__kind": "AGENT"}, "span"),
        ({"gen_ai__operation__name": "chat"}, "ai_call"),
        ({"gen_ai__operation__name": "embeddings"}, "embedding"),
        ({"gen_ai__operation__name": "execute_tool"}, "tool_call"),
        ({"gen_ai__operation__name": "invoke_agent", "gen_ai__request__model": "m"}, "span"),
        ({"traceloop__span__kind": "tool"}, "tool_call"),
        ({"llm__request__type": "chat"}, "ai_call"),
        ({"gen_ai__request__model": "m"}, "ai_call"),
        ({"http__request__method": "POST"}, "span"),
        ({}, "span"),
    ],
)
def test_types(attributes: dict[str, Any], type_: str) -> None:
    assert event_of(**attributes).type == type_


@pytest.mark.parametrize(
    ("name", "type_"),
    [
        ("tool lookup", "tool_call"),
        ("ChatCompletion", "ai_call"),
        ("retrieve", "retrieval"),
        ("embed", "embedding"),
        ("load", "span"),
    ],
)
def test_of_a_span_without_attributes_the_name_tells_the_type(name: str, type_: str) -> None:
    assert event_of(name).type == type_


@pytest.mark.parametrize(
    "attributes",
    [
        {
            "cognipeer__model": "m", "cognipeer__tokens__input": 5, "cognipeer__tokens__output": 7,
            "cognipeer__tokens__cached_input": 2, "cognipeer__tokens__reasoning": 3, "cognipeer__finish_reason": "stop",
        },
        {
            "llm__model_name": "m", "llm__token_count__prompt": 5, "llm__token_count__completion": 7,
            "llm__token_count__prompt_details__cache_read": 2, "llm__token_count__completion_details__reasoning": 3,
            "llm__response__finish_reason": "stop",
        },
        {
            "gen_ai__request__model": "asked", "gen_ai__response__model": "m", "gen_ai__usage__input_tokens": 5,
            "gen_ai__usage__output_tokens": 7, "gen_ai__usage__cache_read__input_tokens": 2,
            "gen_ai__usage__output_tokens_details__reasoning_tokens": 3, "gen_ai__response__finish_reasons": ["stop"],
        },
        {
            "gen_ai__request__model": "m", "gen_ai__usage__prompt_tokens": 5, "gen_ai__usage__completion_tokens": 7,
            "gen_ai__usage__cache_read_input_tokens": 2, "gen_ai__usage__reasoning_tokens": 3,
            "gen_ai__completion__0__finish_reason": "stop",
        },
    ],
)  # fmt: skip
def test_model_tokens_and_finish_reason(attributes: dict[str, Any]) -> None:
    made = event_of(**attributes)
    assert (made.model, made.finish_reason) == ("m", "stop")
    assert (made.input_tokens, made.output_tokens, made.total_tokens) == (5, 7, 12)
    assert (made.cached_input_tokens, made.reasoning_tokens) == (2, 3)


def test_the_model_of_a_call_that_failed_at_once() -> None:
    """OpenInference names it in the parameters alone then."""
    assert event_of(openinference__span__kind="LLM", llm__invocation_parameters='{"model": "m"}').model == "m"


def test_an_exception_is_the_error() -> None:
    failed = span(1, failed=True)
    failed.events.add(name="exception").attributes.extend(
        span(2, exception__type="ValueError", exception__message="no", exception__stacktrace="at").attributes
    )
    made = patch_of(failed).events[0].event
    assert made.status == "error"
    assert made.error == {"message": "no", "type": "ValueError", "stack": "at"}
    assert event_of().error is None
    assert patch_of(span(1, failed=True, error__type="timeout")).events[0].event.error == {
        "message": "it broke",
        "type": "timeout",
    }


def test_the_root_is_an_event_too() -> None:
    """Regression guard: a trace of one span, a single call of a model, lost its tokens and its content."""
    patch = patch_of(span(1, "chat", gen_ai__request__model="m", gen_ai__usage__input_tokens=5))
    assert [each.event.input_tokens for each in patch.events] == [5]
    assert patch.root_span_id == "0000000000000001"
    assert patch.said == {}


def test_tokens_of_a_root_that_frames_others_are_what_it_declares() -> None:
    patch = patch_of(
        span(1, gen_ai__operation__name="invoke_agent", gen_ai__usage__input_tokens=50),
        span(2, parent=1, gen_ai__operation__name="chat", gen_ai__usage__input_tokens=20),
    )
    assert patch.said == {"input_tokens": 50}


def test_ids_of_session_thread_and_agent() -> None:
    patch = patch_of(
        span(2, parent=1, session__id="talk"),
        span(1, cognipeer__session__id="run"),
        service__name="svc",
        service__version="2",
        cognipeer__session__id="shared",
        cognipeer__metadata__team="a",
        cognipeer__agent__model="m",
    )
    assert (patch.session_id, patch.shared_id, patch.thread_id) == ("run", "shared", "talk")
    assert (patch.agent_name, patch.agent_version, patch.agent_model) == ("svc", "2", "m")
    assert patch.metadata == {"team": "a"}


def test_a_service_without_a_name_is_called_as_its_root_says() -> None:
    assert (
        patch_of(span(1, gen_ai__agent__name="Helper"), service__name="unknown_service:python").agent_name == "Helper"
    )


def test_each_trace_is_a_patch_and_bad_spans_are_counted() -> None:
    bad = span(3)
    bad.trace_id = b"short"
    batch = mapping_otlp.from_protobuf(request(span(1), bad, span(2, trace=OTHER)).SerializeToString())
    assert (batch.rejected, len(batch.spans)) == (1, 2)
    assert "trace id" in batch.reason
    assert [patch.trace_id for patch in patches(batch.spans, TraceSender())] == [TRACE, OTHER]


def sections(**attributes: Any) -> list[dict[str, Any]]:
    (new,) = patch_of(span(1, **attributes)).events
    return contents.shown(new.content)[0]


CALL = {"kind": "tool_call", "tool": "weather", "arguments": {"city": "Rome"}, "id": "c1"}
RESULT = {"kind": "tool_result", "result": "sun", "id": "c1"}


@pytest.mark.parametrize(
    "attributes",
    [
        {
            "llm__input_messages__0__message__role": "user", "llm__input_messages__0__message__content": "Hi",
            "llm__input_messages__1__message__role": "tool", "llm__input_messages__1__message__content": "sun",
            "llm__input_messages__1__message__tool_call_id": "c1",
            "llm__output_messages__0__message__role": "assistant",
            "llm__output_messages__0__message__tool_calls__0__tool_call__id": "c1",
            "llm__output_messages__0__message__tool_calls__0__tool_call__function__name": "weather",
            "llm__output_messages__0__message__tool_calls__0__tool_call__function__arguments": '{"city": "Rome"}',
        },
        {
            "gen_ai__input__messages": orjson.dumps([
                {"role": "user", "parts": [{"type": "text", "content": "Hi"}]},
                {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "sun"}]},
            ]).decode(),
            "gen_ai__output__messages": orjson.dumps([
                {"role": "assistant", "parts": [
                    {"type": "tool_call", "id": "c1", "name": "weather", "arguments": {"city": "Rome"}}
                ]},
            ]).decode(),
        },
        {
            "gen_ai__prompt__0__role": "user", "gen_ai__prompt__0__content": "Hi",
            "gen_ai__prompt__1__role": "tool", "gen_ai__prompt__1__content": "sun",
            "gen_ai__prompt__1__tool_call_id": "c1",
            "gen_ai__completion__0__role": "assistant",
            "gen_ai__completion__0__tool_calls__0__id": "c1",
            "gen_ai__completion__0__tool_calls__0__name": "weather",
            "gen_ai__completion__0__tool_calls__0__arguments": '{"city": "Rome"}',
        },
    ],
)  # fmt: skip
def test_messages_and_tool_calls(attributes: dict[str, Any]) -> None:
    assert sections(**attributes) == [
        {"kind": "message", "label": "input", "role": "user", "content": "Hi"},
        RESULT,
        CALL,
    ]


def test_messages_as_events_of_the_span() -> None:
    given = span(1, gen_ai__operation__name="chat")
    given.events.add(name="gen_ai.user.message").attributes.extend(span(2, content="Hi").attributes)
    choice = orjson.dumps({"role": "assistant", "content": "Hello"}).decode()
    given.events.add(name="gen_ai.choice").attributes.extend(span(2, message=choice).attributes)
    found, metadata = contents.shown(patch_of(given).events[0].content)
    assert [(each["role"], each["content"]) for each in found] == [("user", "Hi"), ("assistant", "Hello")]
    assert len(metadata["events"]) == 2


def test_a_tool_with_what_it_was_given_and_gave() -> None:
    shown = sections(
        gen_ai__operation__name="execute_tool",
        gen_ai__tool__name="weather",
        gen_ai__tool__call__id="c1",
        gen_ai__tool__call__arguments='{"city": "Rome"}',
        gen_ai__tool__call__result="sun",
    )
    assert shown == [CALL, {**RESULT, "tool": "weather"}]


def test_the_tools_offered_and_the_format_asked_for() -> None:
    shown = sections(
        llm__tools__0__tool__json_schema='{"type": "function", "function": {"name": "weather"}}',
        llm__invocation_parameters='{"response_format": {"type": "json_object"}}',
    )
    assert shown == [
        {"kind": "tool_definitions", "tools": [{"name": "weather"}]},
        {"kind": "response_format", "format": {"type": "json_object"}},
    ]


def test_what_was_redacted_is_not_shown() -> None:
    assert sections(input__value="__REDACTED__", output__value="Hello") == [
        {"kind": "message", "label": "output", "role": "assistant", "content": "Hello"}
    ]


def test_sections_of_the_sdk() -> None:
    assert sections(cognipeer__sections='[{"kind": "data", "content": "x"}]') == [{"kind": "data", "content": "x"}]


def test_what_lies_deep_is_shown_as_text() -> None:
    """Protobuf's readers take 100 levels, and a value that has more could not be read by anybody."""
    deep: Any = "x"
    for _ in range(60):
        deep = {"a": deep}
    shown = contents.shown(orjson.dumps({"metadata": {"deep": deep}}))[1]
    struct_of(shown).SerializeToString()
    deepest = orjson.dumps(shown).partition(b'\\"')[0]
    assert deepest.count(b"{") == contents.MAX_DEPTH + 1


def _nested(depth: int) -> Any:
    value: Any = {"intValue": "1"}
    for _ in range(depth):
        value = {"arrayValue": {"values": [value]}}
    return value


class TestJson:
    @staticmethod
    def body(**changes: Any) -> bytes:
        given = {"traceId": TRACE, "spanId": "00000000000000AB", "name": "chat", **changes}
        return orjson.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [given]}]}]})

    def test_numbers_and_enumerations_in_every_spelling(self) -> None:
        for kind, code, time in ((3, 2, "1700000000000000000"), ("SPAN_KIND_CLIENT", "STATUS_CODE_ERROR", 17 * 10**17)):
            read = mapping_otlp.from_json(self.body(kind=kind, status={"code": code}, startTimeUnixNano=time))
            (only,) = read.spans
            assert (only.kind, only.status_code, only.start) == (3, 2, 1.7e9)
            assert only.span_id == "00000000000000ab"

    def test_values_of_attributes(self) -> None:
        attributes = [
            {"key": "text", "value": {"stringValue": "x"}},
            {"key": "int", "value": {"intValue": "12"}},
            {"key": "number", "value": {"intValue": 12}},
            {"key": "double", "value": {"doubleValue": 1.5}},
            {"key": "bool", "value": {"boolValue": True}},
            {"key": "list", "value": {"arrayValue": {"values": [{"stringValue": "a"}, {"intValue": "1"}]}}},
            {"key": "map", "value": {"kvlistValue": {"values": [{"key": "k", "value": {"stringValue": "v"}}]}}},
            {"key": "none", "value": {}},
            {"key": "large", "value": {"intValue": str(2**70)}},
            "malformed",
        ]
        (only,) = mapping_otlp.from_json(self.body(attributes=attributes)).spans
        assert only.attributes == {
            "text": "x", "int": 12, "number": 12, "double": 1.5, "bool": True, "list": ["a", 1], "map": {"k": "v"},
        }  # fmt: skip

    @pytest.mark.parametrize(
        "changes",
        [
            {"traceId": "0" * 32},
            {"traceId": 3},
            {"spanId": "xyz"},
            {"startTimeUnixNano": "soon"},
            {"startTimeUnixNano": -1},
            {"endTimeUnixNano": 1e30},
            {"attributes": [{"key": "a", "value": _nested(60)}]},
        ],
    )
    def test_a_span_that_cannot_be_read_is_rejected_alone(self, changes: dict[str, Any]) -> None:
        batch = mapping_otlp.from_json(self.body(**changes))
        assert (batch.spans, batch.rejected) == ([], 1)
        assert batch.reason

    @pytest.mark.parametrize("body", [b"[]", b"{", b'{"resourceSpans": 3}', b'{"resourceSpans": [3]}'])
    def test_what_is_no_request_is_refused(self, body: bytes) -> None:
        with pytest.raises(InvalidInput):
            mapping_otlp.from_json(body)


class TestProtobuf:
    def test_a_span_that_cannot_be_parsed_is_rejected_alone(self) -> None:
        """A text that is no UTF-8 made a whole request unreadable, and an exporter throws such a request away."""
        data = request(span(1, "MARK"), span(2)).SerializeToString().replace(b"MARK", b"\xff\xff\xff\xff")
        batch = mapping_otlp.from_protobuf(data)
        assert ([each.span_id for each in batch.spans], batch.rejected) == ([f"{2:016x}"], 1)

    def test_a_span_of_too_many_fields_is_rejected(self) -> None:
        """Each takes two bytes on the wire and a hundred and more in memory."""
        given = request(span(1), span(2))
        for _ in range(mapping_otlp.MAX_FIELDS + 1):
            given.resource_spans[0].scope_spans[0].spans[0].attributes.add()
        batch = mapping_otlp.from_protobuf(given.SerializeToString())
        assert (len(batch.spans), batch.rejected) == (1, 1)

    @pytest.mark.parametrize("cut", [1, 5, 40])
    def test_a_request_that_is_cut_off_is_refused(self, cut: int) -> None:
        with pytest.raises(InvalidInput):
            mapping_otlp.from_protobuf(request(span(1, text="x" * 50)).SerializeToString()[:-cut])
