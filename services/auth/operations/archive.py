"""The archive of a backup: a tar file, written and read as a stream.

Members are named `<section>/<number>`, hold at most MEMBER_BYTES and are never extracted to a path: their names say
only where in the archive they are. The entry that a member is a part of (a collection, a file, an index) is in its
header. The last member is `manifest.json`, with the checksum of each of the others.
"""

import hashlib
import io
import os
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import orjson

from core.errors import InvalidInput

FORMAT = 1
MEMBER_BYTES = 8 * 1024 * 1024
MANIFEST = "manifest.json"
_ENTRY = "PORTICO.entry"
_NAME = re.compile(r"[a-z][a-z0-9_-]*(?:/[a-z][a-z0-9_-]*)?/[0-9]{8}")
_MAX_MANIFEST = 512 * 1024 * 1024
_PARTIAL = ".partial"
DAMAGED = "ARCHIVE_DAMAGED"


class Member(msgspec.Struct, frozen=True):
    """A member as the manifest lists it."""

    name: str
    entry: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, rename="camel"):
    """Contents of an archive. `keys` are ids of the encryption keys that its secrets are sealed with, `counts` the
    documents of each collection, and `kinds` the sections of other state."""

    format: int
    version: str
    tenant: str
    company_name: str
    created_at: float
    provider: str
    registered: dict[str, Any]
    """The tenant's record in the registry."""
    keys: list[str]
    counts: dict[str, int]
    kinds: list[str]
    members: list[Member]


class ArchiveWriter:
    """Writes beside `path`, and moves the archive there when it is whole. It is readable for its owner alone."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._partial = path.with_name(path.name + _PARTIAL)
        self._file: BinaryIO = os.fdopen(os.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
        self._tar = tarfile.open(  # noqa: SIM115  # closed by `finish`
            fileobj=self._file, mode="w|", format=tarfile.PAX_FORMAT
        )
        self._key = ("", "")
        self._held = bytearray()
        self._begun = False
        self._numbers: dict[str, int] = {}
        self.members: list[Member] = []
        self.size = 0

    def add(self, section: str, entry: str, content: bytes) -> None:
        """Append to an entry. One that is not the entry before begins another."""
        if (section, entry) != self._key:
            self._write()
            self._key, self._begun = (section, entry), True
        self._held += content
        while len(self._held) >= MEMBER_BYTES:
            self._write(MEMBER_BYTES)

    def finish(self, manifest: Manifest) -> None:
        """Write the manifest, and give the archive its name once it is on the disk."""
        self._put(MANIFEST, "", orjson.dumps(msgspec.to_builtins(manifest)))
        self._tar.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._partial.replace(self._path)

    def flush(self) -> None:
        """Write what is held, so that `members` has all."""
        self._write()
        self._key = ("", "")

    def discard(self) -> None:
        """Remove what was written, unless it is finished."""
        self._file.close()
        self._partial.unlink(missing_ok=True)

    def _write(self, most: int | None = None) -> None:
        if not self._held and not self._begun:
            return
        section, entry = self._key
        content = bytes(self._held[:most])
        del self._held[: len(content)]
        self._begun = False
        number = self._numbers[section] = self._numbers.get(section, 0) + 1
        name = f"{section}/{number:08}"
        self.members.append(Member(name, entry, len(content), hashlib.sha256(content).hexdigest()))
        self._put(name, entry, content)

    def _put(self, name: str, entry: str, content: bytes) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(content), 0o600
        info.pax_headers = {_ENTRY: entry} if entry else {}
        self._tar.addfile(info, io.BytesIO(content))
        self.size += len(content)


def verified(path: Path) -> Manifest:
    """Read the whole archive, and return its manifest. Raises InvalidInput, which names the place, where it is no
    archive, is cut short or was changed."""
    found = []
    manifest: Manifest | None = None
    for name, entry, content in _members(path):
        if manifest is not None:
            raise _damaged(path, f"{name} follows the manifest, which is the last member")
        if name == MANIFEST:
            manifest = _manifest(path, content)
        else:
            found.append(Member(name, entry, len(content), hashlib.sha256(content).hexdigest()))
    if manifest is None:
        where = found[-1].name if found else "its beginning"
        raise _damaged(path, f"it ends after {where}, without a manifest")
    for at, wanted in enumerate(manifest.members):
        if at >= len(found) or found[at] != wanted:
            raise _damaged(path, f"{wanted.name} is missing, or is not what was written")
    if len(found) > len(manifest.members):
        raise _damaged(path, f"{found[len(manifest.members)].name} is not in the manifest")
    return manifest


def contents(path: Path, section: str) -> Iterator[tuple[str, bytes]]:
    """Entry and content of each member of a section."""
    for name, entry, content in _members(path):
        if name.rpartition("/")[0] == section:
            yield entry, content


def _members(path: Path) -> Iterator[tuple[str, str, bytes]]:
    last = "its beginning"
    try:
        with path.open("rb") as file, tarfile.open(fileobj=file, mode="r|") as tar:
            for info in tar:
                if not info.isreg() or not (info.name == MANIFEST or _NAME.fullmatch(info.name)):
                    raise _damaged(path, f"the member after {last} is none of a backup")
                if info.size > (_MAX_MANIFEST if info.name == MANIFEST else MEMBER_BYTES):
                    raise _damaged(path, f"{info.name} is larger than any member")
                last = info.name
                reader = tar.extractfile(info)
                content = b"" if reader is None else reader.read()
                if len(content) != info.size:
                    raise _damaged(path, f"it ends within {last}")
                yield info.name, info.pax_headers.get(_ENTRY, ""), content
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}.", reason="ARCHIVE_UNREADABLE") from None
    except (tarfile.TarError, ValueError, EOFError) as error:
        raise _damaged(path, f"after {last}: {error}") from None


def _manifest(path: Path, content: bytes) -> Manifest:
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except msgspec.DecodeError as error:
        raise _damaged(path, f"{MANIFEST}: {error}") from None
    if manifest.format != FORMAT:
        raise InvalidInput(
            f"{path} has the format {manifest.format}, and this version of Portico reads {FORMAT}. Restore it with the "
            f"version that wrote it, {manifest.version}, or a later one.",
            reason="ARCHIVE_FORMAT",
        )
    return manifest


def _damaged(path: Path, what: str) -> InvalidInput:
    return InvalidInput(f"{path} is damaged: {what}. Nothing was restored.", reason=DAMAGED)
