"""The ports of rag, beyond those of core."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from hashlib import sha256
from math import inf
from typing import Protocol

from core.providers import drivers
from core.providers.drivers import Values
from core.tenancy import Project
from services.rag.domain.files.kinds import Kind

_BUCKET_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class BucketLocation:
    """The location of a bucket's objects. `bucket_id` is the bucket's record id, which is never used again."""

    scope: Project
    bucket_id: str

    def __post_init__(self) -> None:
        if not _BUCKET_ID.fullmatch(self.bucket_id):
            raise ValueError("a bucket's id is 1 to 64 letters, digits, '_' or '-'")

    def path(self, key: str) -> str:
        """Return the path of the object in a store, whatever its key holds: names of fixed form and length, so that no
        key leads elsewhere, and none meets another one where upper and lower case are the same."""
        whole = "\0".join((self.scope.tenant.slug, self.scope.id, self.bucket_id, key))
        name = sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()
        return f"{project_path(self.scope)}/{self.bucket_id}/{name[:2]}/{name[2:]}"


def project_path(project: Project) -> str:
    """Return the prefix, before a slash, of the paths of all objects of a project, and no other's."""
    return f"{project.tenant.slug}/{project.id}"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """Object written by `put`. `sha256` is hexadecimal."""

    size: int
    sha256: str

    @property
    def etag(self) -> str:
        """An entity tag, quoted; strong: the same content has the same one."""
        return etag_of(self.sha256)


def etag_of(checksum: str) -> str:
    return f'"{checksum[:32]}"'


class FileStore(Protocol):
    """A store of objects. Every method takes the location first; objects of another location do not exist for it. Keys
    are any text.

    Any method raises Unavailable where the store cannot be reached, and UpstreamFailed where it refuses us. Safe to
    use from many tasks at once.
    """

    async def put(self, location: BucketLocation, key: str, content: AsyncIterator[bytes]) -> StoredObject:
        """Write an object, or replace it, as a whole and durably: nobody ever sees a part. It never holds more than a
        few MiB of `content` in memory. Where `content` raises, or the call is cancelled, there is what was before.
        Of several at a time with one key, one wins. Raises InsufficientStorage where the store is full."""

    def get(
        self, location: BucketLocation, key: str, offset: int = 0, length: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The object from `offset` on, `length` bytes of it or all that follow, in chunks of at most 1 MiB. The object
        stays what it was when the first chunk came. Raises NotFound with the first chunk, Unavailable where
        the object is shorter than asked for. Close it if you leave early."""

    async def size(self, location: BucketLocation, key: str) -> int | None:
        """Bytes of the object; None: there is none."""

    async def delete(self, location: BucketLocation, key: str) -> None:
        """Remove the object, and what a `put` that was cut off has left of it. No error where there is nothing. A
        `put` of this key that is in progress may fail with Unavailable."""

    async def clear(self, project: Project) -> None:
        """Remove every object of the project, and what of its puts was cut off. Safe to repeat; a `put` in progress
        may fail, or leave its object."""

    async def check(self) -> None:
        """Check that the store can serve. Raises where it cannot."""

    async def close(self) -> None:
        """Release files and connections. May be called twice."""


@dataclass(frozen=True)
class FileDriver(drivers.Driver):
    """A kind of provider. `open` makes a store from credentials and settings and connects to nothing yet."""

    open: Callable[[Values, Values], FileStore]
    max_object_bytes: float = inf
    """Size of the largest object that its stores take."""


class Converter(Protocol):
    """Makes Markdown of one document. Several may be at it at a time."""

    def convert(self, kind: Kind, content: AsyncIterator[bytes]) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The Markdown in chunks, UTF-8; nothing of either stays when the context is left. Raises UnsupportedMedia for
        what turns out to be of no known kind or to hold no text, Unprocessable for what cannot be converted or takes
        too much, Unavailable and InsufficientStorage where it may go well another time."""
