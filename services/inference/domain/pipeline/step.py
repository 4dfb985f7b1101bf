"""Steps of the pipeline, and how they are put together."""

from collections.abc import Awaitable, Callable, Sequence
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
