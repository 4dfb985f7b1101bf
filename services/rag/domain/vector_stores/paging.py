"""Lists in the order of time with OpenAI's cursors: the ids of items, behind which or before which a page lies."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from core import fields
from core.errors import InvalidInput
from core.storage.ports import Cond, Op, Order
from core.storage.table import Record, Table
from core.tenancy import Project

_MOST, _USUAL = 100, 20
T = TypeVar("T", bound=Record)


@dataclass(frozen=True, slots=True)
class Cursor:
    """The page that is asked for."""

    limit: int = 0
    after: str = ""
    before: str = ""
    order: str = ""


@dataclass(frozen=True, slots=True)
class ItemPage(Generic[T]):
    items: list[T]
    has_more: bool


async def page(
    table: Table[T],
    project: Project,
    where: Mapping[str, Any],
    field: str,
    cursor: Cursor,
    position_of: Callable[[str], Awaitable[str]],
) -> ItemPage[T]:
    """A page in the order of `field`, a unique TEXT; `position_of` returns its value for the id of an item, or raises
    NotFound. Raises InvalidInput."""
    size = fields.between("limit", cursor.limit, 1, _MOST, default=_USUAL)
    descending = fields.one_of("order", cursor.order or "desc", ("asc", "desc")) == "desc"
    if cursor.after and cursor.before:
        raise InvalidInput("Give either after or before.", field="before")
    backwards = bool(cursor.before)
    id = cursor.before or cursor.after
    down = descending is not backwards  # the way in which the store is read
    if id:
        where = {**where, field: Cond(Op.LT if down else Op.GT, await position_of(id))}
    items: list[T] = []
    token = ""
    while len(items) <= size:  # pages of large records are shorter
        found, token = await table.page(
            project, where, order=Order(field, descending=down), page_size=size + 1 - len(items), page_token=token
        )
        items += found
        if not token:
            break
    has_more = len(items) > size
    items = items[:size]
    return ItemPage(items[::-1] if backwards else items, has_more)
