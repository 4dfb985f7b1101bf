"""Conversion as callers see it: the rag service as a process of its own, which is stopped and killed over its work."""

import asyncio
import base64
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import orjson
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from google.api.httpbody_pb2 import HttpBody

from core.sealing import generate_key
from portico.rag.v1 import file_service_pb2 as pb
from portico.rag.v1.file_service_pb2_grpc import FileServiceStub
from tests.support import documents
from tests.support.ports import reserved_port
from tests.support.processes import alive, children
from tests.support.rag_client import edge_pieces
from tests.support.serving import EDGE_SECRET, REST
from tests.support.tokens import Signer

ROOT = Path(__file__).parents[2]
CODE = grpc.StatusCode
HANGS = documents.pdf_that_hangs()
ENDED = ("succeeded", "failed", "skipped")


@dataclass
class Client:
    """One project's files in its default bucket."""

    channel: grpc.aio.Channel
    token: str

    def __post_init__(self) -> None:
        self._files = FileServiceStub(self.channel)
        self._metadata = (("authorization", f"Bearer {self.token}"), *REST)

    async def upload(self, name: str, content: bytes, *, convert: bool = True, key: str = "") -> Any:
        body = {
            "fileName": name,
            "data": base64.b64encode(content).decode(),
            "convertToMarkdown": convert,
            "keyHint": key or name,
        }
        chunks = [HttpBody(content_type="application/json", data=each) for each in edge_pieces(orjson.dumps(body))]
        requests = [pb.UploadFileRequest(bucket_key="default", body=chunk) for chunk in chunks]
        answer = await self._files.UploadFile(iter(requests), metadata=self._metadata, timeout=30)
        return orjson.loads(answer.data)["file"]

    async def get(self, key: str) -> pb.File:
        request = pb.GetFileRequest(bucket_key="default", object_key=key)
        file: pb.File = (await self._files.GetFile(request, metadata=self._metadata, timeout=30)).file
        return file

    async def convert(self, key: str) -> pb.File:
        request = pb.ConvertFileRequest(bucket_key="default", object_key=key)
        file: pb.File = (await self._files.ConvertFile(request, metadata=self._metadata, timeout=30)).file
        return file

    async def delete(self, key: str) -> None:
        request = pb.DeleteFileRequest(bucket_key="default", object_key=key)
        await self._files.DeleteFile(request, metadata=self._metadata, timeout=30)

    async def markdown(self, key: str) -> str:
        request = pb.DownloadFileRequest(bucket_key="default", object_key=key, variant="markdown")
        call = self._files.DownloadFile(request, metadata=self._metadata, timeout=30)
        return b"".join([chunk.data async for chunk in call]).decode()

    async def until(self, key: str, holds: Callable[[pb.File], bool]) -> pb.File:
        async with asyncio.timeout(60):
            while not holds(file := await self.get(key)):
                await asyncio.sleep(0.02)
        return file

    async def ended(self, key: str) -> pb.File:
        return await self.until(key, lambda file: file.markdown_status in ENDED)


class Service:
    """The service and its folder, which outlives the process."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self._signer = Signer()
        public = self._signer.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        self._key = folder / "key.pem"
        self._key.write_bytes(public)
        self._secret = generate_key()
        self.process: Process
        self.channel: grpc.aio.Channel

    @asynccontextmanager
    async def run(self, **settings: str) -> AsyncIterator[Client]:
        """A client of a fresh process, which is killed at the end."""
        address = f"127.0.0.1:{reserved_port()}"
        env = {
            "PORTICO_LISTEN": address,
            "PORTICO_SERVICE_SECRET": "s" * 32,
            "PORTICO_EDGE_SECRET": EDGE_SECRET,
            "PORTICO_ENCRYPTION_KEYS": self._secret,
            "PORTICO_DATA_DIR": str(self.data),
            "PORTICO_DRAIN_SECONDS": "0",
            "PORTICO_GRACE_SECONDS": "5",
            "PORTICO_CONVERSION_LEASE_SECONDS": "1",
            "PORTICO_LOG_LEVEL": "error",
            **settings,
        }
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.support.rag_process", self._signer.key_id, str(self._key),
            cwd=ROOT, stdin=DEVNULL, env={**os.environ, **env},
        )  # fmt: skip
        try:
            async with grpc.aio.insecure_channel(address) as self.channel:
                async with asyncio.timeout(60):
                    await self.channel.channel_ready()
                yield self.client()
        finally:
            await self.kill()

    def client(self, tenant: str = "acme") -> Client:
        return Client(self.channel, self._signer.token(tenant=tenant))

    async def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()

    async def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return await self.process.wait()

    @property
    def workers(self) -> list[int]:
        return children(self.process.pid)

    @property
    def objects(self) -> int:
        """Number of files in the local folder, unfinished or not."""
        return sum(each.is_file() for each in (self.data / "files").rglob("*") if each.name != ".probe")

    async def has_a_worker(self) -> int:
        await _until(lambda: bool(self.workers))
        return self.workers[0]

    async def is_clean(self) -> None:
        """No worker, none that nobody waited for, no file on the way."""
        await _until(lambda: not self.workers)
        assert not list((self.data / "conversions").iterdir())


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.01)


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path)


GOOD = {
    "a.pdf": (documents.pdf(["Words of the PDF"]), "Words of the PDF"),
    "a.docx": (documents.docx(["Title", "Words of the DOCX"]), "Words of the DOCX"),
    "a.pptx": (documents.pptx_slides({"Title": "Words of the PPTX"}), "Words of the PPTX"),
    "a.xlsx": (documents.xlsx({"Sheet": [["a", "b"], [1, 2]]}), "| 1 | 2 |"),
    "a.html": (b"<h1>Title</h1>", "# Title"),
    "a.csv": (b"a,b\n1,2\n", "| 1 | 2 |"),
    "a.md": (b"# Title\n", "# Title\n"),
}


async def test_uploads_are_converted_as_asked_for(service: Service) -> None:
    async with service.run() as client:
        for name, (content, _) in GOOD.items():
            assert (await client.upload(name, content))["markdownStatus"] == "pending"
        for name, (_, words) in GOOD.items():
            file = await client.ended(name)
            assert (file.markdown_status, file.markdown_error) == ("succeeded", "")
            assert words in file.markdown_content
            assert await client.markdown(name) == file.markdown_content
            assert file.markdown_size == len(file.markdown_content.encode())
        await service.is_clean()
        assert service.objects == 2 * len(GOOD)


async def test_what_is_of_no_such_kind_is_skipped(service: Service) -> None:
    picture = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
    async with service.run(PORTICO_CONVERSION_MAX_MB="1") as client:
        for name, content, reason in (
            ("a.png", picture, "Only PDF"),
            ("a.pdf", picture, "name ends in .pdf"),
            ("a.txt", b"", "empty"),
            ("b.txt", b"x" * 1_100_000, "more than 1 MiB"),
        ):
            file = await client.upload(name, content)
            assert file["markdownStatus"] == "skipped"
            assert reason in file["markdownError"]
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await client.convert(name)
            assert caught.value.code() is CODE.INVALID_ARGUMENT
            assert ("x-http-status", "415") in tuple(caught.value.trailing_metadata() or ())
            assert (await client.get(name)).markdown_status == "skipped"
        file = await client.upload("a.zip", documents.archive({"word/x": b"x"}))
        ended = await client.ended("a.zip")  # only the whole file told
        assert (ended.markdown_status, ended.markdown_error[:8]) == ("skipped", "Only PDF")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.markdown("a.png")
        assert caught.value.code() is CODE.FAILED_PRECONDITION


async def test_what_fails_says_why_and_harms_nobody(service: Service) -> None:
    harm = {
        "encrypted.pdf": (documents.encrypted_pdf(), "password"),
        "hangs.pdf": (HANGS, "more than 4 seconds"),
        "damaged.pdf": (b"%PDF-1.4 or so", "damaged"),
        "bomb.docx": (documents.zip_bomb(200), "unpack"),
        "large.csv": (documents.csv(4 * 1024 * 1024), "longer than 1 MiB"),
        "greedy.pdf": (documents.pdf_bomb(250), "memory"),
    }
    settings = {"PORTICO_CONVERSION_SECONDS": "4", "PORTICO_CONVERSION_MAX_OUTPUT_MB": "1"}
    async with service.run(**settings, PORTICO_CONVERSION_MEMORY_MB="256") as client:
        for name, (content, _) in harm.items():
            await client.upload(name, content)
        await client.upload("good.pdf", GOOD["a.pdf"][0])
        for name, (_, reason) in harm.items():
            file = await client.ended(name)
            assert file.markdown_status == "failed"
            assert reason in file.markdown_error
        assert (await client.ended("good.pdf")).markdown_status == "succeeded"
        await service.is_clean()
        assert service.objects == len(harm) + 2
        assert service.process.returncode is None


async def test_a_conversion_is_asked_for_later_and_again(service: Service) -> None:
    async with service.run() as client:
        assert (await client.upload("a.pdf", GOOD["a.pdf"][0], convert=False))["markdownStatus"] == "none"
        for _ in range(3):
            assert (await client.convert("a.pdf")).markdown_status in ("pending", "running")
            assert (await client.ended("a.pdf")).markdown_status == "succeeded"
            await service.is_clean()
        await _until(lambda: service.objects == 2)


async def test_asking_twice_converts_once(service: Service) -> None:
    async with service.run() as client:
        await client.upload("a.pdf", HANGS)
        await service.has_a_worker()
        assert (await client.convert("a.pdf")).markdown_status == "running"
        assert len(service.workers) == 1


async def test_a_file_that_is_replaced_does_not_get_the_old_markdown(service: Service) -> None:
    async with service.run(PORTICO_CONVERSION_SECONDS="600") as client:
        await client.upload("a.pdf", HANGS)
        old = await service.has_a_worker()
        await client.upload("a.pdf", GOOD["a.pdf"][0])
        file = await client.ended("a.pdf")
        assert (file.markdown_status, file.markdown_content[:16]) == ("succeeded", "Words of the PDF")
        await service.is_clean()
        assert not alive(old)
        assert (await client.get("a.pdf")).markdown_status == "succeeded"
        assert service.objects == 2


async def test_a_file_that_is_deleted_takes_its_conversion_along(service: Service) -> None:
    async with service.run(PORTICO_CONVERSION_SECONDS="600") as client:
        await client.upload("a.pdf", HANGS)
        worker = await service.has_a_worker()
        await client.delete("a.pdf")
        await service.is_clean()
        assert not alive(worker)
        assert not service.objects
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.get("a.pdf")
        assert caught.value.code() is CODE.NOT_FOUND


async def test_one_tenants_conversions_leave_a_worker_to_others(service: Service) -> None:
    async with service.run() as acme:
        for at in range(4):
            await acme.upload(f"{at}.pdf", HANGS)
        await service.has_a_worker()
        globex = service.client("globex")
        await globex.upload("a.pdf", GOOD["a.pdf"][0])
        assert (await globex.ended("a.pdf")).markdown_status == "succeeded"
        assert [(await acme.get(f"{at}.pdf")).markdown_status for at in range(4)].count("running") == 1


ROWS: list[list[str | int]] = [[at, f"row {at}"] for at in range(4_000)]
SLOW = documents.xlsx({"Sheet": [["n", "text"], *ROWS]})
"""Takes some seconds."""


async def test_a_conversion_that_was_killed_is_done_again_once(service: Service) -> None:
    async with service.run() as client:
        await client.upload("a.xlsx", SLOW)
        worker = await service.has_a_worker()
        assert (await client.until("a.xlsx", lambda file: file.markdown_status == "running")).markdown_size == 0
        await service.kill()
        await _until(lambda: not alive(worker))
    async with service.run() as client:
        file = await client.ended("a.xlsx")
        assert file.markdown_status == "succeeded"
        assert "| 3999 | row 3999 |" in file.markdown_content
        await service.is_clean()
        assert service.objects == 2


async def test_a_conversion_that_is_stopped_over_goes_on_with_the_next_process(service: Service) -> None:
    async with service.run() as client:
        await client.upload("a.xlsx", SLOW)
        worker = await service.has_a_worker()
        await client.upload("waits.pdf", GOOD["a.pdf"][0])
        assert await service.stop() == 0
        assert not alive(worker)
    async with service.run() as client:
        assert (await client.ended("a.xlsx")).markdown_status == "succeeded"
        assert (await client.ended("waits.pdf")).markdown_status == "succeeded"


async def test_a_document_over_which_the_service_dies_again_and_again_is_given_up(service: Service) -> None:
    for _ in range(4):
        async with service.run() as client:
            if not service.objects:
                await client.upload("a.pdf", HANGS)
            await service.has_a_worker()
            await service.kill()
    async with service.run() as client:
        file = await client.ended("a.pdf")
        assert (file.markdown_status, file.markdown_error) == ("failed", "The conversion broke off again and again.")
        assert (await client.convert("a.pdf")).markdown_status == "pending"
