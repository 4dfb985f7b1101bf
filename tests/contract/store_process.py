"""A process that uses the store of a folder, for tests: python -m tests.contract.store_process JOB FOLDER NAME.

It prints what the store has acknowledged, a line each.
"""

import asyncio
import os
import sys
from pathlib import Path

from core.storage.migrations import Migration, Migrations
from core.storage.ports import TEXT, TIME, Collection, DocumentStore, Level
from core.storage.schema import Schema
from core.storage.sqlite import SqliteStore
from core.tenancy import Main, Project, Tenant

NOTES = Collection("notes", Level.PROJECT, {"key": TEXT, "kind": TEXT, "createdAt": TIME}, unique=(("key",),))
ACME = Tenant("acme")
RED = Project(ACME, "red")
COUNT = 60


def said(text: str) -> None:
    print(text, flush=True)


async def insert(store: DocumentStore, name: str) -> None:
    """Without end."""
    number = 0
    while True:
        await store.insert(RED, NOTES, {"id": f"{name}{number}", "text": "x" * 500})
        said(f"{name}{number}")
        batch = [{"id": f"{name}{number}.{i}", "batch": f"{name}{number}"} for i in range(20)]
        await store.insert_many(RED, NOTES, batch)
        for document in batch:
            said(document["id"])
        number += 1


async def compete(store: DocumentStore, name: str) -> None:
    """Write keys of its own, keys that others want too, and a counter that all of them count up."""
    for i in range(COUNT):
        await store.insert(RED, NOTES, {"id": f"{name}{i}"})
        try:
            await store.insert(RED, NOTES, {"id": f"{name}k{i}", "key": f"key{i}"})
            said(f"{name}k{i}")
        except Exception as error:  # the name of the class is the outcome
            said(type(error).__name__)
        while True:
            counter = await store.get(RED, NOTES, "counter") or {"n": 0}
            if await store.update(RED, NOTES, "counter", {"n": counter["n"] + 1}, where={"n": counter["n"]}):
                break


async def migrate_and_die(store: DocumentStore, name: str) -> None:
    async def first(store: DocumentStore, scope: Main | Tenant) -> None:
        await store.insert(RED, NOTES, {"id": "first"})

    async def second(store: DocumentStore, scope: Main | Tenant) -> None:
        await store.insert(RED, NOTES, {"id": "half of the second"})
        said("dies")
        os._exit(9)

    steps = (Migration(1, "first", first), Migration(2, "second", second))
    migrating = SqliteStore(Path(sys.argv[2]), Schema([NOTES], Migrations("notes", tenant=steps, lease_seconds=0.2)))
    await migrating.count(RED, NOTES)


async def fail(store: DocumentStore, name: str) -> None:
    await store.insert(RED, NOTES, {"id": "n1"})
    raise SystemExit("fails with an open store")


async def create(store: DocumentStore, name: str) -> None:
    await store.insert(RED, NOTES, {"id": name})
    said("created")


async def main() -> None:
    job, folder, name = sys.argv[1:]
    store = SqliteStore(Path(folder), Schema([NOTES]))
    said("started")
    await asyncio.to_thread(sys.stdin.readline)
    jobs = {"fail": fail, "insert": insert, "compete": compete, "migrate_and_die": migrate_and_die, "create": create}
    await store.create_tenant(ACME)
    await jobs[job](store, name)
    await store.close()


if __name__ == "__main__":
    asyncio.run(main())
