"""The mails of Portico, one class for each template: its fields are what the template may use.

Times are given as texts, such as "26 Nov 2026 21:40 UTC", because whoever sends the mail knows what it says of them.
"""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class MailContent:
    """The variables of one template."""

    template: ClassVar[str]


@dataclass(frozen=True, slots=True)
class Welcome(MailContent):
    """To the owner of a new tenant."""

    template: ClassVar[str] = "welcome"
    name: str
    email: str
    company_name: str
    slug: str


@dataclass(frozen=True, slots=True)
class UserInvitation(MailContent):
    """To somebody who is invited to join a tenant. `token` accepts the invitation."""

    template: ClassVar[str] = "user-invitation"
    name: str
    inviter_name: str
    company_name: str
    slug: str
    token: str
    expires_at: str


@dataclass(frozen=True, slots=True)
class PasswordReset(MailContent):
    """To the owner of an account. `token` sets a new password, once."""

    template: ClassVar[str] = "password-reset"
    name: str
    company_name: str
    token: str
    expires_at: str


@dataclass(frozen=True, slots=True)
class AlertFired(MailContent):
    """To the recipients of an alert rule whose condition is met. `condition` is a sentence with metric, operator,
    threshold, unit and window; `value` is what was measured, with its unit."""

    template: ClassVar[str] = "alert-fired"
    alert_name: str
    severity: str
    project_id: str
    tenant: str
    condition: str
    value: str
    fired_at: str
    incident_id: str


@dataclass(frozen=True, slots=True)
class AlertResolved(MailContent):
    """To the same recipients once the condition is no longer met."""

    template: ClassVar[str] = "alert-resolved"
    alert_name: str
    severity: str
    project_id: str
    tenant: str
    condition: str
    value: str
    fired_at: str
    resolved_at: str
    incident_id: str
