"""Audit entries of jobs: one at a job's end, with whoever asked for it as the actor."""

from dataclasses import dataclass

from core import logs
from core.audit.changes import Change
from core.audit.log import AuditLog
from core.audit.records import FAILURE, new_entry
from core.errors import PorticoError
from core.jobs.records import Job
from core.tenancy import Project

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class JobAudit:
    """The names in the audit entries of one kind of job. The resource is what the handler names (`core.audit.changes`),
    else the value of the payload's field `resource`, else the job. `batched`: for jobs in large numbers, see
    AuditLog.add_once."""

    action: str
    resource_type: str
    batched: bool = False
    resource: str = ""


class JobRecorder:
    """`audit_log` None: nothing is recorded."""

    def __init__(self, audit_log: AuditLog | None) -> None:
        self._log = audit_log

    async def record(self, scope: Project, job: Job, rule: JobAudit | None, change: Change, reason: str) -> None:
        """Write the entry, before the job's end is written; empty `reason`: it succeeded. A job that ends twice,
        because its process was killed in between, leaves one entry. Never fails."""
        if self._log is None or rule is None or not change.recorded:
            return
        entry = new_entry(
            job.actor,
            rule.action,
            FAILURE if reason else change.outcome,
            rule.resource_type,
            change.resource_id or job.payload.get(rule.resource) or job.id,
            at=self._log.clock(),
            id=f"aud_{job.id}",
            reason=reason or change.reason,
            metadata=change.metadata,
        )
        if not rule.batched:
            try:
                await self._log.write(scope.tenant, entry)
            except PorticoError as error:
                log.warning("audit entry of a job is written later", job=job.id, reason=error.reason)
            else:
                return
        self._log.add_once(scope.tenant, entry)
