"""Conditions of PostgreSQL, with bound arguments."""

from collections.abc import Sequence
from typing import Any

from services.vector.adapters.compiled import compiled
from services.vector.adapters.pgvector_codec import numbers_literal
from services.vector.domain.filters import Comparison, Filter

_SIGNS = {Comparison.GT: ">", Comparison.GTE: ">=", Comparison.LT: "<", Comparison.LTE: "<="}


class Where:
    """A condition with its arguments; the given ones are $1, $2 and so on."""

    def __init__(self, arguments: Sequence[Any]) -> None:
        self.arguments = list(arguments)

    def of(self, filter: Filter | None) -> str:
        return "true" if filter is None else compiled(filter, self)

    def _bound(self, value: Any) -> str:
        self.arguments.append(value)
        return f"${len(self.arguments)}"

    def term(self, terms: Sequence[int]) -> str:
        return f"terms && {self._bound(numbers_literal(terms))}::text::bigint[]"

    def number(self, path: str, order: Comparison, value: float) -> str:
        field, operand = self._bound(path), self._bound(value)
        return (
            f"EXISTS (SELECT FROM jsonb_array_elements(numbers -> {field}::text) AS n "
            f"WHERE n::float8 {_SIGNS[order]} {operand}::float8)"
        )

    def every(self, of: Sequence[str]) -> str:
        return f"({' AND '.join(of)})" if of else "true"

    def some(self, of: Sequence[str]) -> str:
        return f"({' OR '.join(of)})"

    def none(self, of: str) -> str:
        return f"NOT ({of})"
