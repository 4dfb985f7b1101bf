"""The trace store: merging, totals, order, paging, isolation, expiry. A further adapter is one more entry of STORES."""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from core.errors import FailedPrecondition, NotFound, RateLimited
from core.storage import sqlite_files
from core.storage.mongodb_databases import Databases, connect
from core.storage.sqlite import SqliteStore
from core.tenancy import Project, Tenant
from services.tracing import mapping_otlp
from services.tracing.adapters.merged_writing import Writing
from services.tracing.adapters.mongodb import rows, schema
from services.tracing.adapters.mongodb.rows import MongoRows
from services.tracing.adapters.mongodb.store import MongoTraceStore
from services.tracing.adapters.sqlite.store import SqliteTraceStore
from services.tracing.domain import custom
from services.tracing.domain.otlp.events import patches
from services.tracing.domain.records import Patch, Session, Totals, TraceSender
from services.tracing.domain.tenant_data import Traces
from services.tracing.ports import SessionFilter, TraceStore
from tests.contract.conftest import MONGODB_MARK
from tests.support.mongodb import MISSING
from tests.support.removal import files_with
from tests.support.spans import TRACE, request, span
from tests.support.stores import sqlite_store

ACME, GLOBEX = Tenant("acme"), Tenant("globex")
P1, P2 = Project(ACME, "p1"), Project(ACME, "p2")
IDS = range(2, 9)
Replica = Callable[[], MongoTraceStore]
OTHER_TRACE = "0af7651916cd43ddffffffffffffffff"
"""Its first half is that of TRACE."""


@pytest.fixture
async def documents(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = sqlite_store(tmp_path)
    for tenant in (ACME, GLOBEX):
        await store.create_tenant(tenant)
    yield store
    await store.close()


@pytest.fixture
async def sqlite_traces(documents: SqliteStore, tmp_path: Path) -> AsyncIterator[SqliteTraceStore]:
    opened = SqliteTraceStore(tmp_path, waiting_mb=8)
    yield opened
    await opened.close()


@pytest.fixture
async def mongodb_traces(mongodb_url: str | None) -> AsyncIterator[Replica]:
    """Opens stores on the same databases, as replicas do."""
    if mongodb_url is None:
        pytest.skip(MISSING)
    opened: list[MongoTraceStore] = []
    prefix = f"{secrets.token_hex(3)}_"

    def replica() -> MongoTraceStore:
        databases = Databases(connect(mongodb_url), prefix=prefix, trust_seconds=0.05)
        opened.append(MongoTraceStore(databases, waiting_mb=8))
        return opened[-1]

    for tenant in (ACME, GLOBEX):
        await replica()._databases.create(tenant)
    yield replica
    for each in opened:
        await each.close()


@pytest.fixture(params=["sqlite", pytest.param("mongodb", marks=MONGODB_MARK)])
def store(request: pytest.FixtureRequest) -> TraceStore:
    if request.param == "sqlite":
        found: TraceStore = request.getfixturevalue("sqlite_traces")
        return found
    made: TraceStore = request.getfixturevalue("mongodb_traces")()
    return made


def session(id: str = "s", *events: dict[str, Any], **fields: Any) -> Patch:
    return custom.ingested({"sessionId": id, "events": list(events), **fields}, TraceSender("u", "t", "api"))


def spans(*given: Any, **resource: Any) -> list[Patch]:
    return patches(mapping_otlp.from_protobuf(request(*given, **resource).SerializeToString()).spans, TraceSender())


def call(id: int, tokens: int = 10, **more: Any) -> dict[str, Any]:
    return {
        "id": f"e{id}",
        "type": "ai_call",
        "timestamp": 1000 + id,
        "usage": {"inputTokens": tokens},
        "model": "m",
        **more,
    }


def _files(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.iterdir()]


async def found(store: TraceStore, id: str = "s", project: Project = P1) -> Session:
    session = await store.session(project, id)
    assert session is not None
    return session


async def timeline(store: TraceStore, id: str = "s", project: Project = P1) -> list[Any]:
    page = await store.events(project, id, 1000, content=True)
    assert page is not None
    assert page.after is None
    return list(page.events)


async def test_events_of_a_later_batch_are_added(store: TraceStore) -> None:
    """Regression guard: a batch replaced the events before it, and with them start and totals."""
    await store.write(P1, [session("s", call(1, 10), startedAt=1, status="running")])
    await store.write(P1, [session("s", call(2, 5), status="completed")])
    now = await found(store)
    assert [each.event.id for each in await timeline(store)] == ["e1", "e2"]
    assert (now.totals.input_tokens, now.started_at, now.status) == (15, 1.0, "completed")


async def test_events_of_one_id_and_two_types_are_two(store: TraceStore) -> None:
    await store.write(P1, [session("s", {"id": "r", "type": "llm_start"}, {"id": "r", "type": "llm_end"})])
    assert (await found(store)).types == {"llm_start": 1, "llm_end": 1}


async def test_what_comes_again_counts_once_and_adds_what_is_new(store: TraceStore) -> None:
    """Regression guard: a retried append was stored and counted twice."""
    await store.write(P1, [session("s", call(1, 10, metadata={"a": 1}))])
    await store.write(P1, [session("s", call(1, 10), call(1, 12, metadata={"b": 2}, status="error", label="L"))])
    (only,) = await timeline(store)
    assert (only.event.input_tokens, only.event.label, only.event.status) == (12, "L", "error")
    assert only.content == b'{"metadata":{"a":1,"b":2}}'
    assert (await found(store)).totals == Totals(events=1, errors=1, input_tokens=12)


async def test_totals_are_those_of_the_stored_events_whatever_came(store: TraceStore) -> None:
    """In any order, more than once, a part again with other numbers, from many writers at a time."""
    chance = random.Random(7)
    given = [call(at % 40, chance.randrange(100), model=f"m{at % 3}", label=str(at)) for at in range(200)]
    chance.shuffle(given)
    await asyncio.gather(*(store.write(P1, [session("s", *given[at : at + 8])]) for at in range(0, 200, 8)))
    events = [each.event for each in await timeline(store)]
    now = await found(store)
    assert len(events) == now.totals.events == 40
    assert now.totals.input_tokens == sum(event.input_tokens for event in events)
    assert now.models == {name: sum(event.model == name for event in events) for name in now.models}
    assert now.started_at == min(event.at for event in events)


async def test_what_the_sender_declared_stands_where_it_is_more(store: TraceStore) -> None:
    await store.write(P1, [session("s", call(1, 10), summary={"totalInputTokens": 25, "totalOutputTokens": 3})])
    await store.write(P1, [session("s", call(2, 30), summary={"totalInputTokens": 20})])
    totals = (await found(store)).shown_totals()
    assert (totals.input_tokens, totals.output_tokens) == (40, 3)


async def test_a_session_that_starts_again_keeps_its_totals(store: TraceStore) -> None:
    await store.write(P1, [custom.started("s", {"agent": {"name": "a"}}, TraceSender(), 5.0)])
    await store.write(P1, [custom.appended("s", {"event": call(1)})])
    await store.write(P1, [custom.ended("s", {"durationMs": 100})])
    ended = await found(store)
    assert (ended.status, ended.duration_ms, ended.totals.events) == ("success", 100, 1)
    await store.write(P1, [custom.started("s", {"agent": {"version": "2"}}, TraceSender(), 9.0)])
    again = await found(store)
    assert (again.status, again.end, again.totals.events, again.started_at) == ("in_progress", None, 1, 5.0)
    assert again.agent == {"name": "a", "version": "2"}


async def test_append_and_end_need_a_session_and_keep_no_other_request_from_its_own(store: TraceStore) -> None:
    outcomes = await asyncio.gather(
        store.write(P1, [custom.appended("none", {"event": call(1)})]),
        store.write(P1, [session("s", call(1))]),
        store.write(P1, [custom.ended("none", {})]),
        return_exceptions=True,
    )
    assert [type(each) for each in outcomes] == [NotFound, list, NotFound]
    assert await store.session(P1, "none") is None
    assert (await found(store)).totals.events == 1


class TestSpans:
    async def test_a_root_that_comes_late_sets_the_status(self, store: TraceStore) -> None:
        """Regression guard: an error of a root that came after its children left the session a success."""
        await store.write(P1, spans(span(2, parent=1, at=1)))
        assert (await found(store, "otlp_0af7651916cd43dd")).status == "success"
        await store.write(P1, spans(span(1, failed=True, at=0)))
        now = await found(store, "otlp_0af7651916cd43dd")
        assert (now.status, now.root_span_id, now.totals.events, now.totals.errors) == ("error", f"{1:016x}", 2, 1)
        await store.write(P1, spans(span(3, parent=1, at=2), service__name="another"))
        now = await found(store, "otlp_0af7651916cd43dd")
        assert (now.status, now.agent_name, now.totals.events) == ("error", "agent", 3)

    async def test_spans_in_any_order_make_the_same_session(self, store: TraceStore) -> None:
        given = [
            span(1, cognipeer__session__id="run"),
            *(
                span(at, parent=1, at=at, gen_ai__request__model="m", gen_ai__usage__input_tokens=at)
                for at in range(2, 9)
            ),
        ]
        chance = random.Random(1)
        seen = []
        for at in range(6):
            project = Project(ACME, f"order{at}")
            chance.shuffle(given)
            for part in (given[:3], given[2:5], given[4:]):
                await store.write(project, spans(*part))
            now = await found(store, "run", project)
            now.updated_at = 0.0
            seen.append((now, [each.event for each in await timeline(store, "run", project)]))
            assert len((await store.sessions(project, SessionFilter(), 10)).sessions) == 1
        assert all(each == seen[0] for each in seen)
        assert seen[0][0].totals.input_tokens == sum(IDS)

    async def test_a_trace_joins_the_session_that_its_root_names_though_that_is_there(self, store: TraceStore) -> None:
        await store.write(P1, [session("run", call(1, 10))])
        await store.write(P1, spans(span(2, parent=1, gen_ai__request__model="m", gen_ai__usage__input_tokens=5)))
        await store.write(P1, spans(span(1, cognipeer__session__id="run")))
        await store.write(P1, spans(span(3, parent=1)))
        now = await found(store, "run")
        assert (now.totals.events, now.totals.input_tokens) == (4, 15)
        assert await store.session(P1, "otlp_0af7651916cd43dd") is None
        assert len((await store.sessions(P1, SessionFilter(), 10)).sessions) == 1

    async def test_a_session_that_a_resource_names_is_one_trace(self, store: TraceStore) -> None:
        """Regression guard: an id on the resource merged all traces of a process. They are one thread."""
        for trace in (TRACE, OTHER_TRACE.replace("0af", "1af")):
            await store.write(P1, spans(span(1, trace=trace), cognipeer__session__id="proc", service__name="x"))
        page = await store.sessions(P1, SessionFilter(thread_id="proc"), 10)
        assert {each.id for each in page.sessions} == {"proc", "proc_1af7651916cd43dd"}

    async def test_traces_that_begin_alike_are_two(self, store: TraceStore) -> None:
        await store.write(P1, spans(span(1), span(1, trace=OTHER_TRACE)))
        page = await store.sessions(P1, SessionFilter(), 10)
        assert {each.id for each in page.sessions} == {"otlp_0af7651916cd43dd", f"otlp_{OTHER_TRACE}"}
        assert [each.totals.events for each in page.sessions] == [1, 1]


async def test_the_same_ids_elsewhere_are_others(store: TraceStore) -> None:
    places = (P1, P2, Project(GLOBEX, "p1"))
    for number, project in enumerate(places, start=1):
        for _ in range(number):
            await store.write(project, [session("s", call(number, number), threadId="t"), *spans(span(number))])
    for number, project in enumerate(places, start=1):
        now = await found(store, "s", project)
        assert (now.totals.events, now.totals.input_tokens) == (1, number)
        trace = await timeline(store, "otlp_0af7651916cd43dd", project)
        assert [each.event.id for each in trace] == [f"{number:016x}"]
        assert [group.sessions for group in (await store.threads(project, SessionFilter(), 10, 0))[0]] == [1]
    assert await store.delete(P1, "s")
    assert not await store.delete(P1, "s")
    assert await store.session(P2, "s") is not None


async def test_a_list_is_filtered_and_paged(store: TraceStore) -> None:
    for at in range(10):
        status, agent = ("error" if at % 2 else "success"), {"name": f"Agent {at % 3}"}
        await store.write(
            P1, [session(f"s{at}", call(1, model=f"m{at}"), startedAt=at + 1, status=status, agent=agent)]
        )

    async def ids(**filter: Any) -> list[str]:
        return [each.id for each in (await store.sessions(P1, SessionFilter(**filter), 50)).sessions]

    assert await ids(status="error") == ["s9", "s7", "s5", "s3", "s1"]
    assert await ids(agent="Agent 0", since=2.0, until=10.0) == ["s6", "s3"]
    assert await ids(search="agent 1") == ["s7", "s4", "s1"]
    assert await ids(model="m4") == ["s4"]
    assert await ids(source="otlp") == []
    seen: list[str] = []
    after = None
    while True:
        page = await store.sessions(P1, SessionFilter(), 3, after)
        seen += [each.id for each in page.sessions]
        after = page.after
        if after is None:
            break
        await store.write(P1, [session("new", call(1), startedAt=50)])
    assert seen == [f"s{at}" for at in reversed(range(10))]


async def test_a_timeline_is_paged_and_loads_contents_only_where_asked(store: TraceStore) -> None:
    given = [call(at, metadata={"n": at}, timestamp=1000 + at // 2) for at in range(9)]
    await store.write(P1, [session("s", *reversed(given))])
    seen, after = [], None
    while True:
        page = await store.events(P1, "s", 4, after, content=False)
        assert page is not None
        assert all(each.content == b"" and each.event.content_bytes > 0 for each in page.events)
        seen += [each.event.at for each in page.events]
        if (after := page.after) is None:
            break
    assert seen == sorted(seen)
    assert len(seen) == 9
    one = await store.event(P1, "s", "e3")
    assert one is not None
    assert one.content == b'{"metadata":{"n":3}}'
    assert await store.event(P1, "s", "e3", "other") is None
    assert await store.events(P1, "none", 4, content=False) is None


async def test_a_page_of_large_contents_ends_early(store: TraceStore) -> None:
    large = "x" * 3_000_000
    await store.write(P1, [session("s", *(call(at, metadata={"n": large}) for at in range(2)))])
    page = await store.events(P1, "s", 10, content=True)
    assert page is not None
    assert len(page.events) == 1
    rest = await store.events(P1, "s", 10, page.after, content=True)
    assert rest is not None
    assert [each.event.id for each in rest.events] == ["e1"]


async def test_threads_and_agents_have_the_totals_of_their_sessions(store: TraceStore) -> None:
    for at, (thread, agent, status) in enumerate(
        (("t1", "a", "success"), ("t1", "b", "error"), ("t2", "a", "success"))
    ):
        about = {"threadId": thread, "agent": {"name": agent, "version": str(at)}, "status": status}
        await store.write(P1, [session(f"s{at}", call(1, 10 + at), startedAt=at + 1, durationMs=100 * at, **about)])
    await store.write(P1, [session("alone", call(1))])
    threads, count = await store.threads(P1, SessionFilter(), 10, 0)
    assert count == 2
    assert [(each.name, each.sessions, list(each.agents), each.latest_status) for each in threads] == [
        ("t2", 1, ["a"], "success"),
        ("t1", 2, ["a", "b"], "error"),
    ]
    assert threads[1].totals.input_tokens == 21
    assert [each.name for each in (await store.threads(P1, SessionFilter(), 1, 1))[0]] == ["t1"]
    agents = {each.name: each for each in await store.agents(P1, SessionFilter(), 10, 0)}
    assert (agents["a"].sessions, agents["a"].latest_version, agents["a"].mean_duration_ms) == (2, "2", 100)
    assert agents["b"].failed == 1


async def test_what_is_old_goes_and_what_was_added_to_stays(store: TraceStore) -> None:
    await store.write(P1, [session("old", call(1)), *spans(span(1))])
    before = (await found(store, "old")).updated_at
    await asyncio.sleep(0.01)
    await store.write(P1, [session("new", call(1))])
    assert await store.expire(ACME, before + 0.005, 1) == 1
    assert await store.expire(ACME, before + 0.005, 10) == 1
    assert [each.id for each in (await store.sessions(P1, SessionFilter(), 10)).sessions] == ["new"]
    await store.write(P1, spans(span(2)))
    assert (await found(store, "otlp_0af7651916cd43dd")).totals.events == 1
    assert await store.expire(Tenant("nobody"), 1e12, 10) == 0


async def test_a_project_goes_with_all_that_is_readable(store: TraceStore, tmp_path: Path) -> None:
    """Of MongoDB's files nothing can be said: see `scrub` of its document store."""
    await store.write(P1, [session("s", call(1, metadata={"secret": "hush-hush"})), *spans(span(1))])
    await store.write(P2, [session("s", call(1))])
    await store.clear(P1)
    assert await store.session(P1, "s") is None
    assert await store.session(P2, "s") is not None
    assert all(b"hush-hush" not in content for content in _files(tmp_path))


async def test_a_tenant_that_is_dropped_takes_its_traces(
    sqlite_traces: SqliteTraceStore, documents: SqliteStore, tmp_path: Path
) -> None:
    store = sqlite_traces
    await store.write(P1, [session("s", call(1))])
    await documents.drop_tenant(ACME)
    with pytest.raises(FailedPrecondition):
        await store.write(P1, [session("s", call(1))])
    with pytest.raises(FailedPrecondition):
        await store.session(P1, "s")
    assert len(_files(tmp_path)) == 2  # the other tenant's, and the lock
    await documents.create_tenant(ACME)
    assert await store.session(P1, "s") is None
    assert sqlite_files.companion(tmp_path / "tenant_acme.sqlite", "traces").exists()


async def test_what_waits_is_bounded(store: TraceStore) -> None:
    large = "x" * 5_000_000
    outcomes = await asyncio.gather(
        *(store.write(P1, [session(f"s{at}", call(1, metadata={"n": large}))]) for at in range(3)),
        return_exceptions=True,
    )
    assert [type(each) for each in outcomes] == [list, RateLimited, RateLimited]
    await store.write(P1, [session("after", call(1))])


async def test_a_request_that_cannot_be_written_keeps_no_other_from_it(
    store: TraceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from services.tracing.adapters import merged_writing as writing

    write = writing.Writing.write

    def failing(self: Any, project: str, patches: Any) -> Any:
        if patches[0].session_id == "bad":
            raise ValueError("a bug")
        return write(self, project, patches)

    monkeypatch.setattr(writing.Writing, "write", failing)
    outcomes = await asyncio.gather(
        *(store.write(P1, [session(id, call(1))]) for id in ("a", "bad", "b")), return_exceptions=True
    )
    assert [type(each) for each in outcomes] == [list, ValueError, list]
    assert (await found(store, "b")).totals.events == 1


@MONGODB_MARK
async def test_a_database_that_is_dropped_takes_its_traces(mongodb_traces: Replica) -> None:
    store = mongodb_traces()
    await store.write(P1, [session("s", call(1))])
    await store._databases.drop(ACME)
    for reach in (store.write(P1, [session("s", call(1))]), store.session(P1, "s")):
        with pytest.raises(FailedPrecondition):
            await reach
    await store._databases.create(ACME)
    assert await store.session(P1, "s") is None


@MONGODB_MARK
async def test_replicas_write_the_same_sessions_at_the_same_time(mongodb_traces: Replica) -> None:
    """Totals are those of the events, each of which is there once, whichever replica it came to and however often."""
    replicas = [mongodb_traces() for _ in range(3)]
    given = [call(at % 30, at % 7, label=str(at)) for at in range(120)]
    await asyncio.gather(
        *(replicas[at % 3].write(P1, [session("s", *given[at : at + 4])]) for at in range(0, 120, 4)),
        *(replicas[at % 3].write(P1, spans(span(at, parent=1, at=at))) for at in IDS),
        replicas[1].write(P1, spans(span(1, cognipeer__session__id="run"))),
    )
    events = [each.event for each in await timeline(replicas[0])]
    now = await found(replicas[1])
    assert len(events) == now.totals.events == 30
    assert now.totals.input_tokens == sum(event.input_tokens for event in events)
    assert len(await timeline(replicas[2], "run")) == (await found(replicas[0], "run")).totals.events == len(IDS) + 1
    assert len((await replicas[0].sessions(P1, SessionFilter(), 10)).sessions) == 2


@MONGODB_MARK
@pytest.mark.parametrize("large", [False, True])
async def test_what_a_killed_replica_committed_is_written_by_the_next(
    mongodb_traces: Replica, monkeypatch: pytest.MonkeyPatch, *, large: bool
) -> None:
    """Between the session and its events: they are the session's, and counted in it."""
    monkeypatch.setattr(schema, "MAX_INLINE_BYTES", 100 if large else 10_000)
    monkeypatch.setattr(rows, "MAX_INLINE_BYTES", 100 if large else 10_000)
    killed, next_one = mongodb_traces(), mongodb_traces()

    async def kill(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(rows, "_write_events", kill)
        committing = MongoRows(killed._databases._of(ACME))
        given = session("s", *(call(at, metadata={"n": at}) for at in range(3)))
        await committing.load([(P1.id, given)])
        Writing(committing).write(P1.id, [given])
        committing.save(committing.numbered(next(iter(committing._held))))
        with pytest.raises(KeyboardInterrupt):
            await committing.commit()
    assert [each.content for each in await timeline(next_one)] == [b'{"metadata":{"n":%d}}' % at for at in range(3)]
    await next_one.write(P1, [session("s", call(3))])
    assert (await found(killed)).totals.events == len(await timeline(killed)) == 4
    assert await killed._databases._of(ACME)[schema.PARTS].count_documents({}) == 0


async def everything_of(store: TraceStore, project: Project) -> list[Any]:
    """All sessions of a project with their events and contents, as they are stored."""
    page = await store.sessions(project, SessionFilter(), 100)
    found = []
    for each in page.sessions:
        events = await store.events(project, each.id, 100, content=True)
        assert events is not None
        found.append((each, events.events))
    return found


async def test_an_export_is_restored_as_it_was_and_again(store: TraceStore) -> None:
    await store.write(P1, [session("s1", call(1), call(2)), session("s2", call(3), threadId="t")])
    await store.write(P2, spans(span(1), span(2), span(3)))
    kept = Traces(store)
    exported = [chunk async for chunk in kept.export(ACME)]

    async def chunks() -> AsyncIterator[tuple[str, bytes]]:
        for chunk in exported:
            yield chunk

    other = Tenant("globex")
    for _ in range(2):
        assert await kept.restore(other, chunks()) == 3
        for project in (P1, P2):
            assert await everything_of(store, Project(other, project.id)) == await everything_of(store, project)
    await store.write(Project(other, "p2"), spans(span(4)))  # a later span of the trace still finds its session
    assert len((await store.sessions(Project(other, "p2"), SessionFilter(), 100)).sessions) == 1
    assert [chunk async for chunk in kept.export(ACME)] == exported


async def test_a_dropped_tenant_leaves_no_traces(store: TraceStore, tmp_path: Path) -> None:
    await store.write(P1, [session("s1", {**call(1), "label": "planted-marker"})])
    await store.write(Project(GLOBEX, "p1"), [session("s1", call(1))])
    await store.drop(ACME)
    await store.drop(ACME)
    assert files_with(tmp_path, "planted-marker") == []
    assert (await store.sessions(P1, SessionFilter(), 100)).sessions == []
    assert len((await store.sessions(Project(GLOBEX, "p1"), SessionFilter(), 100)).sessions) == 1
