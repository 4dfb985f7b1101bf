"""Canonical requests: parsed once, checked where Portico reads them, passed on otherwise."""

from collections.abc import Iterable
from types import NoneType

import msgspec

from core import json_bodies, json_shape
from core.errors import InvalidInput, PorticoError
from core.fields import count
from core.offload import offload_request
from services.inference.domain.pipeline.exchange import Body

LARGE_BODY_BYTES = 256 * 1024
"""Size above which a body is read in the worker thread, and only if it holds no more values than json_shape.DEFAULT
allows. To read a smaller one takes a few milliseconds at worst."""
MAX_MESSAGES = 10_000
MAX_PARTS = 10_000
"""Content parts of all messages of a chat together."""
MAX_TOOLS = 1_024
MAX_STOPS = 256
MAX_INPUTS = 2_048
"""Texts, or lists of token ids, of one embedding call."""
MAX_DOCUMENTS = 1_000
"""Documents of one rerank call."""
MAX_QUERY = 16_000
"""Characters of the query of a rerank call."""
MAX_DOCUMENT = 200_000
"""Characters of a document of a rerank call."""
_MAX_REQUEST_ID = 128
REQUEST_ID = "request_id"
"""Portico's own field, which providers reject."""
PROMPT = "prompt"
"""Portico's own field of a chat: a prompt that becomes a message. See `domain.prompts.step`."""
_CHECKED = frozenset({"stream", "stream_options", "tools", "stop"})
"""Fields of a chat, beside model and messages, that are looked at."""
_JSON = msgspec.json.Decoder()
_MAYBE_BOOL, _MAYBE_OBJECT, _MAYBE_LIST = (bool, NoneType), (dict, NoneType), (list, NoneType)
"""Made once: a union such as `bool | None` is made anew wherever it stands."""


async def read(data: bytes) -> Body:
    """The JSON object of a request body. Raises InvalidInput."""
    if len(data) <= LARGE_BODY_BYTES:
        return read_json(data)

    def read_large() -> Body:
        json_shape.check(data)
        return read_json(data)

    return await offload_request(read_large, len(data))


def read_json(data: bytes) -> Body:
    """As `read`, at once."""
    body = json_bodies.read(_JSON, data)
    if not isinstance(body, dict):
        raise InvalidInput("The body must be a JSON object.", reason="INVALID_JSON", field="body")
    return body


def too_deep() -> PorticoError:
    """The error for a body that can be read but not written."""
    return InvalidInput("The body is not valid JSON: it is nested too deeply.", reason="INVALID_JSON", field="body")


def check_chat(body: Body) -> None:
    """Check a chat request. Raises InvalidInput where a field that Portico reads is missing or of the wrong type."""
    _check_model(body)
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        if not isinstance(messages, _MAYBE_LIST) or body.get(PROMPT) is None:
            raise _invalid("messages", "must be a list of at least one message")
        messages = []
    count("messages", messages, MAX_MESSAGES)
    parts = 0
    for at, message in enumerate(messages):
        if not isinstance(message, dict):
            raise _invalid(f"messages[{at}]", "must be an object")
        if not isinstance(message.get("role"), str):
            raise _invalid(f"messages[{at}].role", "must be a string")
        if isinstance(content := message.get("content"), list):
            parts += len(content)
            if parts > MAX_PARTS:
                raise _invalid(f"messages[{at}].content", f"has too many parts: at most {MAX_PARTS} in all messages")
    if _CHECKED.isdisjoint(body):
        return
    if not isinstance(body.get("stream"), _MAYBE_BOOL):
        raise _invalid("stream", "must be true or false")
    options = body.get("stream_options")
    if not isinstance(options, _MAYBE_OBJECT):
        raise _invalid("stream_options", "must be an object")
    if options and not isinstance(options.get("include_usage"), _MAYBE_BOOL):
        raise _invalid("stream_options.include_usage", "must be true or false")
    for name, most in (("tools", MAX_TOOLS), ("stop", MAX_STOPS)):
        if isinstance(given := body.get(name), list):
            count(name, given, most)
    if not isinstance(body.get("tools"), _MAYBE_LIST):
        raise _invalid("tools", "must be a list")


def check_embedding(body: Body) -> None:
    """Check an embedding request. Raises InvalidInput where a field that Portico reads is missing or of the wrong
    type."""
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


def check_rerank(body: Body) -> None:
    """Check a canonical rerank request, whose documents are texts. Raises InvalidInput where a field that Portico reads
    is missing or of the wrong type."""
    _check_model(body)
    query, documents, top_n = body.get("query"), body.get("documents"), body.get("top_n")
    if not isinstance(query, str) or not query.strip() or len(query) > MAX_QUERY:
        raise _invalid("query", f"must be a text of 1 to {MAX_QUERY} characters")
    if not isinstance(documents, list) or not 1 <= len(documents) <= MAX_DOCUMENTS:
        raise _invalid("documents", f"must hold 1 to {MAX_DOCUMENTS} entries")
    for at, document in enumerate(documents):
        if not isinstance(document, str) or len(document) > MAX_DOCUMENT:
            raise _invalid(f"documents[{at}]", f"must be a text of at most {MAX_DOCUMENT} characters")
    if top_n is not None and (type(top_n) is not int or top_n < 1):
        raise _invalid("top_n", "must be a positive integer")


def wants_usage(body: Body) -> bool:
    """Return whether a streamed chat is to end with its usage."""
    options = body.get("stream_options")
    return bool(options and options.get("include_usage"))


def own_request_id(body: Body, default: str) -> str:
    """The caller's own `request_id`; the default where there is none."""
    given = body.get(REQUEST_ID)
    return given if isinstance(given, str) and 0 < len(given) <= _MAX_REQUEST_ID else default


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
