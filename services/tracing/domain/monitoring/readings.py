"""Readings of a server: its samples of one poll, and what they say beside those of the poll before.

Counters become rates over the time between two polls; a counter that has fallen was reset, and counts from 0.
Histograms become the mean and the 95th percentile of what happened between the polls, not since the server's start.
Values of several label sets (models, engines, reasons) are summed; fractions are averaged and given in percent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from services.tracing.domain.monitoring.exposition import Sample, Samples

START_TIME = "process_start_time_seconds"
_QUANTILE = 0.95


class Counters(msgspec.Struct, frozen=True):
    """The counters of one poll: what the next one is compared with. `at` in Unix seconds; `values` by series."""

    at: float
    values: Mapping[str, float]
    started_at: float = 0.0
    """Start of the server's process in Unix seconds; 0: it does not say."""


class Readings(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Values of one poll. None: the server does not say, or there is nothing to compare with yet."""

    num_requests_running: float | None = None
    num_requests_waiting: float | None = None
    gpu_cache_usage_percent: float | None = None
    cpu_cache_usage_percent: float | None = None
    prefix_cache_hit_percent: float | None = None
    prompt_tokens_throughput: float | None = None
    """Tokens per second."""
    generation_tokens_throughput: float | None = None
    """Tokens per second."""
    requests_per_second: float | None = None
    time_to_first_token_seconds: float | None = None
    time_to_first_token_p95_seconds: float | None = None
    time_per_output_token_seconds: float | None = None
    time_per_output_token_p95_seconds: float | None = None
    e2e_request_latency_seconds: float | None = None
    e2e_request_latency_p95_seconds: float | None = None
    queue_time_seconds: float | None = None
    running_models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Poll:
    """The samples of one poll and the counters of the one before; None: there was none."""

    samples: Samples
    at: float
    before: Counters | None

    def first(self, names: Sequence[str]) -> list[Sample]:
        """The samples of the first of these metrics that the server has: the newest name stands first."""
        return next((found for name in names if (found := self.samples.of(name))), [])

    def increase(self, found: Sequence[Sample]) -> float | None:
        """Growth of all these counters since the poll before; None: nothing to compare with."""
        return None if self.before is None or not found else sum(map(self._grown, found))

    def rate(self, names: Sequence[str]) -> float | None:
        """Growth per second of the first of these counters that the server has."""
        grown = self.increase(self.first(names))
        return None if grown is None else grown / self.seconds

    @property
    def seconds(self) -> float:
        return max(1e-3, self.at - (self.before.at if self.before else self.at))

    def _grown(self, sample: Sample) -> float:
        """A series that was not there before began at 0, and so did one that has fallen or whose process is new."""
        assert self.before is not None
        known = self.before.values.get(sample.series, 0.0)
        return sample.value if self._restarted or sample.value < known else sample.value - known

    @property
    def _restarted(self) -> bool:
        started = start_time(self.samples)
        known = self.before.started_at if self.before else 0.0
        return bool(started and known) and started > known + 1.0


def start_time(samples: Samples) -> float:
    """Start of the server's process in Unix seconds; 0: it does not say."""
    return max((sample.value for sample in samples.of(START_TIME)), default=0.0)


def counters(samples: Samples, at: float, names: Sequence[str]) -> Counters:
    """All series of these counters and histograms: the next poll is compared with them."""
    kept = (each for name in names for each in (name, f"{name}_bucket", f"{name}_sum", f"{name}_count"))
    values = {sample.series: sample.value for name in kept for sample in samples.of(name)}
    return Counters(at, values, start_time(samples))


def total(found: Sequence[Sample]) -> float | None:
    return sum(sample.value for sample in found) if found else None


def percent(found: Sequence[Sample]) -> float | None:
    """Mean of fractions, in percent."""
    return 100.0 * sum(sample.value for sample in found) / len(found) if found else None


def ratio(part: float | None, whole: float | None) -> float | None:
    """None where there is nothing to divide by."""
    return part / whole if part is not None and whole else None


def histogram(poll: Poll, names: Sequence[str]) -> tuple[float | None, float | None]:
    """Mean and 95th percentile of what was observed since the poll before, of the first of these histograms that the
    server has; None where nothing was."""
    for name in names:
        counts = poll.samples.of(f"{name}_count")
        if not counts:
            continue
        count = poll.increase(counts)
        mean = ratio(poll.increase(poll.samples.of(f"{name}_sum")), count)
        return mean, _quantile(poll, f"{name}_bucket", count)
    return None, None


def _quantile(poll: Poll, name: str, count: float | None) -> float | None:
    """The quantile from the growth of cumulative buckets, interpolated within one as Prometheus does; the last finite
    bound for what lies beyond it."""
    if not count:
        return None
    bounds: dict[float, float] = {}
    for sample in poll.samples.of(name):
        try:
            bound = float(sample.labels["le"])
        except (KeyError, ValueError):
            continue
        bounds[bound] = bounds.get(bound, 0.0) + (poll.increase([sample]) or 0.0)
    wanted, below, lower = _QUANTILE * count, 0.0, 0.0
    for bound in sorted(bounds):
        if bounds[bound] >= wanted:
            if bound == float("inf"):
                return lower
            inside = bounds[bound] - below
            return lower + (bound - lower) * ((wanted - below) / inside if inside > 0 else 1.0)
        below, lower = bounds[bound], bound
    return lower or None
