"""Backup, restore, move and erasure of tenants on both stores, cut off half-way too. Services are stand-ins; the real
ones are tests/e2e/test_operations.py's."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from core import config
from core.collections import CORE_COLLECTIONS
from core.errors import Conflict, FailedPrecondition, InvalidInput, PorticoError, Unavailable
from core.sealing import Sealer, generate_key
from core.storage.ports import DocumentStore
from core.storage.schema import Schema
from core.storage.sqlite import SqliteStore
from core.storage.tenant_registry import RESTORING
from core.tenancy import MAIN, Project, Tenant
from core.tenant_data import Chunk
from services.auth.commands import domain_on
from services.auth.domain.records import ACTIVE, SUSPENDED
from services.auth.domain.registration import NewTenant
from services.auth.operations import backup, erasure, export, move, restoring, suspension
from services.auth.operations.documents import MIGRATIONS, Tally, documents_of, of_tenants
from services.auth.operations.installation import Installation, OperatorSettings
from services.inference.domain.tables import PROVIDERS, USAGE
from tests.contract.conftest import MONGODB_MARK, MongoBackend
from tests.support.mongodb import MISSING
from tests.support.removal import MARKER, files_with
from tests.support.serving import environment
from tests.support.stores import COLLECTIONS

ALL = (*CORE_COLLECTIONS, *(each for some in COLLECTIONS.values() for each in some))
SCHEMA = Schema((*ALL, MIGRATIONS))
KEYS = generate_key("k1")
CHEAP = {"PORTICO_AUTH_PASSWORD_MEMORY_KIB": "1024", "PORTICO_AUTH_PASSWORD_PASSES": "1"}


class FakeService:
    """A service with files in memory. `refuses` leaves something of each project at its provider."""

    def __init__(self, name: str = "rag") -> None:
        self.name = name
        self.kinds: Sequence[str] = ("files",)
        self.version = "1"
        self.files: dict[Tenant, dict[str, bytes]] = {}
        self.refuses = False
        self.fails: PorticoError | None = None

    async def settle(self, tenant: Tenant) -> None:
        """Nothing is held."""

    async def export(self, tenant: Tenant, kind: str) -> AsyncGenerator[Chunk, None]:
        for name, content in self.files.get(tenant, {}).items():
            yield name, content

    async def restore(self, tenant: Tenant, kind: str, chunks: AsyncIterator[Chunk]) -> int:
        if self.fails is not None:
            raise self.fails
        kept = self.files.setdefault(tenant, {})
        async for name, content in chunks:
            kept[name] = kept.get(name, b"") + content
        return len(kept)

    async def erase(self, tenant: Tenant, projects: Sequence[str], *, force: bool) -> list[str]:
        if self.fails is not None:
            raise self.fails
        if self.refuses and not force:
            return list(projects)
        self.files.pop(tenant, None)
        return []


async def installation_on(store: DocumentStore, folder: Path, service: FakeService, **env: str) -> Installation:
    given = {**environment(folder), "PORTICO_ENCRYPTION_KEYS": KEYS, **CHEAP, **env}
    settings = config.load(OperatorSettings, given)
    services: Any = {service.name: service}
    return Installation(settings, store, SCHEMA, ALL, services, await domain_on(store, settings))


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Installation]:
    """An installation on SQLite with the tenant `acme`, the marker in its documents, secrets and files."""
    store = SqliteStore(tmp_path / "here", SCHEMA)
    service = FakeService()
    installation = await installation_on(store, tmp_path / "here", service)
    wanted = NewTenant("ann@example.com", "Correct-Horse-1", MARKER, "Acme", "acme")
    made = await installation.domain.registration.register(wanted)
    project = Project(Tenant("acme"), made.project.id)
    sealer = Sealer.from_settings(KEYS)
    await store.insert(project, PROVIDERS, provider(sealer, project))
    calls = [{"id": f"use_{at}", "createdAt": float(at), "model": MARKER, "costNanos": at} for at in range(1200)]
    for start in range(0, len(calls), 400):
        await store.insert_many(project, USAGE, calls[start : start + 400])
    service.files[project.tenant] = {f"{project.id}/b/o": MARKER.encode(), f"{project.id}/b/empty": b""}
    yield installation
    await store.close()


def provider(sealer: Sealer, project: Project) -> dict[str, Any]:
    sealed = sealer.seal(project, "prov_1", MARKER.encode())
    return {"id": "prov_1", "key": "p", "driver": "openai", "label": MARKER, "sealed": sealed, "createdAt": 1.0}


@pytest.fixture(params=["sqlite", pytest.param("mongodb", marks=MONGODB_MARK)])
async def there(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[DocumentStore]:
    """An empty store of another installation."""
    if request.param == "sqlite":
        store: DocumentStore = SqliteStore(tmp_path / "there", SCHEMA)
        yield store
        await store.close()
        return
    url: str | None = request.getfixturevalue("mongodb_url")
    if url is None:
        pytest.skip(MISSING)
    mongo = MongoBackend(url)
    yield mongo.open(SCHEMA)
    await mongo.remove()


async def project_of(installation: Installation, slug: str) -> Project:
    """The only project of a tenant."""
    (found,) = [each async for each in installation.domain.tables.projects.scan(Tenant(slug))]
    return Project(Tenant(slug), found.id)


async def tallies(store: DocumentStore, tenant: Tenant, *but: str) -> dict[str, tuple[int, str]]:
    """Number and digest of the tenant's documents, by collection."""
    found = {}
    for collection in of_tenants(ALL):
        tally = Tally()
        async for document in documents_of(store, tenant, collection):
            tally.add(document)
        if tally.count and collection.name not in but:
            found[collection.name] = (tally.count, tally.digest)
    return found


async def test_a_backup_is_restored_into_another_installation(
    here: Installation, there: DocumentStore, tmp_path: Path
) -> None:
    archive, service = tmp_path / "acme.portico", FakeService()
    before = await tallies(here.store, Tenant("acme"), "audit_log", "providers")
    made = await backup.backup(here, "acme", archive)
    assert (made.documents["usage"], made.entries, made.keys) == (1200, {"rag/files": 2}, ["k1"])
    other = await installation_on(there, tmp_path / "there", service)
    record = await restoring.restore(other, archive)
    assert (record.status, record.company_name) == (ACTIVE, "Acme")
    assert await tallies(there, Tenant("acme"), "audit_log", "providers") == before
    assert service.files == here.services["rag"].files  # type: ignore[attr-defined]
    actions = [
        each.action for each in (await other.domain.audit._log.page(Tenant("acme"), {}, page_size=9, page_token=""))[0]
    ]
    assert sorted(actions) == ["tenant.backup", "tenant.restore"]


async def test_secrets_are_sealed_anew_for_another_slug_and_other_keys(
    here: Installation, there: DocumentStore, tmp_path: Path
) -> None:
    """They are bound to the tenant's slug and a key: a copy would not open."""
    archive, keys = tmp_path / "acme.portico", generate_key("k1")
    await backup.backup(here, "acme", archive)
    other = await installation_on(there, tmp_path / "there", FakeService(), PORTICO_ENCRYPTION_KEYS=keys)
    with pytest.raises(FailedPrecondition, match="PORTICO_SOURCE_ENCRYPTION_KEYS"):
        await restoring.restore(other, archive, "globex")
    assert await other.domain.tables.tenants.get(MAIN, "globex") is None
    settings = {"PORTICO_ENCRYPTION_KEYS": keys, "PORTICO_SOURCE_ENCRYPTION_KEYS": KEYS}
    other = await installation_on(there, tmp_path / "there", FakeService(), **settings)
    await restoring.restore(other, archive, "globex")
    scope = await project_of(other, "globex")
    document = await there.get(scope, PROVIDERS, "prov_1")
    assert document is not None
    assert Sealer.from_settings(keys).open(scope, "prov_1", document["sealed"]) == MARKER.encode()


async def test_a_restore_that_is_cut_off_leaves_nothing_usable_and_is_begun_anew(
    here: Installation, there: DocumentStore, tmp_path: Path
) -> None:
    archive, service = tmp_path / "acme.portico", FakeService()
    await backup.backup(here, "acme", archive)
    other = await installation_on(there, tmp_path / "there", service)

    async def fail(tenant: Tenant, kind: str, chunks: AsyncIterator[Chunk]) -> int:
        raise Unavailable("The service went away.")

    whole, service.restore = service.restore, fail  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        await restoring.restore(other, archive)
    record = await other.domain.tables.tenants.get(MAIN, "acme")
    assert record is not None
    assert record.status == RESTORING
    assert await other.domain.tenants.known("acme") is None
    service.restore = whole  # type: ignore[method-assign]
    assert (await restoring.restore(other, archive)).status == ACTIVE
    with pytest.raises(Conflict, match="--slug"):
        await restoring.restore(other, archive)


async def test_one_kind_of_state_is_restored_into_a_tenant_that_is_there(here: Installation, tmp_path: Path) -> None:
    """For traces after a move, which lie where the documents do."""
    archive, service = tmp_path / "acme.portico", here.services["rag"]
    files: dict[Tenant, dict[str, bytes]] = service.files  # type: ignore[attr-defined]
    await backup.backup(here, "acme", archive)
    kept = files.pop(Tenant("acme"))
    assert await restoring.restore_kind(here, archive, "rag/files") == 2
    assert files == {Tenant("acme"): kept}
    with pytest.raises(InvalidInput, match="no tracing/traces"):
        await restoring.restore_kind(here, archive, "tracing/traces")


async def test_a_damaged_archive_changes_nothing(here: Installation, there: DocumentStore, tmp_path: Path) -> None:
    archive = tmp_path / "acme.portico"
    await backup.backup(here, "acme", archive)
    archive.write_bytes(archive.read_bytes().replace(b'"costNanos":7,', b'"costNanos":8,', 1))
    other = await installation_on(there, tmp_path / "there", FakeService())
    with pytest.raises(InvalidInput, match="documents/"):
        await restoring.restore(other, archive)
    assert [each async for each in other.domain.tables.tenants.scan(MAIN)] == []


async def test_a_move_goes_on_where_it_was_and_compares_the_stores(here: Installation, there: DocumentStore) -> None:
    with pytest.raises(FailedPrecondition, match="Suspend it first"):
        await move.move(here, there, "acme")
    await suspension.suspend(here.domain, "acme")
    scope = await project_of(here, "acme")
    await move.move_installation(here, there)
    assert (await move.move(here, there, "acme")).documents > 1200
    again = await move.move(here, there, "acme")
    assert await tallies(there, Tenant("acme")) == await tallies(here.store, Tenant("acme"))
    await there.update(scope, USAGE, "use_7", {"costNanos": 8})
    with pytest.raises(FailedPrecondition, match="usage of acme"):
        await move.move(here, there, "acme")
    assert again.documents > 1200
    other = await domain_on(there, here.settings)
    assert await other.tenants.known("acme") is not None
    assert other.keys.signer.key_id == here.domain.keys.signer.key_id  # so that tokens stay good
    assert (await other.tables.tenants.get(MAIN, "acme")) == (await here.domain.tables.tenants.get(MAIN, "acme"))


async def test_an_erased_tenant_leaves_no_byte_and_what_is_cut_off_is_finished(
    here: Installation, tmp_path: Path
) -> None:
    service: Any = here.services["rag"]
    folder = tmp_path / "here"
    assert files_with(folder)
    service.fails = Unavailable("The service is away.")
    with pytest.raises(Unavailable):
        await erasure.erase(here, "acme")
    assert await here.domain.tenants.known("acme") is None  # nobody can use it from the first moment
    service.fails, service.refuses = None, True
    with pytest.raises(FailedPrecondition, match="--force"):
        await erasure.erase(here, "acme")
    await erasure.erase(here, "acme", force=True)
    assert files_with(folder) == []
    assert [each.tenant async for each in here.domain.tables.directory.scan(MAIN)] == []
    assert [each.everything async for each in here.domain.tables.revocations.scan(MAIN, {"suspended": None})] == [True]
    assert (await here.domain.tables.tenants.get(MAIN, "acme")) is None


async def test_a_backup_beside_writes_is_of_one_moment(here: Installation, tmp_path: Path) -> None:
    """A number that every write raises in two documents is the same in both, in every backup."""
    scope = await project_of(here, "acme")
    stop = asyncio.Event()
    pair = ("use_1", "use_2")

    async def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            for id in pair:
                await here.store.update(scope, USAGE, id, {"costNanos": number})

    writing = asyncio.create_task(write())
    try:
        for at in range(3):
            archive = tmp_path / f"{at}.portico"
            await backup.backup(here, "acme", archive)
            found = {each["id"]: each["costNanos"] for each in usage_in(here, archive) if each["id"] in pair}
            assert found["use_1"] - found["use_2"] in (0, 1)
    finally:
        stop.set()
        await writing


def usage_in(installation: Installation, archive: Path) -> list[dict[str, Any]]:
    return [document for collection, document in restoring._documents(installation, archive) if collection == USAGE]


async def test_an_export_has_no_secrets(here: Installation, tmp_path: Path) -> None:
    path = tmp_path / "acme.tar"
    await export.export(here, "acme", path)
    content = path.read_bytes()
    assert MARKER.encode() in content
    assert b"passwordHash" not in content
    assert b"v1.k1." not in content


async def test_only_a_whole_tenant_is_suspended_or_backed_up(here: Installation, tmp_path: Path) -> None:
    await suspension.suspend(here.domain, "acme")
    assert (await here.domain.tables.tenants.get(MAIN, "acme")).status == SUSPENDED  # type: ignore[union-attr]
    await suspension.resume(here.domain, "acme")
    await here.domain.tables.tenants.update(MAIN, "acme", status=RESTORING)
    with pytest.raises(FailedPrecondition, match="restoring"):
        await suspension.suspend(here.domain, "acme")
    with pytest.raises(FailedPrecondition, match="restoring"):
        await backup.backup(here, "acme", tmp_path / "half.portico")
    assert not (tmp_path / "half.portico").exists()
