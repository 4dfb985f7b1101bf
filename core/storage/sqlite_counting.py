"""Insertion of documents together with counts of them, as one transaction of a SQLite database."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from core.storage import statements
from core.storage.checks import added
from core.storage.documents import checked_id, decode, escape, stored, text_of
from core.storage.ports import Collection, Counting, Document
from core.storage.where_sql import Clause, among, joined

Row = tuple[str, str, str]


class Counted(NamedTuple):
    """A document to be counted, and its row."""

    document: Document
    row: Row


def counted_rows(
    collection: Collection, project: str, documents: Sequence[Document], texts: Sequence[str] | None
) -> dict[str, Counted]:
    """The documents by id, the first of each. Texts that are given are not checked. Raises InvalidInput."""
    if texts is not None:
        return {
            document["id"]: Counted(document, (project, document["id"], text))
            for document, text in zip(documents, texts, strict=True)
        }
    found: dict[str, Counted] = {}
    for document in documents:
        if checked_id(document) not in found:
            id, text = stored(collection, project, document)
            found[id] = Counted(document, (project, escape(id), text))
    return found


@dataclass(frozen=True, slots=True)
class CountedInsert:
    """New documents of one scope, by id: `within` is its rows, `project` its project or empty."""

    collection: Collection
    counters: Collection
    documents: Mapping[str, Counted]
    counting: Counting
    within: Clause
    project: str

    def run(self, connection: sqlite3.Connection) -> int:
        """Insert what is new, add what it counts, and return the number of new documents. Work for a writer's thread: a
        batch may make thousands of counters."""
        new = self._insert_new(connection)
        increments = list(self.counting([each.document for each in new]))
        named = self._named(each.id for each in increments)
        old = _pairs(connection, statements.select_documents(self.counters, named))
        sums = [
            added(self.counters, None if (text := old.get(escape(each.id))) is None else decode(text), each)
            for each in increments
        ]
        rows = [(self.project, escape(each["id"]), text_of(self.counters, self.project, each)) for each in sums]
        connection.executemany(statements.insert(self.counters, replace=True), rows)
        return len(new)

    def _insert_new(self, connection: sqlite3.Connection) -> list[Counted]:
        """Insert the documents that are new, and return them. Most often all are, so that is tried first."""
        new = list(self.documents.values())
        connection.execute("SAVEPOINT counted")
        if self._insert(connection, new) < len(new):
            connection.execute("ROLLBACK TO counted")
            known = _pairs(connection, statements.select_ids(self.collection, self._named(self.documents)))
            new = [each for each in new if each.row[1] not in known]
            self._insert(connection, new)
        return new

    def _insert(self, connection: sqlite3.Connection, documents: Sequence[Counted]) -> int:
        """Insert the documents whose ids are not known, and return the number of those."""
        before = connection.total_changes
        connection.executemany(statements.insert(self.collection, skip_known=True), [each.row for each in documents])
        return connection.total_changes - before

    def _named(self, ids: Iterable[str]) -> Clause:
        return joined([self.within, among(ids)])


def _pairs(connection: sqlite3.Connection, asked: Clause) -> dict[str, str]:
    """The two columns of the rows that a statement selects."""
    return {row[0]: row[1] for row in connection.execute(asked.sql, asked.values)}
