"""Durable jobs with real processes on a real store: killed, frozen, side by side, and asked to stop."""

import asyncio
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.jobs.jobs import Jobs
from core.jobs.records import JOB_INDEX, Job, Status
from core.lifecycle import Lifecycle
from core.tasks import Tasks
from core.tenancy import MAIN, Project, Tenant
from tests.support.stores import sqlite_store

ROOT = Path(__file__).parents[2]
ACME = Project(Tenant("acme"), "p1")


class Workers:
    """Processes that work on the jobs of one folder, and a process's view without handlers: the test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = sqlite_store(folder)
        self.jobs = Jobs(self.store, Tasks(), Lifecycle())
        self.processes: list[Process] = []

    async def start(self, lease: float = 2.0) -> Process:
        """One whose crash, `lease` seconds later, lets another take over."""
        program = (sys.executable, "-m", "tests.support.job_process", str(self.folder), str(lease))
        process = await asyncio.create_subprocess_exec(*program, cwd=ROOT, stdout=PIPE, stdin=DEVNULL)
        self.processes.append(process)
        return process

    async def ended(self, job: Job) -> Job:
        async with asyncio.timeout(60):
            while not (now := await self.jobs.get(ACME, job.id)).status.ended:
                await asyncio.sleep(0.02)
        return now

    @property
    def trace(self) -> list[tuple[str, int, int]]:
        lines = (line.split() for line in (self.folder / "trace").read_text().splitlines())
        return [(job, int(unit), int(pid)) for job, unit, pid in lines]

    @property
    def ends(self) -> list[tuple[str, str, int]]:
        path = self.folder / "ends"
        lines = (line.split() for line in path.read_text().splitlines()) if path.exists() else ()
        return [(job, status, int(pid)) for job, status, pid in lines]

    async def settled(self) -> None:
        """Until no job is left to do anything for."""
        async with asyncio.timeout(60):
            while await self.store.count(MAIN, JOB_INDEX):
                await asyncio.sleep(0.02)

    def hold(self) -> None:
        (self.folder / "hold").touch()

    def go(self) -> None:
        (self.folder / "hold").unlink()

    async def close(self) -> None:
        for process in self.processes:
            if process.returncode is None:
                process.kill()
            await process.communicate()
        await self.store.close()


async def reaches(process: Process, step: int | str) -> None:
    """Until the process has said so: the number of a unit, or "end"."""
    assert process.stdout is not None
    async with asyncio.timeout(60):
        while (await process.stdout.readline()).decode().strip() != str(step):
            assert process.returncode is None


@pytest.fixture
async def workers(tmp_path: Path) -> AsyncIterator[Workers]:
    made = Workers(tmp_path)
    await made.store.create_tenant(ACME.tenant)
    yield made
    await made.close()


async def test_a_killed_job_goes_on_exactly_from_its_checkpoint(workers: Workers) -> None:
    job = await workers.jobs.submit(ACME, "count", {"total": 400})
    first = await workers.start()
    await reaches(first, 20)
    first.kill()
    await first.wait()
    left = await workers.jobs.get(ACME, job.id)
    assert left.status is Status.RUNNING
    assert left.state is not None
    second = await workers.start()
    done = await workers.ended(job)
    assert (done.status, done.attempts, done.done) == (Status.SUCCEEDED, 2, 400)
    units = [unit for _, unit, pid in workers.trace if pid == second.pid]
    assert units == list(range(left.state["next"], 400))
    before = [unit for _, unit, pid in workers.trace if pid == first.pid]
    assert before in (list(range(left.state["next"])), list(range(left.state["next"] + 1)))


async def test_two_workers_never_run_one_job_twice(workers: Workers) -> None:
    workers.hold()
    processes = [await workers.start(lease=30.0) for _ in range(2)]
    jobs = [await workers.jobs.submit(ACME, "count", {"total": 3}) for _ in range(12)]
    for process in processes:
        await reaches(process, 0)
    workers.go()
    for job in jobs:
        assert (await workers.ended(job)).attempts == 1
    seen = [(job, unit) for job, unit, _ in workers.trace]
    assert sorted(seen) == sorted((job.id, unit) for job in jobs for unit in range(3))
    assert {pid for _, _, pid in workers.trace} == {process.pid for process in processes}
    holders: dict[str, set[int]] = {}
    for id, _, pid in workers.trace:
        holders.setdefault(id, set()).add(pid)
    assert all(len(pids) == 1 for pids in holders.values())


async def test_a_worker_that_was_frozen_past_its_lease_does_no_more(workers: Workers) -> None:
    job = await workers.jobs.submit(ACME, "count", {"total": 60})
    workers.hold()
    frozen = await workers.start()
    await reaches(frozen, 0)
    frozen.send_signal(signal.SIGSTOP)
    second = await workers.start()
    await reaches(second, 1)
    frozen.send_signal(signal.SIGCONT)
    frozen.send_signal(signal.SIGTERM)  # and what it does at its end must not put the job back either
    assert await frozen.wait() == 0
    workers.go()
    done = await workers.ended(job)
    assert (done.status, done.attempts) == (Status.SUCCEEDED, 2)
    assert [unit for _, unit, pid in workers.trace if pid == second.pid] == list(range(1, 60))
    assert len([unit for _, unit, pid in workers.trace if pid == frozen.pid]) <= 2


async def test_a_drained_job_goes_on_elsewhere_and_nothing_is_done_twice(workers: Workers) -> None:
    job = await workers.jobs.submit(ACME, "count", {"total": 2000}, max_attempts=1)
    first = await workers.start(lease=30.0)
    await reaches(first, 10)
    first.terminate()
    assert await first.wait() == 0
    left = await workers.jobs.get(ACME, job.id)
    assert (left.status, left.failures, left.lease_owner) == (Status.QUEUED, 0, None)
    workers.hold()
    second = await workers.start(lease=30.0)
    assert left.state is not None
    await reaches(second, left.state["next"])
    await workers.jobs.cancel(ACME, job.id)
    workers.go()
    assert (await workers.ended(job)).status is Status.CANCELLED
    units = [unit for _, unit, _ in workers.trace]
    assert units == list(range(len(units)))
    second.terminate()
    assert await second.wait() == 0


async def test_a_job_whose_process_dies_every_time_fails_at_its_limit(workers: Workers) -> None:
    job = await workers.jobs.submit(ACME, "count", {"total": 10}, max_attempts=1)
    workers.hold()
    first = await workers.start()
    await reaches(first, 0)
    first.kill()
    await first.wait()
    second = await workers.start()
    assert (await workers.ended(job)).status is Status.FAILED
    assert {pid for _, _, pid in workers.trace} == {first.pid}
    await workers.settled()
    assert workers.ends == [(job.id, "failed", second.pid)]
    second.terminate()
    assert await second.wait() == 0


async def test_a_process_that_is_killed_over_the_end_hook_leaves_it_to_another(workers: Workers) -> None:
    (workers.folder / "hold-end").touch()
    job = await workers.jobs.submit(ACME, "count", {"total": 1})
    first = await workers.start()
    await reaches(first, "end")
    first.kill()
    await first.wait()
    left = await workers.jobs.get(ACME, job.id)
    assert (left.status, left.end_pending) == (Status.SUCCEEDED, True)
    (workers.folder / "hold-end").unlink()
    second = await workers.start()
    await workers.settled()
    assert workers.ends == [(job.id, "succeeded", second.pid)]
    assert len(workers.trace) == 1  # the job itself is not done again
