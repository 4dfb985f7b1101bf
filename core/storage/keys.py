"""Keys that records are called by: the caller's own, or one made from a name."""

from collections.abc import Callable
from typing import TypeVar

from core.errors import Conflict
from core.storage.table import Record, Table
from core.tenancy import Project

R = TypeVar("R", bound=Record)
_ATTEMPTS = 20


async def insert_with_key(table: Table[R], project: Project, with_key: Callable[[str], R], key: str, stem: str) -> R:
    """Insert `with_key(key)` or, where the key is empty, the record of the first free one of stem, stem-2, stem-3, ...
    The key must be the collection's only unique field. Raises Conflict."""
    keys = [key] if key else [stem, *(f"{stem}-{at}" for at in range(2, _ATTEMPTS))]
    for each in keys:
        record = with_key(each)
        try:
            await table.insert(project, record)
        except Conflict:
            continue
        return record
    raise Conflict(f"The key {keys[0]} is taken in this project. Choose another.", reason="KEY_TAKEN", field="key")
