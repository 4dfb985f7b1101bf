"""Turns what was measured into figures, verdicts and the ratio; prints them and writes them down."""

import datetime
import os
import platform
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from tests.load import upstream
from tests.load.gateways import Gateway
from tests.load.load import Cost
from tests.load.streams import Soak

BEGIN, END = "<!-- figures: written by make bench -->", "<!-- end of figures -->"
_MIB = 1024 * 1024

OURS = "portico"
CHAT_TARGET = 0.60  # ms of CPU over all of Portico's processes
CHUNK_TARGET = 35  # microseconds
RATIO_TARGETS = {"litellm": 12, "portkey": 2}


@dataclass(slots=True)
class Figures:
    """One gateway's measurements, a Cost by kind for every round."""

    gateway: Gateway
    rounds: list[dict[str, Cost]] = field(default_factory=list)
    peak_rss: int = 0
    idle: float = 0.0

    def _median(self, figure: Callable[[dict[str, Cost]], float]) -> float:
        return median(figure(costs) for costs in self.rounds)

    @property
    def chat_ms(self) -> float:
        """CPU milliseconds of one chat."""
        return self._median(_chat_ms)

    @property
    def least_chat_ms(self) -> float:
        """CPU milliseconds of one chat in the round that was disturbed least."""
        return min(map(_chat_ms, self.rounds))

    def times(self, ours: "Figures") -> float:
        """Factor over the CPU per chat of `ours`: the median over the rounds, each compared with its own."""
        return median(_chat_ms(a) / _chat_ms(b) for a, b in zip(self.rounds, ours.rounds, strict=True))

    @property
    def chats_per_second(self) -> float:
        return self._median(lambda costs: costs[upstream.UNARY.name].rate)

    @property
    def burst_us(self) -> float:
        """CPU microseconds of a chunk when chunks arrive together."""
        return self._median(lambda costs: _chunk_us(costs, upstream.BURST))

    @property
    def paced_us(self) -> float:
        """CPU microseconds of a chunk when chunks arrive one by one."""
        return self._median(lambda costs: _chunk_us(costs, upstream.PACED))

    @property
    def stream_ms(self) -> float:
        """CPU milliseconds of a stream of two chunks: what opening and closing one costs."""
        return self._median(lambda costs: costs[upstream.BURST[1].name].each * 1000)

    def chat_ms_by_process(self) -> dict[str, float]:
        """CPU milliseconds of one chat by process, the largest first; processes below a microsecond are left out."""
        shares: dict[str, list[float]] = defaultdict(list)
        for costs in self.rounds:
            unary = costs[upstream.UNARY.name]
            for label, seconds in unary.cpu.items():
                shares[label].append(seconds / unary.count * 1000)
        middle = {label: median(values) for label, values in shares.items()}
        return {label: ms for label, ms in sorted(middle.items(), key=lambda item: -item[1]) if ms >= 0.001}

    def last_round(self) -> str:
        costs = self.rounds[-1]
        burst, paced = (_chunk_us(costs, kinds) for kinds in (upstream.BURST, upstream.PACED))
        return (
            f"{_chat_ms(costs):.3f} ms a chat, {burst:.1f} us a chunk, {paced:.1f} us a paced chunk "
            f"({_keeps_pace(costs)})"
        )


@dataclass(slots=True)
class Results:
    """One run of the benchmark; `yardstick` in CPU milliseconds, see load.yardstick."""

    figures: Sequence[Figures]
    rounds: int
    seconds: float
    yardstick: list[float] = field(default_factory=list)
    soak: Soak | None = None

    def command(self) -> str:
        names = ",".join(one.gateway.name for one in self.figures if not one.gateway.checkout)
        others = "".join(f" --beside {one.gateway.checkout}" for one in self.figures if one.gateway.checkout)
        return (
            f"python -m tests.load.bench --gateways {names}{others} --rounds {self.rounds} --seconds {self.seconds:g}"
        )


def _chat_ms(costs: dict[str, Cost]) -> float:
    return costs[upstream.UNARY.name].each * 1000


def _chunk_us(costs: dict[str, Cost], kinds: tuple[upstream.Kind, upstream.Kind]) -> float:
    long, short = kinds
    return (costs[long.name].each - costs[short.name].each) / (long.chunks - short.chunks) * 1e6


def _keeps_pace(costs: dict[str, Cost]) -> str:
    long = costs[upstream.PACED[0].name]
    return f"{long.reads / long.count:.0f} reads a stream"


def table(figures: Sequence[Figures]) -> str:
    """A Markdown table, a line for each gateway."""
    lines = [
        "| gateway | does for a chat | CPU ms a chat (least) | CPU us a chunk, paced | CPU us a chunk, burst "
        "| CPU ms a stream of 2 | chats/s | peak RSS MiB | idle CPU % |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    rows = (
        f"| {one.gateway.title} {one.gateway.version} | {one.gateway.does} | {one.chat_ms:.3f} "
        f"({one.least_chat_ms:.3f}) | {one.paced_us:.1f} | {one.burst_us:.1f} | {one.stream_ms:.3f} "
        f"| {one.chats_per_second:.0f} | {one.peak_rss / _MIB:.0f} | {one.idle * 100:.1f} |"
        for one in figures
    )
    return "\n".join([*lines, *rows])


def shares(figures: Sequence[Figures]) -> list[str]:
    """Share of each process in a gateway's CPU, for gateways of several."""
    return [
        f"{one.gateway.title}, by process: " + ", ".join(f"{label} {ms:.3f} ms" for label, ms in parts.items())
        for one in figures
        if len(parts := one.chat_ms_by_process()) > 1
    ]


def verdicts(figures: Sequence[Figures]) -> list[str]:
    """A line for each target: what was asked, what was measured, met or missed."""
    by_name = {one.gateway.name: one for one in figures}
    if (ours := by_name.get(OURS)) is None:
        return []
    lines = [
        _verdict("CPU of a chat", ours.chat_ms, CHAT_TARGET, "ms", "{:.3f}"),
        _verdict("CPU of a paced chunk", ours.paced_us, CHUNK_TARGET, "us", "{:.1f}"),
        _verdict("CPU of a chunk in a burst", ours.burst_us, CHUNK_TARGET, "us", "{:.1f}"),
    ]
    for name, least in RATIO_TARGETS.items():
        if peer := by_name.get(name):
            times = peer.times(ours)
            word = "met" if times >= least else "MISSED"
            lines.append(f"{peer.gateway.title} to Portico: {times:.1f}x (target at least {least}x): {word}")
    return lines


def _verdict(what: str, value: float, most: float, unit: str, form: str) -> str:
    word = "met" if value <= most else "MISSED"
    return f"{what}: {form.format(value)} {unit} (target at most {most:g} {unit}): {word}"


def ratio(figures: Sequence[Figures]) -> str:
    """The last line: how many times our CPU per chat each peer takes, in the same rounds."""
    ours = next((one for one in figures if one.gateway.name == OURS), None)
    others = [one for one in figures if one is not ours]
    if ours is None:
        return "CPU per chat: " + ", ".join(f"{one.gateway.title} {one.chat_ms:.3f} ms" for one in others)
    times = [f", {one.gateway.title} {one.times(ours):.1f}x" for one in others]
    return f"CPU per chat: Portico 1x ({ours.chat_ms:.3f} ms)" + "".join(times)


def text(results: Results) -> str:
    """Text that the benchmark prints, the ratio last."""
    return "\n".join(["", table(results.figures), "", *_lines(results), ratio(results.figures)])


def write(path: Path, results: Results) -> None:
    """Replace what stands between the markers of a Markdown file; a file without them gets them at its end."""
    head = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, {machine()}; `{results.command()}`"
    lines = [f"- {line}" for line in [*_lines(results), ratio(results.figures)]]
    put(path, BEGIN, END, [head, "", table(results.figures), "", *lines])


def put(path: Path, begin: str, end: str, lines: Sequence[str]) -> None:
    """Replace what stands between two markers of a Markdown file; a file without them gets them at its end."""
    block = "\n".join([begin, *lines, end])
    page = path.read_text() if path.exists() else ""
    if begin not in page:
        page = f"{page.rstrip()}\n\n{begin}\n{end}\n".lstrip()
    path.write_text(re.sub(f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: block, page, flags=re.DOTALL))


def _lines(results: Results) -> list[str]:
    quiet, loud = min(results.yardstick), max(results.yardstick)
    lines = [
        *shares(results.figures),
        f"Between the turns a fixed amount of work took {quiet:.0f} to {loud:.0f} ms of CPU",
    ]
    if soak := results.soak:
        growth = sum(soak.growth.values()) / _MIB
        lines.append(
            f"{soak.streams.finished} streams at once, {soak.streams.events} events, none failed; RSS "
            f"{soak.before.rss / _MIB:.0f} MiB before, {soak.after.rss / _MIB:.0f} after ({growth:+.0f})"
        )
    return [*lines, *verdicts(results.figures)]


def machine() -> str:
    """The processor, its threads, memory, kernel and Python of this machine, in words."""
    models = re.findall(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    model = models[0] if models else platform.machine()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores, kernel, python = len(os.sched_getaffinity(0)), platform.release(), platform.python_version()
    return f"{cores} x {model}, {memory:.0f} GiB, Linux {kernel}, Python {python}"
