"""Points and queries, and their validation before an engine sees them.

Vectors are 32-bit floats everywhere: what a caller sends in 64 bits is rounded once, here, so every engine scores
the same numbers.
"""

import math
import re
import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby, pairwise
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from core import free_json
from core.errors import InvalidInput

if TYPE_CHECKING:
    Vector = array[float]
else:
    Vector = array  # takes a parameter from Python 3.12 on
"""32-bit floats, typecode 'f'."""

MAX_DIMENSION = 65_536
MAX_POINTS = 10_000
MAX_ID = 512
MAX_TOP_K = 1_000
MAX_TEXT = 100_000
MAX_METADATA_BYTES = 40 * 1024
MAX_LENGTH = 1e18
"""Euclidean length of a vector that is compared by dot product or distance: the square of twice as much still is a
finite 32-bit float, in which engines calculate."""
MAX_ANSWER_NUMBERS = 4 * 1024 * 1024
"""Most numbers of all vectors of an answer together."""
MAX_ANSWER_METADATA_BYTES = 4 * 1024 * 1024
"""JSON of the metadata and texts of an answer's points together."""
ANSWER_TOO_LARGE = "ANSWER_TOO_LARGE"

_HIGH_BYTES = slice(3 if sys.byteorder == "little" else 0, None, 4)
_LARGE = re.compile(rb"[\x57-\x7f\xd7-\xff]")
"""The highest byte, sign and seven bits of the exponent, of a 32-bit float of at least 2**47, infinite or not a number.
Below that no vector of MAX_DIMENSION reaches MAX_LENGTH. To look for one takes a tenth of the time of a sum."""

_SAFE_LENGTHS = (2.0**-8, 2.0**20)
"""Vectors of such lengths can be normalised in 32 bits without loss. Qdrant leaves those alone whose square is below
the machine epsilon (1.2e-7)."""


class Metric(StrEnum):
    COSINE = "cosine"
    DOT = "dot"
    EUCLIDEAN = "euclidean"

    @property
    def higher_is_nearer(self) -> bool:
        return self is not Metric.EUCLIDEAN

    @classmethod
    def parse(cls, text: str) -> "Metric":
        """Parse a metric. Empty: cosine; `dotproduct` is dot. Raises InvalidInput."""
        try:
            return cls({"": "cosine", "dotproduct": "dot"}.get(text, text))
        except ValueError:
            raise InvalidInput("metric must be cosine, dot or euclidean.", field="metric") from None


@dataclass(frozen=True, slots=True)
class IndexSpec:
    """Properties of an index that never change. `hybrid`: it has keyword search (BM25) as well."""

    dimension: int
    metric: Metric = Metric.COSINE
    hybrid: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.dimension <= MAX_DIMENSION:
            raise InvalidInput(f"dimension must be 1 to {MAX_DIMENSION}.", field="dimension")


@dataclass(frozen=True, slots=True)
class Point:
    """`text` is what the keyword search of a hybrid index reads; it is kept and given back, and no filter sees it."""

    id: str
    values: Vector
    metadata: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""


@dataclass(frozen=True, slots=True)
class Match:
    """`score`: cosine similarity or dot product (higher is nearer), euclidean distance (lower is nearer); with words,
    the fused score (higher is nearer, whatever the metric). `values` only where asked for."""

    id: str
    score: float
    metadata: Mapping[str, Any]
    text: str = ""
    values: Vector | None = None


def in_order(matches: list[Match]) -> list[Match]:
    """Order matches of equal score by id. They stand next to each other, since the nearest comes first."""
    if all(one.score != other.score for one, other in pairwise(matches)):
        return matches
    alike = groupby(matches, key=attrgetter("score"))
    return [match for _, group in alike for match in sorted(group, key=attrgetter("id"))]


class FusionMethod(StrEnum):
    RRF = "rrf"
    WEIGHTED = "weighted"


@dataclass(frozen=True, slots=True)
class KeywordQuery:
    """The second half of a hybrid query. `dense_weight` is the dense ranking's share, 0 to 1, for WEIGHTED."""

    text: str
    method: FusionMethod = FusionMethod.RRF
    dense_weight: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.dense_weight <= 1:
            raise InvalidInput("denseWeight must be 0 to 1.", field="denseWeight")
        if len(self.text) > MAX_TEXT:
            raise InvalidInput(f"text must have at most {MAX_TEXT} characters.", field="text")
        _check_text(self.text, "text")


def parse_fusion(text: str) -> FusionMethod:
    """Parse a fusion method. Empty: rrf. Raises InvalidInput."""
    try:
        return FusionMethod(text or "rrf")
    except ValueError:
        raise InvalidInput("fusion must be rrf or weighted.", field="fusion") from None


def vector(values: Iterable[float], field: str = "vector") -> Vector:
    """The values as 32-bit floats. Raises InvalidInput where one is no number, not finite or too large for 32 bits."""
    try:
        result = array("f", values)
    except (TypeError, OverflowError):
        raise InvalidInput(f"{field} is a list of numbers", field=field) from None
    if _has_large(result) and not all(map(math.isfinite, result)):
        raise InvalidInput(f"{field} holds a number that is not finite or exceeds 32-bit floats", field=field)
    return result


def check_vector(values: Vector, spec: IndexSpec, field: str = "vector") -> None:
    """Check a vector. Raises InvalidInput where the vector does not fit the index."""
    if len(values) != spec.dimension:
        raise InvalidInput(f"{field} has {len(values)} numbers, the index has dimension {spec.dimension}", field=field)
    if spec.metric is Metric.COSINE and not any(values):
        raise InvalidInput(f"{field} is all zeros, which has no direction for the cosine metric", field=field)
    if spec.metric is not Metric.COSINE and _has_large(values) and math.hypot(*values) > MAX_LENGTH:
        raise InvalidInput(
            f"{field} is longer than {MAX_LENGTH:g} (Euclidean length), beyond which no score of the metric "
            f"{spec.metric} is finite",
            field=field,
        )


def normalised(values: Vector, metric: Metric) -> Vector:
    """The values as an engine is to compare them: for cosine, a vector that is too short or too long to be normalised
    in 32 bits becomes a unit vector, calculated in 64 bits; every other vector stays as it is."""
    return values if metric is not Metric.COSINE else with_length(values)[0]


def with_length(values: Vector) -> tuple[Vector, float]:
    """`normalised` for the cosine metric, and the Euclidean length of what it returns."""
    length = math.hypot(*values)
    if _SAFE_LENGTHS[0] <= length <= _SAFE_LENGTHS[1]:
        return values, length
    unit = array("f", [value / length for value in values])
    return unit, math.hypot(*unit)


def _has_large(values: Vector) -> bool:
    return _LARGE.search(values.tobytes()[_HIGH_BYTES]) is not None


def check_top_k(top_k: int) -> int:
    if not 1 <= top_k <= MAX_TOP_K:
        raise InvalidInput(f"topK must be 1 to {MAX_TOP_K}.", field="topK")
    return top_k


def check_numbers(points: int, spec: IndexSpec, field: str) -> None:
    """Check the numbers of an answer. Raises InvalidInput where so many vectors of the index are too many for one
    answer."""
    if points * spec.dimension > MAX_ANSWER_NUMBERS:
        most = MAX_ANSWER_NUMBERS // spec.dimension
        raise InvalidInput(
            f"{field}: an answer holds at most {most} vectors of this index's dimension, {spec.dimension}",
            reason=ANSWER_TOO_LARGE,
            field=field,
        )


def check_lengths(lengths: Iterable[int], field: str, *, candidates: bool = False) -> None:
    """Check the lengths of the JSON of points that an engine has found, before it is read. `candidates`: a quarter of
    them makes the answer, or less. Raises InvalidInput."""
    limit = MAX_ANSWER_METADATA_BYTES * (4 if candidates else 1)
    if sum(lengths) > limit:
        raise answer_too_large(field, limit, "of metadata and texts")


def answer_too_large(field: str, limit: int, of_what: str) -> InvalidInput:
    return InvalidInput(
        f"{field}: the answer would hold more than {limit // 2**20} MiB {of_what}; ask for fewer points at once",
        reason=ANSWER_TOO_LARGE,
        field=field,
    )


def value_count(metadata: object) -> int:
    """Count the values that metadata holds, at all depths: what it costs an engine to take it."""
    if isinstance(metadata, Mapping):
        return 1 + sum(map(value_count, metadata.values()))
    if isinstance(metadata, list):
        return 1 + sum(map(value_count, metadata))
    return 1


def check_ids(ids: Sequence[str], limit: int, field: str = "ids") -> None:
    """Check ids. Raises InvalidInput where there are none or too many, or one cannot be an id."""
    if not 1 <= len(ids) <= limit:
        raise InvalidInput(f"{field}: give 1 to {limit}", field=field)
    for at, id in enumerate(ids):
        check_id(id, f"{field}[{at}]")


def check_id(id: str, field: str = "id") -> None:
    if not 1 <= len(id) <= MAX_ID:
        raise InvalidInput(f"{field} is 1 to {MAX_ID} characters", field=field)
    _check_text(id, field)


def check_count(points: Sized) -> None:
    """Check the number of points of an upsert, before they are parsed, too."""
    if not 1 <= len(points) <= MAX_POINTS:
        raise InvalidInput(f"vectors must hold 1 to {MAX_POINTS} vectors.", field="vectors")


def check_points(points: Sequence[Point], spec: IndexSpec) -> None:
    """All that an upsert must meet, or InvalidInput that names the first point that does not."""
    check_count(points)
    seen: set[str] = set()
    for at, point in enumerate(points):
        where = f"vectors[{at}]"
        check_id(point.id, f"{where}.id")
        if point.id in seen:
            raise InvalidInput(f"{where}.id appears twice in this request", field=f"{where}.id")
        seen.add(point.id)
        check_vector(point.values, spec, f"{where}.values")
        if point.metadata:
            free_json.check(f"{where}.metadata", point.metadata, at_most=MAX_METADATA_BYTES)
        if len(point.text) > MAX_TEXT:
            raise InvalidInput(f"{where}.text is at most {MAX_TEXT} characters", field=f"{where}.text")
        if point.text:
            _check_text(point.text, f"{where}.text")


def _check_text(text: str, field: str) -> None:
    """Refuse text that some engine cannot keep: no NUL (PostgreSQL has none), no half of a surrogate pair (UTF-8 has
    none)."""
    if "\0" in text:
        raise InvalidInput(f"{field} holds a NUL character", field=field)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InvalidInput(f"{field} is not valid Unicode", field=field) from None
