"""The records of jobs, and the index of all tenants' jobs that have not ended."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from core.storage.ports import JSON, TEXT, TIME, Collection, Document, Level
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
)
JOB_INDEX = Collection(
    "job_index",
    Level.MAIN,
    {"kind": TEXT, "tenant": TEXT, "dueAt": TIME},
    indexes=(("kind", "dueAt"), ("tenant", "dueAt")),
)
"""Where to look for work. An entry is written before its job and removed after the job's end, so that a crash leaves an
entry too many rather than a job that nobody finds; what a job's state is, the job alone says."""


@dataclass(frozen=True, slots=True)
class Job:
    """One job as it is stored. Times are Unix seconds."""

    id: str
    kind: str
    payload: Mapping[str, Any]
    status: Status
    created_at: float
    updated_at: float
    max_attempts: int
    attempts: int = 0
    """How often it was begun."""
    failures: int = 0
    """How often it failed since it last got further than ever before."""
    done: float = 0.0
    total: float = 0.0
    furthest: float = 0.0
    state: Mapping[str, Any] | None = None
    """What its handler saved last."""
    error: str = ""
    reason: str = ""
    """Why it failed or was cancelled, as UPPER_SNAKE for programs."""
    due_at: float = 0.0
    ended_at: float | None = None
    unique_key: str | None = None
    cancel_requested: bool = False
    lease_owner: str | None = None
    """Made anew with every claim, so it tells apart two holders in one process too."""
    lease_until: float = 0.0
    actor: Mapping[str, Any] = field(default_factory=dict)
    """Who asked for it, as the audit log tells it."""
    hooked: bool = False
    """Its kind has an end hook."""
    end_pending: bool = False
    """It has ended, and its end hook has yet to return. It keeps its unique key until then."""
    end_attempts: int = 0
    """How often the end hook was begun."""

    def document(self) -> Document:
        kept: Document = {
            "id": self.id,
            "kind": self.kind,
            "payload": dict(self.payload),
            "status": self.status.value,
            "createdAt": self.created_at,
            "updatedAt": self.updated_at,
            "maxAttempts": self.max_attempts,
            "attempts": self.attempts,
            "failures": self.failures,
            "done": self.done,
            "total": self.total,
            "dueAt": self.due_at,
            "actor": dict(self.actor),
        }
        if self.hooked:
            kept["hooked"] = True
        return kept if self.unique_key is None else {**kept, "uniqueKey": self.unique_key}


def job_of(document: Document) -> Job:
    return Job(
        id=document["id"],
        kind=document["kind"],
        payload=document["payload"],
        status=Status(document["status"]),
        created_at=document["createdAt"],
        updated_at=document["updatedAt"],
        max_attempts=document["maxAttempts"],
        attempts=document["attempts"],
        failures=document["failures"],
        done=document["done"],
        total=document["total"],
        furthest=document.get("furthest", 0.0),
        state=document.get("state"),
        error=document.get("error", ""),
        reason=document.get("reason", ""),
        due_at=document["dueAt"],
        ended_at=document.get("endedAt"),
        unique_key=document.get("uniqueKey"),
        cancel_requested=document.get("cancelRequested", False),
        lease_owner=document.get("leaseOwner"),
        lease_until=document.get("leaseUntil", 0.0),
        actor=document.get("actor", {}),
        hooked=document.get("hooked", False),
        end_pending=document.get("endPending", False),
        end_attempts=document.get("endAttempts", 0),
    )


@dataclass(frozen=True, slots=True)
class JobIndexEntry:
    """An entry of the job index: a job may want work from `due_at` on."""

    id: str
    scope: Project
    kind: str
    created_at: float
    due_at: float

    def document(self) -> Document:
        return {
            "id": self.id,
            "tenant": self.scope.tenant.slug,
            "project": self.scope.id,
            "kind": self.kind,
            "createdAt": self.created_at,
            "dueAt": self.due_at,
        }


def index_entry_of(document: Document) -> JobIndexEntry:
    return JobIndexEntry(
        id=document["id"],
        scope=Project(Tenant(document["tenant"]), document["project"]),
        kind=document["kind"],
        created_at=document["createdAt"],
        due_at=document["dueAt"],
    )
