"""Steps of the pipeline, and how they are put together."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from core.tenancy import Project
from services.inference.domain.catalogue.models import Model
from services.inference.domain.pipeline.answer import Answer
from services.inference.domain.pipeline.exchange import Exchange

Next = Callable[[Exchange], Awaitable[Answer]]
"""The rest of the pipeline after a step. Raises PorticoError."""


class Step(Protocol):
    """One concern of a call. It may pass on another exchange, answer by itself, or wrap the answer that it gets.

    A step that does not apply to the call returns `call_next(exchange)` as it is. It need not be a coroutine function,
    and then costs next to nothing.
    """

    def __call__(self, exchange: Exchange, call_next: Next) -> Awaitable[Answer]: ...


class StepFactory(Protocol):
    """Makes a step for a model when its route is compiled; None where the model has no use for it."""

    def __call__(self, project: Project, model: Model) -> Step | None: ...


def compile_steps(factories: Sequence[StepFactory], project: Project, model: Model, innermost: Next) -> Next:
    """The chain of a model's steps, the first of them outermost."""
    chain = innermost
    for factory in reversed(factories):
        step = factory(project, model)
        if step is not None:
            chain = before(step, chain)
    return chain


def before(step: Step, call_next: Next) -> Next:
    """The step, followed by `call_next`."""
    return lambda exchange: step(exchange, call_next)


def steps_of_fields(factories: Mapping[str, StepFactory]) -> StepFactory:
    """One factory for steps of which each belongs to a field of the request, in their order. A request that has none of
    the fields passes them all at the cost of one look."""

    def make(project: Project, model: Model) -> Step | None:
        made = {name: step for name, factory in factories.items() if (step := factory(project, model)) is not None}
        names = tuple(made)

        def pass_through(exchange: Exchange, call_next: Next) -> Awaitable[Answer]:
            request = exchange.request
            for name in names:
                if name in request:
                    break
            else:
                return call_next(exchange)
            chain = call_next
            for each in reversed(made.values()):
                chain = before(each, chain)
            return chain(exchange)

        return pass_through if made else None

    return make
