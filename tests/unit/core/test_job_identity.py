"""Context of a running job, and the token it calls others with. With real services: tests/contract."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from core import context, logs
from core.context import Identity, Kind, RequestContext
from core.errors import Unavailable
from core.jobs import identity
from core.jobs.identity import RENEW_SECONDS, ServiceToken
from core.jobs.jobs import Jobs
from core.jobs.limits import JobLimits
from core.jobs.records import Job, Status
from core.jobs.run import JobRun
from core.lifecycle import Lifecycle
from core.rpc.channel import caller_metadata
from core.tasks import Tasks
from core.tenancy import Project, Tenant
from tests.support.platforms import tidy
from tests.support.stores import MemoryStore

ACME = Project(Tenant("acme"), "p1")
READ = frozenset({"files:read"})
LIMITS = JobLimits(heartbeat=0.05, poll=0.02, first_retry=0.001, drain=0.2)


class Tokens:
    """A ServiceTokens that hands out token-1, token-2 and so on, after it was `away` so often."""

    def __init__(self) -> None:
        self.away = 0
        self.asked: list[tuple[Project, frozenset[str]]] = []
        self.expires_at: float | None = None

    async def get(self, project: Project, scopes: frozenset[str]) -> ServiceToken:
        self.asked.append((project, scopes))
        if self.away:
            self.away -= 1
            raise Unavailable("Away.")
        text = f"token-{len(self.asked)}"
        return ServiceToken(text, Identity(project, "rag", Kind.SERVICE, scopes, text, 0.0, self.expires_at))


class Harness:
    def __init__(self) -> None:
        self.tasks, self.lifecycle, self.tokens = Tasks(), Lifecycle(), Tokens()
        self.jobs = Jobs(MemoryStore(), self.tasks, self.lifecycle, tokens=self.tokens, limits=LIMITS)

    async def ended(self, kind: str = "call") -> Job:
        await self.jobs.start()
        job = await self.jobs.submit(ACME, kind, {})
        async with asyncio.timeout(10):
            while not (now := await self.jobs.get(ACME, job.id)).status.ended:
                await asyncio.sleep(0.005)
        return now


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    made = Harness()
    yield made
    await tidy(made)


async def test_a_job_calls_others_with_the_token_of_its_kind(harness: Harness) -> None:
    seen: list[Any] = []

    async def call(run: JobRun) -> None:
        seen.append((context.identity(), dict(caller_metadata())))

    harness.jobs.handle("call", call, None, scopes=READ)
    context.bind(RequestContext("caller", token="ptc_of_whoever_asked"))
    job = await harness.ended()
    ((acting, metadata),) = seen
    assert (acting.project, acting.kind, acting.scopes) == (ACME, Kind.SERVICE, READ)
    assert (metadata["authorization"], metadata["x-request-id"]) == ("Bearer token-1", job.id)
    assert harness.tokens.asked == [(ACME, READ)]


async def test_a_job_of_a_kind_without_scopes_has_no_identity(harness: Harness) -> None:
    seen: list[Any] = []

    async def call(run: JobRun) -> None:
        request = context.current()
        assert request is not None
        seen.append((request.identity, dict(caller_metadata())))

    harness.jobs.handle("call", call, None)
    await harness.ended()
    ((acting, metadata),) = seen
    assert acting is None
    assert "authorization" not in metadata
    assert harness.tokens.asked == []


async def test_a_long_job_has_its_token_renewed_in_all_its_tasks(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "_RETRY_SECONDS", 0.01)
    harness.tokens.expires_at = RENEW_SECONDS  # of 1970: it has to be renewed at once
    seen: list[str] = []

    async def until_renewed() -> None:
        while (token := dict(caller_metadata())["authorization"]) == "Bearer token-1":
            await asyncio.sleep(0.001)
        seen.append(token)

    async def call(run: JobRun) -> None:
        await asyncio.create_task(until_renewed())

    harness.jobs.handle("call", call, None, scopes=READ)
    async with asyncio.timeout(10):
        await harness.ended()
    assert seen == ["Bearer token-2"]


async def test_a_renewal_that_fails_is_tried_again(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "_RETRY_SECONDS", 0.01)
    harness.tokens.expires_at = RENEW_SECONDS

    async def call(run: JobRun) -> None:
        harness.tokens.away = 2
        while dict(caller_metadata())["authorization"] == "Bearer token-1":
            await asyncio.sleep(0.001)

    harness.jobs.handle("call", call, None, scopes=READ)
    async with asyncio.timeout(10):
        assert (await harness.ended()).status is Status.SUCCEEDED


async def test_that_auth_is_away_is_no_failure_of_the_job(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """With five attempts, an auth service that was away for half a minute would have failed it for good."""
    monkeypatch.setattr(identity, "_RETRY_SECONDS", 0.001)
    ran: list[str] = []

    async def call(run: JobRun) -> None:
        ran.append(run.id)

    harness.tokens.away = 8
    harness.jobs.handle("call", call, None, scopes=READ)
    job = await harness.ended()
    assert (job.status, job.failures, ran) == (Status.SUCCEEDED, 0, [job.id])


async def test_what_a_job_leaves_running_has_no_token_any_more(harness: Harness) -> None:
    go, done = asyncio.Event(), asyncio.Event()
    seen: list[dict[str, str]] = []

    async def later() -> None:
        await go.wait()
        seen.append(dict(caller_metadata()))
        done.set()

    async def call(run: JobRun) -> None:
        harness.tasks.spawn("later", later())

    harness.jobs.handle("call", call, None, scopes=READ)
    await harness.ended()
    go.set()
    await done.wait()
    assert "authorization" not in seen[0]


async def test_the_lines_that_a_job_logs_name_it(harness: Harness) -> None:
    lines: list[dict[str, Any]] = []

    async def call(run: JobRun) -> None:
        event: dict[str, Any] = {"event": "x"}
        lines.append(dict(logs._Origin("rag")(None, "info", event)))

    harness.jobs.handle("call", call, None)
    job = await harness.ended()
    (line,) = lines
    assert line == {
        "event": "x",
        "service": "rag",
        "request_id": job.id,
        "tenant": "acme",
        "project": "p1",
        "job": job.id,
        "job_kind": "call",
    }


async def nothing(run: JobRun) -> None:
    pass


def test_a_kind_cannot_ask_for_everything() -> None:
    harness = Harness()
    with pytest.raises(ValueError, match="not all"):
        harness.jobs.handle("call", nothing, None, scopes=["*"])


def test_a_kind_cannot_name_scopes_where_no_token_is_to_be_had() -> None:
    jobs = Jobs(MemoryStore(), Tasks(), Lifecycle())
    with pytest.raises(ValueError, match="nobody"):
        jobs.handle("call", nothing, None, scopes=READ)
