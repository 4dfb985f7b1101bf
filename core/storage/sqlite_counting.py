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
        known = await _pairs(connection, statements.select_ids(self.collection, self._named(self.documents)))
        new = [document for id, document in self.documents.items() if escape(id) not in known]
        increments = list(self.counting(new))
        named = self._named(each.id for each in increments)
        old = await _pairs(connection, statements.select_documents(self.counters, named))
        sums = [
            added(self.counters, None if (text := old.get(escape(each.id))) is None else decode(text), each)
            for each in increments
        ]
        await connection.executemany(statements.insert(self.collection), self._rows(self.collection, new))
        await connection.executemany(statements.insert(self.counters, replace=True), self._rows(self.counters, sums))
        return len(new)

    def _named(self, ids: Iterable[str]) -> Clause:
        return joined([self.within, among(ids)])

    def _rows(self, collection: Collection, documents: Sequence[Document]) -> list[tuple[str, str, str]]:
        texts = (stored(collection, self.project, document) for document in documents)
        return [(self.project, escape(id), text) for id, text in texts]


async def _pairs(connection: aiosqlite.Connection, asked: Clause) -> dict[str, str]:
    """The two columns of the rows that a statement selects."""
    return {row[0]: row[1] for row in await connection.execute_fetchall(asked.sql, asked.values)}
