"""Prometheus text, of which only the wanted metrics are read.

A server that a tenant names may answer with anything, so lines are chosen by name before they are parsed, and lines,
series and their number are bounded. A line that cannot be parsed is left out, and counted.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass, field
from hashlib import blake2b

from prometheus_client.parser import text_string_to_metric_families

MAX_LINE = 4096
"""Characters. The time that the parser takes grows with the square of them."""
MAX_SAMPLES = 5000

_SUFFIXES = ("_bucket", "_sum", "_count")
_NAME_END = "{ \t"


@dataclass(frozen=True, slots=True)
class Sample:
    """One value. `series` identifies its metric and labels among all samples of a server."""

    name: str
    labels: dict[str, str]
    value: float

    @property
    def series(self) -> str:
        text = self.name + "".join(f"\0{name}\0{self.labels[name]}" for name in sorted(self.labels))
        return blake2b(text.encode(errors="surrogatepass"), digest_size=12).hexdigest()


@dataclass(slots=True)
class Samples:
    """The wanted samples by name of their metric, with the suffixes of histograms. `skipped` counts lines that were
    wanted and could not be read."""

    by_name: dict[str, list[Sample]] = field(default_factory=dict)
    skipped: int = 0

    def of(self, name: str) -> list[Sample]:
        return self.by_name.get(name, [])


def parse(text: str, wanted: Collection[str]) -> Samples:
    """Read the samples of the wanted metrics. Values that are not finite are left out: a gauge without one is NaN."""
    names = frozenset(wanted) | {name + suffix for name in wanted for suffix in _SUFFIXES}
    samples, count = Samples(), 0
    for line in text.splitlines():
        name = _name(line)
        if name not in names:
            continue
        sample = _sample(line) if len(line) <= MAX_LINE and count < MAX_SAMPLES else None
        if sample is None:
            samples.skipped += 1
        elif math.isfinite(sample.value):
            samples.by_name.setdefault(name, []).append(sample)
            count += 1
    return samples


def _name(line: str) -> str:
    """The name of the metric that a line begins with."""
    head = line[:256].lstrip()
    end = next((at for at, character in enumerate(head) if character in _NAME_END), len(head))
    return head[:end]


def _sample(line: str) -> Sample | None:
    """The line's sample; None where it is malformed."""
    try:
        for family in text_string_to_metric_families(line):
            for found in family.samples:
                return Sample(found.name, dict(found.labels), float(found.value))
    except (ValueError, IndexError, OverflowError):  # the parser raises either for what it cannot take apart
        pass
    return None
