"""Caller and deadline of the present request: one immutable record in one ContextVar, set by the interceptor chain
alone.

It is set and never reset: every RPC runs in a task of its own, and resetting fails when a client cancels a stream.
"""

from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from core.errors import Unauthenticated
from core.tenancy import Project, Tenant


class Kind(StrEnum):
    """The kind of a token's bearer."""

    SESSION = "session"
    API = "api"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Identity:
    """The content of a verified token. `scopes` are "area:level" (levels read < write < admin) or "*"."""

    project: Project
    subject: str
    kind: Kind
    scopes: frozenset[str]
    token_id: str
    issued_at: float
    """Unix seconds."""
    expires_at: float | None
    """Unix seconds; None: never."""
    features: frozenset[str] | None = None
    """Features of the tenant's plan when the token was issued; None: all."""

    @property
    def tenant(self) -> Tenant:
        return self.project.tenant


@dataclass(slots=True)
class JobContext:
    """The background job that the present work belongs to. `token` is the job's own bearer token, for calls to other
    services; it is renewed while the job runs. None: the job has no identity to act with."""

    id: str
    kind: str
    project: Project
    token: str | None = None


class RequestContext(NamedTuple):
    """One call, or one run of a job. `deadline` is on the monotonic clock, in seconds; None: the caller set none.

    A tuple, because two are made for every call, and a frozen dataclass takes five times as long.
    """

    request_id: str
    identity: Identity | None = None
    token: str | None = None
    """The caller's own bearer token, to be forwarded on calls to other services."""
    peer_address: str = ""
    user_agent: str = ""
    deadline: float | None = None
    job: JobContext | None = None
    """None: this is a call."""

    @property
    def bearer(self) -> str | None:
        """The token for calls to other services: the caller's own, or the job's; None: there is none."""
        return self.token if self.job is None else self.job.token

    @property
    def tenant(self) -> Tenant | None:
        """The tenant whose call or job this is; None where no token was verified."""
        if self.job is not None:
            return self.job.project.tenant
        return None if self.identity is None else self.identity.tenant


_current: ContextVar[RequestContext | None] = ContextVar("portico_request", default=None)


def bind(context: RequestContext) -> None:
    _current.set(context)


def current() -> RequestContext | None:
    return _current.get()


def tenant_slug() -> str:
    """Slug of the tenant whose call or job this is, to share something fairly among tenants; empty: nobody's."""
    context = _current.get()
    return context.tenant.slug if context is not None and context.tenant is not None else ""


def identity() -> Identity:
    """The verified caller. Raises Unauthenticated outside an authenticated call: there is no fallback."""
    context = _current.get()
    if context is None or context.identity is None:
        raise Unauthenticated("This call needs an identity.")
    return context.identity
