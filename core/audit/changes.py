"""The audited change of the present call or job: begun by the chain or the worker, filled in by whoever knows more.

    change = audit.change()
    change.resource_id = provider.key

Outside of an audited call there is a change as well, which nobody records, so that nobody has to ask.
"""

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import NamedTuple

from core import context
from core.audit.records import FAILURE, SUCCESS, Actor, actor_of
from core.tenancy import Tenant


class Subject(NamedTuple):
    """The account that a call without a token turned out to be about."""

    tenant: Tenant
    resource_id: str
    actor_id: str = ""
    """Empty where it has not been shown that the account's owner calls."""


@dataclass(slots=True)
class Change:
    """One entry in the making. `metadata` takes names of fields and harmless values, never secrets or contents."""

    resource_id: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    subjects: list[Subject] = field(default_factory=list)
    """Subjects of a call without a token: each gets an entry in its own tenant's log."""
    outcome: str = SUCCESS
    """Outcome of the work of a job that ended well by itself."""
    reason: str = ""
    recorded: bool = True
    """False: there turned out to be nothing to do, and nothing to tell."""

    def about(self, tenant: Tenant, resource_id: str, actor_id: str = "") -> None:
        self.subjects.append(Subject(tenant, resource_id, actor_id))

    def failed(self, reason: str) -> None:
        self.outcome, self.reason = FAILURE, reason


_change: ContextVar[Change | None] = ContextVar("portico_audit_change", default=None)
_actor: ContextVar[Actor | None] = ContextVar("portico_audit_actor", default=None)


def bind(change: Change) -> None:
    """Bind the change that the present call or job makes: for the chain and the worker alone."""
    _change.set(change)


def current() -> Change | None:
    return _change.get()


def change() -> Change:
    """The change of the present call or job. One that nobody records where there is none."""
    return _change.get() or Change()


def act_for(actor: Actor) -> None:
    """Name whom background work is done for."""
    _actor.set(actor)


def actor() -> Actor:
    """Actor of the present work: whoever a job's worker named, else the caller, else the service itself."""
    named = _actor.get()
    if named is not None:
        return named
    request = context.current()
    return Actor() if request is None else actor_of(request)
