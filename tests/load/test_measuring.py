"""The benchmark's own instruments: a wrong figure is worse than none."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.load import paced, processes, report, streams
from tests.load.gateways import GATEWAYS
from tests.load.load import Cost
from tests.load.report import Figures, Results
from tests.load.streams import Streams, Target
from tests.load.upstream import KINDS
from tests.support.connections import listening

_SPEND = """
import subprocess, sys, time
child = [sys.executable, "-c", "import time\\nwhile time.process_time() < 0.3: pass"]
subprocess.run(child, check=True)
while time.process_time() < 0.3: pass
print(flush=True)
sys.stdin.read()
"""


_SWELL = """
import sys
held = bytearray(b"x" * 64 * 2**20)
del held
print(flush=True)
sys.stdin.read()
"""


def test_a_peak_that_is_forgotten_does_not_count() -> None:
    with subprocess.Popen([sys.executable, "-c", _SWELL], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        swollen = processes.tree(process.pid).peak_rss
        processes.forget_peaks(process.pid)
        assert processes.tree(process.pid).peak_rss < swollen - 32 * 2**20
        process.communicate()


def test_cpu_of_a_tree_includes_children_that_have_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", _SPEND], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        seen = processes.tree(process.pid)
        process.communicate()
    assert seen.cpu >= 0.58  # 0.3 of each, the child's in ticks of 0.01
    assert 0 < seen.rss <= seen.peak_rss
    assert processes.tree(process.pid).processes == {}


def test_cpu_between_two_moments_is_given_by_process() -> None:
    before = processes.Tree({1: processes.Process("edge", 5.0, 10, 10)})
    after = processes.Tree({1: processes.Process("edge", 5.5, 10, 10), 2: processes.Process("auth", 0.25, 10, 10)})
    assert after.cpu_since(before) == {"edge": 0.5, "auth": 0.25}


@asynccontextmanager
async def _paced() -> AsyncIterator[int]:
    server = await paced.serve(0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def _target(port: int, chunks: int) -> Target:
    return Target(f"http://127.0.0.1:{port}/{chunks}/v1/chat/completions", b"{}", {})


def _only(count: int) -> streams.More:
    return lambda so_far: so_far.started < count


async def test_streams_are_counted_to_their_end() -> None:
    async with _paced() as port:
        total = await streams.run(_target(port, 5), concurrent=2, more=_only(6), expected=6)
    assert (total.started, total.finished, total.events, total.failures) == (6, 6, 36, [])


async def test_an_incomplete_stream_is_a_failure() -> None:
    async with _paced() as port:
        total = await streams.run(_target(port, 5), concurrent=1, more=_only(1), expected=7)
    assert total.finished == 0
    assert total.failures == ["StreamFailed: 6 events instead of 7"]


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (b"HTTP/1.1 429 No\r\nContent-Length: 4\r\n\r\nslow", "status 429: slow"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ndata: 1\n\n", "ended without [DONE] after 1 events"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\ndata: 1\n\n", "connection lost after 1 events"),
    ],
)
async def test_a_refused_or_cut_off_stream_is_a_failure(answer: bytes, failure: str) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with listening(lambda sock: asyncio.start_server(handle, sock=sock)) as port:
        total = await streams.run(_target(port, 1), concurrent=1, more=_only(1))
    assert total.finished == 0
    assert failure in total.failures[0]


def _results(chat_ms: dict[str, list[float]]) -> Results:
    figures = []
    for gateway in GATEWAYS:
        rounds = [
            {kind.name: Cost(100, 1.0, {"one": ms / 10 + kind.chunks * 0.002}, reads=1) for kind in KINDS}
            for ms in chat_ms[gateway.name]
        ]
        figures.append(Figures(gateway, rounds))
    return Results(figures, rounds=2, seconds=1, yardstick=[50.0, 60.0])


def test_ratios_compare_within_a_round_and_come_last() -> None:
    """A busy second round doubles all figures and leaves the ratios alone."""
    results = _results({"portico": [0.5, 1.0], "litellm": [5.0, 10.0], "portkey": [1.5, 3.0]})
    *_, last = report.text(results).splitlines()
    assert last == "CPU per chat: Portico 1x (0.750 ms), LiteLLM proxy 10.0x, Portkey gateway 3.0x"
    assert results.figures[0].burst_us == pytest.approx(20)
    assert [line.rpartition(": ")[2] for line in report.verdicts(results.figures)] == [
        "MISSED",
        "met",
        "met",
        "MISSED",
        "met",
    ]


def test_figures_replace_those_of_the_run_before(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(f"# Performance\n\n{report.BEGIN}\nold\n{report.END}\n\nHow to read it.\n")
    results = _results({"portico": [0.5, 0.5], "litellm": [5.0, 5.0], "portkey": [1.5, 1.5]})
    report.write(page, results)
    report.write(page, results)
    text = page.read_text()
    assert text.startswith("# Performance\n")
    assert text.endswith("How to read it.\n")
    assert "old" not in text
    assert text.count("Portico 1x") == 1


def test_growth_is_by_process() -> None:
    before = processes.Tree({1: processes.Process("edge", 0, 10, 10)})
    after = processes.Tree({1: processes.Process("edge", 0, 14, 20), 2: processes.Process("auth", 0, 3, 3)})
    assert streams.Soak(Streams(), before, after).growth == {"edge": 4, "auth": 3}
