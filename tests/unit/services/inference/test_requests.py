"""Requests: what the caller wishes, and what the provider gets."""

import copy
from typing import Any

import orjson
import pytest

from core.context import Identity, Kind
from core.errors import InvalidInput
from core.resilience import RetryBudget
from core.tenancy import Project, Tenant
from services.inference.domain.codecs.codec import Encoded, TargetModel
from services.inference.domain.codecs.openai.chat import OpenAIChat
from services.inference.domain.codecs.openai.shaping import written
from services.inference.domain.pipeline import requests
from services.inference.domain.pipeline.exchange import Body, Exchange
from services.inference.domain.usage.calls import ModelCall


def model(**settings: Any) -> TargetModel:
    given: dict[str, Any] = {"defaults": (), "extra": {}, "unsupported": (), "whole_with_tools": False, **settings}
    return TargetModel(model_key="m", model_id="upstream-model", scrub=str, **given)


def exchange_of(request: Body, *, stream: bool = True) -> Exchange:
    identity = Identity(Project(Tenant("acme"), "p1"), "user", Kind.API, frozenset("*"), "token", 0.0, None)
    call = ModelCall(identity, "req-1", "chat", "m", 0.0, 0.0, None)
    return Exchange(call, request, "req-1", stream, False, RetryBudget())


def encoded(request: Body, **settings: Any) -> Encoded:
    return OpenAIChat(max_event_bytes=1000).encode(exchange_of(request), model(**settings))


def test_the_callers_request_is_never_changed() -> None:
    """vllm#5734: settings of the model hid what the caller had asked for."""
    body = {"model": "m", "messages": [{"role": "user"}], "stream": True, "request_id": "r", "temperature": 1, "n": 2}
    before = copy.deepcopy(body)
    sent = encoded(
        body, unsupported=("temperature",), extra={"n": 1}, defaults=(("seed", 5), ("n", 7)), whole_with_tools=True
    )
    assert body == before
    assert (sent.stream, sent.dropped) == (True, ("temperature",))
    assert orjson.loads(sent.data) == {
        "model": "upstream-model", "messages": [{"role": "user"}], "stream": True, "n": 1, "seed": 5,
        "stream_options": {"include_usage": True},
    }  # fmt: skip


def test_a_second_model_gets_what_the_first_one_dropped() -> None:
    body = {"model": "m", "messages": [], "temperature": 1, "stream": True, "tools": [{}]}
    first = encoded(body, unsupported=("temperature",), extra={"top_k": 1}, whole_with_tools=True)
    second = encoded(body)
    assert not first.stream
    assert second.stream
    assert {"temperature", "stream"} <= orjson.loads(second.data).keys()
    assert "top_k" not in orjson.loads(second.data)


def test_a_wish_is_read_from_what_the_caller_sent() -> None:
    body = {"messages": [], "stream": True, "stream_options": {"include_usage": True}, "request_id": "mine"}
    assert requests.wants_usage(body)
    assert not requests.wants_usage({"stream_options": None})
    assert requests.own_request_id(body, "ours") == "mine"
    assert requests.own_request_id({"request_id": 5}, "ours") == "ours"


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b'"x"', b"NaN", b'{"a":NaN}', b"[" * 5000, b'{"a":"\xff"}', b'{"a":' + b"1" * 5000 + b"}"],
)
def test_what_is_no_json_object_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput) as caught:
        requests.read_json(data)
    assert caught.value.field == "body"


def test_integers_keep_all_their_digits() -> None:
    """sub2api#2826: a seed beyond 64 bits reached the provider as a float."""
    body = b'{"seed":1180591620717411303425}'
    assert written(requests.read_json(body)) == body


def test_what_cannot_be_written_is_refused() -> None:
    deep = b'{"a":' + b"[" * 400 + b"]" * 400 + b"}"
    with pytest.raises(InvalidInput) as caught:
        written(requests.read_json(deep))
    assert caught.value.field == "body"
