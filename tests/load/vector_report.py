"""The figures of the vector benchmark: a table, a verdict for each target, and their place in a Markdown file."""

import datetime
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np

from tests.load import report

BEGIN, END = "<!-- figures: written by make bench-vector -->", "<!-- end of figures of vectors -->"
_MIB = 1024 * 1024

IN_PROCESS, UNTUNED = "in-process", "in-process, engine's defaults"
GRPC, EDGE, REST, EMPTY = "gRPC", "gRPC, edge", "REST, edge", "gRPC, empty"
"""Ways to ask. The last one is answered by a server that does nothing."""

PORTICO = (IN_PROCESS, GRPC, EDGE, REST)
"""Those whose recall is ours to answer for."""

POINTS_TARGET = 5_000  # points a second
RATIO_TARGET = 1.5  # p50 over gRPC to p50 in-process
RECALL_TARGET = 0.98
STALL = 0.1  # seconds; a query that takes longer has stalled


@dataclass(slots=True)
class Asked:
    """Queries asked in one way: seconds each took, the median of each round, the share of the nearest found."""

    took: list[float] = field(default_factory=list)
    medians: list[float] = field(default_factory=list)
    recall: float = 0.0
    seconds: float = 0.0
    """Of all together, where several callers asked."""

    cpu: float = 0.0
    """CPU seconds of one, where known: in-process, and with several callers the service and its engine workers."""

    @property
    def p50(self) -> float:
        """Seconds: the median over the rounds of each round's own."""
        return median(self.medians or self.took)

    def quantiles(self) -> str:
        p95, p99 = np.quantile(self.took, (0.95, 0.99)) * 1000
        return f"{self.p50 * 1000:.2f} | {p95:.2f} | {p99:.2f}"


@dataclass(slots=True)
class Stall:
    """Latencies of queries while something else went on."""

    took: list[float] = field(default_factory=list)

    def add(self, seconds: float) -> None:
        self.took.append(seconds)

    @property
    def longest(self) -> float:
        return max(self.took)

    def row(self) -> str:
        p50, p99 = np.quantile(self.took, (0.5, 0.99)) * 1000
        return f"{len(self.took)} | {p50:.2f} | {p99:.2f} | {self.longest * 1000:.0f}"


@dataclass(slots=True)
class Results:
    """One run. Seconds and bytes. `asked`: by filter, then by way; `together`: eight callers over gRPC, by filter."""

    points: int
    dimension: int
    batch: int
    writers: int
    queries: int
    rounds: int
    upsert_seconds: float = 0.0
    optimise_seconds: float | None = None
    rest_rate: float = 0.0
    """Points a second over REST, one caller."""

    asked: dict[str, dict[str, Asked]] = field(default_factory=dict)
    together: dict[str, Asked] = field(default_factory=dict)
    stalls: dict[str, Stall] = field(default_factory=dict)
    rss: int = 0
    peak_rss: int = 0

    @property
    def rate(self) -> float:
        """Points a second."""
        return self.points / self.upsert_seconds

    def ratios(self) -> Iterator[tuple[str, float, float]]:
        """By filter: p50 over gRPC to p50 in-process, and the same without what an empty call takes; the median over
        the rounds, each compared with its own."""
        for name, ways in self.asked.items():
            rounds = list(zip(*(ways[way].medians for way in (GRPC, IN_PROCESS, EMPTY)), strict=True))
            whole = median(ours / theirs for ours, theirs, _ in rounds)
            yield name, whole, median((ours - empty) / theirs for ours, theirs, empty in rounds)

    def command(self) -> str:
        keywords = f"--points {self.points} --dimension {self.dimension} --batch {self.batch} --writers {self.writers}"
        return f"python -m tests.load.bench_vector {keywords} --queries {self.queries} --rounds {self.rounds}"


def text(results: Results) -> str:
    """Text that the benchmark prints."""
    return "\n".join(["", *_tables(results), "", *_lines(results), *_verdicts(results)])


def write(path: Path, results: Results) -> None:
    """Replace what stands between the markers of a Markdown file; a file without them gets them at its end."""
    head = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, {report.machine()}; `{results.command()}`"
    lines = [f"- {line}" for line in (*_lines(results), *_verdicts(results))]
    report.put(path, BEGIN, END, [head, "", *_tables(results), "", *lines])


def _tables(results: Results) -> Iterator[str]:
    yield "| filter | asked | p50 ms | p95 ms | p99 ms | recall@10 | queries/s | CPU ms |"
    yield "|---|---|--:|--:|--:|--:|--:|--:|"
    for name, ways in results.asked.items():
        for way, asked in ways.items():
            cpu = f" {asked.cpu * 1000:.2f}" if asked.cpu else ""
            recall = "" if way == EMPTY else f" {asked.recall:.4f}"
            yield f"| {name} | {way} | {asked.quantiles()} |{recall} | |{cpu} |"
        together = results.together[name]
        rate = len(together.took) / together.seconds
        yield f"| {name} | gRPC, 8 callers | {together.quantiles()} | | {rate:.0f} | {together.cpu * 1000:.2f} |"
    yield ""
    yield "| queries over gRPC while | queries | p50 ms | p99 ms | longest ms |"
    yield "|---|--:|--:|--:|--:|"
    for what, stall in results.stalls.items():
        yield f"| {what} | {stall.row()} |"


def _lines(results: Results) -> Iterator[str]:
    yield (
        f"{results.points} vectors of {results.dimension} dimensions upserted in {results.upsert_seconds:.1f} s, "
        f"{results.batch} a call, {results.writers} callers"
    )
    yield f"Over REST, one caller: {results.rest_rate:.0f} points/s"
    if results.optimise_seconds is None:
        yield "Too small to be optimised: every vector is compared"
    else:
        yield f"Optimised {results.optimise_seconds:.1f} s after the last upsert, under the queries of the table"
    yield f"RSS of the service and its engine workers: {results.rss / _MIB:.0f} MiB, peak {results.peak_rss / _MIB:.0f}"


def _verdicts(results: Results) -> Iterator[str]:
    met = _word(results.rate >= POINTS_TARGET)
    yield f"Upserts: {results.rate:.0f} points/s (target at least {POINTS_TARGET}): {met}"
    for name, ratio, without_grpc in results.ratios():
        yield (
            f"p50 over gRPC to in-process, filter {name}: {ratio:.2f}x (target at most {RATIO_TARGET}x): "
            f"{_word(ratio <= RATIO_TARGET)}; {without_grpc:.2f}x without what an empty call takes"
        )
    for name, ways in results.asked.items():
        least = min(ways[way].recall for way in PORTICO)
        met = _word(least >= RECALL_TARGET)
        yield f"recall@10, filter {name}: {least:.4f} (target at least {RECALL_TARGET}): {met}"
    for what, stall in results.stalls.items():
        met = _word(stall.longest <= STALL)
        yield f"Longest query while {what}: {stall.longest * 1000:.0f} ms (at most {STALL * 1000:.0f} ms): {met}"


def _word(met: bool) -> str:
    return "met" if met else "MISSED"
