"""One suite for every file store: a folder, and S3 against a server that speaks its protocol."""

import asyncio
import hashlib
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import boto3  # type: ignore[import-untyped]  # it comes without types
import pytest

from core.errors import InsufficientStorage, InvalidInput, NotFound, Unavailable, UpstreamFailed
from core.http.guard import OutboundGuard
from core.tenancy import Project, Tenant
from services.rag.adapters import s3
from services.rag.adapters.local import LocalStore
from services.rag.adapters.s3 import PART_BYTES, S3Store
from services.rag.ports import BucketLocation, FileStore
from tests.support.connections import listening
from tests.support.providers import configure

ROOT = Path(__file__).parents[2]
MIB = 1024 * 1024
RED = Project(Tenant("acme"), "red")
LOCATION = BucketLocation(RED, "bkt_1")
LOCATIONS = [
    LOCATION,
    BucketLocation(RED, "bkt_2"),
    BucketLocation(Project(Tenant("acme"), "blue"), "bkt_1"),
    BucketLocation(Project(Tenant("acme"), "RED"), "bkt_1"),
    BucketLocation(Project(Tenant("globex"), "red"), "bkt_1"),
]
KEYS = [
    "a",
    "A",
    "é",
    "e\u0301",
    "a/b",
    "../../x",
    "/etc/passwd",
    "..",
    ".",
    " ",
    "a\0b",
    "\n",
    "x" * 5000,
    "CON",
    "%2e%2e/",
    "漢",
]


class Backend(Protocol):
    """A place where objects are kept, which several stores may open."""

    def open(self) -> FileStore: ...

    def remains(self) -> list[str]:
        """List all that the store holds, finished or not."""

    def arguments(self) -> list[str]:
        """Arguments that lead another process to it."""


class Folder:
    def __init__(self, root: Path) -> None:
        self.root = root

    def open(self) -> FileStore:
        return LocalStore(self.root)

    def remains(self) -> list[str]:
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file())

    def arguments(self) -> list[str]:
        return [str(self.root)]


class Bucket:
    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.name = f"bucket-{uuid4().hex[:12]}"
        self._client = boto3.client(
            "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="k", aws_secret_access_key="s"
        )
        self._client.create_bucket(Bucket=self.name)

    def open(self) -> FileStore:
        settings = {"bucket": self.name, "endpoint": self.endpoint, "prefix": "portico/files"}
        given = s3.options({"accessKeyId": "k", "secretAccessKey": "s"}, settings)
        return S3Store(given, OutboundGuard(["127.0.0.1"]))

    def remains(self) -> list[str]:
        objects = self._client.list_objects_v2(Bucket=self.name).get("Contents", [])
        uploads = self._client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])
        return sorted(each["Key"] for each in (*objects, *uploads))

    def arguments(self) -> list[str]:
        return [self.endpoint, self.name]


@pytest.fixture(params=["local", "s3"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    return Folder(tmp_path / "files") if request.param == "local" else Bucket(request.getfixturevalue("s3_endpoint"))


@pytest.fixture
async def store(backend: Backend) -> AsyncIterator[FileStore]:
    opened = backend.open()
    yield opened
    await opened.close()


async def chunks(*content: bytes) -> AsyncIterator[bytes]:
    for chunk in content:
        yield chunk


async def read(
    store: FileStore, location: BucketLocation, key: str, offset: int = 0, length: int | None = None
) -> bytes:
    return b"".join([chunk async for chunk in store.get(location, key, offset, length)])


async def test_what_is_put_is_got(store: FileStore) -> None:
    stored = await store.put(LOCATION, "a", chunks(b"hello ", b"", b"world"))
    assert (stored.size, stored.sha256) == (11, hashlib.sha256(b"hello world").hexdigest())
    assert stored.etag == f'"{stored.sha256[:32]}"'
    assert await read(store, LOCATION, "a") == b"hello world"
    assert await store.size(LOCATION, "a") == 11


async def test_an_empty_object_is_an_object(store: FileStore) -> None:
    stored = await store.put(LOCATION, "empty", chunks())
    assert (stored.size, stored.sha256) == (0, hashlib.sha256(b"").hexdigest())
    assert await store.size(LOCATION, "empty") == 0
    assert await read(store, LOCATION, "empty") == b""
    assert await read(store, LOCATION, "empty", 0, 0) == b""


@pytest.mark.parametrize("size", [1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES])
async def test_sizes_around_the_parts_of_an_upload(store: FileStore, size: int) -> None:
    content = os.urandom(size)
    stored = await store.put(LOCATION, "a", chunks(*(content[at : at + 100_003] for at in range(0, size, 100_003))))
    assert stored.size == size
    assert await read(store, LOCATION, "a") == content


@pytest.mark.parametrize(
    ("offset", "length"), [(0, 1), (0, None), (3, 4), (9, 1), (5, None), (10, None), (0, 10), (4, 0)]
)
async def test_a_part_of_an_object(store: FileStore, offset: int, length: int | None) -> None:
    await store.put(LOCATION, "a", chunks(b"0123456789"))
    if offset == 10 and isinstance(store, S3Store):
        pytest.skip("S3 has no range behind the end; nobody asks for one")
    end = None if length is None else offset + length
    assert await read(store, LOCATION, "a", offset, length) == b"0123456789"[offset:end]


async def test_more_than_there_is_is_not_passed_off_as_all(store: FileStore) -> None:
    await store.put(LOCATION, "a", chunks(b"0123456789"))
    with pytest.raises(Unavailable):
        await read(store, LOCATION, "a", 5, 6)


async def test_a_put_replaces(store: FileStore, backend: Backend) -> None:
    await store.put(LOCATION, "a", chunks(b"old" * 1000))
    await store.put(LOCATION, "a", chunks(b"new"))
    assert await read(store, LOCATION, "a") == b"new"
    assert len(backend.remains()) == 1


async def test_what_is_not_there(store: FileStore) -> None:
    assert await store.size(LOCATION, "a") is None
    for length in (None, 0, 1):
        with pytest.raises(NotFound):
            await read(store, LOCATION, "a", 0, length)
    await store.delete(LOCATION, "a")


async def test_a_deleted_object_leaves_nothing(store: FileStore, backend: Backend) -> None:
    await store.put(LOCATION, "a", chunks(b"x"))
    await store.put(LOCATION, "b", chunks(b"y"))
    await store.delete(LOCATION, "a")
    assert await store.size(LOCATION, "a") is None
    assert await read(store, LOCATION, "b") == b"y"
    await store.delete(LOCATION, "b")
    assert backend.remains() == []


@pytest.mark.parametrize("objects", [0, 1, 40])
async def test_clearing_removes_all_of_a_project_and_nothing_of_another(
    store: FileStore, backend: Backend, objects: int
) -> None:
    for location in LOCATIONS:
        for number in range(objects):
            await store.put(location, f"k{number}", chunks(b"x"))
    await store.clear(RED)
    others = [location for location in LOCATIONS if location.scope != RED]
    assert len(backend.remains()) == objects * len(others)
    for location in others:
        for number in range(objects):
            assert await read(store, location, f"k{number}") == b"x"
    await store.clear(RED)
    assert [await store.size(LOCATION, f"k{number}") for number in range(objects)] == [None] * objects
    await store.put(LOCATION, "again", chunks(b"y"))
    assert await read(store, LOCATION, "again") == b"y"


async def test_clearing_removes_uploads_that_were_cut_off(s3_endpoint: str) -> None:
    backend = Bucket(s3_endpoint)
    name = f"portico/files/{LOCATION.path('a')}"
    backend._client.create_multipart_upload(Bucket=backend.name, Key=name)
    store = backend.open()
    await store.clear(Project(Tenant("acme"), "re"))
    assert backend.remains() == [name]
    await store.clear(RED)
    assert backend.remains() == []
    await store.close()


async def test_the_same_keys_in_other_locations_are_other_objects(store: FileStore, backend: Backend) -> None:
    for location in LOCATIONS:
        await store.put(location, "a", chunks(repr(location).encode()))
    for location in LOCATIONS:
        assert await read(store, location, "a") == repr(location).encode()
    assert len({path.lower() for path in backend.remains()}) == len(LOCATIONS)
    await store.delete(LOCATION, "a")
    assert [await store.size(location, "a") is not None for location in LOCATIONS] == [False, True, True, True, True]


async def test_odd_keys_are_keys_like_any_other(store: FileStore, backend: Backend) -> None:
    for key in KEYS:
        await store.put(LOCATION, key, chunks(repr(key).encode()))
    for key in KEYS:
        assert await read(store, LOCATION, key) == repr(key).encode()
    paths = backend.remains()
    assert len({path.lower() for path in paths}) == len(KEYS)
    assert all("acme/red/bkt_1/" in path and ".." not in path for path in paths)


async def test_several_stores_see_the_same(backend: Backend) -> None:
    async with opened(backend) as one, opened(backend) as other:
        await one.put(LOCATION, "a", chunks(b"x"))
        assert await read(other, LOCATION, "a") == b"x"


@asynccontextmanager
async def opened(backend: Backend) -> AsyncIterator[FileStore]:
    store = backend.open()
    try:
        yield store
    finally:
        await store.close()
        await store.close()


@pytest.mark.parametrize("size", [100, 3 * PART_BYTES], ids=["small", "large"])
async def test_of_several_puts_of_a_key_one_wins_whole(store: FileStore, backend: Backend, size: int) -> None:
    contents = [bytes([number]) * (size + number) for number in range(6)]

    async def slowly(content: bytes) -> AsyncIterator[bytes]:
        for at in range(0, len(content), MIB):
            yield content[at : at + MIB]
            await asyncio.sleep(0)

    await asyncio.gather(*(store.put(LOCATION, "a", slowly(content)) for content in contents))
    assert await read(store, LOCATION, "a") in contents
    assert len(backend.remains()) == 1


class Broken(Exception):
    pass


@pytest.mark.parametrize("size", [0, 100, PART_BYTES + 100], ids=["nothing", "small", "large"])
@pytest.mark.parametrize("old", [None, b"old"])
async def test_a_source_that_fails_leaves_what_was_before(
    store: FileStore, backend: Backend, size: int, old: bytes | None
) -> None:
    if old is not None:
        await store.put(LOCATION, "a", chunks(old))
    before = backend.remains()

    async def failing() -> AsyncIterator[bytes]:
        yield b"x" * size
        raise Broken

    with pytest.raises(Broken):
        await store.put(LOCATION, "a", failing())
    assert backend.remains() == before
    if old is not None:
        assert await read(store, LOCATION, "a") == old


@pytest.mark.parametrize("size", [100, PART_BYTES + 100], ids=["small", "large"])
async def test_a_cancelled_put_leaves_what_was_before(store: FileStore, backend: Backend, size: int) -> None:
    await store.put(LOCATION, "a", chunks(b"old"))
    before = backend.remains()
    waiting = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"x" * size
        waiting.set()
        await asyncio.Event().wait()

    putting = asyncio.create_task(store.put(LOCATION, "a", endless()))
    await waiting.wait()
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    assert backend.remains() == before
    assert await read(store, LOCATION, "a") == b"old"


async def test_cancelling_anywhere_leaves_the_old_or_the_new_object(store: FileStore, backend: Backend) -> None:
    """Cancelled after ever more turns of the loop, until a put gets through."""
    content = b"n" * (PART_BYTES + 10)
    await store.put(LOCATION, "a", chunks(b"old"))
    for turns in (*range(0, 40, 3), *range(40, 4000, 200)):
        putting = asyncio.create_task(store.put(LOCATION, "a", chunks(content)))
        for _ in range(turns):
            await asyncio.sleep(0)
        putting.cancel()
        await asyncio.wait({putting})
        assert len(backend.remains()) == 1
        assert await read(store, LOCATION, "a") in (b"old", content)


async def test_a_download_goes_on_while_the_object_is_replaced_and_deleted(store: FileStore) -> None:
    content = os.urandom(4 * MIB)
    await store.put(LOCATION, "a", chunks(content))
    async with aclosing(store.get(LOCATION, "a")) as got:
        first = await anext(got)
        await store.put(LOCATION, "a", chunks(b"new"))
        await store.delete(LOCATION, "a")
        assert first + b"".join([chunk async for chunk in got]) == content


async def test_leaving_a_download_early(store: FileStore) -> None:
    await store.put(LOCATION, "a", chunks(b"x" * 4 * MIB))
    handles = len(os.listdir("/proc/self/fd")) if isinstance(store, LocalStore) else 0
    for _ in range(20):
        async with aclosing(store.get(LOCATION, "a")) as got:
            assert len(await anext(got)) <= MIB
    if handles:
        assert len(os.listdir("/proc/self/fd")) == handles


async def test_check(store: FileStore) -> None:
    await store.check()


def test_64_mib_go_through_without_being_held(backend: Backend) -> None:
    """In a process of its own, for the memory of this one is everybody's; the server is here."""
    result = process(*backend.arguments())
    assert result.returncode == 0, result.stderr
    grown, size = map(int, result.stdout.split())
    assert size == 64 * MIB
    assert grown < 40 * MIB


def process(*arguments: str, before: Sequence[str] = ()) -> "subprocess.CompletedProcess[str]":
    command = [*before, sys.executable, "-m", "tests.contract.test_file_stores", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


async def pass_64_mib(store: FileStore) -> int:
    """Pass 64 MiB through the store; return the largest growth of the process's memory, in bytes."""

    async def content(size: int) -> AsyncIterator[bytes]:
        for _ in range(size):
            yield os.urandom(MIB)

    await store.put(LOCATION, "warm up", content(9))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    stored = await store.put(LOCATION, "a", content(64))
    digest = hashlib.sha256()
    async for chunk in store.get(LOCATION, "a"):
        digest.update(chunk)
    assert digest.hexdigest() == stored.sha256
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024, stored.size)
    await store.close()
    return 0


# The folder alone


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    """On a file system of 1 MiB, which takes a namespace of its own to mount."""
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rm", "true"]).returncode != 0:
        pytest.skip("needs unshare, to mount a small disk")
    mount = ["unshare", "-rm", "sh", "-c", f'mount -t tmpfs -o size=1m tmpfs {tmp_path} && exec "$@"', "-"]
    result = process("full", str(tmp_path), before=mount)
    assert result.returncode == 0, result.stderr


async def fill(root: Path) -> int:
    store = LocalStore(root / "files")
    await store.put(LOCATION, "small", chunks(b"x"))
    before = Folder(root).remains()
    with pytest.raises(InsufficientStorage):
        await store.put(LOCATION, "a", chunks(*[b"x" * MIB] * 4))
    assert Folder(root).remains() == before
    await store.put(LOCATION, "b", chunks(b"x" * 1000))
    return 0


async def test_a_folder_that_cannot_be_used_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    store = LocalStore(tmp_path / "file")
    with pytest.raises(Unavailable):
        await store.check()
    with pytest.raises(Unavailable):
        await store.put(LOCATION, "a", chunks(b"x"))
    await store.close()


async def test_empty_folders_go_and_come_under_each_others_feet(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "files")

    async def churn(key: str) -> None:
        for _ in range(50):
            await store.put(LOCATION, key, chunks(b"x"))
            await store.delete(LOCATION, key)

    await asyncio.gather(*(churn("a") for _ in range(1)), *(churn(f"k{number}") for number in range(8)))
    assert list((tmp_path / "files").iterdir()) == []
    await store.close()


@pytest.mark.parametrize("at", range(6))
async def test_kill_9_leaves_what_delete_can_find(tmp_path: Path, at: int) -> None:
    """The process is killed while it puts one object again and again: what it leaves is an object, or a part."""
    await asyncio.to_thread(put_and_die, tmp_path, 0.013 * at)
    store = LocalStore(tmp_path)
    assert await store.size(LOCATION, "a") in (None, 3 * MIB)
    if await store.size(LOCATION, "a"):
        content = await read(store, LOCATION, "a")
        assert content == content[:1] * 3 * MIB
    await store.delete(LOCATION, "a")
    assert Folder(tmp_path).remains() == []
    await store.close()


def put_and_die(root: Path, seconds: float) -> None:
    command = [sys.executable, "-m", "tests.contract.test_file_stores", "forever", str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as putting:
        assert putting.stdout is not None
        putting.stdout.readline()
        time.sleep(seconds)
        putting.kill()


async def put_forever(root: Path) -> int:
    store = LocalStore(root)
    number = 0
    while True:
        await store.put(LOCATION, "a", chunks(*[bytes([number % 256]) * MIB] * 3))
        print(number, flush=True)
        number += 1


# S3 alone


async def test_delete_finds_uploads_that_were_cut_off(s3_endpoint: str) -> None:
    bucket = Bucket(s3_endpoint)
    store = bucket.open()
    await store.put(LOCATION, "other", chunks(b"x"))
    name = f"portico/files/{LOCATION.path('a')}"
    upload = bucket._client.create_multipart_upload(Bucket=bucket.name, Key=name)
    bucket._client.upload_part(Bucket=bucket.name, Key=name, UploadId=upload["UploadId"], PartNumber=1, Body=b"x")
    assert len(bucket.remains()) == 2
    await store.delete(LOCATION, "a")
    assert bucket.remains() == [f"portico/files/{LOCATION.path('other')}"]
    await store.close()


def _open(**settings: str) -> S3Store:
    return S3Store(s3.options({"accessKeyId": "k", "secretAccessKey": "s"}, settings), OutboundGuard(["127.0.0.1"]))


async def test_a_bucket_that_is_not_there_is_the_providers_refusal(s3_endpoint: str) -> None:
    store = _open(bucket="nobodys", endpoint=s3_endpoint)
    with pytest.raises(UpstreamFailed):
        await store.put(LOCATION, "a", chunks(b"x"))
    await store.close()


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    store = _open(bucket="bucket", endpoint="http://127.0.0.1:9")
    with pytest.raises(Unavailable):
        await store.size(LOCATION, "a")
    await store.close()


async def test_the_guard_holds_at_every_connection(s3_endpoint: str) -> None:
    """A name that led elsewhere when the provider was made."""
    port = s3_endpoint.rpartition(":")[2]
    guard = OutboundGuard(lookup=_to_loopback)
    given = s3.options(
        {"accessKeyId": "k", "secretAccessKey": "s"}, {"bucket": "b-1", "endpoint": f"http://s3.test:{port}"}
    )
    store = S3Store(given, guard)
    with pytest.raises(Unavailable):
        await store.size(LOCATION, "a")
    await store.close()


async def _to_loopback(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


@pytest.mark.parametrize(
    "settings",
    [
        {"bucket": "b-1", "endpoint": "http://127.0.0.1:9000"},
        {"bucket": "b-1", "endpoint": "http://169.254.169.254"},
        {"bucket": "127.0.0", "endpoint": "http://1", "usePathStyleEndpoint": "false"},
    ],
)
async def test_addresses_that_are_not_public_are_refused(settings: dict[str, str]) -> None:
    credentials = {"accessKeyId": "k", "secretAccessKey": "s"}
    with pytest.raises(InvalidInput, match="leads to no address that is public"):
        await configure(s3.driver(OutboundGuard()), credentials, settings, OutboundGuard())


async def test_an_answer_that_is_cut_off_is_not_passed_off_as_all(s3_endpoint: str) -> None:
    """The server promises more than it sends."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\netag: x\r\n\r\nshort")
        await writer.drain()
        writer.close()

    async with listening(lambda sock: asyncio.start_server(answer, sock=sock)) as port:
        store = _open(bucket="bucket", endpoint=f"http://127.0.0.1:{port}")
        with pytest.raises(Unavailable):
            await read(store, LOCATION, "a")
        await store.close()


JOBS: dict[str, Callable[[Path], Awaitable[int]]] = {"full": fill, "forever": put_forever}


async def main(arguments: list[str]) -> int:
    match arguments:
        case [job, root] if job in JOBS:
            return await JOBS[job](Path(root))
        case [root]:
            return await pass_64_mib(LocalStore(Path(root)))
        case [endpoint, bucket]:
            return await pass_64_mib(_open(bucket=bucket, endpoint=endpoint))
    raise SystemExit(f"{arguments}?")


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
