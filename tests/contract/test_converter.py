"""The converter with its real processes and the real library: every format, and documents that mean harm."""

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from datetime import date, datetime
from pathlib import Path
from typing import IO, Any

import pytest

from core.errors import InsufficientStorage, PorticoError, Unavailable, Unprocessable, UnsupportedMedia
from services.rag.adapters.conversion import converter
from services.rag.adapters.conversion.converter import ProcessConverter
from services.rag.adapters.conversion.sandbox import MIB, Limits
from services.rag.domain.files.kinds import HEAD_BYTES, kind_of
from tests.support import documents
from tests.support.connections import listening
from tests.support.hostile import HOSTILE
from tests.support.hostile.case import Hostile
from tests.support.processes import children, environment

ROWS = [["name", "price"], ["apple", "3"], ["pear", "4"]]
TABLE = "| name | price |\n| --- | --- |\n| apple | 3 |\n| pear | 4 |"
LIMITS = Limits(seconds=60, memory=1024 * MIB, output=20 * MIB)


async def markdown(folder: Path, name: str, document: bytes, limits: Limits = LIMITS) -> str:
    kind = kind_of(name, "", document[:HEAD_BYTES])
    async with ProcessConverter(folder, limits).convert(kind, pieces(document)) as content:
        return b"".join([piece async for piece in content]).decode()


async def pieces(document: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(document), MIB):
        yield document[at : at + MIB]


async def refusal(folder: Path, name: str, document: bytes, limits: Limits = LIMITS) -> PorticoError:
    """Return the error of a refused conversion, of which nothing stays: no file, no process."""
    with pytest.raises(PorticoError) as caught:
        await markdown(folder, name, document, limits)
    assert_clean(folder)
    return caught.value


@pytest.mark.parametrize(
    ("name", "document", "expected"),
    [
        ("a.pdf", documents.pdf(["Hello from page one.", "Second line."]), ["Hello from page one.", "Second line."]),
        ("a.docx", documents.docx(["Title", "Words."], table=ROWS), ["# Title", "Words.", "| apple | 3 |"]),
        ("a.pptx", documents.pptx_slides({"One": "Words.", "Two": "More."}, ROWS), ["# One", "Words.", "# Two", TABLE]),
        ("a.xlsx", documents.xlsx({"Fruit": ROWS, "Other": [["x"], [1]]}), [f"## Fruit\n{TABLE}", "## Other"]),
        ("a.html", b"<h1>Title</h1><p>Words <b>here</b>.<script>no</script>", ["# Title", "Words **here**."]),
        ("a.csv", "name,price\napple,3\npear,4\n".encode("utf-16"), [TABLE]),
        ("a.csv", b'name,price\n"a|b\nc",1\n', ["| a\\|b c | 1 |"]),
        ("a.txt", "Größe".encode("cp1252"), ["Größe"]),
        ("a.xlsx", documents.docx(["Not a workbook"]), ["# Not a workbook"]),
        ("a.docx", documents.pdf(["Not a DOCX"]), ["Not a DOCX"]),
    ],
    ids=["pdf", "docx", "pptx", "xlsx", "html", "csv", "csv cells", "text", "docx as xlsx", "pdf as docx"],
)
async def test_every_format(tmp_path: Path, name: str, document: bytes, expected: list[str]) -> None:
    text = await markdown(tmp_path, name, document)
    for each in expected:
        assert each in text
    assert_clean(tmp_path)


async def test_a_workbooks_cells_are_what_they_are(tmp_path: Path) -> None:
    """Read as a data frame, gaps became NaN, "NA" and "null" too, and whole numbers in a column with a gap 3.0."""
    rows: list[list[Any]] = [
        [None, None],
        ["name", "count", None, "when"],
        ["a|b\nc", 3, None, date(2024, 1, 2)],
        [None, None, None, None],
        ["NA", None, "null", datetime.fromisoformat("2024-01-02T03:04:05")],
        [True, 0.25, "=1+1", 2**40],
    ]
    text = await markdown(tmp_path, "a.xlsx", documents.xlsx({"S": rows, "Empty": []}))
    assert text.splitlines() == [
        "## S",
        "| name | count |  | when |",
        "| --- | --- | --- | --- |",
        "| a\\|b c | 3 |  | 2024-01-02 |",
        "| NA |  | null | 2024-01-02 03:04:05 |",
        f"| TRUE | 0.25 |  | {2**40} |",  # a formula that nothing has calculated yet
        "",
        "## Empty",
    ]


async def test_two_cells_far_apart_cost_no_more_than_two_cells(tmp_path: Path) -> None:
    """They took a GiB, and were refused for it."""
    far = documents.xlsx_cells({"A1": "here", "B1": "beside", "XFD1048576": "there"})
    limits = Limits(seconds=20, memory=256 * MIB, output=MIB)
    assert (await markdown(tmp_path, "a.xlsx", far, limits)).splitlines()[1:] == [
        "| here | beside |  |  |", "| --- | --- | --- | --- |", "|  |  |  | there |"
    ]  # fmt: skip
    rows = documents.xlsx_cells({"A1": "here", "B200000": "there"})
    assert (await markdown(tmp_path, "a.xlsx", rows)).splitlines()[1:] == [
        "| here |  |", "| --- | --- |", "|  | there |"
    ]  # fmt: skip


async def test_a_workbook_without_a_cell_holds_no_text(tmp_path: Path) -> None:
    error = await refusal(tmp_path, "a.xlsx", documents.xlsx({"S": [], "T": []}))
    assert (type(error), "no text" in error.message) == (UnsupportedMedia, True)


LOCKED_DOWN = ("equation.docx", "chart.pptx", "types.xlsx", "hidden.html", "in gb18030.html", "gb18030.csv", "sep.csv")


@pytest.mark.parametrize("hostile", [each for each in HOSTILE if each.name in LOCKED_DOWN], ids=lambda each: each.name)
async def test_hostile_documents_in_a_worker(tmp_path: Path, hostile: Hostile) -> None:
    """The same as `test_conversion_hostile`, where libraries are kept from files and threads."""
    assert not hostile.faults(await markdown(tmp_path, hostile.name, hostile.content))


async def test_markdown_stays_as_it_is(tmp_path: Path) -> None:
    """Two spaces at the end of a line are a line break."""
    text = "# Title\r\n\n\n\nfirst  \nsecond\n"
    assert await markdown(tmp_path, "a.md", text.encode()) == text


async def test_documents_fetch_nothing(tmp_path: Path) -> None:
    calls: list[asyncio.StreamReader] = []

    def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        calls.append(reader)
        writer.close()

    async with listening(lambda sock: asyncio.start_server(answer, sock=sock)) as port:
        url = f"http://127.0.0.1:{port}/x.png"
        html = (
            f'<base href="{url}"><link rel=stylesheet href="{url}"><img src="{url}"><iframe src="{url}"></iframe>text'
        )
        assert "Linked" in await markdown(tmp_path, "a.docx", documents.docx_with_linked_image(url))
        assert "text" in await markdown(tmp_path, "a.html", html.encode())
    assert not calls


async def test_documents_read_no_other_file(tmp_path: Path) -> None:
    secret = tmp_path.with_name("secret")
    secret.write_text("secret")
    error = await refusal(tmp_path, "a.docx", documents.docx_that_reads(str(secret)))
    assert "entities" in error.message
    text = await markdown(tmp_path, "a.docx", documents.docx_with_linked_image(f"file://{secret}"))
    assert "secret" not in text


@pytest.mark.parametrize(
    "attempt",
    [
        "import socket; socket.socket()",
        "import socket; socket.getaddrinfo('localhost', 80)",
        "import urllib.request; urllib.request.urlopen('http://127.0.0.1/')",
        "import subprocess; subprocess.run(['true'])",
        "import os; os.system('true')",
        "import os; os.fork()",
        "import os; os.kill(os.getppid(), 0)",
        "open('/etc/passwd')",
        "open('/proc/self/environ')",
        "open('written', 'w')",
        "import os; os.remove('written')",
    ],
)
async def test_parsers_are_kept_from_the_outside(tmp_path: Path, attempt: str) -> None:
    program = f"""
from services.rag.adapters.conversion import sandbox
sandbox.lock_down()
try:
    {attempt}
except PermissionError:
    print("refused")
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, cwd=tmp_path, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert output == b"refused\n"


@pytest.mark.parametrize(
    ("name", "make", "error", "message"),
    [
        ("a.pdf", documents.encrypted_pdf, Unprocessable, "password"),
        ("a.pdf", lambda: b"%PDF-1.4\nand then nothing of the kind", Unprocessable, "damaged"),
        ("a.pdf", lambda: documents.pdf(["x"])[:300], Unprocessable, "damaged"),
        ("a.pdf", documents.pdf_without_text, UnsupportedMedia, "no text"),
        ("a.pdf", lambda: documents.pdf_bomb(600), Unprocessable, "1024 MiB of memory"),
        ("a.docx", lambda: documents.docx(["x"])[:600], Unprocessable, "damaged"),
        ("a.docx", documents.docx_with_entities, Unprocessable, "entities"),
        ("a.docx", lambda: documents.zip_bomb(200), Unprocessable, "unpack"),
        ("a.docx", lambda: documents.many_entries(20_000), Unprocessable, "unpack"),
        ("a.docx", lambda: documents.archive({"word/x": b"x"}), UnsupportedMedia, "Only PDF"),
        ("a.docx", lambda: documents.docx([], body="<w:p>" * 5000 + "</w:p>" * 5000), Unprocessable, "deeply"),
        ("a.txt", lambda: b"text " * 10_000 + b"\0", UnsupportedMedia, "Only PDF"),
        ("a.csv", lambda: documents.csv(50 * MIB), Unprocessable, "longer than 20 MiB"),
    ],
    ids=[
        *("encrypted", "no pdf", "half a pdf", "no text", "pdf bomb", "half a docx", "entities", "zip bomb", "entries"),
        *("no docx", "deep", "binary", "large csv"),
    ],
)
async def test_what_cannot_be_converted_says_why(
    tmp_path: Path, name: str, make: Callable[[], bytes], error: type[PorticoError], message: str
) -> None:
    refused = await refusal(tmp_path, name, make())
    assert type(refused) is error
    assert message in refused.message
    assert "/" not in refused.message
    assert "Traceback" not in refused.message


async def test_a_pdf_that_hangs_its_parser_is_ended(tmp_path: Path) -> None:
    limits = Limits(seconds=2, memory=1024 * MIB, output=MIB)
    refused = await refusal(tmp_path, "a.pdf", documents.pdf_that_hangs(), limits)
    assert refused.message == "The conversion took more than 2 seconds."


async def test_a_good_document_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    limits = Limits(seconds=1, memory=1024 * MIB, output=20 * MIB)
    refused = await refusal(tmp_path, "a.docx", documents.docx([f"Paragraph {at}" for at in range(30_000)]), limits)
    assert refused.message == "The conversion took more than 1 seconds."


async def test_too_much_memory(tmp_path: Path) -> None:
    limits = Limits(seconds=60, memory=256 * MIB, output=100 * MIB)
    refused = await refusal(tmp_path, "a.csv", documents.csv(40 * MIB), limits)
    assert refused.message == "The conversion needs more than 256 MiB of memory."


async def test_too_much_output(tmp_path: Path) -> None:
    limits = Limits(seconds=60, memory=1024 * MIB, output=MIB)
    refused = await refusal(tmp_path, "a.csv", documents.csv(MIB), limits)
    assert refused.message == "The Markdown would be longer than 1 MiB."


DIES = """
import os, signal, sys, tempfile
if {ready}:
    print("ready", flush=True)
starts = int(open({counter!r}).read() or 0) + 1
open({counter!r}, "w").write(str(starts))
if starts <= {times}:
    os.kill(os.getpid(), signal.{signal})
os.write(int(sys.argv[2]), sys.stdin.buffer.read())
print("done", flush=True)
"""


def dying_worker(
    monkeypatch: pytest.MonkeyPatch, folder: Path, *, times: int, ready: bool, signal: str = "SIGSEGV"
) -> Callable[[], int]:
    """Put a program in the worker's place that dies so many times, and give how often it was started."""
    place = folder.with_name(f"{folder.name}-worker")
    place.mkdir()
    counter = place / "starts"
    counter.write_text("")
    (place / "dying.py").write_text(DIES.format(counter=str(counter), times=times, ready=ready, signal=signal))
    monkeypatch.setattr(converter, "_WORKER", "dying")
    monkeypatch.syspath_prepend(str(place))
    return lambda: int(counter.read_text())


async def test_a_worker_that_dies_over_a_document_is_no_mystery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = dying_worker(monkeypatch, tmp_path, times=1, ready=True)
    error = await refusal(tmp_path, "a.txt", b"text")
    assert (type(error), error.message) == (Unprocessable, "The converter broke down over this document.")
    assert starts() == 1


@pytest.mark.parametrize("signal", ["SIGSEGV", "SIGKILL", "SIGABRT"])
async def test_a_worker_that_dies_before_it_reads_the_document_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signal: str
) -> None:
    """A child that gRPC's fork handlers had crashed was taken for the document's fault (grpc/grpc#43055)."""
    starts = dying_worker(monkeypatch, tmp_path, times=2, ready=False, signal=signal)
    assert await markdown(tmp_path, "a.txt", b"text") == "text"
    assert starts() == 3
    assert_clean(tmp_path)


async def test_a_worker_that_never_starts_is_the_services_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job tries such a conversion again later."""
    starts = dying_worker(monkeypatch, tmp_path, times=100, ready=False)
    error = await refusal(tmp_path, "a.txt", b"text")
    assert (type(error), error.message) == (
        Unavailable, "The converter could not be started. Try again in a moment."
    )  # fmt: skip
    assert starts() == 3


async def test_who_stops_waiting_leaves_no_process(tmp_path: Path) -> None:
    work = asyncio.create_task(markdown(tmp_path, "a.pdf", documents.pdf_that_hangs()))
    await a_child()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert_clean(tmp_path)


async def test_workers_see_nothing_of_the_services_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTICO_SERVICE_SECRET", "secret")
    work = asyncio.create_task(markdown(tmp_path, "a.pdf", documents.pdf_that_hangs()))
    worker = await a_child()
    while b"PYTHONPATH" not in environment(worker):  # it is our own image until it is the program's
        await asyncio.sleep(0.01)
    assert b"PORTICO" not in environment(worker)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)


async def test_a_full_disk_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", full_disk)
    assert type(await refusal(tmp_path, "a.txt", b"text " * 10_000)) is InsufficientStorage


def assert_clean(folder: Path) -> None:
    """No file, no process, and none that nobody waited for."""
    assert not list(folder.iterdir())
    assert not children(os.getpid())


def full_disk(dir: Path, buffering: int) -> IO[bytes]:
    return Path("/dev/full").open("r+b", buffering)


async def a_child() -> int:
    async with asyncio.timeout(30):
        while not (found := children(os.getpid())):
            await asyncio.sleep(0.01)
    return found[0]
