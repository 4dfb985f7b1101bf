"""Every vector engine behind its one port. Another engine is one more entry of ENGINES.

A Qdrant server is tried where QDRANT_URL names one.
"""

import asyncio
import math
import os
import random
import unicodedata
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import Conflict, InvalidInput, NotFound
from core.http.guard import OutboundGuard
from core.tenancy import Project, Tenant
from services.vector.adapters.embedded.engine import EmbeddedEngine
from services.vector.adapters.qdrant import QdrantEngine
from services.vector.domain.filters import parse
from services.vector.domain.points import MAX_LENGTH, FusionMethod, IndexSpec, KeywordQuery, Metric, Point, vector
from services.vector.ports import IndexLocation, PointPage, Query, VectorEngine
from tests.support.exact_engine import ExactEngine, matches
from tests.support.local_qdrant import LocalQdrant
from tests.support.remote_engines import drivers_at, pgvector

pytestmark = [
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect"),
    pytest.mark.filterwarnings("ignore:Local mode performs exact"),
]

Opened = Callable[[], VectorEngine]
"""Opens the engine over what earlier calls of the same test have left."""


def open_exact(request: pytest.FixtureRequest) -> Opened:
    engine = ExactEngine()
    return lambda: engine


def open_embedded(request: pytest.FixtureRequest) -> Opened:
    folder: Path = request.getfixturevalue("tmp_path")
    return lambda: EmbeddedEngine(folder / "vectors", open_indexes=4)


def open_local_qdrant(request: pytest.FixtureRequest) -> Opened:
    folder: Path = request.getfixturevalue("tmp_path")
    return lambda: QdrantEngine(LocalQdrant(str(folder / "qdrant")))


def open_qdrant(request: pytest.FixtureRequest) -> Opened:
    url = os.environ.get("QDRANT_URL")
    if not url:
        pytest.skip("QDRANT_URL names no server")
    given = {"url": url, "collectionPrefix": f"test-{uuid.uuid4().hex[:8]}"}
    key = os.environ.get("QDRANT_API_KEY")
    return lambda: drivers_at(OutboundGuard(enabled=False))["qdrant"].open({"apiKey": key} if key else {}, given)


def open_pgvector(request: pytest.FixtureRequest) -> Opened:
    server = request.getfixturevalue("postgres_server")
    schema = f"test_{uuid.uuid4().hex[:8]}"
    return lambda: pgvector(server, schema=schema)


ENGINES: dict[str, Callable[[pytest.FixtureRequest], Opened]] = {
    "exact": open_exact,
    "embedded": open_embedded,
    "qdrant-local": open_local_qdrant,
    "qdrant-server": open_qdrant,
    "pgvector": open_pgvector,
}
RANKS_BY_WORDS = ["embedded", "qdrant-local", "qdrant-server"]


@pytest.fixture(params=list(ENGINES))
def opened(request: pytest.FixtureRequest) -> Opened:
    return ENGINES[request.param](request)


@asynccontextmanager
async def running(opened: Opened) -> AsyncIterator[VectorEngine]:
    engine = opened()
    try:
        yield engine
    finally:
        await engine.close()


@pytest.fixture
async def engine(opened: Opened) -> AsyncIterator[VectorEngine]:
    async with running(opened) as engine:
        yield engine


def location(tenant: str = "red", project: str = "p1", index: str = "idx") -> IndexLocation:
    return IndexLocation(Project(Tenant(tenant), project), index)


HERE = location()
SPEC = IndexSpec(4)


def point(id: str, values: Sequence[float] = (1, 0, 0, 0), text: str = "", **metadata: Any) -> Point:
    return Point(id, vector(values), metadata, text)


def some(count: int, dimension: int = 4, seed: int = 1) -> list[Point]:
    dice = random.Random(seed)
    return [
        Point(f"p{n}", vector([dice.gauss(0, 1) for _ in range(dimension)]), {"n": n, "even": n % 2 == 0})
        for n in range(count)
    ]


async def walk(engine: VectorEngine, at: IndexLocation, limit: int) -> list[Point]:
    found: list[Point] = []
    after = ""
    while True:
        page: PointPage = await engine.scroll(at, after, limit)
        found += page.points
        after = page.after
        if not after:
            return found


def _written(point: Point) -> int:
    """The order in which the points of the test on lengths are written."""
    return ["x", "xy", "y", "back"].index(point.id)


def same(a: Point, b: Point) -> bool:
    return (a.id, dict(a.metadata), a.text) == (b.id, dict(b.metadata), b.text) and np.allclose(
        a.values, b.values, rtol=1e-5, atol=1e-6
    )


class TestIndexes:
    async def test_creating_again_changes_nothing(self, engine: VectorEngine) -> None:
        await engine.create(HERE, SPEC)
        await engine.upsert(HERE, [point("a")])
        await engine.create(HERE, SPEC)
        assert await engine.count(HERE) == 1
        assert await engine.spec(HERE) == SPEC

    @pytest.mark.parametrize("other", [IndexSpec(5), IndexSpec(4, Metric.DOT)])
    async def test_creating_another_in_its_place_is_a_conflict(self, engine: VectorEngine, other: IndexSpec) -> None:
        await engine.create(HERE, SPEC)
        with pytest.raises(Conflict):
            await engine.create(HERE, other)
        assert await engine.spec(HERE) == SPEC

    async def test_many_create_the_same_at_once(self, engine: VectorEngine) -> None:
        await asyncio.gather(*(engine.create(HERE, SPEC) for _ in range(8)))
        assert await engine.count(HERE) == 0

    async def test_an_empty_index(self, engine: VectorEngine) -> None:
        await engine.create(HERE, SPEC)
        assert await engine.query(HERE, Query(vector([1, 0, 0, 0]))) == []
        assert await engine.fetch(HERE, ["a"]) == []
        assert await engine.count(HERE) == 0
        assert await engine.delete_ids(HERE, ["a"]) == 0
        assert list((await engine.scroll(HERE)).points) == []

    async def test_dropping_what_is_not_there_is_no_error(self, engine: VectorEngine) -> None:
        await engine.drop(HERE)
        await engine.create(HERE, SPEC)
        await engine.drop(HERE)
        await engine.drop(HERE)

    async def test_an_index_made_again_is_empty(self, engine: VectorEngine) -> None:
        await engine.create(HERE, SPEC)
        await engine.upsert(HERE, some(5))
        await engine.drop(HERE)
        await engine.create(HERE, IndexSpec(3))
        assert await engine.count(HERE) == 0
        await engine.upsert(HERE, [point("a", (1, 2, 3))])
        assert await engine.count(HERE) == 1

    @pytest.mark.parametrize("dropped", [False, True])
    async def test_what_is_not_there_is_not_found(self, engine: VectorEngine, dropped: bool) -> None:
        if dropped:
            await engine.create(HERE, SPEC)
            await engine.upsert(HERE, [point("a")])
            await engine.drop(HERE)
        only_a = parse({"n": 1})
        assert only_a is not None
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: engine.spec(HERE),
            lambda: engine.upsert(HERE, [point("a")]),
            lambda: engine.query(HERE, Query(vector([1, 0, 0, 0]))),
            lambda: engine.fetch(HERE, ["a"]),
            lambda: engine.delete_ids(HERE, ["a"]),
            lambda: engine.delete_filter(HERE, only_a),
            lambda: engine.count(HERE),
            lambda: engine.scroll(HERE),
        ]
        for call in calls:
            with pytest.raises(NotFound):
                await call()

    async def test_another_process_drops_what_this_one_has_used(self, opened: Opened) -> None:
        """An engine's memory of an index must not outlive it."""
        if opened.__qualname__.startswith(("open_embedded", "open_local")):
            pytest.skip("one process at a time")
        async with running(opened) as one, running(opened) as other:
            await one.create(HERE, SPEC)
            await one.upsert(HERE, [point("a")])
            assert await one.query(HERE, Query(vector([1, 0, 0, 0])))
            await other.drop(HERE)
            with pytest.raises(NotFound):
                await one.query(HERE, Query(vector([1, 0, 0, 0])))
            with pytest.raises(NotFound):
                await one.count(HERE)

    async def test_check_of_a_working_engine(self, engine: VectorEngine) -> None:
        await engine.check()

    async def test_closing_twice(self, engine: VectorEngine) -> None:
        await engine.create(HERE, SPEC)
        await engine.close()
        await engine.close()


class TestPoints:
    async def test_what_was_written_is_read_back(self, engine: VectorEngine) -> None:
        await engine.create(HERE, SPEC)
        metadata = {
            "text": "ä\n\"'\\ 漢字 🙂", "int": -(2**63), "big": 2**63 - 1, "float": 1.5e300, "tiny": 5e-324,
            "no": False, "null": None, "list": [1, 1.0, "1", None, True, [2], {"x": 1}], "nested": {"a": {"b": []}},
            "": "empty", "a.b": 1, "$dollar": 2, 'quo"te': 3, "back\\slash": 4,
        }  # fmt: skip
        written = Point("a", vector([0.1, -2.5, 3e10, 1e-10]), metadata, "some words")
        await engine.upsert(HERE, [written, point("b")])
        (read, other) = await engine.fetch(HERE, ["a", "b"])
        assert same(read, written)
        assert repr(read.metadata["list"]) == repr(metadata["list"])
        assert same(other, point("b"))

    @pytest.mark.parametrize(
        "id", ["x" * 512, "漢" * 512, "a/b", "../..", "a b", "'; DROP TABLE x --", "%00", "-1", "🙂"]
    )
    async def test_any_text_is_an_id(self, engine: VectorEngine, id: str) -> None:
        await engine.create(HERE, SPEC)
        await engine.upsert(HERE, [point(id), point("other", (0, 1, 0, 0))])
        assert [found.id for found in await engine.fetch(HERE, [id])] == [id]
        assert (await engine.query(HERE, Query(vector([1, 0, 0, 0]), 1)))[0].id == id
        assert await engine.delete_ids(HERE, [id]) == 1
        assert await engine.count(HERE) == 1

    async def test_writing_again_replaces_the_point_whole(self, engine: VectorEngine) -> None:
        await engine.create(HERE, SPEC)
        await engine.upsert(HERE, [point("a", (1, 0, 0, 0), "old", old=1, both=1)])
        await engine.upsert(HERE, [point("a", (0, 1, 0, 0), new=1, both=2)])
        assert await engine.count(HERE) == 1
        assert same((await engine.fetch(HERE, ["a"]))[0], point("a", (0, 1, 0, 0), new=1, both=2))
        assert await engine.count(HERE, parse({"old": 1})) == 0
        assert await engine.count(HERE, parse({"both": {"$lt": 2}})) == 0
        assert (await engine.query(HERE, Query(vector([0, 1, 0, 0]), 5)))[0].score == pytest.approx(1)

    async def test_a_point_written_again_counts_once(self, engine: VectorEngine) -> None:
        await engine.create(HERE, SPEC)
        for seed in range(3):
            await engine.upsert(HERE, some(300, seed=seed))
        assert await engine.count(HERE) == 300
        assert await engine.count(HERE, parse({"even": True})) == 150

    async def test_more_than_one_chunk_at_once(self, engine: VectorEngine) -> None:
        await engine.create(HERE, SPEC)
        await engine.upsert(HERE, some(1234))
        assert await engine.count(HERE) == 1234
        assert await engine.delete_ids(HERE, [f"p{n}" for n in range(1200)]) == 1200
        assert await engine.count(HERE) == 34

    async def test_fetch_keeps_the_order_and_leaves_out_what_is_not_there(self, engine: VectorEngine) -> None:
        await engine.create(HERE, SPEC)
        await engine.upsert(HERE, some(5))
        assert [found.id for found in await engine.fetch(HERE, ["p3", "no", "p0", "p4"])] == ["p3", "p0", "p4"]

    async def test_an_answer_of_too_much_metadata_is_refused(self, engine: VectorEngine) -> None:
        """It was read, for seconds in which nobody was served, and was then too large to send."""
        await engine.create(HERE, SPEC)
        await engine.upsert(HERE, [point(f"p{n}", note="x" * 40_000) for n in range(110)])
        assert len(await engine.query(HERE, Query(vector([1, 0, 0, 0]), 100))) == 100
        assert len(await engine.fetch(HERE, [f"p{n}" for n in range(100)])) == 100
        for answer in (
            engine.query(HERE, Query(vector([1, 0, 0, 0]), 110)),
            engine.fetch(HERE, [f"p{n}" for n in range(110)]),
        ):
            with pytest.raises(InvalidInput) as caught:
                await answer
            assert caught.value.reason == "ANSWER_TOO_LARGE"
        assert len(await walk(engine, HERE, 110)) == 110

    async def test_delete_by_ids_says_how_many_there_were(self, engine: VectorEngine) -> None:
        await engine.create(HERE, SPEC)
        await engine.upsert(HERE, some(5))
        assert await engine.delete_ids(HERE, ["p1", "no", "p2"]) == 2
        assert await engine.delete_ids(HERE, ["p1", "no", "p2"]) == 0
        assert sorted(found.id for found in await walk(engine, HERE, 10)) == ["p0", "p3", "p4"]

    async def test_delete_by_filter_says_how_many_there_were(self, engine: VectorEngine) -> None:
        await engine.create(HERE, SPEC)
        await engine.upsert(HERE, some(1100))
        even = parse({"even": True, "n": {"$gte": 10}})
        assert even is not None
        assert await engine.delete_filter(HERE, even) == 545
        assert await engine.delete_filter(HERE, even) == 0
        assert await engine.count(HERE) == 555

    @pytest.mark.parametrize("limit", [1, 7, 100])
    async def test_a_scroll_meets_every_point_once_in_an_order_that_stays(
        self, engine: VectorEngine, limit: int
    ) -> None:
        await engine.create(HERE, SPEC)
        await engine.upsert(HERE, some(50))
        first = [found.id for found in await walk(engine, HERE, limit)]
        assert sorted(first) == sorted(f"p{n}" for n in range(50))
        assert [found.id for found in await walk(engine, HERE, 9)] == first

    async def test_a_scroll_goes_on_over_writes(self, engine: VectorEngine) -> None:
        await engine.create(HERE, SPEC)
        await engine.upsert(HERE, some(40))
        page = await engine.scroll(HERE, "", 10)
        early = {found.id for found in page.points}
        gone = sorted(early)[0]
        await engine.delete_ids(HERE, [gone])
        await engine.upsert(HERE, some(40, seed=2)[:5])
        later: list[str] = []
        while page.after:
            page = await engine.scroll(HERE, page.after, 10)
            later += [found.id for found in page.points]
        assert len(later) == len(set(later))
        assert set(later) >= {f"p{n}" for n in range(40)} - early

    @pytest.mark.parametrize("after", ["nonsense", "ÿ", "00000000", "\0"])
    async def test_a_page_token_from_elsewhere_is_refused(self, engine: VectorEngine, after: str) -> None:
        if isinstance(engine, ExactEngine):
            pytest.skip("takes any")
        await engine.create(HERE, SPEC)
        with pytest.raises(InvalidInput):
            await engine.scroll(HERE, after)

    async def test_what_was_written_is_there_after_opening_again(self, opened: Opened) -> None:
        async with running(opened) as engine:
            await engine.create(HERE, SPEC)
            await engine.upsert(HERE, some(20))
            await engine.delete_ids(HERE, ["p7"])
        async with running(opened) as engine:
            assert await engine.spec(HERE) == SPEC
            assert await engine.count(HERE) == 19
            assert await engine.count(HERE, parse({"n": {"$lt": 10}})) == 9
            await engine.upsert(HERE, some(21)[20:])
            assert await engine.count(HERE) == 20

    async def test_writers_and_readers_at_once(self, engine: VectorEngine) -> None:
        await engine.create(HERE, SPEC)
        points = some(400)

        async def write(start: int) -> None:
            await engine.upsert(HERE, points[start : start + 50])

        async def read() -> None:
            found = await engine.query(HERE, Query(points[0].values, 50))
            assert len({match.id for match in found}) == len(found)

        await asyncio.gather(*(write(start) for start in range(0, 400, 50)), *(read() for _ in range(20)))
        assert await engine.count(HERE) == 400


class TestQueries:
    @pytest.mark.parametrize("metric", list(Metric))
    async def test_scores_and_order_are_those_of_exact_search(self, engine: VectorEngine, metric: Metric) -> None:
        await engine.create(HERE, IndexSpec(16, metric))
        points = some(200, 16)
        await engine.upsert(HERE, points)
        asked = some(1, 16, seed=9)[0].values
        found = await engine.query(HERE, Query(asked, 10))

        table = np.array([list(each.values) for each in points])
        exact = {
            Metric.DOT: table @ np.array(asked),
            Metric.COSINE: table @ np.array(asked) / np.linalg.norm(table, axis=1) / np.linalg.norm(asked),
            Metric.EUCLIDEAN: np.linalg.norm(table - np.array(asked), axis=1),
        }[metric]
        order = np.argsort(-exact if metric.higher_is_nearer else exact)[:10]
        assert [match.id for match in found] == [f"p{at}" for at in order]
        assert [match.score for match in found] == pytest.approx([exact[at] for at in order], rel=1e-4, abs=1e-5)
        assert found[0].metadata == points[order[0]].metadata

    @pytest.mark.parametrize("length", [1e-38, 1e-20, 1e-4, 1.0, 1e4, 1e20, 2e38])
    async def test_cosine_of_vectors_of_any_length(self, engine: VectorEngine, length: float) -> None:
        """qdrant/qdrant#10692, #10465, weaviate#11671: normalised in 32 bits, short vectors lost digits and long ones
        everything: `[1e-4, 0]` scored 1e-4 and `[1e20, 0]` nothing, and neither came back."""
        await engine.create(HERE, IndexSpec(4))
        directions = {"x": (1, 0, 0, 0), "xy": (1, 1, 0, 0), "y": (0, 1, 0, 0), "back": (-1, 0, 0, 0)}
        points = [point(id, [length * each for each in values]) for id, values in directions.items()]
        await engine.upsert(HERE, points)
        for asked in ([1, 0, 0, 0], [length, 0, 0, 0]):
            found = await engine.query(HERE, Query(vector(asked), include_values=True))
            assert [match.id for match in found] == ["x", "xy", "y", "back"]
            assert [match.score for match in found] == pytest.approx([1, 0.5**0.5, 0, -1], abs=1e-5)
            for match, written in zip(found, points, strict=True):
                assert match.values is not None
                assert list(match.values) == pytest.approx(list(written.values), rel=1e-5, abs=0)
        for read in (await engine.fetch(HERE, list(directions)), sorted(await walk(engine, HERE, 3), key=_written)):
            for after, written in zip(read, points, strict=True):
                assert list(after.values) == pytest.approx(list(written.values), rel=1e-5, abs=0)

    @pytest.mark.parametrize("metric", [Metric.DOT, Metric.EUCLIDEAN])
    async def test_the_longest_vectors_have_finite_scores(self, engine: VectorEngine, metric: Metric) -> None:
        """milvus-io/milvus#50408: scores that overflowed were null, and their points fell out of the ranking."""
        await engine.create(HERE, IndexSpec(2, metric))
        most = MAX_LENGTH * 0.999
        ends = {"a": (most, 0), "b": (-most, 0), "c": (0, most), "d": (1, 1)}
        await engine.upsert(HERE, [point(id, values) for id, values in ends.items()])
        found = await engine.query(HERE, Query(vector([most, 0])))
        assert len(found) == len(ends)
        assert all(math.isfinite(match.score) for match in found)
        assert (found[0].id, found[-1].id) == ("a", "b")

    @pytest.mark.parametrize("top_k", [1, 3, 1000])
    async def test_top_k(self, engine: VectorEngine, top_k: int) -> None:
        await engine.create(HERE, SPEC)
        await engine.upsert(HERE, some(1100))
        assert len(await engine.query(HERE, Query(vector([1, 0, 0, 0]), top_k))) == top_k

    @pytest.mark.parametrize("metric", list(Metric))
    async def test_values_come_only_where_asked_for(self, engine: VectorEngine, metric: Metric) -> None:
        await engine.create(HERE, IndexSpec(4, metric))
        await engine.upsert(HERE, [point("a", (3, 4, 0, 12))])
        (without,) = await engine.query(HERE, Query(vector([1, 0, 0, 0])))
        (with_values,) = await engine.query(HERE, Query(vector([1, 0, 0, 0]), include_values=True))
        assert without.values is None or isinstance(engine, ExactEngine)
        assert with_values.values is not None
        assert list(with_values.values) == pytest.approx([3, 4, 0, 12])

    async def test_a_filter_comes_before_the_ranking(self, engine: VectorEngine) -> None:
        """The nearest of those that meet it, not those of the nearest that meet it."""
        await engine.create(HERE, SPEC)
        near = [point(f"near{n}", (1, 0.0001 * n, 0, 0), kind="a") for n in range(500)]
        far = [point(f"far{n}", (0, 1, 0.01 * n, 0), kind="b", n=n) for n in range(5)]
        await engine.upsert(HERE, near + far)
        found = await engine.query(HERE, Query(vector([1, 0.5, 0, 0]), 10, parse({"kind": "b", "n": {"$gt": 0}})))
        assert [match.id for match in found] == ["far1", "far2", "far3", "far4"]

    async def test_keywords_where_the_index_has_none(self, engine: VectorEngine) -> None:
        await engine.create(HERE, SPEC)
        await engine.upsert(HERE, [point("a")])
        with pytest.raises(InvalidInput):
            await engine.query(HERE, Query(vector([1, 0, 0, 0]), keywords=KeywordQuery("hello")))

    async def test_a_hybrid_index_is_made_or_refused(self, engine: VectorEngine) -> None:
        if engine.capabilities.hybrid:
            await engine.create(HERE, IndexSpec(4, hybrid=True))
        else:
            with pytest.raises(InvalidInput):
                await engine.create(HERE, IndexSpec(4, hybrid=True))


@pytest.mark.parametrize("opened", RANKS_BY_WORDS, indirect=True)
class TestHybrid:
    POINTS = (
        point("cats", (1, 0, 0, 0), "The cat sat on the mat with another cat", lang="en"),
        point("dogs", (0.9, 0.1, 0, 0), "A dog and a cat", lang="en"),
        point("zebra", (0, 0, 0, 1), "Zebras are striped animals of the savannah", lang="de"),
        point("mute", (0, 1, 0, 0), "", lang="en"),
        point("plain", (0, 0.9, 0.1, 0), "the of and", lang="en"),
    )

    @pytest.fixture
    async def filled(self, engine: VectorEngine) -> VectorEngine:
        await engine.create(HERE, IndexSpec(4, hybrid=True))
        await engine.upsert(HERE, list(self.POINTS))
        return engine

    async def test_a_rare_word_brings_up_what_the_vector_would_not(self, filled: VectorEngine) -> None:
        asked = vector([1, 0, 0, 0])
        dense = await filled.query(HERE, Query(asked, 2))
        both = await filled.query(HERE, Query(asked, 2, keywords=KeywordQuery("striped zebra")))
        assert [match.id for match in dense] == ["cats", "dogs"]
        assert {match.id for match in both} == {"cats", "zebra"}
        assert both[0].score >= both[1].score

    @pytest.mark.parametrize(("share", "first"), [(1.0, "cats"), (0.0, "zebra")])
    async def test_weights_run_from_keywords_alone_to_vectors_alone(
        self, filled: VectorEngine, share: float, first: str
    ) -> None:
        keywords = KeywordQuery("zebras", FusionMethod.WEIGHTED, share)
        found = await filled.query(HERE, Query(vector([1, 0, 0, 0]), 5, keywords=keywords))
        assert found[0].id == first
        assert 0 <= found[-1].score <= found[0].score <= 1

    async def test_a_filter_holds_for_both_rankings(self, filled: VectorEngine) -> None:
        found = await filled.query(
            HERE, Query(vector([1, 0, 0, 0]), 5, parse({"lang": "en"}), keywords=KeywordQuery("zebra"))
        )
        assert {match.id for match in found} == {"cats", "dogs", "mute", "plain"}

    @pytest.mark.parametrize("text", ["", "the", "???", "xyzzy"])
    async def test_keywords_that_say_nothing_leave_the_vectors(self, filled: VectorEngine, text: str) -> None:
        found = await filled.query(
            HERE, Query(vector([1, 0, 0, 0]), 2, keywords=KeywordQuery(text), include_values=True)
        )
        assert [match.id for match in found] == ["cats", "dogs"]
        assert found[0].values is not None

    @pytest.mark.parametrize(
        ("text", "query"),
        [
            ("私は東京に住んでいます", "東京"),
            ("大人券と学生券があります", "学生券"),
            ("東京都", "都"),
            ("ﾃﾞｰﾀﾍﾞｰｽの設計", "データベース"),
            ("나는 어제 도서관에 갔다", "도서관"),
            ("向量数据库很快", "数据库"),
            ("ประเทศไทยสวยงามมาก", "ประเทศ"),
            (unicodedata.normalize("NFD", "Das Café in Zürich"), "Café"),
            ("Das Café in Zürich", unicodedata.normalize("NFD", "Zürich")),
            ("".join(chr(ord(each) + 0xFEE0) for each in "portico"), "portico"),  # full-width letters
        ],
    )  # fmt: skip
    async def test_keywords_of_scripts_without_spaces_and_of_other_forms(
        self, filled: VectorEngine, text: str, query: str
    ) -> None:
        """Words inside a sentence of Japanese, Chinese, Korean or Thai, and of NFD text by NFC, were not found."""
        await filled.upsert(HERE, [point("found", (0, 0, 0, 1), text)])
        keywords = KeywordQuery(query, FusionMethod.WEIGHTED, 0.0)
        best, *others = await filled.query(HERE, Query(vector([1, 0, 0, 0]), 5, keywords=keywords))
        assert (best.id, best.score) == ("found", 1.0)
        assert all(match.score == 0 for match in others)

    async def test_a_new_text_replaces_the_old(self, filled: VectorEngine) -> None:
        await filled.upsert(HERE, [point("zebra", (0, 0, 0, 1), "nothing of the kind")])
        keywords = KeywordQuery("zebras", FusionMethod.WEIGHTED, 0.0)
        found = await filled.query(HERE, Query(vector([1, 0, 0, 0]), 5, keywords=keywords))
        assert all(match.score == 0 for match in found)

    async def test_other_places_have_no_part_in_how_rare_a_word_is(self, filled: VectorEngine) -> None:
        keywords = KeywordQuery("cat zebras", FusionMethod.WEIGHTED, 0.0)
        query = Query(vector([0, 1, 0, 0]), 5, keywords=keywords)
        before = {match.id: match.score for match in await filled.query(HERE, query)}
        other = location("blue")
        await filled.create(other, IndexSpec(4, hybrid=True))
        await filled.upsert(other, [point(f"z{n}", (1, 0, 0, 0), "zebras") for n in range(50)])
        assert {match.id: match.score for match in await filled.query(HERE, query)} == pytest.approx(before)


class TestIsolation:
    ELSEWHERE = (
        location(index="idx2"),
        location(project="p2"),
        location(tenant="blue"),
        location("p1", "red"),
        location("re", "dp1"),
    )

    @pytest.fixture
    async def filled(self, engine: VectorEngine) -> VectorEngine:
        """The same ids and metadata everywhere; only the values tell where a point lies."""
        for number, at in enumerate((HERE, *self.ELSEWHERE)):
            await engine.create(at, SPEC)
            await engine.upsert(at, [point(f"p{n}", (1, number, n, 0), n=n) for n in range(5)])
        return engine

    @staticmethod
    async def look(engine: VectorEngine, at: IndexLocation) -> list[list[float]]:
        return sorted(list(map(round, found.values)) for found in await walk(engine, at, 3))

    async def test_reading(self, filled: VectorEngine) -> None:
        for number, at in enumerate((HERE, *self.ELSEWHERE)):
            expected = [[1, number, n, 0] for n in range(5)]
            found = await filled.query(at, Query(vector([1, 1, 1, 1]), 100, include_values=True))
            assert sorted(list(map(round, match.values or ())) for match in found) == expected
            filtered = await filled.query(at, Query(vector([1, 1, 1, 1]), 100, parse({"$or": [{"n": 1}, {"x": None}]})))
            assert len(filtered) == 5
            fetched = await filled.fetch(at, [f"p{n}" for n in range(5)])
            assert [list(map(round, each.values)) for each in fetched] == expected
            assert await filled.count(at) == 5
            assert await filled.count(at, parse({"n": {"$not": {"$gt": 1}}})) == 2
            assert await self.look(filled, at) == expected

    @pytest.mark.parametrize("way", ["upsert", "ids", "filter", "drop"])
    async def test_writing(self, filled: VectorEngine, way: str) -> None:
        before = [await self.look(filled, at) for at in self.ELSEWHERE]
        anything = parse({"$or": [{"n": {"$gte": 0}}, {"n": None}]})
        assert anything is not None
        match way:
            case "upsert":
                await filled.upsert(HERE, [point(f"p{n}", (9, 9, 9, 9)) for n in range(5)])
            case "ids":
                assert await filled.delete_ids(HERE, [f"p{n}" for n in range(5)]) == 5
            case "filter":
                assert await filled.delete_filter(HERE, anything) == 5
            case "drop":
                await filled.drop(HERE)
        assert [await self.look(filled, at) for at in self.ELSEWHERE] == before


LARGE = [
    2**53 - 1,
    2**53,
    2**53 + 1,
    2**53 + 2,
    float(2**53),
    -(2**53) - 1,
    1_764_140_000_123_456_789,
    1_764_140_000_123_456_790,
    1.764140000123456789e18,
    2**62 - 1,
    2**62,
    2**62 + 1,
    -(2**62),
    2**63 - 1,
    2**63 - 512,
    float(2**63),
    -(2**63),
    2.0**64,
]
"""Around where neighbouring integers round to the same 64-bit float."""
NAMES = ("a", "b", "c d", "ä", "0", "a-b")
SCALARS = st.one_of(
    st.none(), st.booleans(), st.sampled_from([0, 1, -1, 2]), st.sampled_from(LARGE),
    st.sampled_from([0.0, -0.0, 1.0, 0.1, 1.5, -2.5, 1e300, 5e-324, float(2**53)]),
    st.sampled_from(["", "1", "true", "null", "x", "ä", "x' OR '1'='1", "long" * 60, '["a"]']),
)  # fmt: skip
VALUES = st.one_of(
    SCALARS, st.lists(SCALARS, max_size=3), st.just([[1, "x"]]), st.just([{"a": 1}]), st.just({}),
    st.dictionaries(st.sampled_from(NAMES), st.one_of(SCALARS, st.lists(SCALARS, max_size=2)), max_size=2),
)  # fmt: skip
METADATA = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4)
PATHS = st.one_of(st.sampled_from(NAMES), st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)).map(".".join))
NUMBERS = st.sampled_from([0, -0.0, 1, 1.0, -1, 0.1, 1.5, 1e300, -1e300, 5e-324, *LARGE])
OPERATORS = st.one_of(
    st.tuples(st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), NUMBERS),
    st.tuples(st.sampled_from(["$eq", "$ne"]), SCALARS),
    st.tuples(st.sampled_from(["$in", "$nin"]), st.lists(SCALARS, max_size=3)),
    st.tuples(st.just("$exists"), st.booleans()),
)  # fmt: skip
CLAUSES = st.one_of(SCALARS, st.lists(OPERATORS, min_size=1, max_size=2).map(dict))
FIELDS = st.dictionaries(PATHS, st.one_of(CLAUSES, st.builds(lambda o: {"$not": dict([o])}, OPERATORS)), max_size=2)
FILTERS = st.recursive(
    FIELDS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda of: {"$and": of}),
        st.lists(inner, min_size=1, max_size=3).map(lambda of: {"$or": of}),
        inner.map(lambda of: {"$not": of}),
    ),
    max_leaves=6,
)


class TestFilters:
    def test_every_engine_answers_as_the_plain_meaning_says(self, opened: Opened) -> None:
        """One index, written over and over: what a point once held must not show either."""
        with asyncio.Runner() as runner:
            engine = opened()
            runner.run(engine.create(HERE, IndexSpec(2)))

            @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), database=None)
            @given(st.lists(METADATA, min_size=1, max_size=8), st.lists(FILTERS, min_size=1, max_size=8))
            def check(metadata: list[dict[str, Any]], filters: list[dict[str, Any]]) -> None:
                runner.run(self.check(engine, metadata, filters))

            try:
                check()
            finally:
                runner.run(engine.close())

    async def check(self, engine: VectorEngine, metadata: list[dict[str, Any]], filters: list[dict[str, Any]]) -> None:
        points = [Point(f"p{n}", vector([1, n]), found) for n, found in enumerate(metadata)]
        await engine.delete_ids(HERE, [f"p{n}" for n in range(len(points), 8)])
        await engine.upsert(HERE, points)
        for raw in filters:
            filter = parse(raw)
            expected = {each.id for each in points if matches(filter, each.metadata)}
            found = await engine.query(HERE, Query(vector([1, 1]), 100, filter))
            assert {match.id for match in found} == expected
            assert await engine.count(HERE, filter) == len(expected)

    async def test_integers_that_round_to_one_float_are_told_apart(self, engine: VectorEngine) -> None:
        """qdrant/qdrant#8538: 2^53 and 2^53 + 1 were one number to every filter."""
        await engine.create(HERE, SPEC)
        numbers = [2**53 - 1, 2**53, 2**53 + 1, 2**53 + 2]
        await engine.upsert(HERE, [point(str(n), n=n) for n in numbers])

        async def met(clause: Any) -> list[int]:
            found = await engine.query(HERE, Query(vector([1, 0, 0, 0]), 10, parse({"n": clause})))
            assert await engine.count(HERE, parse({"n": clause})) == len(found)
            return sorted(int(match.id) for match in found)

        odd = 2**53 + 1
        for clause in (odd, {"$eq": odd}, {"$in": [odd]}, {"$gte": odd, "$lte": odd}, {"$gt": 2**53, "$lt": 2**53 + 2}):
            assert await met(clause) == [odd]
        assert await met({"$ne": odd}) == await met({"$nin": [odd]}) == [2**53 - 1, 2**53, 2**53 + 2]
        assert await met({"$gt": odd}) == [2**53 + 2]
        assert await met({"$lt": odd}) == [2**53 - 1, 2**53]
        assert await met(float(2**53)) == [2**53]

    @pytest.mark.parametrize(
        "raw",
        [
            {"x' OR '1'='1": 1}, {"x); DROP TABLE indexes; --": {"$gt": 1}}, {"$$": None}, {"{a,b}": 1},
            {"a[]": {"$gt": 0}}, {"a[0]": {"$gt": 0}}, {"*": 1}, {"$1": 1}, {"%s": "%s"}, {"n": "1; --"},
            {"n": {"$in": ["') OR true --"]}}, {"numbers": {"$gt": 0}}, {"id": "hidden"}, {"point": {"$exists": True}},
            {"place": {"$ne": None}}, {"terms": {"$exists": True}},
        ],
    )  # fmt: skip
    async def test_hostile_names_and_values_are_only_that(self, engine: VectorEngine, raw: dict[str, Any]) -> None:
        await engine.create(HERE, SPEC)
        await engine.upsert(HERE, [point("hidden", n=1)])
        try:
            filter = parse(raw)
        except InvalidInput:
            return
        assert await engine.count(HERE, filter) == 0
        assert await engine.query(HERE, Query(vector([1, 0, 0, 0]), 5, filter)) == []
        assert await engine.count(HERE) == 1
        named = Point("named", vector([1, 0, 0, 0]), {next(iter(raw)): 7})
        await engine.upsert(HERE, [named])
        assert await engine.count(HERE, parse({next(iter(raw)): {"$gte": 7}})) == 1

    async def test_deep_and_wide_filters(self, engine: VectorEngine) -> None:
        await engine.create(HERE, SPEC)
        await engine.upsert(HERE, some(20))
        deep: dict[str, Any] = {"n": {"$lt": 5}}
        for _ in range(6):
            deep = {"$not": deep}
        assert await engine.count(HERE, parse(deep)) == 5
        assert await engine.count(HERE, parse({"$or": [{"n": n} for n in range(100)]})) == 20
        assert await engine.count(HERE, parse({"n": {"$in": list(range(10, 1010))}})) == 10

    async def test_more_fields_of_numbers_than_get_an_index(self, engine: VectorEngine) -> None:
        await engine.create(HERE, SPEC)
        await engine.upsert(
            HERE, [Point(f"p{n}", vector([1, 0, 0, n]), {f"f{m}": n + m for m in range(50)}) for n in range(20)]
        )
        for field in ("f0", "f31", "f32", "f49"):
            assert await engine.count(HERE, parse({field: {"$gte": int(field[1:]) + 15}})) == 5
