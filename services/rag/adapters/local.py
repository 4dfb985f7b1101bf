"""Objects as files in a folder of this machine, or of a network drive that all replicas share."""

import os
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from core import logs
from core.disk import on_disk
from core.errors import NotFound, Unavailable
from core.tenancy import Project, Tenant
from services.rag.adapters.blocks import blocks
from services.rag.ports import BucketLocation, FileDriver, FileStore, StoredObject, project_path

log = logs.get(__name__)

T = TypeVar("T")

_BLOCK = 1024 * 1024
_READ = 256 * 1024
_THREADS = 8
_ATTEMPTS = 10


class LocalStore:
    """Every object is one file below `root`. It is written beside its place and moved there when it is on the disk.

    File system calls run in threads of their own.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="files")

    async def put(self, location: BucketLocation, key: str, content: AsyncIterator[bytes]) -> StoredObject:
        file = _NewFile(self._root, self._path(location, key))
        try:
            await self._run(file.open)
            async with aclosing(blocks(content, _BLOCK)) as chunks:
                async for chunk in chunks:
                    await self._run(partial(file.write, chunk))
            return await self._run(file.commit)
        except BaseException:  # a cancellation too: nothing of it stays
            await self._run(file.discard)
            raise

    async def get(
        self, location: BucketLocation, key: str, offset: int = 0, length: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        file = _OpenFile(self._path(location, key), offset, length)
        try:
            await self._run(file.open)
            while chunk := await self._run(file.read):
                yield chunk
        finally:
            file.close()

    async def size(self, location: BucketLocation, key: str) -> int | None:
        return await self._run(lambda: _size(self._path(location, key)))

    async def delete(self, location: BucketLocation, key: str) -> None:
        await self._run(lambda: _remove(self._root, self._path(location, key)))

    async def clear(self, project: Project) -> None:
        await self._run(lambda: _clear(self._root / project_path(project)))

    async def clear_tenant(self, tenant: Tenant) -> None:
        await self._run(lambda: _clear(self._root / tenant.slug))

    async def check(self) -> None:
        await self._run(self._probe)

    async def close(self) -> None:
        self._threads.shutdown(wait=False)

    def _path(self, location: BucketLocation, key: str) -> Path:
        return self._root / location.path(key)

    def _probe(self) -> None:
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = self._root / ".probe"
        probe.touch(mode=0o600)

    async def _run(self, work: Callable[[], T]) -> T:
        return await on_disk(work, self._threads)


def driver(store: FileStore) -> FileDriver:
    """Every provider of this driver shares the one store: locations keep them apart."""

    return FileDriver(
        id="local",
        label="Local folder",
        description="On this service's own disk. Every project has it without any set-up.",
        fields=(),
        open=lambda credentials, settings: store,
    )


class _NewFile:
    """A file on its way to its place. All methods block."""

    def __init__(self, root: Path, target: Path) -> None:
        self._root = root
        self._target = target
        self._part = target.with_name(f"{target.name}.{uuid4().hex}.part")
        self._handle: int | None = None
        self._folder_is_new = False
        self._hash = sha256()
        self._size = 0

    def open(self) -> None:
        """Again where the folder vanishes, because its last other file was removed at this moment."""
        for attempt in range(_ATTEMPTS):
            self._folder_is_new = not self._target.parent.is_dir()
            self._target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                self._handle = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            except FileNotFoundError:
                if attempt == _ATTEMPTS - 1:
                    raise
            else:
                return

    def write(self, chunk: bytes) -> None:
        assert self._handle is not None
        self._hash.update(chunk)
        self._size += len(chunk)
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(self._handle, rest) :]

    def commit(self) -> StoredObject:
        assert self._handle is not None
        os.fsync(self._handle)
        self._close()
        self._part.replace(self._target)
        _sync_folder(self._target.parent)
        if self._folder_is_new:
            for folder in self._target.parent.parents:
                _sync_folder(folder)
                if folder == self._root.parent:
                    break
        return StoredObject(self._size, self._hash.hexdigest())

    def discard(self) -> None:
        """Delete the temporary file, unless it has become the object."""
        self._close()
        self._part.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._handle is not None:
            handle, self._handle = self._handle, None
            os.close(handle)


class _OpenFile:
    """A file that is read, whatever becomes of its name meanwhile."""

    def __init__(self, path: Path, offset: int, length: int | None) -> None:
        self._path = path
        self._position = offset
        self._left = length
        self._handle: int | None = None

    def open(self) -> None:
        try:
            self._handle = os.open(self._path, os.O_RDONLY)
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound("There is no such object.", reason="OBJECT_NOT_FOUND") from None

    def read(self) -> bytes:
        """Empty: that was all."""
        assert self._handle is not None
        wanted = _READ if self._left is None else min(_READ, self._left)
        chunk = os.pread(self._handle, wanted, self._position) if wanted else b""
        self._position += len(chunk)
        if self._left is not None:
            if wanted and not chunk:
                raise Unavailable("The stored file is shorter than it should be.", reason="OBJECT_DAMAGED")
            self._left -= len(chunk)
        return chunk

    def close(self) -> None:
        if self._handle is not None:
            handle, self._handle = self._handle, None
            os.close(handle)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return None


def _remove(root: Path, target: Path) -> None:
    for left in _parts_of(target):
        left.unlink(missing_ok=True)
    target.unlink(missing_ok=True)
    for folder in target.parents:
        if folder == root:
            return
        try:
            folder.rmdir()
        except OSError:  # not empty, or not there
            return


def _clear(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)  # a put in progress may make a file, or remove one, at this moment
    if folder.exists():
        raise Unavailable("The folder is in use, or cannot be removed.", reason="FOLDER_NOT_REMOVED")
    with suppress(OSError):  # not empty, or not there
        folder.parent.rmdir()
    with suppress(FileNotFoundError):
        _sync_folder(folder.parent)


def _parts_of(target: Path) -> Iterator[Path]:
    with suppress(FileNotFoundError):
        yield from list(target.parent.glob(f"{target.name}.*.part"))


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
