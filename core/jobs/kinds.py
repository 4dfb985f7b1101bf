"""A kind of job: its handler, end hook and audit."""

from dataclasses import dataclass

from core.jobs.ends import EndHook
from core.jobs.run import Handler


@dataclass(frozen=True, slots=True)
class JobKind:
    """`scopes`: what the token of its jobs holds, "area:level" each; none: they have no token."""

    handler: Handler
    on_end: EndHook | None = None
    scopes: frozenset[str] = frozenset()
