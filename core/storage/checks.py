"""Checks of calls that every adapter makes alike, beside `Schema.check`."""

from collections.abc import Iterable, Sequence

from core.errors import InvalidInput
from core.storage.documents import INT64, check_amounts, check_field, checked_id
from core.storage.ports import BOOLEAN, INTEGER, JSON, NUMBER, TEXT, Collection, Document, Increment, Order

MAX_PAGE_SIZE = 1000
MAX_PAGE_LENGTH = 2 * 1024 * 1024
"""Characters of JSON of a page's documents together, or one document: a page of large ones has fewer of them."""
MAX_TOTALS = 10_000


_GROUPED = (TEXT, INTEGER, BOOLEAN)
_SUMMED = (INTEGER, NUMBER)


def check_listing(collection: Collection, order: Order, page_size: int) -> None:
    check_field(order.field)
    if collection.types.get(order.field) in (None, JSON):
        raise TypeError(f"{collection.name} cannot be ordered by {order.field}, whose scalar type is not declared")
    if not 1 <= page_size <= MAX_PAGE_SIZE:
        raise InvalidInput(f"A page has 1 to {MAX_PAGE_SIZE} entries.", field="pageSize")


def fitting(lengths: Iterable[int]) -> int:
    """Count the documents of these lengths that make a page; one at least, if there is one."""
    count = whole = 0
    for length in lengths:
        whole += length
        if count and whole > MAX_PAGE_LENGTH:
            break
        count += 1
    return count


def check_counted(collection: Collection, counters: Collection) -> None:
    """Check the collections of `insert_counted`. Raises TypeError."""
    if collection.unique or collection.expiry or counters.unique or counters.expiry:
        raise TypeError(f"{collection.name} cannot be counted in {counters.name}: one of them is unique, or expires")


def by_ids(documents: Sequence[Document]) -> dict[str, Document]:
    """The documents by id, the first of each. Raises InvalidInput."""
    found: dict[str, Document] = {}
    for document in documents:
        found.setdefault(checked_id(document), document)
    return found


def added(counters: Collection, old: Document | None, increment: Increment) -> Document:
    """The document of counters after an increment, its fields checked. Raises InvalidInput where a sum does not fit in
    64 bits."""
    if old is None:
        check_amounts(counters, increment.amounts, increment.initial)
        fresh = {**increment.initial, **increment.amounts, "id": increment.id}
        checked_id(fresh)
        return fresh
    check_amounts(counters, increment.amounts, {})  # the initial fields are not used
    sums = {name: old.get(name, 0) + amount for name, amount in increment.amounts.items()}
    for name, value in sums.items():
        if value not in INT64:
            raise InvalidInput("A sum must fit into 64 bits.", field=name)
    return old | sums


def check_totals(collection: Collection, group_by: Sequence[str], sums: Sequence[str]) -> None:
    names = (*group_by, "count", *sums)
    if len(set(names)) != len(names):
        raise ValueError("a field is grouped by or summed, once, and 'count' is taken")
    for name in names:
        check_field(name)
    for some, allowed, use in ((group_by, _GROUPED, "grouped by"), (sums, _SUMMED, "summed")):
        for name in some:
            if collection.types.get(name) not in allowed:
                raise TypeError(f"{collection.name}.{name} is not declared with a type that can be {use}")
