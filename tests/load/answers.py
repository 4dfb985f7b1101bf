"""Answers of the stand-in providers: fixed bytes in the shapes of the OpenAI API."""

import json

MODEL = "bench-model"
TEXT = (
    "A gateway stands between many clients and many providers. It checks who is calling, counts what is used, and "
    "passes the answer on without changing it. Everything it does beyond that is paid for by every request."
)
DONE = b"data: [DONE]\n\n"
_USAGE = {"prompt_tokens": 24, "completion_tokens": 48, "total_tokens": 72}


def completion() -> bytes:
    """A chat completion of about 700 bytes."""
    message: dict[str, object] = {"role": "assistant", "content": TEXT, "refusal": None, "annotations": []}
    answer = {
        "id": "chatcmpl-bench0000000000000000000000",
        "object": "chat.completion",
        "created": 1760000000,
        "model": MODEL,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": _USAGE,
        "service_tier": "default",
        "system_fingerprint": "fp_bench",
    }
    return json.dumps(answer).encode()


def events(chunks: int) -> list[bytes]:
    """A streamed answer: `chunks` server-sent events with text, one that ends it with the usage, and `[DONE]`."""
    first, *others = _words(chunks)
    deltas: list[dict[str, str]] = [{"role": "assistant", "content": first}, *({"content": word} for word in others)]
    texts = [_event([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}]) for delta in deltas]
    end = _event([{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}], usage=_USAGE)
    return [*texts, end, DONE]


def streamed_text(chunks: int) -> str:
    """The text that `events(chunks)` carries."""
    return "".join(_words(chunks))


def _words(chunks: int) -> list[str]:
    """No two alike: some gateways cut off a model that repeats itself."""
    return [f" word{number}" for number in range(chunks)]


def _event(choices: list[dict[str, object]], **more: object) -> bytes:
    chunk = {
        "id": "chatcmpl-bench0000000000000000000000",
        "object": "chat.completion.chunk",
        "created": 1760000000,
        "model": MODEL,
        "system_fingerprint": "fp_bench",
        "choices": choices,
        **more,
    }
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"
