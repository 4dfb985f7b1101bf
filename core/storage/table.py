"""Typed records of one collection.

class Label(Record, frozen=True):
    id: str
    created_at: float
    text: str = ""

labels = Table(store, LABELS, Label)
await labels.update(project, "n1", text="new", where={"text": "old"})
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from core.storage.ports import Collection, Document, DocumentStore, Order, Where
from core.storage.scan import OLDEST_FIRST, scan
from core.tenancy import Scope

_PAGE = 50


class Record(msgspec.Struct, frozen=True, rename="camel"):
    """Base of stored records. A document spells the fields in lowerCamelCase and leaves out what is None; what it has
    beyond the fields, of a later version, is ignored. Where a subclass omits defaults, `msgspec.to_builtins` alone
    makes its documents, in half the time of `to_document`: for records that are written often."""

    hidden: ClassVar[frozenset[str]] = frozenset()
    """Names of fields that `repr` must not show."""

    def __repr__(self) -> str:
        shown = (f"{name}={getattr(self, name)!r}" for name in self.__struct_fields__ if name not in self.hidden)
        return f"{type(self).__name__}({', '.join(shown)})"


T = TypeVar("T", bound=Record)


def to_document(record: Record) -> Document:
    return {name: value for name, value in msgspec.to_builtins(record).items() if value is not None}


def from_document(cls: type[T], document: Document) -> T:
    """Raises msgspec.ValidationError for a document that no version of the record has written."""
    return msgspec.convert({name: value for name, value in document.items() if value is not None}, cls)


class Table(Generic[T]):
    """The records of one collection. Each method takes the scope first; errors are the store's.

    A `where` and an order name fields as documents spell them; changes are keywords, as the record spells them.
    """

    def __init__(self, store: DocumentStore, collection: Collection, record: type[T]) -> None:
        self._store = store
        self._collection = collection
        self._record = record
        self._names = dict(zip(record.__struct_fields__, record.__struct_encode_fields__, strict=True))

    async def get(self, scope: Scope, id: str) -> T | None:
        document = await self._store.get(scope, self._collection, id) if id else None
        return None if document is None else from_document(self._record, document)

    async def find_one(self, scope: Scope, where: Where) -> T | None:
        document = await self._store.find_one(scope, self._collection, where)
        return None if document is None else from_document(self._record, document)

    async def page(
        self,
        scope: Scope,
        where: Where | None = None,
        *,
        order: Order = Order(),
        page_size: int = 0,
        page_token: str = "",
    ) -> tuple[list[T], str]:
        """One page, newest first, and the token of the next. A size of 0 means 50."""
        page = await self._store.find(
            scope, self._collection, where, order=order, page_size=page_size or _PAGE, page_token=page_token
        )
        return [from_document(self._record, each) for each in page.items], page.next_token

    async def scan(self, scope: Scope, where: Where | None = None, *, order: Order = OLDEST_FIRST) -> AsyncIterator[T]:
        """Every matching record, however many there are."""
        async for document in scan(self._store, scope, self._collection, where, order=order):
            yield from_document(self._record, document)

    async def count(self, scope: Scope, where: Where | None = None) -> int:
        return await self._store.count(scope, self._collection, where)

    async def insert(self, scope: Scope, record: T) -> None:
        await self._store.insert(scope, self._collection, to_document(record))

    async def insert_many(self, scope: Scope, records: Sequence[T]) -> int:
        """Records whose ids are known are skipped; how many were new. See `DocumentStore.insert_many`."""
        return await self._store.insert_many(scope, self._collection, [to_document(each) for each in records])

    async def update(self, scope: Scope, id: str, *, where: Where | None = None, **changes: Any) -> T | None:
        """The record as it is now, or None if there is none that meets `where`. A value of None removes the field.
        Raises TypeError for a field that the record does not have."""
        if unknown := changes.keys() - self._names.keys():
            raise TypeError(f"{self._record.__name__} has no field {', '.join(sorted(unknown))}")
        fields = {self._names[name]: msgspec.to_builtins(value) for name, value in changes.items()}
        return await self.set_fields(scope, id, fields, where=where)

    async def set_fields(self, scope: Scope, id: str, fields: Document, *, where: Where | None = None) -> T | None:
        """Update as `update`, for fields of a document that the record may not know."""
        document = await self._store.update(scope, self._collection, id, fields, where=where)
        return None if document is None else from_document(self._record, document)

    async def delete(self, scope: Scope, id: str) -> bool:
        return await self._store.delete(scope, self._collection, id)

    async def delete_where(self, scope: Scope, where: Where) -> int:
        return await self._store.delete_where(scope, self._collection, where)
