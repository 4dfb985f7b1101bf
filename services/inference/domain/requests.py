"""OpenAI's requests: read once, checked for what Portico itself needs, shaped for the model, passed on otherwise."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from core.errors import InvalidInput, PorticoError
from services.inference.domain.routes import Route

Body = dict[str, Any]

MAX_INPUTS = 2048
_MAX_REQUEST_ID = 128


@dataclass(slots=True)
class Shaped:
    """A request as the provider gets it, and what Portico does to the answer."""

    body: Body
    stream: bool
    """Whether the provider is asked for a stream."""
    dropped: tuple[str, ...]
    """Fields that were removed because the model rejects them."""


def read_json(data: bytes) -> Body:
    """The JSON object of a request body. Raises InvalidInput."""
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        reason = "it is nested too deeply" if "ecursion" in error.msg else f"{error.msg} at position {error.pos}"
        raise InvalidInput(f"The body is not valid JSON: {reason}.", reason="INVALID_JSON", field="body") from None
    if not isinstance(body, dict):
        raise InvalidInput("The body must be a JSON object.", reason="INVALID_JSON", field="body")
    return body


def write_json(body: Body) -> bytes:
    """Raises InvalidInput for what can be read but not written: nesting beyond 254 levels."""
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError:
        raise InvalidInput(
            "The body is not valid JSON: it is nested too deeply.", reason="INVALID_JSON", field="body"
        ) from None


def check_chat(body: Body) -> None:
    """Raises InvalidInput where a field that Portico reads is missing or of the wrong type."""
    _check_model(body)
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise _invalid("messages", "must be a list of at least one message")
    for at, message in enumerate(messages):
        if not isinstance(message, dict):
            raise _invalid(f"messages[{at}]", "must be an object")
        if not isinstance(message.get("role"), str):
            raise _invalid(f"messages[{at}].role", "must be a string")
    if not isinstance(body.get("stream"), bool | None):
        raise _invalid("stream", "must be true or false")
    options = body.get("stream_options")
    if not isinstance(options, dict | None):
        raise _invalid("stream_options", "must be an object")
    if options and not isinstance(options.get("include_usage"), bool | None):
        raise _invalid("stream_options.include_usage", "must be true or false")
    if not isinstance(body.get("tools"), list | None):
        raise _invalid("tools", "must be a list")


def check_embedding(body: Body) -> None:
    """Raises InvalidInput where a field that Portico reads is missing or of the wrong type."""
    _check_model(body)
    inputs = body.get("input")
    if isinstance(inputs, list):
        if not inputs or (len(inputs) > MAX_INPUTS and not _all_tokens(inputs)):
            raise _invalid("input", f"must hold 1 to {MAX_INPUTS} entries")
        if not (_all_strings(inputs) or _all_tokens(inputs) or all(_is_tokens(each) for each in inputs)):
            raise _invalid("input", "must be a string, strings, token ids, or lists of token ids")
    elif not isinstance(inputs, str):
        raise _invalid("input", "must be a string, strings, token ids, or lists of token ids")
    if body.get("encoding_format") not in (None, "float", "base64"):
        raise _invalid("encoding_format", "must be float or base64")
    dimensions = body.get("dimensions")
    if dimensions is not None and (type(dimensions) is not int or dimensions < 1):
        raise _invalid("dimensions", "must be a positive integer")


def take_request_id(body: Body, default: str) -> str:
    """Removes Portico's own field `request_id`, which providers reject; the default where there is none."""
    given = body.pop("request_id", None)
    return given if isinstance(given, str) and 0 < len(given) <= _MAX_REQUEST_ID else default


def wants_usage(body: Body) -> bool:
    """Whether the client asked for the usage of a stream."""
    options = body.get("stream_options")
    return bool(options and options.get("include_usage"))


def shape_chat(body: Body, route: Route) -> Shaped:
    """Applies the model's settings and asks for a stream's usage in any case. Changes `body`."""
    shaped = shape(body, route)
    if body.get("stream") and route.whole_with_tools and body.get("tools"):
        del body["stream"]
    if not body.get("stream"):
        body.pop("stream_options", None)
        return shaped
    shaped.stream = True
    if "stream_options" not in route.unsupported:
        body["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
    return shaped


def shape(body: Body, route: Route) -> Shaped:
    """Applies the model's settings and its name at the provider. Changes `body`."""
    for name, value in route.defaults:
        body.setdefault(name, value)
    body.update(route.extra)
    dropped = tuple(name for name in route.unsupported if name in body)
    for name in dropped:
        del body[name]
    body["model"] = route.model_id
    return Shaped(body, False, dropped)


def _check_model(body: Body) -> None:
    model = body.get("model")
    if not isinstance(model, str) or not model.strip():
        raise _invalid("model", "must be the key of a model")


def _all_strings(inputs: Iterable[object]) -> bool:
    return all(isinstance(each, str) for each in inputs)


def _all_tokens(inputs: Iterable[object]) -> bool:
    return all(type(each) is int for each in inputs)


def _is_tokens(value: object) -> bool:
    return isinstance(value, list) and bool(value) and _all_tokens(value)


def _invalid(field: str, what: str) -> PorticoError:
    return InvalidInput(f"{field} {what}.", field=field)
