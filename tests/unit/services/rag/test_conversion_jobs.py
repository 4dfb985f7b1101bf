"""The jobs of conversions with a converter that does as it is told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core import config
from core.errors import FailedPrecondition, PorticoError, Unavailable, Unprocessable, UnsupportedMedia
from core.jobs.jobs import Jobs
from core.jobs.limits import JobLimits
from core.jobs.records import Job
from core.sealing import generate_key
from core.tenancy import Project, Tenant
from services.rag.adapters.local import LocalStore
from services.rag.app import assemble
from services.rag.domain.files import conversion, records
from services.rag.domain.files.conversion import KIND
from services.rag.domain.files.kinds import Kind
from services.rag.domain.files.records import File
from services.rag.domain.files.uploads import NewFile
from services.rag.settings import Settings
from tests.support.fake_services import fake_services
from tests.support.platforms import memory_platform

ACME = Project(Tenant("acme"), "p1")


class Script:
    """A Converter: one outcome after the other, the last one for good. It answers with what it was given."""

    def __init__(self) -> None:
        self.outcomes: list[Exception | None] = [None]
        self.calls: list[Kind] = []

    @asynccontextmanager
    async def convert(self, kind: Kind, content: AsyncIterator[bytes]) -> AsyncIterator[AsyncIterator[bytes]]:
        self.calls.append(kind)
        whole = [chunk async for chunk in content]
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if outcome is not None:
            raise outcome

        async def chunks() -> AsyncIterator[bytes]:
            yield b"# "
            for chunk in whole:
                yield chunk

        yield chunks()


class SlowToAnswer(Jobs):
    """`submit` returns when the job has ended."""

    async def submit(self, scope: Project, kind: str, payload: Any, **options: Any) -> Job:
        job = await super().submit(scope, kind, payload, **options)
        while not (await self.get(scope, job.id)).status.ended:
            await asyncio.sleep(0)
        return job


class Harness:
    """The domain, with a script in place of the converter."""

    def __init__(self, folder: Path, jobs: type[Jobs] = Jobs) -> None:
        self.folder = folder
        self.local, self.converter = LocalStore(folder), Script()
        self.platform = memory_platform("rag")
        limits = JobLimits(first_retry=0.001, poll=0.01)
        platform = self.platform
        self.jobs = jobs(
            platform.store, platform.tasks, platform.lifecycle, tokens=platform.service_tokens, limits=limits
        )

    async def start(self) -> None:
        domain = await assemble(
            self.platform,
            config.load(Settings, {"PORTICO_ENCRYPTION_KEYS": generate_key()}),
            folder=self.local,
            jobs=self.jobs,
            services=fake_services(),
            converter=self.converter,
            max_converted_bytes=1000,
        )
        self.files, self.records, self.conversions = domain.files, domain.records, domain.conversions
        await self.jobs.start()

    async def upload(self, content: bytes = b"words", name: str = "a.txt") -> File:
        async def chunks() -> AsyncIterator[bytes]:
            yield content

        async with self.files.begin(ACME, "default") as upload:
            await upload.write(chunks())
            return await upload.commit(NewFile(name=name, created_by="u1", key=name))

    async def convert(self) -> File:
        """As it is when the job has ended."""
        file = await self.files.convert(ACME, "default", "a.txt")
        async with asyncio.timeout(10):
            while await self.jobs.find(ACME, f"{KIND} {file.object_id}") is not None:
                await asyncio.sleep(0.001)
        return await self.now()

    async def now(self) -> File:
        return await self.files.get(ACME, "default", "a.txt")

    @property
    def objects(self) -> int:
        return sum(each.is_file() for each in self.folder.rglob("*"))


@asynccontextmanager
async def opened(folder: Path, jobs: type[Jobs] = Jobs) -> AsyncIterator[Harness]:
    made = Harness(folder, jobs)
    await made.start()
    yield made
    await made.platform.tasks.drain(0)
    await made.local.close()


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[Harness]:
    async with opened(tmp_path) as made:
        yield made


async def test_the_markdown_comes_beside_the_file(harness: Harness) -> None:
    await harness.upload()
    file = await harness.convert()
    assert (file.markdown.status, file.markdown.size) == (records.SUCCEEDED, 7)
    assert await harness.files.markdown_text(ACME, file) == "# words"
    assert harness.converter.calls == [Kind.TEXT]


async def test_a_new_conversion_takes_the_place_of_the_old_one(harness: Harness) -> None:
    await harness.upload()
    first = await harness.convert()
    second = await harness.convert()
    assert first.markdown.object_id != second.markdown.object_id
    assert harness.objects == 2


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Unprocessable("It is damaged."), records.FAILED),
        (FailedPrecondition("It is off."), records.FAILED),
        (UnsupportedMedia("It is odd."), records.SKIPPED),
    ],
)
async def test_a_refusal_is_written_down_and_final(harness: Harness, error: PorticoError, status: str) -> None:
    harness.converter.outcomes = [error]
    await harness.upload()
    file = await harness.convert()
    assert (file.markdown.status, file.markdown.error) == (status, error.message)
    assert len(harness.converter.calls) == 1
    harness.converter.outcomes = [None]
    assert (await harness.convert()).markdown.status == records.SUCCEEDED


async def test_what_may_pass_is_tried_again(harness: Harness) -> None:
    harness.converter.outcomes = [Unavailable("Busy."), ValueError("a bug"), None]
    await harness.upload()
    assert (await harness.convert()).markdown.status == records.SUCCEEDED
    assert len(harness.converter.calls) == 3


@pytest.mark.parametrize(
    ("error", "message"),
    [(Unavailable("Busy."), "Busy."), (ValueError("secret"), "The conversion broke off again and again.")],
)
async def test_what_does_not_pass_is_given_up(harness: Harness, error: Exception, message: str) -> None:
    harness.converter.outcomes = [error]
    await harness.upload()
    file = await harness.convert()
    assert (file.markdown.status, file.markdown.error) == (records.FAILED, message)
    assert len(harness.converter.calls) == 4


async def test_no_more_is_read_than_the_file_has(harness: Harness) -> None:
    """An S3 server that a tenant runs filled the disk with an object that did not end."""
    await harness.upload()
    (stored,) = [each for each in harness.folder.rglob("*") if each.is_file()]
    stored.write_bytes(b"words" + b"!" * 1_000_000)
    file = await harness.convert()
    assert await harness.files.markdown_text(ACME, file) == "# words"


async def test_a_provider_that_is_too_slow_does_not_keep_a_worker(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversion, "CONVERT_SECONDS", 0.02)
    monkeypatch.setattr(harness.converter, "convert", _never)
    await harness.upload()
    file = await harness.convert()
    assert (file.markdown.status, file.markdown.error) == (records.FAILED, "The file provider took too long.")


@asynccontextmanager
async def _never(kind: Kind, content: AsyncIterator[bytes]) -> AsyncIterator[AsyncIterator[bytes]]:
    await asyncio.Event().wait()
    yield content


async def test_a_job_that_is_faster_than_its_request_keeps_the_last_word(tmp_path: Path) -> None:
    """The record stayed pending for good where the job had failed before it was marked."""
    async with opened(tmp_path, SlowToAnswer) as harness:
        harness.converter.outcomes = [Unprocessable("It is damaged.")]
        await harness.upload()
        for _ in range(2):
            assert (await harness.convert()).markdown.status == records.FAILED


async def test_a_job_that_was_done_but_for_its_own_end_converts_nothing_again(harness: Harness) -> None:
    await harness.upload()
    file = await harness.convert()
    payload = {"file": file.id, "object": file.object_id, "markdown": ""}
    job = await harness.jobs.submit(ACME, KIND, payload)
    async with asyncio.timeout(10):
        while not (await harness.jobs.get(ACME, job.id)).status.ended:
            await asyncio.sleep(0.001)
    assert len(harness.converter.calls) == 1
    assert await harness.now() == file


async def test_a_file_that_is_too_large_keeps_the_markdown_it_has(harness: Harness) -> None:
    await harness.upload()
    file = await harness.convert()
    with pytest.raises(UnsupportedMedia):
        await harness.conversions.request(ACME, msgspec.structs.replace(file, size=5000))
    assert await harness.now() == file
    large = await harness.upload(b"x" * 5000)
    with pytest.raises(UnsupportedMedia):
        await harness.conversions.request(ACME, large)
    assert (await harness.now()).markdown.status == records.SKIPPED
