"""The vector service as a process that is killed in the middle of its work."""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from portico.vector.v1 import migration_service_pb2 as migration_pb
from portico.vector.v1 import point_service_pb2 as point_pb
from portico.vector.v1 import provider_service_pb2 as provider_pb
from tests.support.ports import reserved_port
from tests.support.serving import environment
from tests.support.tokens import Signer
from tests.support.vector_client import Client, point

ROOT = Path(__file__).parents[2]
BATCH = 40


class Service:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.signer = Signer()
        public = self.signer.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        self.key = folder / "key.pem"
        self.key.write_bytes(public)
        self.process: Process | None = None

    @asynccontextmanager
    async def run(self) -> AsyncIterator[Client]:
        """A client of a fresh process, which is killed at the end."""
        address = f"127.0.0.1:{reserved_port()}"
        settings = {
            "PORTICO_LISTEN": address,
            "PORTICO_VECTOR_JOB_LEASE_SECONDS": "1",
            "PORTICO_VECTOR_LOOKUP_SECONDS": "0.05",
            "LOG_LEVEL": "error",
        }
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.support.vector_process", self.signer.key_id, str(self.key),
            cwd=ROOT, stdin=DEVNULL, env={**os.environ, **environment(self.folder / "data"), **settings},
        )  # fmt: skip
        try:
            async with grpc.aio.insecure_channel(address) as channel:
                async with asyncio.timeout(60):
                    await channel.channel_ready()
                yield Client(channel, self.signer.token())
        finally:
            await self.kill()

    async def kill(self) -> None:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path)


async def until(read: Callable[[], Awaitable[Any]], holds: Callable[[Any], bool]) -> Any:
    async with asyncio.timeout(60):
        while not holds(value := await read()):
            await asyncio.sleep(0.01)
    return value


def batch(number: int, turn: int) -> list[point_pb.Point]:
    """Each point says twice which write it is of: in its numbers and beside them."""
    return [point(f"{number}-{at}", 1, number, turn, batch=number, turn=turn) for at in range(BATCH)]


async def test_what_was_acknowledged_survives_and_nothing_is_half(service: Service) -> None:
    acknowledged: dict[int, int] = {}
    async with service.run() as client:
        await client.index(metric="euclidean")

        async def write(worker: int) -> None:
            for turn in range(1_000):
                for number in range(worker, 30, 3):
                    await client.upsert(*batch(number, turn))
                    acknowledged[number] = turn

        writers = [asyncio.create_task(write(worker)) for worker in range(3)]
        await until(lambda: asyncio.sleep(0, sum(acknowledged.values())), lambda turns: turns >= 15)
        await service.kill()
        outcomes = await asyncio.gather(*writers, return_exceptions=True)
    assert all(isinstance(outcome, grpc.aio.AioRpcError) for outcome in outcomes)
    async with service.run() as client:
        found: dict[int, list[int]] = {}
        for number in range(30):
            ids = [f"{number}-{at}" for at in range(BATCH)]
            request = point_pb.FetchRequest(provider_key="default", index_id="docs", ids=ids)
            for each in (await client.points.Fetch(request)).points:
                values, metadata = list(each.values), each.metadata
                assert values == [1, metadata["batch"], metadata["turn"]]
                assert metadata["batch"] == number
                found.setdefault(number, []).append(int(values[2]))
        for number, turn in acknowledged.items():
            assert len(found[number]) == BATCH
            assert set(found[number]) <= {turn, turn + 1}  # the next write of the batch may have been under way
        assert await client.count() == sum(map(len, found.values()))


async def test_a_migration_goes_on_where_it_was_killed(service: Service) -> None:
    total = 4_000
    begin = migration_pb.CreateMigrationRequest(
        source_provider_key="default", source_index_id="docs", destination_provider_key="second", batch_size=8
    )
    async with service.run() as client:
        request = provider_pb.CreateProviderRequest(driver="embedded", label="Second", key="second")
        await client.providers.CreateProvider(request)
        await client.index(metric="euclidean")
        await client.upsert(*(point(f"p{at}", 1, at, 0, n=at) for at in range(total)))
        migration = (await client.migrations.CreateMigration(begin)).migration
        get = migration_pb.GetMigrationRequest(id=migration.id)

        async def job() -> Any:
            return (await client.migrations.GetMigration(get)).migration

        before = await until(job, lambda now: now.job.done >= 200)
        assert not await writable(client)
        await service.kill()
    assert before.job.status == "running"
    async with service.run() as client:
        resumed = await until(job, lambda now: now.job.attempts == 2)
        assert before.job.done <= resumed.job.done
        ended = await until(job, lambda now: now.job.status not in ("queued", "running"))
        assert (ended.job.status, ended.job.done, ended.verified) == ("succeeded", total, True)
        count = point_pb.CountRequest(provider_key="second", index_id="docs")
        assert (await client.points.Count(count)).count == total
        assert await until(lambda: writable(client), bool)


async def writable(client: Client) -> bool:
    try:
        await client.upsert(point("new", 1, 0, 0))
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.FAILED_PRECONDITION:
            raise
        return False
    return True
