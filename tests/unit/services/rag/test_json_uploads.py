"""Uploads as JSON: what stands in them, and what they cost."""

import base64
import os
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from core.errors import InsufficientStorage, InvalidInput
from services.rag.servicers import bodies

MIB = 1024 * 1024


async def cut(body: bytes, size: int = 64 * 1024) -> AsyncIterator[bytes]:
    for at in range(0, len(body), size):
        yield body[at : at + size]


def remains(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def content_of(body: bytes, folder: Path) -> tuple[bytes, str]:
    data, named_type = bodies.data_of(await bodies.json_body(cut(body), folder))
    return b"".join([chunk async for chunk in bodies.decoded(data)]), named_type


@pytest.mark.parametrize("size", [0, 1, 2, 3, 1000, MIB, 3 * MIB + 1])
@pytest.mark.parametrize("field", ["data", "base64"])
async def test_the_content_is_what_was_sent(tmp_path: Path, size: int, field: str) -> None:
    content = os.urandom(size)
    body = orjson.dumps({"fileName": "a", field: base64.b64encode(content).decode()})
    assert await content_of(body, tmp_path) == (content, "")
    assert remains(tmp_path) == []


@pytest.mark.parametrize("repeated", [1, 300_000], ids=["small", "large"])
@pytest.mark.parametrize(
    "escaped", [b"\\/\\/\\/\\/", b"\\u002f///", b"//\\u002F/"], ids=["slashes", "first", "capitals"]
)
async def test_escapes_that_some_encoders_write(tmp_path: Path, escaped: bytes, repeated: int) -> None:
    body = b'{"fileName":"a","data":"%s"}' % (escaped * repeated)
    assert await content_of(body, tmp_path) == (b"\xff\xff\xff" * repeated, "")


async def test_a_data_url_names_the_type(tmp_path: Path) -> None:
    body = b'{"fileName":"a","data":"data:image/png;name=x;base64,YWJj"}'
    assert await content_of(body, tmp_path) == (b"abc", "image/png")


@pytest.mark.parametrize(
    "data",
    [
        *(b"1", b"[]", b"true", b"null", b'"YWJ"', b'"Y=Jj"', b'"YWJj\\n"', b'"-_-_"', b'"\xc3\xa4\xc3\xa4"'),
        *(b'"data:,YWJj"', b'"data:text/plain;base64YWJj"', b'"data:;base64,YW\\u0000j"'),
        b'"' + b"YQ==" * 300_000 + b'"',
    ],
    ids=lambda data: data[:20],
)
async def test_what_is_no_base64_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(InvalidInput) as caught:
        await content_of(b'{"fileName":"a","data":%s}' % data, tmp_path)
    assert caught.value.field == "data"


async def test_a_large_body_is_not_held(tmp_path: Path) -> None:
    """Twenty uploads of 31 MiB took the service 1.4 GB."""
    body = orjson.dumps({"fileName": "a", "data": base64.b64encode(bytes(20 * MIB)).decode()})
    tracemalloc.start()
    data, _ = bodies.data_of(await bodies.json_body(cut(body), tmp_path))
    size = sum([len(chunk) async for chunk in bodies.decoded(data)])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size == 20 * MIB
    assert peak < 8 * MIB


async def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(folder: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("services.rag.servicers.bodies.scratch_file", full)
    with pytest.raises(InsufficientStorage):
        await bodies.json_body(cut(b'{"fileName":"%s"}' % (b"a" * 2 * MIB)), tmp_path)
