"""Requests of callers whose format is not the canonical one, kept beside their canonical form.

A codec that speaks the caller's format takes from the original what the canonical form cannot hold: unknown fields pass
through. Every other codec is told what of the original it cannot carry. Parts that a step has replaced have no original
any more, so what the step took out does not come back.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Self

from core.errors import InvalidInput

Body = dict[str, Any]


class Native(dict[str, Any]):
    """A message, part or tool in canonical form, with what it was in the caller's format. A copy is a plain dict, as it
    is made to be changed."""

    __slots__ = ("native",)

    native: Body

    @classmethod
    def of(cls, canonical: Mapping[str, Any], native: Body) -> Self:
        made = cls(canonical)
        made.native = native
        return made

    def copy(self) -> Body:
        return dict(self)

    def __copy__(self) -> Body:
        return dict(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Body:
        return {name: deepcopy(value, memo) for name, value in self.items()}


@dataclass(frozen=True, slots=True)
class NativeRequest:
    """A request as the caller sent it, and its canonical form."""

    format: str
    body: Body
    canonical: Body
    exclusive: tuple[str, ...] = ()
    """Fields that only this format has and without which the answer would be another."""
    hints: tuple[str, ...] = ()
    """Fields that only this format has and that can be left out."""
    headers: tuple[tuple[str, str], ...] = ()
    """Headers of the request that belong to the format."""


def left_out(native: NativeRequest | None, format: str) -> tuple[str, ...]:
    """The fields of the caller's request that a codec of `format` leaves out. Raises InvalidInput for one that must not
    be left out."""
    if native is None or native.format == format:
        return ()
    if native.exclusive:
        field = native.exclusive[0]
        raise InvalidInput(
            f"The provider of this model cannot take {field}. Leave it out, or use a model of another provider.",
            reason="UNSUPPORTED_PARAMETER",
            field=field,
        )
    return native.hints


def without_natives(value: Any) -> Any:
    """A copy of a JSON value in which nothing has an original."""
    if isinstance(value, dict):
        return {name: without_natives(each) for name, each in value.items()}
    if isinstance(value, list):
        return [without_natives(each) for each in value]
    return value


def native_of(part: object) -> Body | None:
    """The part as it was in the caller's format; None where that is not known."""
    return part.native if type(part) is Native else None
