"""A process that works on jobs, for tests that kill it: `python -m tests.support.job_process FOLDER LEASE`.

Kind "count": does `payload["total"]` units of work, each a line `<job> <unit> <pid>` at the end of FOLDER/trace, and a
checkpoint after each. After every checkpoint it prints the unit's number; it waits while FOLDER/hold exists. Its end
hook prints "end", waits while FOLDER/hold-end exists, and adds a line `<job> <status> <pid>` to FOLDER/ends.
"""

import asyncio
import os
import sys
from pathlib import Path

from core import logs
from core.jobs.ends import JobEnd
from core.jobs.jobs import Jobs
from core.jobs.limits import JobLimits
from core.jobs.run import JobRun
from core.lifecycle import Lifecycle, Phase
from core.tasks import Tasks
from tests.support.stores import sqlite_store


async def serve(folder: Path, lease: float) -> int:
    async def count(run: JobRun) -> None:
        total = int(run.payload["total"])
        for unit in range(int((run.state or {"next": 0})["next"]), total):
            with (folder / "trace").open("a") as trace:
                trace.write(f"{run.id} {unit} {os.getpid()}\n")
            await run.checkpoint(unit + 1, total, {"next": unit + 1})
            print(unit, flush=True)
            while (folder / "hold").exists():
                await asyncio.sleep(0.01)

    async def ended(end: JobEnd) -> None:
        print("end", flush=True)
        while (folder / "hold-end").exists():
            await asyncio.sleep(0.01)
        with (folder / "ends").open("a") as ends:
            ends.write(f"{end.id} {end.status} {os.getpid()}\n")

    lifecycle, tasks, store = Lifecycle(), Tasks(), sqlite_store(folder)
    lifecycle.install()
    limits = JobLimits(lease=lease, heartbeat=lease / 6, poll=0.05, first_retry=0.01)
    jobs = Jobs(store, tasks, lifecycle, limits=limits)
    jobs.handle("count", count, None, on_end=ended)
    await jobs.start()
    lifecycle.on_stop(Phase.TASKS, "tasks", lambda: tasks.drain(5.0), 10.0)
    lifecycle.on_stop(Phase.STORES, "store", store.close, 10.0)
    return await lifecycle.run_until_stopped()


if __name__ == "__main__":
    logs.configure("jobs", "error", "json")
    sys.exit(asyncio.run(serve(Path(sys.argv[1]), float(sys.argv[2]))))
