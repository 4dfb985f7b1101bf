"""The databases of MongoDB: `portico_main` and a `tenant_<slug>` per tenant, and what is declared for them.

MongoDB creates a database by the first write to it. So that no late call brings back a tenant that was removed, the
main database has a marker of each tenant's, which every store looks at before it uses the database and then trusts for
`trust_seconds`. Whoever removes a tenant first changes the marker and waits for as long, so that when the database goes
nobody writes to it any more. The marker's generation tells a tenant that was created anew from its predecessor.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.asynchronous.mongo_client import AsyncMongoClient
from pymongo.errors import DuplicateKeyError

from core import logs
from core.bounded import BoundedDict
from core.errors import Conflict, FailedPrecondition, Unavailable
from core.storage.migrations import with_records
from core.storage.mongodb_documents import ID, UNIQUE, VERSION, name_of, unique_key
from core.storage.ports import Collection, Level
from core.storage.schema import Schema
from core.tenancy import Main, Tenant

_log = logs.get(__name__)

Bson = dict[str, Any]
_MARKERS = "portico_databases"
_GRACE_SECONDS = 0.05
"""For a call that has just looked at the marker."""
_MOST_KNOWN = 10_000


@dataclass(slots=True)
class Handle:
    """A database in use. `generation` is the marker's, empty for the main database."""

    of: Main | Tenant
    database: AsyncDatabase[Bson]
    generation: str
    seen: float = 0.0
    """Monotonic seconds of the last look at the marker."""
    applied: bool = False
    applying: asyncio.Lock = field(default_factory=asyncio.Lock)


def connect(url: str, *, pool: int = 50, seconds: float = 10.0) -> AsyncMongoClient[Bson]:
    """A client whose writes are durable where they are acknowledged. `pool` bounds the connections to each server,
    `seconds` the time of a call."""
    return AsyncMongoClient(
        url,
        appname="portico",
        maxPoolSize=pool,
        timeoutMS=round(seconds * 1000),
        serverSelectionTimeoutMS=round(seconds * 1000),
        w="majority",
        journal=True,
        readConcernLevel="majority",
        tz_aware=True,
    )


class Databases:
    """Handles of the databases that this process uses."""

    def __init__(
        self,
        client: AsyncMongoClient[Bson],
        *,
        prefix: str,
        trust_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`prefix` begins the databases' names."""
        self._client = client
        self._prefix = prefix
        self._trust_seconds = trust_seconds
        self._clock = clock
        self._handles: BoundedDict[Main | Tenant, Handle] = BoundedDict(_MOST_KNOWN)

    def in_use(self) -> list[Handle]:
        return list(self._handles.values())

    async def use(self, of: Main | Tenant) -> Handle:
        """The handle of a database. Raises FailedPrecondition for a tenant that was never created or was removed."""
        handle = self._handles.get(of)
        if isinstance(of, Main):
            if handle is None:
                handle = self._handles[of] = Handle(of, self._named("portico_main"), "")
            return handle
        now = self._clock()
        if handle is not None and now - handle.seen < self._trust_seconds:
            return handle
        marker = await self._markers.find_one({ID: of.slug, "removed": False})
        if marker is None:
            self._handles.pop(of, None)
            raise FailedPrecondition("This tenant is not known here.", reason="UNKNOWN_TENANT")
        handle = self._handles.get(of)
        if handle is None or handle.generation != marker["generation"]:
            handle = self._handles[of] = Handle(of, self._of(of), marker["generation"])
        handle.seen = max(handle.seen, now)
        return handle

    async def create(self, tenant: Tenant) -> None:
        try:
            await self._markers.insert_one({ID: tenant.slug, "generation": uuid4().hex, "removed": False})
        except DuplicateKeyError:
            if await self._markers.find_one({ID: tenant.slug, "removed": True}):
                raise Unavailable("The tenant is being removed. Try again.", retry_after=1.0) from None

    async def drop(self, tenant: Tenant) -> None:
        marked = await self._markers.update_one({ID: tenant.slug}, {"$set": {"removed": True}})
        self._handles.pop(tenant, None)
        if marked.matched_count:
            await asyncio.sleep(self._trust_seconds + _GRACE_SECONDS)
            await self._client.drop_database(self._of(tenant))
            await self._markers.delete_one({ID: tenant.slug, "removed": True})

    async def ping(self) -> None:
        """Raise PyMongoError where the server does not answer."""
        await self._client.admin.command("ping")

    async def close(self) -> None:
        await self._client.close()

    @property
    def _markers(self) -> AsyncCollection[Bson]:
        return self._named("portico_main")[_MARKERS]

    def _of(self, tenant: Tenant) -> AsyncDatabase[Bson]:
        return self._named(f"tenant_{tenant.slug}")

    def _named(self, name: str) -> AsyncDatabase[Bson]:
        return self._client[self._prefix + name]


async def apply(handle: Handle, schema: Schema, migrate: Callable[[], Awaitable[None]]) -> None:
    """Apply what is declared to a database, once for each of its generations. Safe to be done by several processes at
    the same time. Raises Unavailable where the records that are there do not allow it."""
    async with handle.applying:
        if handle.applied:
            return
        declared = schema.of(handle.of)
        try:
            existing = set(await handle.database.list_collection_names())
            for collection in with_records(schema.migrations, handle.of, declared):
                if collection.name not in existing:
                    await _define(handle.database, collection)
            await migrate()
            for collection in declared:
                if collection.name in existing:
                    await _define(handle.database, collection)
        except (Conflict, DuplicateKeyError) as error:  # of records that are there: no caller can mend that
            _log.error("database not brought to what is declared", database=handle.database.name, error=str(error))
            raise Unavailable("The store cannot be brought up to date. Its log says why.") from error
        handle.applied = True


def indexes(collection: Collection) -> dict[str, tuple[Sequence[tuple[str, int]], bool]]:
    """Name -> fields, and whether it is unique. The name says what the index is, so another declaration has another
    name."""
    project = [("project", 1)] if collection.level is Level.PROJECT else []
    return {
        **{f"unique {name_of(group)}": ([(f"{UNIQUE}.{name_of(group)}", 1)], True) for group in collection.unique},
        **{
            f"index {name_of(group)}": ([*project, *((name, 1) for name in group), ("id", 1)], False)
            for group in collection.indexes
        },
        **({f"expiry {collection.expiry}": ([(collection.expiry, 1)], False)} if collection.expiry else {}),
    }


async def _define(database: AsyncDatabase[Bson], collection: Collection) -> None:
    of, declared = database[collection.name], indexes(collection)
    present = {each["name"] async for each in await of.list_indexes()} - {"_id_"}
    for name in sorted(present - declared.keys()):
        if name.startswith(("unique ", "index ", "expiry ")):
            await of.drop_index(name)
            if name.startswith("unique "):
                await of.update_many({}, {"$unset": {f"{UNIQUE}.{name.removeprefix('unique ')}": ""}})
    for name, (fields, unique) in declared.items():
        if name not in present:
            await of.create_index(list(fields), name=name, unique=unique, sparse=unique)
    for group in collection.unique:
        if f"unique {name_of(group)}" not in present:
            await _add_keys(of, collection, group)


async def _add_keys(of: AsyncCollection[Bson], collection: Collection, group: tuple[str, ...]) -> None:
    """Give the documents that are there their keys of a group that was declared later."""
    path = f"{UNIQUE}.{name_of(group)}"
    async for found in of.find({path: {"$exists": False}, **{name: {"$ne": None} for name in group}}):
        key = unique_key(found["project"] if collection.level is Level.PROJECT else "", group, found)
        unchanged = {ID: found[ID], VERSION: found[VERSION]}
        await of.update_one(unchanged, {"$set": {path: key}, "$inc": {VERSION: 1}})
