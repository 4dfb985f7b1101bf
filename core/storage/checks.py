"""Checks of calls that every adapter makes alike, beside `Schema.check`."""

from collections.abc import Iterable, Sequence

from core.errors import InvalidInput
from core.storage.documents import check_field
from core.storage.ports import Order

MAX_PAGE_SIZE = 1000
MAX_PAGE_LENGTH = 2 * 1024 * 1024
"""Characters of JSON of a page's documents together, or one document: a page of large ones has fewer of them."""
MAX_TOTALS = 10_000


def check_listing(order: Order, page_size: int) -> None:
    check_field(order.field)
    if not 1 <= page_size <= MAX_PAGE_SIZE:
        raise InvalidInput(f"A page has 1 to {MAX_PAGE_SIZE} entries.", field="pageSize")


def fitting(lengths: Iterable[int]) -> int:
    """How many documents of these lengths make a page; one at least, if there is one."""
    count = whole = 0
    for length in lengths:
        whole += length
        if count and whole > MAX_PAGE_LENGTH:
            break
        count += 1
    return count


def check_totals(group_by: Sequence[str], sums: Sequence[str]) -> None:
    names = (*group_by, "count", *sums)
    if len(set(names)) != len(names):
        raise ValueError("a field is grouped by or summed, once, and 'count' is taken")
    for name in names:
        check_field(name)
