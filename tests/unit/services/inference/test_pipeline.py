"""The pipeline's own parts: the order of steps, and answers that others wrap."""

from collections.abc import Sequence

import pytest

from core.context import Identity, Kind
from core.errors import InvalidInput, PorticoError
from core.resilience import RetryBudget
from core.tenancy import Project, Tenant
from services.inference.domain.catalogue.models import Model
from services.inference.domain.pipeline import answer as answer_module
from services.inference.domain.pipeline.answer import Answer, Chunk, WholeAnswer, WrappedAnswer, read_whole
from services.inference.domain.pipeline.exchange import Exchange
from services.inference.domain.pipeline.step import Next, Step, StepFactory, compile_steps
from services.inference.domain.usage.calls import CANCELLED, ERROR, SUCCESS, ModelCall
from services.inference.domain.usage.tokens import TokenUsage

PROJECT = Project(Tenant("acme"), "p1")
MODEL = Model("mdl_1", "m", "M", "llm", "p", "up")
USAGE = TokenUsage(3, 4)


def exchange_of(request: dict[str, object]) -> Exchange:
    identity = Identity(PROJECT, "user", Kind.API, frozenset("*"), "token", 0.0, None)
    call = ModelCall(identity, "req-1", "chat", "m", 0.0, 0.0, None)
    return Exchange(call, request, "req-1", True, False, RetryBudget())


def text(value: str) -> Chunk:
    return {"choices": [{"index": 0, "delta": {"content": value}}]}


class Scripted(Answer):
    """Gives out one list after the other; the last one ends it."""

    def __init__(self, *found: list[Chunk], error: PorticoError | None = None) -> None:
        super().__init__()
        self._found = list(found)
        self._broken = error
        self.closed = False

    async def next(self) -> list[Chunk]:
        found = self._found.pop(0)
        if not self._found:
            self.usage, self.finish_reason = USAGE, "stop"
            if self._broken is not None:
                self.fail(self._broken)
            else:
                self._end(SUCCESS)
        return found

    async def close(self) -> None:
        await super().close()
        self.closed = True


class Doubling(WrappedAnswer):
    """Every chunk twice, and one more at the end."""

    async def change(self, chunks: list[Chunk], *, last: bool) -> Sequence[Chunk]:
        return [*chunks, *chunks, *([text("end")] if last else [])]


def named(name: str, seen: list[str]) -> StepFactory:
    def step(exchange: Exchange, call_next: Next) -> object:
        seen.append(name)
        return call_next(exchange.with_request({**exchange.request, name: True}))

    def factory(project: Project, model: Model) -> Step | None:
        assert (project, model) == (PROJECT, MODEL)
        return step if name != "none" else None  # type: ignore[return-value]  # an Awaitable, as the next one's

    return factory


async def test_steps_run_in_their_order_and_those_without_use_are_left_out() -> None:
    seen: list[str] = []

    async def innermost(exchange: Exchange) -> Answer:
        return WholeAnswer([dict(exchange.request)], USAGE)

    chain = compile_steps([named(each, seen) for each in ("first", "none", "second")], PROJECT, MODEL, innermost)
    exchange = exchange_of({"model": "m"})
    assert await read_whole(await chain(exchange)) == {"model": "m", "first": True, "second": True}
    assert seen == ["first", "second"]
    assert exchange.request == {"model": "m"}
    assert compile_steps([named("none", seen)], PROJECT, MODEL, innermost) is innermost


async def test_a_wrapped_answer_ends_as_the_inner_one_does() -> None:
    answer = Doubling(Scripted([text("a")], [], [text("b")]))
    ended: list[Answer] = []
    answer.when_ended(ended.append)
    assert await answer.next() == [text("a"), text("a")]
    assert (await answer.next(), answer.ended, ended) == ([], False, [])  # silence passes through
    assert await answer.next() == [text("b"), text("b"), text("end")]
    assert (answer.ended, answer.status, answer.usage, answer.finish_reason) == (True, SUCCESS, USAGE, "stop")
    await answer.close()
    assert ended == [answer]
    assert await answer.next() == []


async def test_an_error_of_the_inner_answer_is_the_wrapped_ones() -> None:
    answer = Doubling(Scripted([text("a")], error=InvalidInput("no")))
    await answer.next()
    assert answer.status == ERROR
    assert answer.error is not None


async def test_a_wrapped_answer_can_be_broken_off() -> None:
    inner = Scripted([text("a")], [text("b")])

    class Stopping(WrappedAnswer):
        async def change(self, chunks: list[Chunk], *, last: bool) -> Sequence[Chunk]:
            self.fail(InvalidInput("stopped"))
            return []

    answer = Stopping(inner)
    ended: list[str] = []
    answer.when_ended(lambda each: ended.append(each.status))
    assert await answer.next() == []
    assert (answer.ended, ended) == (True, [ERROR])
    await answer.close()
    assert inner.closed
    assert ended == [ERROR]


async def test_a_client_of_a_held_answer_hears_something(monkeypatch: pytest.MonkeyPatch) -> None:
    """Balancers cut a connection that is silent for a minute."""
    monkeypatch.setattr(answer_module, "_SILENT_SECONDS", 0.0)

    class Holding(WrappedAnswer):
        async def change(self, chunks: list[Chunk], *, last: bool) -> Sequence[Chunk]:
            return chunks if last else ()

    answer = Holding(Scripted([text("a")], [text("b")]))
    assert (await answer.next(), answer.ended) == ([], False)
    assert await answer.next() == [text("b")]


async def test_a_client_that_leaves_cancels() -> None:
    inner = Scripted([text("a")], [text("b")])
    answer = Doubling(inner)
    await answer.next()
    await answer.close()
    assert (answer.status, inner.closed) == (CANCELLED, True)


async def test_a_whole_answer_that_failed_is_raised() -> None:
    with pytest.raises(InvalidInput):
        await read_whole(Scripted([text("a")], error=InvalidInput("no")))
