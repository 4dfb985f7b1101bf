"""Project deletions for a service that has no auth beside it."""

import asyncio
import os
from pathlib import Path
from typing import Any

from core.app import Running
from core.audit.records import Actor
from core.jobs.records import JOBS, Status
from core.storage.scan import scan
from core.tenancy import Project, Tenant

ADMIN = Actor("session", "admin", "t1", "home", "req-1")
MARKER = "planted-marker-4711"


def hurry(running: Running, *, again: float = 0.05, patience: float = 1000.0) -> None:
    """Let passes follow each other at once; a provider that refuses is given up after `patience` seconds."""
    running.platform.removals.again_seconds = again
    running.platform.removals.patience_seconds = patience


async def delete_project(running: Running, tenant: str = "acme", project: str = "p1") -> None:
    """As the service hears of it."""
    await running.platform.removals.begin(Project(Tenant(tenant), project), ADMIN)


async def passes(running: Running, tenant: str = "acme", project: str = "p1") -> tuple[int, bool]:
    """Return the passes of the last removal over the project, and whether it has ended."""
    scope = Project(Tenant(tenant), project)
    jobs = [each async for each in scan(running.platform.store, scope, JOBS)]
    job = [each for each in jobs if each["kind"].endswith(".project.removal")][-1]
    return int((job.get("state") or {"passes": 0})["passes"]), Status(job["status"]).ended


async def removed(running: Running, tenant: str = "acme", project: str = "p1") -> None:
    """Return when the removal has ended."""
    async with asyncio.timeout(60):
        while not (await passes(running, tenant, project))[1]:
            await asyncio.sleep(0.01)


async def gone_over(running: Running, times: int) -> None:
    async with asyncio.timeout(60):
        while (await passes(running))[0] < times:
            await asyncio.sleep(0.01)


def files_with(folder: Path, marker: str = MARKER) -> list[str]:
    """Files below the folder whose content or path has the marker."""
    walked = [Path(at, name) for at, _, names in os.walk(folder) for name in names]
    return [str(path) for path in walked if marker in str(path) or marker.encode() in _content(path)]


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # removed meanwhile, or a socket
        return b""


async def records_of(running: Running, tenant: str, project: str, *collections: Any) -> int:
    scope = Project(Tenant(tenant), project)
    return sum([await running.platform.store.count(scope, each) for each in collections])
