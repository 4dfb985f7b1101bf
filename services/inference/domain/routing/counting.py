"""Counting of the tokens that a chat would let a model read."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from services.inference.domain.pipeline.answer import Answer, read_whole
from services.inference.domain.pipeline.exchange import Exchange
from services.inference.domain.routing.targets import Target
from services.inference.domain.usage import tokens


async def count_tokens(
    exchange: Exchange, *, targets: Sequence[Target], send: Callable[[Exchange, Target], Awaitable[Answer]]
) -> int:
    """The count of the first target whose format has one, else an estimate. Raises PorticoError."""
    for target in targets:
        if (counter := target.codec.counter) is not None:
            answer = await send(exchange, replace(target, codec=counter.codec, path=target.path + counter.path))
            return int((await read_whole(answer))["input_tokens"])
    return tokens.estimate(tokens.request_characters(exchange.request))
