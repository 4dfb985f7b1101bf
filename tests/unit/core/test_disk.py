"""Work on the disk, in threads."""

import asyncio
import errno
import io
import threading
from functools import partial
from pathlib import Path

import pytest

from core.disk import on_disk, scratch_file, write_all
from core.errors import InsufficientStorage, PorticoError, Unavailable


async def test_a_cancelled_call_ends_when_its_thread_has(tmp_path: Path) -> None:
    """Closed under the thread's hands, its descriptor could be another file's by the time it writes."""
    begun, go_on = threading.Event(), threading.Event()
    file = await on_disk(partial(scratch_file, tmp_path))

    def work() -> None:
        begun.set()
        go_on.wait(10)
        write_all(file, b"whole")

    async def write() -> None:
        with file:
            await on_disk(work)

    writing = asyncio.create_task(write())
    await asyncio.to_thread(begun.wait, 10)
    for _ in range(2):
        writing.cancel()
        await asyncio.sleep(0.01)
    assert (writing.done(), file.closed) == (False, False)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert file.closed


@pytest.mark.parametrize(
    ("number", "expected"),
    [(errno.ENOSPC, InsufficientStorage), (errno.EDQUOT, InsufficientStorage), (errno.EIO, Unavailable)],
)
async def test_what_errors_of_the_disk_mean(number: int, expected: type[PorticoError]) -> None:
    def fail() -> None:
        raise OSError(number, "a path that nobody is to see")

    with pytest.raises(expected) as caught:
        await on_disk(fail)
    assert "path" not in caught.value.message


async def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(ZeroDivisionError):
        await on_disk(lambda: 1 // 0)


def test_a_scratch_file_has_no_name(tmp_path: Path) -> None:
    with scratch_file(tmp_path / "new") as file:
        write_all(file, b"x")
        assert list((tmp_path / "new").iterdir()) == []


def test_a_file_may_take_less_than_it_is_given() -> None:
    class Slow(io.BytesIO):
        def write(self, content: object) -> int:
            return super().write(bytes(content)[:3])  # type: ignore[call-overload]  # a memoryview, as write_all gives

    file = Slow()
    write_all(file, b"0123456789")
    assert file.getvalue() == b"0123456789"
