"""The rag service as a process that is killed in the middle of its work: what was acknowledged is there, every file is
whole, and what belongs to no file goes."""

import asyncio
import contextlib
import hashlib
import os
import random
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from core.tenancy import MAIN
from services.rag.domain.files.tables import UPLOAD_INTENTS
from tests.support.auth_service import Refused
from tests.support.ports import reserved_port
from tests.support.rag_client import FILE_END, FORM, FORM_END, RagClient, field, file_head, objects_in
from tests.support.serving import environment
from tests.support.stores import sqlite_store
from tests.support.tokens import Signer

ROOT = Path(__file__).parents[2]
WORKERS = 4
SHARED = ("s0", "s1", "s2")
SWEEPING = {"PORTICO_FILES_GRACE_SECONDS": "1", "PORTICO_FILES_SWEEP_SECONDS": "0.1"}


class Service:
    def __init__(self, folder: Path) -> None:
        self.folder = folder / "data"
        self.signer = Signer()
        public = self.signer.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        self.key = folder / "key.pem"
        self.key.write_bytes(public)
        self.process: Process | None = None

    @asynccontextmanager
    async def run(self, **env: str) -> AsyncIterator[RagClient]:
        """A client of a fresh process, which is killed at the end."""
        address = f"127.0.0.1:{reserved_port()}"
        settings = {"PORTICO_LISTEN": address, "LOG_LEVEL": "error", **SWEEPING, **env}
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.support.rag_process", self.signer.key_id, str(self.key),
            cwd=ROOT, stdin=DEVNULL, env={**os.environ, **environment(self.folder), **settings},
        )  # fmt: skip
        try:
            async with grpc.aio.insecure_channel(address) as channel:
                async with asyncio.timeout(60):
                    await channel.channel_ready()
                yield RagClient(channel, self.signer.token())
        finally:
            await self.kill()

    async def kill(self) -> None:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()

    def objects(self) -> list[Path]:
        return objects_in(self.folder)

    async def upload_intents(self) -> int:
        store = sqlite_store(self.folder)
        count = await store.count(MAIN, UPLOAD_INTENTS)
        await store.close()
        return count


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path)


class Ledger:
    """State that the callers know: by key, the contents that a file may have; None: that there is none."""

    def __init__(self) -> None:
        self.may: dict[str, set[bytes | None]] = {}

    def begin(self, key: str, content: bytes | None) -> None:
        """From now on it may be so, too."""
        self.may.setdefault(key, {None}).add(content)

    def end(self, key: str, content: bytes | None) -> None:
        """It was acknowledged, and nobody else writes this key."""
        self.may[key] = {content}


async def work(client: RagClient, ledger: Ledger, worker: int, choose: random.Random) -> None:
    """Until the service is gone: new files, replaced files, deleted files; large and small; keys of its own, and some
    that others write as well."""
    with contextlib.suppress(Refused, asyncio.CancelledError):  # grpc.aio tells a broken stream as either
        while True:
            shared = choose.random() < 0.3
            key = choose.choice(SHARED) if shared else f"w{worker}-{choose.randrange(6)}"
            content = None if choose.random() < 0.3 else choose.randbytes(choose.choice((10, 5_000, 2_500_000)))
            ledger.begin(key, content)
            try:
                await change(client, key, content, form=choose.random() < 0.5)
            except Refused as error:
                if error.code is not grpc.StatusCode.NOT_FOUND:
                    raise
            if not shared:
                ledger.end(key, content)


async def change(client: RagClient, key: str, content: bytes | None, *, form: bool) -> None:
    if content is None:
        await client.delete(key)
    elif form:
        await client.upload_form(content, keyHint=key)
    else:
        await client.upload(content, keyHint=key)


async def check(client: RagClient, service: Service, ledger: Ledger) -> None:
    """Every file is whole and one that it may be; then nothing lies there but the files."""
    there = await client.keys(limit=1000)
    assert len(there) == len(set(there))
    assert set(there) <= ledger.may.keys()
    for key, may in ledger.may.items():
        content = (await client.download(key)).content if key in there else None
        assert content in may, key
        if content is not None:
            file = await client.get(key)
            assert file.checksum == hashlib.sha256(content).hexdigest()
            assert file.size == len(content)
        ledger.may[key] = {content}
    async with asyncio.timeout(30):
        while len(service.objects()) != len(there) or await service.upload_intents():
            await asyncio.sleep(0.1)
    for key in there:
        assert (await client.download(key)).content in ledger.may[key]


@pytest.mark.parametrize("seed", range(2))
async def test_killed_at_any_moment(service: Service, seed: int) -> None:
    """Again and again on the same files, after a time that the seed says."""
    choose = random.Random(seed)
    ledger = Ledger()
    for turn in range(5):
        async with service.run() as client:
            await check(client, service, ledger)
            workers = [
                asyncio.create_task(work(client, ledger, number, random.Random(f"{seed} {turn} {number}")))
                for number in range(WORKERS)
            ]
            await asyncio.sleep(choose.uniform(0.05, 0.8))
            await service.kill()
            await asyncio.gather(*workers)
    async with service.run() as client:
        await check(client, service, ledger)


def slow_form(key: str, pause: asyncio.Event, size: int = 3_000_000) -> AsyncIterator[bytes]:
    async def chunks() -> AsyncIterator[bytes]:
        yield field("keyHint", key) + file_head()
        yield b"x" * size
        await pause.wait()
        yield FILE_END + FORM_END

    return chunks()


@pytest.mark.parametrize("old", [None, b"old"])
async def test_killed_while_a_file_comes(service: Service, old: bytes | None) -> None:
    async with service.run() as client:
        if old is not None:
            await client.upload(old, keyHint="a")
        before = len(service.objects())
        sending = asyncio.ensure_future(client.start_upload(slow_form("a", asyncio.Event()), FORM))
        while len(service.objects()) == before:
            await asyncio.sleep(0.01)
        await service.kill()
        with pytest.raises(grpc.aio.AioRpcError):
            await sending
    assert len(service.objects()) == before + 1
    async with service.run() as client:
        await check(client, service, _knowing({"a": old} if old else {}))


def _knowing(files: dict[str, bytes]) -> Ledger:
    ledger = Ledger()
    ledger.may = {key: {content} for key, content in files.items()}
    return ledger


async def test_a_stop_in_the_middle_is_orderly(service: Service) -> None:
    """SIGTERM while files come: those that are cut off leave nothing, not even for the sweep."""
    async with service.run(PORTICO_GRACE_SECONDS="0.2") as client:
        sending = [
            asyncio.ensure_future(client.start_upload(slow_form(f"k{number}", asyncio.Event()), FORM))
            for number in range(5)
        ]
        while len(service.objects()) < 5:
            await asyncio.sleep(0.01)
        assert service.process is not None
        service.process.send_signal(signal.SIGTERM)
        assert await service.process.wait() == 0
        results = await asyncio.gather(*sending, return_exceptions=True)
        assert all(isinstance(each, grpc.aio.AioRpcError) for each in results)
    assert service.objects() == []
    assert await service.upload_intents() == 0


async def test_the_sweep_leaves_alone_what_still_comes(service: Service) -> None:
    """A file that takes longer than the grace, and never pauses for as long."""
    async with service.run() as client:

        async def chunks() -> AsyncIterator[bytes]:
            yield field("keyHint", "a") + file_head()
            for _ in range(25):
                yield b"x" * 1000
                await asyncio.sleep(0.1)
            yield FILE_END + FORM_END

        await client.send(chunks())
        await check(client, service, _knowing({"a": b"x" * 25_000}))


async def test_what_the_sweep_has_taken_is_no_file(service: Service) -> None:
    """A pause longer than the grace: the upload has to be sent again, and what was before stays."""
    async with service.run() as client:
        await client.upload(b"old", keyHint="a")
        pause = asyncio.Event()
        sending = asyncio.ensure_future(client.start_upload(slow_form("a", pause), FORM))
        while len(service.objects()) == 1:
            await asyncio.sleep(0.01)
        while len(service.objects()) > 1:
            await asyncio.sleep(0.05)
        pause.set()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await sending
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        await check(client, service, _knowing({"a": b"old"}))
