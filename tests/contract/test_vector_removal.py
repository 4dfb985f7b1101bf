"""A deleted project leaves no vectors: not in the embedded engine, not in the tenant's own, and no sealed keys."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it comes without types
import grpc
import pytest
from structlog.testing import capture_logs

from core.storage.closed_projects import close_project
from core.tenancy import Project, Tenant
from portico.vector.v1 import index_service_pb2 as index_pb
from portico.vector.v1 import migration_service_pb2 as migration_pb
from portico.vector.v1 import point_service_pb2 as point_pb
from portico.vector.v1 import provider_service_pb2 as provider_pb
from services.vector.domain.tables import INDEXES, PROVIDERS, QUERY_LOGS
from tests.support import serving
from tests.support.removal import (
    MARKER,
    delete_project,
    files_with,
    gone_over,
    hurry,
    records_of,
    removed,
)
from tests.support.serving import connect
from tests.support.tokens import Signer
from tests.support.vector_client import Client, point, served, struct

CODE = grpc.StatusCode
COLLECTIONS = (PROVIDERS, INDEXES, QUERY_LOGS)


class Harness(serving.Harness):
    def client(self, project: str = "p1") -> Client:
        return Client(self.channel, self.signer.token(tenant="acme", project=project))


@pytest.fixture
async def harness(tmp_path: Path, signer: Signer) -> AsyncIterator[Harness]:
    async with (
        served(tmp_path, signer) as running,
        connect(running.port) as channel,
    ):
        yield Harness(running, channel, signer, tmp_path)


def vectors_of(folder: Path, project: str) -> list[str]:
    return [str(Path(at, name)) for at, _, names in os.walk(folder / "vectors" / "acme" / project) for name in names]


async def fill(client: Client, provider: str = "default", indexes: int = 2) -> None:
    for number in range(indexes):
        request = index_pb.CreateIndexRequest(
            provider_key=provider, name=f"docs {number}", dimension=2, metadata=struct(note=MARKER)
        )
        index = (await client.indexes.CreateIndex(request)).index.key
        points = [point("a", 1.0, 0.0, note=MARKER), point(MARKER, 0.0, 1.0)]
        upsert = point_pb.UpsertRequest(provider_key=provider, index_id=index, points=points)
        await client.points.Upsert(upsert)
        await client.points.Query(point_pb.QueryRequest(provider_key=provider, index_id=index, vector=[1.0, 0.0]))


async def add_provider(client: Client, driver: str, credentials: Any, **settings: str) -> None:
    request = provider_pb.CreateProviderRequest(
        key="own", driver=driver, label=MARKER, credentials=credentials, settings=struct(**settings)
    )
    await client.providers.CreateProvider(request)


async def test_everything_of_it_goes_and_nothing_of_another(harness: Harness) -> None:
    """Vectors, query logs and sealed keys stayed."""
    hurry(harness.running)
    for project in ("p1", "p2"):
        await fill(harness.client(project))
        await add_provider(harness.client(project), "qdrant", struct(apiKey=MARKER), url="https://127.0.0.1:1")
    assert files_with(harness.folder)
    await delete_project(harness.running)
    await removed(harness.running)
    assert await records_of(harness.running, "acme", "p1", *COLLECTIONS) == 0
    assert vectors_of(harness.folder, "p1") == []
    assert not (harness.folder / "vectors" / "acme" / "p1").exists()
    assert await harness.client("p2").count("docs-1") == 2
    await delete_project(harness.running, project="p2")
    await removed(harness.running, project="p2")
    assert files_with(harness.folder) == []


async def test_what_a_crash_has_left_beside_the_records_goes(harness: Harness) -> None:
    hurry(harness.running)
    await fill(harness.client(), indexes=1)
    left = harness.folder / "vectors" / "acme" / "p1" / "idx_nobodys" / "gen1"
    left.mkdir(parents=True)
    (left / "data").write_text(MARKER)
    await delete_project(harness.running)
    await removed(harness.running)
    assert files_with(harness.folder) == []


async def test_tables_of_the_tenants_own_database_go(harness: Harness, postgres_server: dict[str, Any]) -> None:
    hurry(harness.running)
    server = postgres_server
    schema = "removal"
    url = f"postgresql://{server['user']}@{server['host']}:{server['port']}/{server['database']}"
    for project in ("p1", "p2"):
        await add_provider(harness.client(project), "pgvector", struct(connectionString=url), schema=schema)
        await fill(harness.client(project), "own")
    disabled = provider_pb.UpdateProviderRequest(provider_key="own", status="disabled")
    await harness.client().providers.UpdateProvider(disabled)  # that is no reason to leave them
    connection = await asyncpg.connect(**server)
    tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = $1 AND table_name <> 'indexes'"
    before = await connection.fetchval(tables, schema)
    await delete_project(harness.running)
    await removed(harness.running)
    assert await connection.fetchval(tables, schema) == before - 2
    assert await connection.fetchval(f'SELECT count(*) FROM "{schema}".indexes WHERE project = $1', "p1") == 0
    await connection.close()
    query = point_pb.CountRequest(provider_key="own", index_id="docs-0")
    assert (await harness.client("p2").points.Count(query)).count == 2


async def test_an_engine_that_is_away_is_tried_again_and_given_up_in_the_end(
    harness: Harness, postgres_server: dict[str, Any]
) -> None:
    hurry(harness.running)
    server = postgres_server
    url = f"postgresql://{server['user']}@{server['host']}:{server['port']}/{server['database']}"
    await add_provider(harness.client(), "pgvector", struct(connectionString=url), schema="removal_away")
    await fill(harness.client(), "own")
    away = provider_pb.UpdateProviderRequest(
        provider_key="own", credentials=struct(connectionString=f"postgresql://{MARKER}@127.0.0.1:1/none")
    )
    await harness.client().providers.UpdateProvider(away)
    with capture_logs() as told:
        await delete_project(harness.running)
        await gone_over(harness.running, 2)
        assert await records_of(harness.running, "acme", "p1", PROVIDERS) == 2
        hurry(harness.running, patience=0.0)
        await removed(harness.running)
    assert await records_of(harness.running, "acme", "p1", *COLLECTIONS) == 0
    assert files_with(harness.folder) == []
    lines = [each for each in told if each["event"].startswith("vectors of a deleted project")]
    assert {each["log_level"] for each in lines} == {"warning", "error"}
    assert MARKER not in str(lines)


async def test_a_migration_that_is_under_way_ends(harness: Harness) -> None:
    hurry(harness.running)
    client = harness.client()
    await fill(client, indexes=1)
    request = migration_pb.CreateMigrationRequest(
        source_provider_key="default",
        source_index_id="docs-0",
        destination_provider_key="default",
        destination_name="copy",
    )
    await client.migrations.CreateMigration(request)
    await delete_project(harness.running)
    await removed(harness.running)
    assert await records_of(harness.running, "acme", "p1", *COLLECTIONS) == 0
    assert vectors_of(harness.folder, "p1") == []


@pytest.mark.parametrize("what", ["provider", "index", "list"])
async def test_nothing_begins_in_a_deleted_project(harness: Harness, what: str) -> None:
    await close_project(harness.running.platform.store, Project(Tenant("acme"), "p1"))
    client = harness.client()
    calls: dict[str, Any] = {
        "provider": lambda: client.providers.CreateProvider(
            provider_pb.CreateProviderRequest(driver="embedded", label="l")
        ),
        "index": lambda: client.index(),
        "list": lambda: client.providers.ListProviders(provider_pb.ListProvidersRequest()),
    }
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await calls[what]()
    assert caught.value.code() is CODE.NOT_FOUND
    assert await records_of(harness.running, "acme", "p1", *COLLECTIONS) == 0


async def test_calls_that_are_under_way_leave_nothing(harness: Harness) -> None:
    """Indexes are made and filled while the project goes."""
    hurry(harness.running)
    client = harness.client()
    await fill(client, indexes=1)
    stop = asyncio.Event()

    async def work(worker: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            try:
                index = await client.index(f"w{worker}-{number}", dimension=2)
                await client.upsert(point("a", 1.0, 0.0, note=MARKER), index_id=index.key)
            except grpc.aio.AioRpcError as error:
                assert error.code() in (CODE.NOT_FOUND, CODE.ALREADY_EXISTS, CODE.UNAVAILABLE), error  # noqa: PT017

    workers = [asyncio.create_task(work(each)) for each in range(4)]
    await asyncio.sleep(0.1)  # some are made; how many is no matter
    await delete_project(harness.running)
    await gone_over(harness.running, 1)
    stop.set()
    await asyncio.gather(*workers)
    await removed(harness.running)
    await delete_project(harness.running)  # the second pass may have come before the last call had ended; this does not
    await removed(harness.running)
    assert await records_of(harness.running, "acme", "p1", *COLLECTIONS) == 0
    assert vectors_of(harness.folder, "p1") == []
    assert files_with(harness.folder) == []
