"""CPU of a streamed chunk from provider's bytes to caller's, by the formats of both: translated beside passed on.

In one process and without a network, so that nothing but the codec and the frontend is measured.
"""

import asyncio
import gc
import time
from collections.abc import Sequence
from typing import Any

import orjson

from services.inference.domain.codecs.anthropic.chat import AnthropicChat
from services.inference.domain.codecs.codec import Codec
from services.inference.domain.codecs.openai.chat import OpenAIChat
from services.inference.domain.frontends.anthropic.frontend import AnthropicFrontend
from services.inference.domain.frontends.frontend import Frontend
from services.inference.domain.frontends.openai import OpenAIFrontend
from services.inference.domain.pipeline.exchange import Exchange
from tests.support import fake_anthropic, fake_provider
from tests.support.exchanges import exchange, target

CHUNKS = 20_000
ROUNDS = 7
MOST = 3.0
"""The highest cost of a translated chunk, in chunks that are passed on."""
_LIMIT = 2**20
_DELTA = b"event: content_block_delta\ndata: %b\n\n"


def openai_stream() -> list[bytes]:
    opening = fake_provider.chunk({"role": "assistant", "content": ""})
    return [opening, *(fake_provider.chunk({"content": f"word{number % 1000} "}) for number in range(CHUNKS))]


def anthropic_stream() -> list[bytes]:
    def delta(number: int) -> bytes:
        said = {"type": "text_delta", "text": f"word{number % 1000} "}
        return _DELTA % orjson.dumps({"type": "content_block_delta", "index": 0, "delta": said})

    return [*fake_anthropic.events(fake_anthropic.message(fake_anthropic.text("")))[:2], *map(delta, range(CHUNKS))]


def microseconds(codec: Codec, frontend: Frontend, asked: Exchange, stream: Sequence[bytes]) -> float:
    """Of CPU for a chunk, the best of all rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        reader, writer = codec.stream(asked, target()), frontend.events(asked)
        gc.collect()
        begun = time.process_time()
        for data in stream:
            writer.write(reader.feed(data))
        best = min(best, time.process_time() - begun)
        if reader.error is not None:
            raise reader.error
    return best / CHUNKS * 1e6


async def main() -> None:
    asked: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    frontend = AnthropicFrontend(lambda error, id: {})
    native = await frontend.read(orjson.dumps({**asked, "max_tokens": 100}))
    callers: dict[str, tuple[Frontend, Exchange]] = {
        "OpenAI": (OpenAIFrontend(lambda error, id: {}), exchange(asked)),
        "Anthropic": (frontend, exchange(native.canonical, native)),
    }
    providers: dict[str, tuple[Codec, list[bytes]]] = {
        "OpenAI": (OpenAIChat(max_event_bytes=_LIMIT), openai_stream()),
        "Anthropic": (AnthropicChat(max_event_bytes=_LIMIT), anthropic_stream()),
    }
    passed_on = 0.0
    for caller, (writes, exchanged) in callers.items():
        for provider, (codec, stream) in providers.items():
            cost = microseconds(codec, writes, exchanged, stream)
            passed_on = passed_on or cost
            verdict = (
                "" if caller == provider else f", at most {MOST:.0f}: {'met' if cost <= MOST * passed_on else 'missed'}"
            )
            print(
                f"{provider} provider to {caller} caller: {cost:.1f} us a chunk, {cost / passed_on:.1f} times{verdict}"
            )


if __name__ == "__main__":
    asyncio.run(main())
