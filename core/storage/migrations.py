"""Changes of stored documents, in order, once per database, recorded in the database itself.

    MIGRATIONS = Migrations("auth", tenant=(
        Migration(1, "users get a lower-case address", add_address),
        Migration(2, "roles become scopes", roles_to_scopes),
    ))
    main("auth", Settings, build, collections=COLLECTIONS, migrations=MIGRATIONS)

The store runs what a database still lacks when it first uses it. A migration works through the port, so it is the same
for every engine; its store takes any collection that exists, declared or not, so that it can read what an older
declaration wrote. It must be idempotent: after a crash it runs again from its beginning. It runs after new collections
are created and before changed unique groups are enforced, in one process at a time.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from core import logs
from core.errors import Conflict
from core.storage.ports import Collection, DocumentStore, Level
from core.tenancy import Main, Tenant

_log = logs.get(__name__)
_NAME = "portico_migrations"
_OF_MAIN = Collection(_NAME, Level.MAIN)
_OF_TENANT = Collection(_NAME, Level.TENANT)
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Migration:
    version: int
    name: str
    run: Callable[[DocumentStore, Main | Tenant], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Migrations:
    """Migrations of one service. `owner` keeps its versions apart from those of the services that share the database.

    A process that dies while it migrates holds up the others for `lease_seconds`.
    """

    owner: str
    main: tuple[Migration, ...] = ()
    tenant: tuple[Migration, ...] = ()
    lease_seconds: float = 30.0

    def __post_init__(self) -> None:
        for steps in (self.main, self.tenant):
            if [step.version for step in steps] != list(range(1, len(steps) + 1)):
                raise ValueError(f"the migrations of {self.owner} are numbered 1, 2, 3, ... in order")

    def of(self, scope: Main | Tenant) -> tuple[Migration, ...]:
        return self.main if isinstance(scope, Main) else self.tenant


NO_MIGRATIONS = Migrations("none")


def with_records(
    migrations: Migrations, scope: Main | Tenant, collections: Sequence[Collection]
) -> Sequence[Collection]:
    """The collections that must exist before `migrate`."""
    return [*collections, _records(scope)] if migrations.of(scope) else collections


async def migrate(store: DocumentStore, scope: Main | Tenant, migrations: Migrations) -> None:
    """Run what has not been recorded yet, each step recorded when it is done."""
    steps = migrations.of(scope)
    if not steps or not await _pending(store, scope, migrations):
        return
    async with _lease(store, scope, migrations):
        for step in await _pending(store, scope, migrations):
            await step.run(store, scope)
            record = {"id": _id(migrations, step), "name": step.name, "appliedAt": time.time()}
            await store.insert(scope, _records(scope), record)
            _log.info("migrated", owner=migrations.owner, version=step.version, name=step.name)


async def _pending(store: DocumentStore, scope: Main | Tenant, migrations: Migrations) -> list[Migration]:
    steps = migrations.of(scope)
    return [step for step in steps if not await store.get(scope, _records(scope), _id(migrations, step))]


def _id(migrations: Migrations, step: Migration) -> str:
    return f"{migrations.owner}.{step.version}"


def _records(scope: Main | Tenant) -> Collection:
    return _OF_MAIN if isinstance(scope, Main) else _OF_TENANT


@asynccontextmanager
async def _lease(store: DocumentStore, scope: Main | Tenant, migrations: Migrations) -> AsyncIterator[None]:
    """Ours alone until the block ends, or until we die and `lease_seconds` pass."""
    id, holder, seconds = f"{migrations.owner}.lease", secrets.token_hex(8), migrations.lease_seconds
    while not await _acquire(store, scope, id, holder, seconds):  # noqa: ASYNC110 - another process may hold it
        await asyncio.sleep(_POLL_SECONDS)
    renewing = asyncio.create_task(_renew(store, scope, id, holder, seconds))
    try:
        yield
    finally:
        renewing.cancel()
        with suppress(asyncio.CancelledError):
            await renewing
        await store.delete_where(scope, _records(scope), {"id": id, "holder": holder})


async def _acquire(store: DocumentStore, scope: Main | Tenant, id: str, holder: str, seconds: float) -> bool:
    lease = {"id": id, "holder": holder, "expiresAt": time.time() + seconds}
    try:
        await store.insert(scope, _records(scope), lease)
    except Conflict:
        held = await store.get(scope, _records(scope), id)
        if held is None or held["expiresAt"] > time.time():
            return False
        del lease["id"]
        unchanged = {"holder": held["holder"], "expiresAt": held["expiresAt"]}
        return await store.update(scope, _records(scope), id, lease, where=unchanged) is not None
    return True


async def _renew(store: DocumentStore, scope: Main | Tenant, id: str, holder: str, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds / 3)
        expiry = {"expiresAt": time.time() + seconds}
        await store.update(scope, _records(scope), id, expiry, where={"holder": holder})
