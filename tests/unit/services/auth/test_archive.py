"""The archive of a backup: what is damaged, cut short or made by others is refused, and the place is named."""

import io
import tarfile
from pathlib import Path

import pytest

from core.errors import InvalidInput
from services.auth.operations.archive import FORMAT, MEMBER_BYTES, ArchiveWriter, Manifest, contents, verified


def manifest(archive: ArchiveWriter, format: int = FORMAT) -> Manifest:
    archive.flush()
    return Manifest(
        format=format,
        version="9.9",
        tenant="acme",
        company_name="Acme",
        created_at=1.0,
        provider="sqlite",
        registered={"id": "acme", "slug": "acme"},
        keys=["k1"],
        counts={"users": 2},
        kinds=["rag/files"],
        members=archive.members,
    )


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "acme.portico"
    writer = ArchiveWriter(path)
    writer.add("documents", "users", b"one\n")
    writer.add("documents", "users", b"two\n")
    writer.add("rag/files", "p/b/o", b"x" * (MEMBER_BYTES + 5))
    writer.add("rag/files", "p/b/empty", b"")
    writer.finish(manifest(writer))
    return path


def test_what_is_written_is_read_again(archive: Path) -> None:
    assert verified(archive).counts == {"users": 2}
    assert list(contents(archive, "documents")) == [("users", b"one\ntwo\n")]
    assert [(entry, len(content)) for entry, content in contents(archive, "rag/files")] == [
        ("p/b/o", MEMBER_BYTES),
        ("p/b/o", 5),
        ("p/b/empty", 0),
    ]
    assert archive.stat().st_mode & 0o777 == 0o600


def test_an_archive_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "acme.portico"
    writer = ArchiveWriter(path)
    writer.add("documents", "users", b"one\n")
    assert not path.exists()
    writer.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_changed_byte_is_found_and_named(archive: Path) -> None:
    content = archive.read_bytes()
    archive.write_bytes(content.replace(b"two\n", b"twO\n", 1))
    with pytest.raises(InvalidInput, match=r"documents/00000001 is missing, or is not what was written"):
        verified(archive)


@pytest.mark.parametrize("kept", [0, 100, 1500, MEMBER_BYTES // 2, -11_000])
def test_an_archive_that_is_cut_short_is_refused(archive: Path, kept: int) -> None:
    archive.write_bytes(archive.read_bytes()[:kept])
    with pytest.raises(InvalidInput) as caught:
        verified(archive)
    assert caught.value.reason == "ARCHIVE_DAMAGED"
    assert "Nothing was restored" in caught.value.message


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "documents/../00000001", "documents/x"])
def test_a_member_with_a_path_of_its_own_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "evil.tar"
    with tarfile.open(path, "w") as tar:
        info = tarfile.TarInfo(name)
        info.size = 1
        tar.addfile(info, io.BytesIO(b"x"))
    with pytest.raises(InvalidInput, match="none of a backup"):
        verified(path)


def test_a_link_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evil.tar"
    with tarfile.open(path, "w") as tar:
        info = tarfile.TarInfo("documents/00000001")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(info)
    with pytest.raises(InvalidInput, match="none of a backup"):
        verified(path)


def test_a_member_that_the_manifest_lacks_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "acme.portico"
    writer = ArchiveWriter(path)
    writer.add("documents", "users", b"one\n")
    known = manifest(writer)
    members = list(known.members)
    writer.add("documents", "users", b"planted\n")
    writer.flush()
    writer.finish(Manifest(**{**{name: getattr(known, name) for name in known.__struct_fields__}, "members": members}))
    with pytest.raises(InvalidInput, match="documents/00000002 is not in the manifest"):
        verified(path)


def test_a_later_format_says_which_version_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "acme.portico"
    writer = ArchiveWriter(path)
    writer.finish(manifest(writer, FORMAT + 1))
    with pytest.raises(InvalidInput, match=r"Restore it with the version that wrote it, 9\.9"):
        verified(path)


def test_no_archive_at_all_is_a_plain_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        verified(tmp_path / "missing")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(InvalidInput, match="damaged"):
        verified(tmp_path / "text")
