"""Requests: what the caller wishes, and what the provider gets."""

from typing import Any, cast

import pytest

from core.errors import InvalidInput
from services.inference.domain import requests
from services.inference.domain.routes import Route


class Settings:
    """Settings of a route that shaping reads."""

    model_id = "upstream-model"
    defaults: tuple[tuple[str, Any], ...] = ()
    extra: dict[str, Any] = {}  # noqa: RUF012  # nobody changes it
    unsupported: tuple[str, ...] = ()
    whole_with_tools = False

    def __init__(self, **settings: Any) -> None:
        vars(self).update(settings)


def shaped(body: Any, **settings: Any) -> requests.Shaped:
    return requests.shape_chat(body, cast(Route, Settings(**settings)))


def test_the_callers_request_is_never_changed() -> None:
    """vllm#5734: settings of the model hid what the caller had asked for."""
    body = {"model": "m", "messages": [{"role": "user"}], "stream": True, "request_id": "r", "temperature": 1, "n": 2}
    before = {**body}
    sent = shaped(
        body, unsupported=("temperature",), extra={"n": 1}, defaults=(("seed", 5), ("n", 7)), whole_with_tools=True
    )
    assert body == before
    assert sent.dropped == ("temperature",)
    assert sent.body == {
        "model": "upstream-model", "messages": [{"role": "user"}], "stream": True, "n": 1, "seed": 5,
        "stream_options": {"include_usage": True},
    }  # fmt: skip


def test_a_wish_is_read_from_what_the_caller_sent() -> None:
    body = {"messages": [], "stream": True, "stream_options": {"include_usage": True}, "request_id": "mine"}
    options = requests.client_options(body, "ours")
    assert (options.request_id, options.stream, options.usage, options.body) == ("mine", True, True, body)
    assert not requests.client_options({"stream_options": {"include_usage": True}}, "ours").usage
    assert requests.client_options({"request_id": 5}, "ours").request_id == "ours"


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
    assert requests.write_json(requests.read_json(body)) == body


def test_what_cannot_be_written_is_refused() -> None:
    deep = b'{"a":' + b"[" * 400 + b"]" * 400 + b"}"
    with pytest.raises(InvalidInput) as caught:
        requests.write_json(requests.read_json(deep))
    assert caught.value.field == "body"
