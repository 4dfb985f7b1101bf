"""Count the tokens that a chat would let a model read."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from services.inference.domain.pipeline.answer import Answer, read_whole
from services.inference.domain.pipeline.exchange import Exchange
from services.inference.domain.routing.targets import Target
from services.inference.domain.usage import tokens


async def count_tokens(
    exchange: Exchange, *, target: Target, send: Callable[[Exchange, Target], Awaitable[Answer]]
) -> int:
    """The provider's count where its format has one, else an estimate. Raises PorticoError."""
    counter = target.codec.counter
    if counter is None:
        return await estimate_tokens(exchange)
    answer = await send(exchange, replace(target, codec=counter.codec, path=target.path + counter.path))
    counted = await read_whole(answer)
    return int(counted["input_tokens"])


async def estimate_tokens(exchange: Exchange) -> int:
    """An estimate, from the request's characters."""
    return tokens.estimate(tokens.request_characters(exchange.request))
