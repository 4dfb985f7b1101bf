"""Checks of points, indexes and queries before an engine sees them; fusion of two rankings."""

import math
from typing import Any

import pytest

from core.errors import InvalidInput
from services.vector.domain.fusion import candidates, fuse, fuse_matches
from services.vector.domain.points import (
    MAX_DIMENSION,
    MAX_ID,
    MAX_METADATA_BYTES,
    MAX_POINTS,
    MAX_TEXT,
    FusionMethod,
    IndexSpec,
    KeywordQuery,
    Match,
    Metric,
    Point,
    check_ids,
    check_points,
    check_top_k,
    check_vector,
    normalised,
    parse_fusion,
    vector,
)

SPEC = IndexSpec(3)
ONES = vector([1, 1, 1])


@pytest.mark.parametrize(
    ("text", "metric"),
    [("", Metric.COSINE), ("cosine", Metric.COSINE), ("dot", Metric.DOT), ("dotproduct", Metric.DOT),
     ("euclidean", Metric.EUCLIDEAN)],
)  # fmt: skip
def test_metrics(text: str, metric: Metric) -> None:
    assert Metric.parse(text) is metric


@pytest.mark.parametrize("text", ["manhattan", "COSINE", "l2"])
def test_an_unknown_metric(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Metric.parse(text)
    assert refused.value.field == "metric"


@pytest.mark.parametrize("dimension", [0, -1, 65_537])
def test_dimensions_that_cannot_be(dimension: int) -> None:
    with pytest.raises(InvalidInput) as refused:
        IndexSpec(dimension)
    assert refused.value.field == "dimension"


@pytest.mark.parametrize(
    "values", [[1, math.nan], [math.inf, 1], [-math.inf], [1e39], [math.inf, -math.inf], [None], ["1"], 5, [[1]]]
)
def test_vectors_that_are_none(values: Any) -> None:
    with pytest.raises(InvalidInput) as refused:
        vector(values, "vectors[3].values")
    assert refused.value.field == "vectors[3].values"


def test_a_vector_whose_sum_overflows_is_one() -> None:
    assert len(vector([3e38] * 1000)) == 1000


@pytest.mark.parametrize(("values", "spec"), [([1, 2], SPEC), ([1] * 4, SPEC), ([], SPEC), ([0, 0, 0], SPEC)])
def test_vectors_that_do_not_fit(values: list[float], spec: IndexSpec) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_vector(vector(values), spec)
    assert refused.value.field == "vector"


@pytest.mark.parametrize("metric", [Metric.DOT, Metric.EUCLIDEAN])
def test_zero_is_a_vector_where_direction_does_not_matter(metric: Metric) -> None:
    check_vector(vector([0, 0, 0]), IndexSpec(3, metric))


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("points", "field"),
    [
        ([], "vectors"),
        ([Point(str(n), ONES) for n in range(MAX_POINTS + 1)], "vectors"),
        ([Point("a", ONES), Point("", ONES)], "vectors[1].id"),
        ([Point("x" * (MAX_ID + 1), ONES)], "vectors[0].id"),
        ([Point("a\0", ONES)], "vectors[0].id"),
        ([Point("\ud800", ONES)], "vectors[0].id"),
        ([Point("a", ONES), Point("b", ONES), Point("a", ONES)], "vectors[2].id"),
        ([Point("a", ONES), Point("b", vector([1]))], "vectors[1].values"),
        ([Point("a", ONES, {"x": math.nan})], "vectors[0].metadata"),
        ([Point("a", ONES, {"x": [math.inf]})], "vectors[0].metadata"),
        ([Point("a", ONES, {"x": 2**63})], "vectors[0].metadata"),
        ([Point("a", ONES, {"x": 2**70})], "vectors[0].metadata"),
        ([Point("a", ONES, {"x": "a\0"})], "vectors[0].metadata"),
        ([Point("a", ONES, {"a\0": 1})], "vectors[0].metadata"),
        ([Point("a", ONES, {"x": "\ud800"})], "vectors[0].metadata"),
        ([Point("a", ONES, {"x": object()})], "vectors[0].metadata"),
        ([Point("a", ONES, {"x": nested(300)})], "vectors[0].metadata"),
        ([Point("a", ONES, {"x": "y" * MAX_METADATA_BYTES})], "vectors[0].metadata"),
        ([Point("a", ONES, {}, "x" * (MAX_TEXT + 1))], "vectors[0].text"),
        ([Point("a", ONES, {}, "\0")], "vectors[0].text"),
    ],
)
def test_points_that_are_refused_and_where(points: list[Point], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_points(points, SPEC)
    assert refused.value.field == field


def test_points_at_the_limits() -> None:
    check_points([Point(str(n), ONES) for n in range(MAX_POINTS)], SPEC)
    check_points([Point("漢" * MAX_ID, ONES, {"x": "y" * (MAX_METADATA_BYTES - 10)}, "x" * MAX_TEXT)], SPEC)


@pytest.mark.parametrize("ids", [[], ["a"] * 4, [""], ["a", "b\0"]])
def test_ids_that_are_refused(ids: list[str]) -> None:
    with pytest.raises(InvalidInput):
        check_ids(ids, 3)


@pytest.mark.parametrize("top_k", [0, -1, 1001])
def test_top_k_that_is_refused(top_k: int) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_top_k(top_k)
    assert refused.value.field == "topK"


@pytest.mark.parametrize("weight", [-0.1, 1.1, math.nan])
def test_weights_that_are_refused(weight: float) -> None:
    with pytest.raises(InvalidInput) as refused:
        KeywordQuery("x", FusionMethod.WEIGHTED, weight)
    assert refused.value.field == "denseWeight"


def test_ways_of_fusion() -> None:
    assert parse_fusion("") is parse_fusion("rrf") is FusionMethod.RRF
    assert parse_fusion("weighted") is FusionMethod.WEIGHTED
    with pytest.raises(InvalidInput):
        parse_fusion("dbsf")


class TestFusion:
    DENSE = (("a", 0.9), ("b", 0.8), ("c", 0.1))
    SPARSE = (("c", 7.0), ("d", 3.0))

    def test_reciprocal_ranks(self) -> None:
        fused = fuse(self.DENSE, self.SPARSE, KeywordQuery("x"))
        assert [id for id, _ in fused] == ["c", "a", "b", "d"]
        assert [score for _, score in fused] == pytest.approx([1 / 63 + 1 / 61, 1 / 61, 1 / 62, 1 / 62])

    def test_weighted_scores(self) -> None:
        fused = dict(fuse(self.DENSE, self.SPARSE, KeywordQuery("x", FusionMethod.WEIGHTED, 0.75)))
        assert fused == pytest.approx({"a": 0.75, "b": 0.75 * 0.7 / 0.8, "c": 0.25, "d": 0})

    def test_distances_run_the_other_way(self) -> None:
        fused = fuse((("a", 0.5), ("b", 2.5)), (), KeywordQuery("x", FusionMethod.WEIGHTED, 1.0))
        assert fused == [("a", 1.0), ("b", 0.0)]

    @pytest.mark.parametrize("method", list(FusionMethod))
    def test_one_ranking_without_the_other(self, method: FusionMethod) -> None:
        keywords = KeywordQuery("x", method, 0.5)
        assert [id for id, _ in fuse(self.DENSE, (), keywords)] == ["a", "b", "c"]
        assert [id for id, _ in fuse((), self.SPARSE, keywords)] == ["c", "d"]
        assert fuse((), (), keywords) == []
        assert fuse((("a", 0.4),), (), keywords)[0][1] > 0

    def test_matches_keep_what_they_carry(self) -> None:
        dense = Match("a", 0.9, {"x": 1}, "text", ONES)
        (fused,) = fuse_matches([dense], [Match("a", 3.0, {"x": 1}, "text", ONES)], KeywordQuery("x"))
        assert fused == Match("a", 2 / 61, {"x": 1}, "text", ONES)

    def test_both_rankings_reach_deeper_than_is_asked_for(self) -> None:
        assert candidates(1) == 100
        assert candidates(1000) == 4000


@pytest.mark.parametrize("metric", [Metric.DOT, Metric.EUCLIDEAN])
@pytest.mark.parametrize("values", [[3e38, 3e38], [-3e38, 0], [8e17, 8e17]])
def test_vectors_whose_scores_could_overflow_are_refused(metric: Metric, values: list[float]) -> None:
    """milvus-io/milvus#50408: the dot product of `[3e38, 3e38]` with itself is no 32-bit float."""
    with pytest.raises(InvalidInput) as refused:
        check_vector(vector(values), IndexSpec(2, metric), "vectors[0].values")
    assert refused.value.field == "vectors[0].values"


@pytest.mark.parametrize("metric", list(Metric))
def test_the_longest_vector_that_fits(metric: Metric) -> None:
    check_vector(vector([7e17, -7e17]), IndexSpec(2, metric))
    check_vector(vector([1e13] * MAX_DIMENSION), IndexSpec(MAX_DIMENSION, metric))


@pytest.mark.parametrize("values", [[3e38, 3e38], [1e-45, 0.0], [1e-4, 0.0]])
def test_cosine_takes_any_length(values: list[float]) -> None:
    check_vector(vector(values), IndexSpec(2))
    assert math.hypot(*normalised(vector(values), Metric.COSINE)) == pytest.approx(1)


def test_a_vector_of_usual_length_is_left_alone() -> None:
    values = vector([0.6, 0.9])
    assert all(normalised(values, metric) is values for metric in Metric)
