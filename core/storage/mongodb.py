"""The document store on MongoDB: `portico_main` and a `tenant_<slug>` database per tenant.

Every method is one command on one document, or one that may be repeated, so it needs no transaction. Writes are
acknowledged by a majority and its journals, reads come from the primary.
"""

import copy
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import BulkWriteError, DuplicateKeyError

from core.errors import FailedPrecondition
from core.storage import mongodb_documents as bson_documents
from core.storage import page_tokens
from core.storage.checks import MAX_PAGE_LENGTH, check_counted, check_listing, check_totals, fitting
from core.storage.conditions import conditions, sortable
from core.storage.documents import (
    check_amounts,
    check_changes,
    check_size,
    check_text,
    decode,
    encode,
)
from core.storage.migrations import migrate
from core.storage.mongodb_changes import increment, skip_known, update
from core.storage.mongodb_counting import CountedInserts
from core.storage.mongodb_databases import Bson, Databases, apply, connect
from core.storage.mongodb_documents import ID, id_of
from core.storage.mongodb_errors import translated
from core.storage.mongodb_filters import (
    Filter,
    alive,
    all_of,
    expired,
    filtered,
    ordered,
    read_totals,
    segments_after,
    totals,
    within,
)
from core.storage.ports import Collection, Counting, Document, Order, Page, Where
from core.storage.schema import Schema, database_of
from core.tenancy import AllProjects, Main, Project, Scope, Tenant


class MongoStore:
    """`url` is a connection string with all that MongoDB's drivers take in one, `prefix` begins the names of databases.
    `pool` bounds the connections to each server, `seconds` the time of a call. A tenant that another process removes is
    refused here after `trust_seconds` at most; its removal waits for as long."""

    def __init__(
        self,
        url: str,
        schema: Schema,
        *,
        prefix: str = "",
        pool: int = 50,
        seconds: float = 10.0,
        trust_seconds: float = 1.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._schema = schema
        self._clock = clock
        self._counted = CountedInserts()
        client = connect(url, pool=pool, seconds=seconds)
        self._databases = Databases(client, prefix=prefix, trust_seconds=trust_seconds)

    async def create_tenant(self, tenant: Tenant) -> None:
        with translated(tenant.slug):
            await self._databases.create(tenant)

    async def drop_tenant(self, tenant: Tenant) -> None:
        with translated(tenant.slug):
            await self._databases.drop(tenant)

    async def insert(self, scope: Scope, collection: Collection, document: Document) -> None:
        self._schema.check(scope, collection, write=True)
        new = bson_documents.new(scope, collection, document)
        async with self._use(scope, collection) as documents:
            await self._write(documents, collection, lambda: documents.insert_one(new))

    async def insert_many(self, scope: Scope, collection: Collection, documents: Sequence[Document]) -> int:
        self._schema.check(scope, collection, write=True)
        rows = [bson_documents.new(scope, collection, document) for document in documents]
        if not rows:
            return 0
        async with self._use(scope, collection) as of:
            await self._delete_expired(of, collection)
            try:
                return len((await of.insert_many(rows, ordered=False)).inserted_ids)
            except BulkWriteError as error:
                return await skip_known(of, rows, error)

    async def insert_counted(
        self,
        scope: Scope,
        collection: Collection,
        documents: Sequence[Document],
        counters: Collection,
        counting: Counting,
        *,
        texts: Sequence[str] | None = None,
    ) -> int:
        """Count the documents as soon as they are there, not at the same moment: see `mongodb_counting`."""
        for each in (collection, counters):
            self._schema.check(scope, each, write=True)
        check_counted(collection, counters)
        rows: dict[str, Bson] = {}
        for document in documents:
            row = bson_documents.new(scope, collection, document)
            rows.setdefault(row[ID], row)
        async with self._use(scope, collection) as of:
            if not rows:
                return 0
            return await self._counted.insert(of.database, scope, collection, counters, list(rows.values()), counting)

    async def get(self, scope: Scope, collection: Collection, id: str) -> Document | None:
        self._schema.check(scope, collection, write=False)
        check_text(id, "id")
        return await self._first(scope, collection, [self._by_id(scope, id)])

    async def find_one(self, scope: Scope, collection: Collection, where: Where) -> Document | None:
        self._schema.check(scope, collection, write=False)
        return await self._first(scope, collection, filtered(collection, conditions(collection, where)))

    async def _first(self, scope: Scope, collection: Collection, tests: list[Filter]) -> Document | None:
        rows = self._rows(scope, collection, tests)
        async with self._use(scope, collection) as documents:
            found = await documents.find_one(rows)
        return None if found is None else bson_documents.read(collection, found)

    async def find(
        self,
        scope: Scope,
        collection: Collection,
        where: Where | None = None,
        *,
        order: Order = Order(),
        page_size: int = 50,
        page_token: str = "",
    ) -> Page:
        self._schema.check(scope, collection, write=False)
        check_listing(collection, order, page_size)
        conds = conditions(collection, where)
        bound_to = page_tokens.binding(scope, collection, conds, order)
        position = page_tokens.decode(bound_to, page_token)
        tests = filtered(collection, conds)
        found: list[Document] = []
        lengths: list[int] = []
        characters, full = 0, False
        async with self._use(scope, collection) as documents:
            for segment in segments_after(collection, order, position):
                rows = self._rows(scope, collection, [*tests, segment])
                limit = page_size + 1 - len(found)
                async with documents.find(rows, sort=ordered(collection, order), limit=limit) as cursor:
                    async for each in cursor:
                        found.append(bson_documents.read(collection, each))
                        lengths.append(len(encode(found[-1])))
                        characters += lengths[-1]
                        if full := len(found) > page_size or (len(found) > 1 and characters > MAX_PAGE_LENGTH):
                            break
                if full:
                    break
        kept = fitting(lengths[:page_size])
        next_token = ""
        if kept < len(found):
            last = found[kept - 1]
            project = last["project"] if isinstance(scope, Project | AllProjects) else ""
            next_token = page_tokens.encode(bound_to, (sortable(last.get(order.field)), last["id"], project))
        return Page(found[:kept], next_token)

    async def count(self, scope: Scope, collection: Collection, where: Where | None = None) -> int:
        self._schema.check(scope, collection, write=False)
        rows = self._rows(scope, collection, filtered(collection, conditions(collection, where)))
        async with self._use(scope, collection) as documents:
            return await documents.count_documents(rows)

    async def update(
        self,
        scope: Scope,
        collection: Collection,
        id: str,
        changes: Mapping[str, Any],
        *,
        where: Where | None = None,
    ) -> Document | None:
        self._schema.check(scope, collection, write=True)
        check_changes(collection, changes)
        check_text(id, "id")
        text = encode(dict(changes))
        check_size(collection, changes, len(text))
        values = bson_documents.values(collection, decode(text))
        tests = [self._by_id(scope, id), *filtered(collection, conditions(collection, where))]
        rows = self._rows(scope, collection, tests)
        async with self._use(scope, collection) as documents:
            change = partial(update, documents, scope, collection, rows, values, len(text))
            found = await self._write(documents, collection, change)
        return None if found is None else bson_documents.read(collection, found)

    async def increment(
        self,
        scope: Scope,
        collection: Collection,
        id: str,
        amounts: Mapping[str, int],
        *,
        initial: Mapping[str, Any] | None = None,
    ) -> Document:
        self._schema.check(scope, collection, write=True)
        check_amounts(collection, amounts, initial or {})
        new = bson_documents.new(scope, collection, {**(initial or {}), **amounts, "id": id})
        async with self._use(scope, collection) as documents:
            await self._delete_expired(documents, collection)
            return bson_documents.read(collection, await increment(documents, scope, collection, new, amounts))

    async def delete(self, scope: Scope, collection: Collection, id: str) -> bool:
        self._schema.check(scope, collection, write=False)
        check_text(id, "id")
        return await self._delete(scope, collection, [self._by_id(scope, id)]) > 0

    async def delete_where(self, scope: Scope, collection: Collection, where: Where) -> int:
        self._schema.check(scope, collection, write=False)
        return await self._delete(scope, collection, filtered(collection, conditions(collection, where)))

    async def _delete(self, scope: Scope, collection: Collection, tests: list[Filter]) -> int:
        rows = self._rows(scope, collection, tests)
        async with self._use(scope, collection) as documents:
            return (await documents.delete_many(rows)).deleted_count

    async def totals(
        self,
        scope: Scope,
        collection: Collection,
        where: Where | None,
        *,
        group_by: Sequence[str],
        sums: Sequence[str],
    ) -> list[Document]:
        self._schema.check(scope, collection, write=False)
        check_totals(collection, group_by, sums)
        rows = self._rows(scope, collection, filtered(collection, conditions(collection, where)))
        async with self._use(scope, collection) as documents:
            cursor = await documents.aggregate(totals(collection, group_by, sums, rows), allowDiskUse=True)
            return read_totals(group_by, sums, [row async for row in cursor])

    async def sweep(self) -> int:
        count = 0
        for handle in self._databases.in_use():
            for collection in self._schema.of(handle.of):
                if collection.expiry:
                    with suppress(FailedPrecondition):  # the tenant has just been dropped
                        async with self._use(handle.of, collection) as documents:
                            count += await self._delete_expired(documents, collection)
        return count

    async def scrub(self, database: Main | Tenant) -> None:
        """Do nothing: MongoDB reuses the place of what was deleted as it comes, and cannot be told to overwrite it."""
        with translated(database.slug if isinstance(database, Tenant) else "main"):
            await self._databases.use(database)

    async def check(self) -> None:
        with translated("main"):
            await self._databases.ping()

    async def close(self) -> None:
        await self._databases.close()

    @asynccontextmanager
    async def _use(self, scope: Scope, collection: Collection) -> AsyncIterator[AsyncCollection[Bson]]:
        of = database_of(scope)
        with translated(of.slug if isinstance(of, Tenant) else "main"):
            handle = await self._databases.use(of)
            if self._schema.applies and not handle.applied:
                await apply(handle, self._schema, lambda: migrate(self._as_it_is(), of, self._schema.migrations))
            yield handle.database[collection.name]

    def _as_it_is(self) -> "MongoStore":
        """This store for a migration: it takes a database as it is, whatever is declared."""
        view = copy.copy(self)
        view._schema = self._schema.as_it_is()
        return view

    async def _write(self, documents: AsyncCollection[Bson], collection: Collection, write: Callable[[], Any]) -> Any:
        """One command. What has expired stands in nobody's way."""
        try:
            return await write()
        except DuplicateKeyError:
            if not await self._delete_expired(documents, collection):
                raise
        return await write()

    async def _delete_expired(self, documents: AsyncCollection[Bson], collection: Collection) -> int:
        """Delete the expired documents, and return their number."""
        if not collection.expiry:
            return 0
        return (await documents.delete_many(expired(collection, self._clock()))).deleted_count

    def _by_id(self, scope: Scope, id: str) -> Filter:
        return {"id": {"$eq": id}} if isinstance(scope, AllProjects) else {ID: {"$eq": id_of(scope, id)}}

    def _rows(self, scope: Scope, collection: Collection, tests: list[Filter]) -> Filter:
        return all_of([*within(scope, collection), *tests, *alive(collection, self._clock())])
