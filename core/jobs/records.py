"""The records of jobs, and the index of all tenants' jobs that have not ended."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from core.audit.records import Actor
from core.storage.ports import JSON, TEXT, TIME, Collection, Level
from core.storage.table import Record
from core.tenancy import Project, Tenant


class Status(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self not in (Status.QUEUED, Status.RUNNING)


JOBS = Collection(
    "jobs",
    Level.PROJECT,
    {
        "kind": TEXT,
        "status": TEXT,
        "uniqueKey": TEXT,
        "createdAt": TIME,
        "endedAt": TIME,
        "payload": JSON,
        "state": JSON,
        "actor": JSON,
    },
    unique=(("uniqueKey",),),  # a job that has ended loses its key
    indexes=(("createdAt",), ("kind", "createdAt"), ("endedAt",)),
    sealed={"payload.sealed": "mail {id}"},
)
JOB_INDEX = Collection(
    "job_index",
    Level.MAIN,
    {"kind": TEXT, "tenant": TEXT, "dueAt": TIME},
    indexes=(("kind", "dueAt"), ("tenant", "dueAt")),
)
"""Index of the jobs that may want work. An entry is written before its job and removed after the job's end, so that a
crash leaves an entry too many rather than a job that nobody finds; what a job's state is, the job alone says."""


class Job(Record, frozen=True):
    """One job as it is stored. Times are Unix seconds."""

    id: str
    kind: str
    payload: Mapping[str, Any]
    status: Status
    created_at: float
    updated_at: float
    max_attempts: int
    attempts: int = 0
    """Number of times it was begun."""
    failures: int = 0
    """Number of failures since its progress last grew."""
    done: float = 0.0
    total: float = 0.0
    furthest: float = 0.0
    state: Mapping[str, Any] | None = None
    """State that its handler saved last."""
    error: str = ""
    reason: str = ""
    """Reason of the failure or cancellation, as UPPER_SNAKE for programs."""
    due_at: float = 0.0
    ended_at: float | None = None
    unique_key: str | None = None
    cancel_requested: bool = False
    lease_owner: str | None = None
    """Made anew with every claim, so it tells apart two holders in one process too."""
    lease_until: float | None = None
    actor: Actor = Actor()
    """Actor who asked for it, in the form of the audit log."""
    hooked: bool = False
    """True if its kind has an end hook."""
    end_pending: bool | None = None
    """True if it has ended and its end hook has yet to return. It keeps its unique key until then."""
    end_attempts: int = 0
    """Number of times the end hook was begun."""

    @property
    def held_until(self) -> float:
        """End of the lease; 0: nobody has one."""
        return self.lease_until or 0.0


class JobIndexEntry(Record, frozen=True):
    """An entry of the job index: a job may want work from `due_at` on."""

    id: str
    tenant: str
    project: str
    kind: str
    created_at: float
    due_at: float

    @property
    def scope(self) -> Project:
        return Project(Tenant(self.tenant), self.project)
