"""Roll-ups of usage: their sums are those of the records, to the last unit, whatever the time asked for."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput, Unavailable
from core.storage.checks import MAX_TOTALS
from core.storage.ports import Collection, Counting, Document
from core.tasks import Tasks
from core.tenancy import AllProjects, Project, Scope, Tenant
from services.inference.domain.tables import MEASURES, ROLLUPS, USAGE, UsageScope
from services.inference.domain.usage import rollups
from services.inference.domain.usage.backfill import roll_up
from services.inference.domain.usage.metering import Meter
from services.inference.domain.usage.overview import percentile_ms
from services.inference.domain.usage.periods import checked_period, read_span
from services.inference.domain.usage.rollups import CALLS, DAY, HOUR, OTHER, TAGS, Rollups, bound_of, bucket_of
from services.inference.domain.usage.spend import Spend
from services.inference.domain.usage.totals import UsageTotals, cube_of
from tests.support.stores import MemoryStore

ACME, GLOBEX = Tenant("acme"), Tenant("globex")
P1, P2, ALIEN = Project(ACME, "p1"), Project(ACME, "p2"), Project(GLOBEX, "p1")
NOON = 1_795_694_400.0
"""In the middle of a day."""


def record(id: str, **fields: Any) -> Document:
    at = fields.get("createdAt", NOON)
    return {
        "id": id,
        "createdAt": at,
        "day": rollups.day_of(at),
        "model": "m",
        "providerKey": "p",
        "operation": "chat",
        "status": "success",
        "currency": "USD",
        "tokenId": "t",
        "userId": "u",
        "inputTokens": 3,
        "outputTokens": 2,
        "cachedInputTokens": 1,
        "cacheWriteInputTokens": 0,
        "reasoningTokens": 1,
        "totalTokens": 5,
        "costNanos": 7,
        "latencyMs": 12.345,
        **fields,
    }


async def write(store: MemoryStore, records: Sequence[Document], scope: Project = P1) -> None:
    """As one batch of a process that has just started."""
    await Meter(store, Tasks(), capacity=10)._insert(scope, records)


def measured(record: Document) -> dict[str, int]:
    sums = {name: record[name] for name in MEASURES[1:-1]}
    return sums | {"requests": 1, "latencyMicros": round(record["latencyMs"] * 1000)}


def expected(records: Sequence[Document], key: Any) -> dict[Any, dict[str, int]]:
    groups: dict[Any, dict[str, int]] = {}
    for each in records:
        sums = groups.setdefault(key(each), dict.fromkeys(MEASURES, 0))
        for name, value in measured(each).items():
            sums[name] += value
    return groups


moments = st.one_of(
    st.integers(-3, 3).map(lambda days: NOON + days * DAY),
    st.integers(-80, 80).map(lambda hours: NOON + hours * HOUR),
    st.floats(NOON - 3 * DAY, NOON + 3 * DAY),
)
records = st.builds(
    lambda at, model, status, user, tokens, nanos, latency: record(
        "",
        createdAt=at,
        model=model,
        providerKey="" if status == "error" else "p",
        status=status,
        userId=user,
        inputTokens=tokens,
        totalTokens=tokens + 2,
        costNanos=nanos,
        latencyMs=round(latency, 3),
    ),
    moments,
    st.sampled_from(["m", "n"]),
    st.sampled_from(["success", "error", "cancelled"]),
    st.sampled_from(["u", "v"]),
    st.integers(0, 2**31),
    st.integers(0, 2**52),
    st.floats(0, 1e6),
)
GROUPS = {
    ("model", "status"): lambda each: (each["model"], each["status"]),
    ("userId",): lambda each: (each["userId"],),
    ("day", "currency"): lambda each: (rollups.day_of(each["createdAt"]), "USD"),
    ("start",): lambda each: (int(each["createdAt"] // HOUR) * HOUR,),
    ("month",): lambda each: (rollups.day_of(each["createdAt"])[:7],),
}


@given(st.lists(records, max_size=12), moments, moments, st.sampled_from(sorted(GROUPS)))
def test_totals_are_the_sums_of_the_records_of_any_time(
    made: list[Document], one: float, other: float, group_by: tuple[str, ...]
) -> None:
    start, end = min(one, other), max(one, other)
    made = [{**each, "id": f"r{number}"} for number, each in enumerate(made)]

    async def totals() -> dict[Any, dict[str, int]]:
        store = MemoryStore()
        for at in range(0, len(made), 5):
            await write(store, made[at : at + 5])
            await write(store, made[at : at + 5])  # again, as after a kill
        found = await UsageTotals(store).read(P1, cube_of(group_by), {}, (start, end), group_by)
        return {tuple(each.group.values()): each.sums for each in found}

    found = asyncio.run(totals())
    wanted = expected([each for each in made if start <= each["createdAt"] < end], GROUPS[group_by])
    assert found.keys() == wanted.keys()
    for key, sums in wanted.items():
        exact = {name: value for name, value in found[key].items() if name != "latencyMicros"}
        assert exact == {name: value for name, value in sums.items() if name != "latencyMicros"}
        assert found[key]["latencyMicros"] == pytest.approx(sums["latencyMicros"], abs=len(made))


async def test_projects_and_tenants_are_counted_apart() -> None:
    store = MemoryStore()
    for number, scope in enumerate((P1, P2, ALIEN), 1):
        await write(store, [record(f"r{each}") for each in range(number)], scope)
    totals = UsageTotals(store)
    span = (NOON - DAY, NOON + DAY)
    whose: list[tuple[UsageScope, int]] = [(P1, 1), (P2, 2), (ALIEN, 3), (AllProjects(ACME), 3)]
    for one, count in whose:
        (found,) = await totals.read(one, CALLS, {}, span, ["model"])
        assert found.sums["requests"] == count
    by_project = await totals.read(AllProjects(ACME), CALLS, {}, span, ["project"])
    assert [(each.group["project"], each.sums["requests"]) for each in by_project] == [("p1", 1), ("p2", 2)]


async def test_a_record_that_is_written_again_is_counted_once() -> None:
    """A process that is killed after the store has taken a batch has the batch written again."""

    class Lossy(MemoryStore):
        failures = 1

        async def insert_counted(
            self,
            scope: Scope,
            collection: Collection,
            documents: Sequence[Document],
            counters: Collection,
            counting: Counting,
            *,
            texts: Sequence[str] | None = None,
        ) -> int:
            count = await super().insert_counted(scope, collection, documents, counters, counting, texts=texts)
            if self.failures:
                self.failures -= 1
                raise Unavailable("the answer is lost")
            return count

    store = Lossy()
    with pytest.raises(Unavailable):
        await write(store, [record("r1"), record("r2")])
    await write(store, [record("r1"), record("r2"), record("r3")])
    assert await store.count(P1, USAGE) == 3
    (found,) = await UsageTotals(store).read(P1, CALLS, {}, (NOON - DAY, NOON + DAY), ["model"])
    assert (found.sums["requests"], found.sums["costNanos"]) == (3, 21)


async def test_tags_and_agents() -> None:
    store = MemoryStore()
    await write(
        store,
        [
            record("r1", tags={"team": "red", "env": "prod"}, agent="a"),
            record("r2", tags={"team": "red"}),
            record("r3", tags={"team": "blue"}, agent="a"),
            record("r4"),
        ],
    )
    totals, span = UsageTotals(store), (NOON, NOON + HOUR)
    teams = await totals.read(P1, TAGS, {"tagKey": "team"}, span, ["tagValue"])
    assert [(each.group["tagValue"], each.sums["costNanos"]) for each in teams] == [("blue", 7), ("red", 14)]
    agents = await totals.read(P1, CALLS, {}, span, ["agent"])
    assert [(each.group["agent"], each.sums["requests"]) for each in agents] == [("", 2), ("a", 2)]


async def test_what_callers_choose_does_not_make_roll_ups_without_end() -> None:
    store, number = MemoryStore(), 2_000
    made = [
        record(f"r{at}", model=f"no-{at}", providerKey="", agent=f"a{at}", tags={f"k{at}": "x", "k": f"v{at}"})
        for at in range(number)
    ]
    meter = Meter(store, Tasks(), capacity=10)
    for at in range(0, number, 500):
        await meter._insert(P1, made[at : at + 500])
    totals, span = UsageTotals(store), (NOON, NOON + HOUR)
    for dimension, most in (("model", rollups.MAX_UNKNOWN_MODELS), ("agent", rollups.MAX_AGENTS)):
        found = await totals.read(P1, CALLS, {}, span, [dimension])
        assert len(found) == most + 1
        assert sum(each.sums["requests"] for each in found) == number
        assert {each.group[dimension]: each for each in found}[OTHER].sums["requests"] == number - most
    keys = await totals.read(P1, TAGS, {}, span, ["tagKey"])
    assert len(keys) == rollups.MAX_TAG_KEYS + 1
    values = await totals.read(P1, TAGS, {"tagKey": "k"}, span, ["tagValue"])
    assert len(values) == rollups.MAX_TAG_VALUES + 1
    assert await store.count(P1, ROLLUPS) < 20_000


async def test_a_model_that_there_is_is_always_told_apart() -> None:
    store = MemoryStore()
    await write(store, [record(f"r{at}", model=f"m{at}") for at in range(rollups.MAX_UNKNOWN_MODELS * 2)])
    found = await UsageTotals(store).read(P1, CALLS, {}, (NOON, NOON + HOUR), ["model"])
    assert len(found) == rollups.MAX_UNKNOWN_MODELS * 2


@pytest.mark.parametrize("milliseconds", [0.0005, 0.002, 1.0, 12.3, 999.0, 60_000.0, 3_600_000.0])
def test_a_bucket_is_right_to_a_tenth(milliseconds: float) -> None:
    bound = bound_of(bucket_of(milliseconds))
    assert milliseconds <= bound <= max(milliseconds * 1.1, 0.002)


def test_percentiles_are_right_to_a_twentieth() -> None:
    latencies = [1.05**number for number in range(200)]
    buckets: dict[int, int] = {}
    for each in latencies:
        buckets[bucket_of(each)] = buckets.get(bucket_of(each), 0) + 1
    for share in (0.5, 0.95, 0.99):
        exact = latencies[round(share * 200) - 1]
        assert percentile_ms(buckets, share) == pytest.approx(exact, rel=0.05)
    assert percentile_ms({}, 0.5) == 0


@pytest.mark.parametrize(
    ("start", "end", "field"),
    [
        ("yesterday", "", "from"),
        ("", "2026-13-01", "to"),
        ("2026-11-02", "2026-11-01T00:00:00Z", "from"),
        ("2020-01-01", "2026-11-01", "from"),
        ("9" * 100, "", "from"),
        ("9999-12-31", "9999-12-31", "to"),
    ],
)
def test_a_time_that_is_none_is_named(start: str, end: str, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_span(start, end)
    assert caught.value.field == field


def test_a_date_as_the_end_counts_whole() -> None:
    assert read_span("2026-11-26", "2026-11-26") == read_span("2026-11-26T00:00:00Z", "2026-11-27T01:00:00+01:00")


def test_hours_of_a_year_are_too_many() -> None:
    with pytest.raises(InvalidInput) as caught:
        checked_period("hour", read_span("2026-01-01", "2026-06-01"), "day")
    assert caught.value.field == "group_by"


async def test_records_of_earlier_versions_are_rolled_up_once() -> None:
    store = MemoryStore()
    for scope, count in ((P1, 3), (P2, 2)):
        old = [record(f"r{number}") for number in range(count)]
        for each in old:
            del each["cacheWriteInputTokens"]
        await store.insert_many(scope, USAGE, old)
    for _ in range(2):  # the second time as after a kill
        await roll_up(store, ACME)
    await write(store, [record("r9")])
    found = await UsageTotals(store).read(AllProjects(ACME), CALLS, {}, (NOON - DAY, NOON + DAY), ["project"])
    assert [(each.group["project"], each.sums["requests"], each.sums["costNanos"]) for each in found] == [
        ("p1", 4, 28),
        ("p2", 2, 14),
    ]


async def test_roll_ups_of_a_day_are_written_before_the_next_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of all of a tenant's history were in memory together: some 0.5 GB for a month of ten million calls."""
    store = MemoryStore()
    days = (400, 700, 300)
    for day, count in enumerate(days):
        old = [record(f"r{day}.{number}", createdAt=NOON + day * DAY + number) for number in range(count)]
        await store.insert_many(P1, USAGE, old)
    written: list[int] = []
    find = store.find

    async def noted(scope: Scope, collection: Collection, *arguments: Any, **options: Any) -> Any:
        written.append(await store.count(P1, ROLLUPS, {"kind": "calls.day"}))
        return await find(scope, collection, *arguments, **options)

    monkeypatch.setattr(store, "find", noted)
    await roll_up(store, ACME)
    assert written == [0, 1, 1]  # pages of 500
    found = await UsageTotals(store).read(P1, CALLS, {}, (NOON - DAY, NOON + 3 * DAY), ["day"])
    assert tuple(each.sums["requests"] for each in found) == days


async def test_a_month_of_ten_million_calls_is_read_from_few_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    """Totals of a month were sums over each of its records."""
    store, rows = MemoryStore(), 0
    calls = Rollups()
    made: dict[str, Document] = {}
    for hour in range(0, 30 * 24, 4):
        batch = [
            record("", createdAt=NOON - DAY // 2 + hour * HOUR, model=f"m{number % 5}", userId=f"u{number % 10}")
            for number in range(10)
        ]
        for each in calls.increments(P1, batch):
            amounts = {name: amount * 5_556 for name, amount in each.amounts.items()}
            counter = made.setdefault(each.id, {**each.initial, "id": each.id, **dict.fromkeys(amounts, 0)})
            counter.update({name: counter[name] + amount for name, amount in amounts.items()})
    await store.insert_many(P1, ROLLUPS, list(made.values()))
    totals = store.totals

    async def counted(*arguments: Any, **options: Any) -> list[Document]:
        nonlocal rows
        rows += await store.count(P1, ROLLUPS, arguments[2])
        return await totals(*arguments, **options)

    monkeypatch.setattr(store, "totals", counted)
    span = read_span(rollups.day_of(NOON), rollups.day_of(NOON + 29 * DAY))
    report = await Spend(store, UsageTotals(store)).report(P1, span, entity="user")
    assert report.totals["requests"] == 30 * 6 * 10 * 5_556 > 10_000_000 - 1_000
    assert len(report.timeseries) == 30
    assert rows < 1_000


async def test_others_have_their_turn_while_many_groups_are_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand groups held the loop for a tenth of a second, five times over in an overview."""
    store = MemoryStore()
    groups = [{"userId": f"u{number}", **dict.fromkeys(MEASURES, 1)} for number in range(MAX_TOTALS)]

    async def totals(*arguments: Any, **options: Any) -> list[Document]:
        return groups

    monkeypatch.setattr(store, "totals", totals)
    reading = asyncio.create_task(UsageTotals(store).read(P1, CALLS, {}, (NOON, NOON + HOUR), ["userId"]))
    turns = 0
    while not reading.done():
        await asyncio.sleep(0)
        turns += 1
    assert len(await reading) == MAX_TOTALS
    assert turns > 3
