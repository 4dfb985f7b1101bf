"""Scripted model provider: the last user message, or the embedding input, selects the scenario.

A text that is no key of `SCENARIOS` gets a plain answer.
"""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.fake_provider import (
    DONE,
    MODEL,
    USAGE,
    Behaviour,
    FakeProvider,
    answers,
    chunk,
    completion,
    embeds,
    refuses,
    responds,
    sends,
)
from tests.support.fake_upstream import Peer

_START_SECONDS = 10


def _says(message: dict[str, Any], finish: str | None = "stop", **more: Any) -> Behaviour:
    """Answer with a completion of this message."""
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return responds(json.dumps(completion(choices=[choice], **more)).encode())


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Behaviour:
    return responds(json.dumps(value).encode(), status, headers)


def _error(status: int, code: str | None, headers: dict[str, str] | None = None) -> Behaviour:
    error = {"message": f"as the provider puts {code}", "type": "t", "param": None, "code": code}
    return _json({"error": error}, status, headers)


async def _mirror(provider: FakeProvider, peer: Peer, body: dict[str, Any]) -> None:
    """Answer with the received request, so that requests to providers are compared too."""
    await answers(json.dumps(body, sort_keys=True))(provider, peer, body)


_CALL = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": '{"city":"Paris"}'}}
_LIMITS = {
    "x-ratelimit-limit-requests": "60",
    "x-ratelimit-remaining-requests": "59",
    "x-ratelimit-reset-requests": "1s",
    "x-ratelimit-limit-tokens": "1000",
    "x-ratelimit-remaining-tokens": "900",
}
_GROQ = {"x_groq": {"id": "r", "usage": USAGE}}
_PIECES = [chunk({"role": "assistant", "content": ""}), chunk({"content": "Hel"}), chunk({"content": "lo"})]

SCENARIOS: dict[str, Behaviour] = {
    "mirror": _mirror,
    # whole answers
    "no usage": _says({"role": "assistant", "content": "Hello there"}, usage=None),
    "bare": _json({"choices": [{"message": {"content": "bare"}}]}),
    "tool call": _says({"role": "assistant", "content": None, "tool_calls": [_CALL]}, "tool_calls"),
    "tool call of objects": _says(
        {"content": None, "tool_calls": [{"function": {"name": "look_up", "arguments": {"city": "Paris"}}}]}, None
    ),
    "end_turn": _says({"role": "assistant", "content": "done"}, "end_turn"),
    "max_tokens": _says({"role": "assistant", "content": "cut"}, "max_tokens"),
    "reasoning": _says({"role": "assistant", "content": "42", "reasoning_content": "six times seven"}),
    "large integers": _says({"role": "assistant", "content": "n"}, provider_number=12345678901234567890123),
    "logprobs": responds(
        b'{"id":"chatcmpl-upstream","created":1700000000,"choices":[{"index":0,"message":{"role":"assistant","content":"a"},'
        b'"logprobs":{"content":[{"token":"a","logprob":-Infinity}]},"finish_reason":"stop"}]}'
    ),
    "deepseek usage": _says(
        {"role": "assistant", "content": "x"},
        usage={"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "prompt_cache_hit_tokens": 8},
    ),
    "newer usage": _says(
        {"role": "assistant", "content": "x"}, usage={"input_tokens": "10", "output_tokens": 5, "total_tokens": 15}
    ),
    "limits": _json(completion("limited"), headers=_LIMITS),
    "created": _json(completion("made"), 201),
    "stream in place of a whole": sends(*_PIECES, chunk({}, "stop"), DONE),
    # streams
    "pieces": sends(*_PIECES, chunk({}, "stop"), chunk({}, choices=[], usage=USAGE), DONE),
    "no finish": sends(*_PIECES, DONE),
    "no role": sends(chunk({"content": "a"}), chunk({"content": "b"}, "stop"), DONE),
    "comments": sends(b": wait\n\n", *_PIECES, b": still there\n\n", chunk({}, "stop"), DONE),
    "tool pieces": sends(
        chunk(
            {"role": "assistant", "tool_calls": [{"id": "call_1", "function": {"name": "look_up", "arguments": ""}}]}
        ),
        chunk({"tool_calls": [{"function": {"arguments": '{"city":'}}]}),
        chunk({"tool_calls": [{"function": {"arguments": '"Paris"}'}}]}),
        chunk({"tool_calls": [{"id": "call_2", "function": {"name": "look_up", "arguments": "{}"}}]}, "tool_calls"),
        DONE,
    ),
    "azure filter": sends(
        chunk({}, choices=[], prompt_filter_results=[{"prompt_index": 0}]), *_PIECES, chunk({}, "stop"), DONE
    ),
    "groq usage": sends(*_PIECES, chunk({}, "stop", **_GROQ), DONE),
    "timings": sends(*_PIECES, chunk({}, "stop"), chunk({}, choices=[], usage=USAGE, timings={"n": 3}), DONE),
    "reasoning pieces": sends(
        chunk({"role": "assistant", "reasoning": "hm"}), chunk({"content": "42"}), chunk({}, "stop"), DONE
    ),
    "breaks off": sends(*_PIECES, end="reset"),
    "ends early": sends(_PIECES[0], _PIECES[1]),
    "error in a stream": sends(*_PIECES, b'data: {"error":{"message":"no more","code":"overloaded"}}\n\n', DONE),
    "error event": sends(_PIECES[0], b'event: error\ndata: {"type":"overloaded_error","message":"busy"}\n\n'),
    "whole in place of a stream": _json(completion("all at once")),
    "done alone": sends(DONE),
    # errors
    "refused": refuses(400),
    "too long": _error(400, "context_length_exceeded"),
    "bad key": _error(401, "invalid_api_key"),
    "forbidden": _error(403, None),
    "lacks the model": _error(403, "model_not_found"),
    "unpaid": _error(402, None),
    "missing": _error(404, "not_here"),
    "conflict": _error(409, None),
    "too large": _error(413, None),
    "wrong media": _error(415, None),
    "unprocessable": _error(422, "bad_schema"),
    "rate limited": _error(429, "rate_limit_exceeded", {"retry-after": "7", **_LIMITS}),
    "out of quota": _error(429, "insufficient_quota"),
    "broken": _error(500, None),
    "unavailable": _error(503, None, {"retry-after": "9"}),
    "overloaded": _error(529, None),
    "filtered": _json({"error": {"message": "f", "code": "content_filter", "innererror": {"code": "Policy"}}}, 400),
    "error in a success": _json({"error": {"message": "not so", "code": 400}}),
    "list with an error": _json([{"error": {"code": 429, "message": "slow", "status": "RESOURCE_EXHAUSTED"}}], 429),
    "not JSON": responds(b"<html>proxy</html>"),
    "no choices": _json({"id": "x", "choices": []}),
    # embeddings
    "floats only": embeds(as_base64=False),
    "base64 only": embeds(as_base64=True),
    "no usage of embeddings": embeds(usage=False),
    "vectors": embeds(),
}


@contextmanager
def serving() -> Iterator[str]:
    """Serve in a background thread; yields the base URL."""
    started, loop = threading.Event(), asyncio.new_event_loop()
    stopping = asyncio.Event()
    urls: list[str] = []

    async def serve() -> None:
        async with FakeProvider(_play) as provider:
            urls.append(provider.url)
            started.set()
            await stopping.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        if not started.wait(_START_SECONDS):
            raise RuntimeError("the provider of the corpus did not start")
        yield urls[0]
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join()
        loop.close()


async def _play(provider: FakeProvider, peer: Peer, body: dict[str, Any]) -> None:
    behaviour = SCENARIOS.get(_asked(body)) or (embeds() if "input" in body else answers(f"Hello from {MODEL}"))
    await behaviour(provider, peer, body)


def _asked(body: dict[str, Any]) -> str:
    said = body.get("input") or [each.get("content") for each in body["messages"] if each.get("role") == "user"]
    last = said[-1] if isinstance(said, list) and said else said
    return last if isinstance(last, str) else ""
