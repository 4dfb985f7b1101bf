"""Entries of the audit log, and who they are about."""

import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import count
from secrets import token_hex

from core.context import Kind, RequestContext
from core.logs import masked
from core.storage.ports import JSON, TEXT, TIME, Collection, Level
from core.storage.table import Record

SUCCESS, FAILURE, DENIED, UNKNOWN = "success", "failure", "denied", "unknown"
"""UNKNOWN: the change was begun, and its end is not recorded: it goes on, or its process was killed."""

ANONYMOUS, OPERATOR = "anonymous", "operator"
"""Kinds of actors without a token: callers, and whoever runs a command on the server."""

AUDIT_LOG = Collection(
    "audit_log",
    Level.TENANT,
    {
        "createdAt": TIME,
        "action": TEXT,
        "actorId": TEXT,
        "projectId": TEXT,
        "resourceType": TEXT,
        "resourceId": TEXT,
        "metadata": JSON,
    },
    indexes=(
        ("createdAt",),
        ("action", "createdAt"),
        ("actorId", "createdAt"),
        ("projectId", "createdAt"),
        ("resourceType", "createdAt"),
        ("resourceId", "createdAt"),
    ),
)

_LONGEST = 512
"""Characters of a text that a caller chose."""

_OURS = token_hex(8)
_IDS = (f"aud_{_OURS}{number:010x}" for number in count())
"""Unique over all processes, at less cost than random ones."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Actor(Record, frozen=True, omit_defaults=True):
    """Actor of a change and the call that it was made by. `id` is a user's, or the name of a service."""

    kind: str = Kind.SERVICE.value
    id: str = ""
    token_id: str = ""
    project_id: str = ""
    """Project of the token."""
    request_id: str = ""
    ip_address: str = ""
    user_agent: str = ""


def actor_of(request: RequestContext) -> Actor:
    """The caller of a request; anonymous where it carries no token."""
    identity = request.identity
    return Actor(
        kind=ANONYMOUS if identity is None else identity.kind.value,
        id="" if identity is None else identity.subject,
        token_id="" if identity is None else identity.token_id,
        project_id="" if identity is None else identity.project.id,
        request_id=request.request_id,
        ip_address=clean(request.peer_address),
        user_agent=clean(request.user_agent),
    )


class AuditEntry(Record, frozen=True, omit_defaults=True):
    """One change or refusal; or `count` of them between `created_at` and `last_at` (Unix seconds), of which the first
    is described. `metadata` holds names of fields and harmless values, never secrets or contents."""

    id: str
    created_at: float
    action: str
    outcome: str
    actor_kind: str
    resource_type: str
    actor_id: str = ""
    token_id: str = ""
    resource_id: str = ""
    project_id: str = ""
    request_id: str = ""
    ip_address: str = ""
    user_agent: str = ""
    reason: str = ""
    """Reason of the error, where the outcome is no success."""
    count: int = 1
    last_at: float | None = None
    metadata: Mapping[str, str] = {}


def new_entry(
    actor: Actor,
    action: str,
    outcome: str,
    resource_type: str,
    resource_id: str,
    *,
    at: float,
    id: str = "",
    reason: str = "",
    metadata: Mapping[str, str] | None = None,
) -> AuditEntry:
    return AuditEntry(
        id=id or next(_IDS),
        created_at=round(at, 6),  # what a timestamp of the contract says, so that searching from it finds the entry
        action=action,
        outcome=outcome,
        actor_kind=actor.kind,
        resource_type=resource_type,
        actor_id=actor.id,
        token_id=actor.token_id,
        resource_id=clean(resource_id),
        project_id=actor.project_id,
        request_id=actor.request_id,
        ip_address=actor.ip_address,
        user_agent=actor.user_agent,
        reason=reason,
        metadata=clean_values(metadata or {}),
    )


@lru_cache(maxsize=4096)
def clean(text: str) -> str:
    """A caller's text as an entry keeps it: short, on one line, valid Unicode, without what looks like a credential."""
    short = text[:_LONGEST]
    return masked(_CONTROL.sub(" ", short if short.isascii() else short.encode(errors="replace").decode()))


def clean_values(metadata: Mapping[str, str]) -> dict[str, str]:
    return {name: clean(value) for name, value in metadata.items()}
