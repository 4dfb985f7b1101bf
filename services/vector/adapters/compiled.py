"""Turns a filter into an engine's own conditions; an engine says how to write five things."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from services.vector.domain.filters import EXACT, INT64, All, AnyOf, Compare, Comparison, Exists, Filter, Not, Some
from services.vector.domain.terms import NO_TERM, exists_term, rounded_alike, value_term

C = TypeVar("C")


class Dialect(Protocol[C]):
    def term(self, terms: Sequence[int]) -> C:
        """The condition that a point has one of these terms; there is at least one."""

    def number(self, path: str, order: Comparison, value: float) -> C:
        """The condition that one of the field's numbers compares so with the value."""

    def every(self, of: Sequence[C]) -> C:
        """The condition that all hold; without any, always."""

    def some(self, of: Sequence[C]) -> C:
        """The condition that one holds; there is at least one."""

    def none(self, of: C) -> C:
        """The condition that this one does not hold."""


def compiled(filter: Filter, dialect: Dialect[C]) -> C:
    match filter:
        case AnyOf(path, values):
            condition = dialect.term([value_term(path, value) for value in values] or [NO_TERM])
            if None not in values:
                return condition
            return dialect.some([condition, dialect.none(dialect.term([exists_term(path)]))])
        case Exists(path):
            return dialect.term([exists_term(path)])
        case Compare():
            return _compared(filter, dialect)
        case All(of):
            return dialect.every([compiled(part, dialect) for part in of])
        case Some(of):
            return dialect.some([compiled(part, dialect) for part in of])
        case Not(part):
            return dialect.none(compiled(part, dialect))


def _compared(bound: Compare, dialect: Dialect[C]) -> C:
    """Engines compare 64-bit floats. Integers that round to the same one as the bound are told apart by their terms."""
    name, order, rounded = ".".join(bound.path), bound.order, float(bound.value)
    if not EXACT <= abs(rounded) <= INT64:
        return dialect.number(name, order, rounded)
    beyond = dialect.number(name, order.strict, rounded)
    alike = [value_term(bound.path, number) for number in rounded_alike(rounded) if order.holds(number, bound.value)]
    return dialect.some([beyond, dialect.term(alike)]) if alike else beyond
