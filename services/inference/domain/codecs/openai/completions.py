"""Whole answers: parsed, normalised, and converted to and from streams."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

from services.inference.domain.codecs.error_reports import NOTHING, report_in, report_of
from services.inference.domain.codecs.errors import malformed, reported
from services.inference.domain.codecs.events import Kind, kind_of
from services.inference.domain.codecs.openai.chunks import Chunk, ChunkStream, new_id
from services.inference.domain.codecs.openai.finish_reasons import ERROR, default_reason, finish_reason
from services.inference.domain.codecs.openai.tool_calls import whole_calls
from services.inference.domain.codecs.scrubbing import Scrub
from services.inference.domain.json_values import UNREADABLE, NotJson, decode, decode_leniently

Body = dict[str, Any]

_IN_EVERY_CHUNK = ("id", "object", "created", "model", "usage")
_NOT_OF_CHUNKS = frozenset({"choices", "usage", "object", "request_id"})
_NOT_OF_DELTAS = frozenset({"message", "finish_reason", "index"})


def read_completion(data: bytes, model: str, scrub: Scrub) -> Body:
    """A chat completion with the public key `model`, out of JSON or of a stream that nobody asked for. What OpenAI's
    answers always have is filled in. Raises Refusal where the provider reports an error, UpstreamFailed for an answer
    that is none."""
    try:
        body = decode(data)
    except UNREADABLE:
        body = _from_events(data, model, scrub) if kind_of(data) is Kind.EVENTS else _leniently(data)
    if type(body) is not dict or body.get("error") or not (choices := body.get("choices")):
        report = report_of(body)
        raise malformed() if report is None else reported(report, scrub)
    if type(choices) is not list:
        raise malformed()
    for at, choice in enumerate(choices):
        _complete_choice(choice, at, scrub)
    id, created = body.get("id"), body.get("created")
    if type(id) is not str or not id:
        body["id"] = new_id()
    if not body.get("object"):
        body["object"] = "chat.completion"
    if type(created) is not int or created <= 0:
        body["created"] = int(time.time())
    body["model"] = model
    return body


def chunks_of(completion: Mapping[str, Any], *, with_usage: bool) -> list[Chunk]:
    """A whole answer as a stream: everything said, the end of every choice, and the usage where it is asked for."""
    head = {name: value for name, value in completion.items() if name not in _NOT_OF_CHUNKS}
    head["object"] = "chat.completion.chunk"
    if with_usage:
        head["usage"] = None
    said = [_opening(choice) for choice in completion["choices"]]
    ends = [
        {"index": choice["index"], "delta": {}, "finish_reason": choice["finish_reason"]}
        for choice in completion["choices"]
    ]
    plain: Chunk = {name: head[name] for name in _IN_EVERY_CHUNK if name in head}
    chunks = [{**head, "choices": said}, {**plain, "choices": ends}]
    if with_usage:
        chunks.append({**plain, "choices": [], "usage": completion["usage"]})
    return chunks


def _leniently(data: bytes) -> Any:
    try:
        return decode_leniently(data)
    except NotJson:
        raise malformed() from None


def _complete_choice(choice: Any, at: int, scrub: Scrub) -> None:
    if type(choice) is not dict:
        raise malformed()
    if "error" in choice and (report := report_in({"choices": [choice]})):
        raise reported(report, scrub)
    message = choice.get("message")
    if type(message) is not dict:
        delta = choice.pop("delta", None)
        message = choice["message"] = delta if type(delta) is dict else {"content": choice.get("text")}
    if type(choice.get("index")) is not int:
        choice["index"] = at
    if not message.get("role"):
        message["role"] = "assistant"
    calls = message.get("tool_calls")
    if calls and type(calls) is list:
        message["tool_calls"] = whole_calls(calls)
    said = choice.get("finish_reason")
    if said == ERROR:
        raise reported(NOTHING, scrub)
    reason = finish_reason(said, calls_tools=bool(calls)) or default_reason(calls_tools=bool(calls))
    if reason != said:
        choice["finish_reason"] = reason


def _opening(choice: Mapping[str, Any]) -> dict[str, Any]:
    """A choice as the first chunk has it: with all its own fields but its end."""
    delta = dict(choice["message"])
    calls = delta.get("tool_calls")
    if calls and isinstance(calls, list):
        delta["tool_calls"] = [{**call, "index": at} for at, call in enumerate(calls)]
    own = {name: value for name, value in choice.items() if name not in _NOT_OF_DELTAS}
    return {"index": choice["index"], "delta": delta, **own, "finish_reason": None}


def _from_events(data: bytes, model: str, scrub: Scrub) -> Body:
    """The completion of a stream's events. Raises Refusal or UpstreamFailed."""
    stream = ChunkStream(model, scrub, max_event_bytes=len(data))
    chunks = stream.feed(data)
    if not stream.done and stream.error is None:
        chunks += stream.end()
    if stream.error is not None:
        raise stream.refusal or (stream.error if chunks else malformed())
    try:
        body = _assembled(chunks)
    except RecursionError:
        raise malformed() from None
    if stream.usage is not None:
        body["usage"] = stream.usage_chunk(stream.usage)["usage"]
    return body


def _assembled(chunks: Iterable[Chunk]) -> Body:
    body: Body = {}
    choices: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        body.update((name, value) for name, value in chunk.items() if name not in _NOT_OF_CHUNKS)
        for choice in chunk["choices"]:
            whole = choices.setdefault(choice["index"], {"index": choice["index"], "message": {}})
            _merge(whole["message"], choice["delta"], calls=True)
            _merge(whole, {name: value for name, value in choice.items() if name not in ("index", "delta")})
    return {**body, "choices": [choices[index] for index in sorted(choices)]}


def _merge(whole: dict[str, Any], part: Mapping[str, Any], *, calls: bool = False) -> None:
    """Merge a delta into those before it: texts and lists grow, with `calls` also tool calls by their number.

    Only a delta's own tool calls have been checked; a field of that name anywhere else is a list like any other.
    """
    for name, value in part.items():
        old = whole.get(name)
        match old, value:
            case _, list() if calls and name == "tool_calls":
                whole[name] = _joined_calls(old or [], value)
            case str(), str() if name not in _NAMES:
                whole[name] = old + value
            case list(), list():
                whole[name] = [*old, *value]
            case dict(), dict():
                _merge(old, value)
            case None, _:
                whole[name] = value
            case _, None:
                pass
            case _:
                whole[name] = value


_NAMES = frozenset({"role", "id", "type", "name", "finish_reason", "index"})
"""Texts that are repeated, not continued."""


def _joined_calls(calls: list[dict[str, Any]], deltas: list[dict[str, Any]]) -> list[dict[str, Any]]:
    by_number = {call["index"]: call for call in calls}
    for delta in deltas:
        _merge(by_number.setdefault(delta["index"], {"index": delta["index"]}), delta)
    return list(by_number.values())
