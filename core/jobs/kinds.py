"""A kind of job: its handler, end hook and audit."""

from dataclasses import dataclass

from core.jobs.audit import JobAudit
from core.jobs.ends import EndHook
from core.jobs.run import Handler


@dataclass(frozen=True, slots=True)
class JobKind:
    """`audit` None: its jobs leave no entries. `scopes`: what the token of its jobs holds, "area:level" each; without
    any they have no token."""

    handler: Handler
    audit: JobAudit | None = None
    on_end: EndHook | None = None
    scopes: frozenset[str] = frozenset()
    recurring: bool = False
    """True if its jobs are postponed again and again: their runs are logged for debugging alone."""
