"""Files and folders that only their owner can read: everything below the data folder is so."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_OTHERS = 0o077
"""The rights of the group and of everybody else."""


def set_umask() -> None:
    """Make the files of this process and its children readable by their owner alone. Call it first."""
    os.umask(_OTHERS)


def restrict(folder: Path, *, recursive: bool = True, files: bool = True) -> None:
    """Take others' rights from a folder and from what lies in it (`files`: not from folders alone), made by an earlier
    version or by hand. What belongs to another user is left as it is, and so is what links lead to. No error where
    there is no such folder."""
    for path in (str(folder), *_within(folder, recursive, files)):
        with suppress(FileNotFoundError, PermissionError):
            mode = os.lstat(path).st_mode
            if mode & _OTHERS and not stat.S_ISLNK(mode):
                os.chmod(path, stat.S_IMODE(mode) & ~_OTHERS)


def _within(folder: Path, recursive: bool, with_files: bool) -> Iterator[str]:
    for parent, folders, files in os.walk(folder):
        yield from (os.path.join(parent, name) for name in (*folders, *(files if with_files else ())))
        if not recursive:
            return


def write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner can read; whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(text)
    draft.replace(path)
