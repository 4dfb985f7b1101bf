"""Files that only their owner can read."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core import secret_files


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_what_is_made_is_private_in_child_processes_too(tmp_path: Path) -> None:
    secret_files.set_umask()
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "file").write_text("x")
    program = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text('x')"
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "child")], check=True)
    assert [mode(tmp_path / name) for name in ("a", "a/b", "file", "child")] == [0o700, 0o700, 0o600, 0o600]


@pytest.mark.usefixtures("umask")
def test_what_is_there_is_mended(tmp_path: Path) -> None:
    """Vectors and logs of earlier versions could be read by everybody on the machine."""
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    (data / "vectors" / "deep").mkdir(parents=True)
    for path in (data / "log", data / "vectors" / "deep" / "segment", elsewhere):
        path.write_text("x")
    (data / "program").write_text("x")
    (data / "program").chmod(0o755)
    (data / "link").symlink_to(elsewhere)
    secret_files.restrict(data)
    made = ("", "log", "vectors", "vectors/deep", "vectors/deep/segment", "program")
    assert [mode(data / name) for name in made] == [0o700, 0o600, 0o700, 0o700, 0o600, 0o700]
    assert mode(elsewhere) == 0o644
    secret_files.restrict(tmp_path / "absent")


@pytest.mark.usefixtures("umask")
def test_the_top_or_the_folders_alone(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "file").write_text("x")
    secret_files.restrict(tmp_path, recursive=False)
    assert [mode(tmp_path / name) for name in ("", "a", "a/b", "a/file")] == [0o700, 0o700, 0o755, 0o644]
    secret_files.restrict(tmp_path, files=False)
    assert [mode(tmp_path / name) for name in ("a/b", "a/file")] == [0o700, 0o644]
