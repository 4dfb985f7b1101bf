"""Insertion of documents together with counts of them, as one transaction of a SQLite database."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import aiosqlite

from core.storage import statements
from core.storage.checks import added
from core.storage.documents import decode, escape, stored
from core.storage.ports import Collection, Counting, Document
from core.storage.where_sql import Clause, among, joined


@dataclass(frozen=True, slots=True)
class CountedInsert:
    """New documents of one scope: `within` is its rows, `project` its project or empty."""

    collection: Collection
    counters: Collection
    documents: Mapping[str, Document]
    """By id."""
    counting: Counting
    within: Clause
    project: str

    async def run(self, connection: aiosqlite.Connection) -> int:
        """Insert what is new, add what it counts, and return the number of new documents."""
        new = await self._insert_new(connection)
        increments = list(self.counting(new))
        named = self._named(each.id for each in increments)
        old = await _pairs(connection, statements.select_documents(self.counters, named))
        sums = [
            added(self.counters, None if (text := old.get(escape(each.id))) is None else decode(text), each)
            for each in increments
        ]
        rows = self._rows(self.counters, sums)
        async with connection.executemany(statements.insert(self.counters, replace=True), rows):
            return len(new)

    async def _insert_new(self, connection: aiosqlite.Connection) -> list[Document]:
        """Insert the documents that are new, and return them. Most often all are, so that is tried first."""
        new = list(self.documents.values())
        await connection.execute("SAVEPOINT counted")
        if await self._insert(connection, new) < len(new):
            await connection.execute("ROLLBACK TO counted")
            known = await _pairs(connection, statements.select_ids(self.collection, self._named(self.documents)))
            new = [document for document in new if escape(document["id"]) not in known]
            await self._insert(connection, new)
        return new

    async def _insert(self, connection: aiosqlite.Connection, documents: Sequence[Document]) -> int:
        """Insert the documents whose ids are not known, and return the number of those."""
        before = connection.total_changes
        rows = self._rows(self.collection, documents)
        async with connection.executemany(statements.insert(self.collection, skip_known=True), rows):
            return connection.total_changes - before

    def _named(self, ids: Iterable[str]) -> Clause:
        return joined([self.within, among(ids)])

    def _rows(self, collection: Collection, documents: Sequence[Document]) -> list[tuple[str, str, str]]:
        texts = (stored(collection, self.project, document) for document in documents)
        return [(self.project, escape(id), text) for id, text in texts]


async def _pairs(connection: aiosqlite.Connection, asked: Clause) -> dict[str, str]:
    """The two columns of the rows that a statement selects."""
    return {row[0]: row[1] for row in await connection.execute_fetchall(asked.sql, asked.values)}
