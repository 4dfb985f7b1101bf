"""Records of auth. Times are Unix seconds."""

from collections.abc import Mapping
from typing import ClassVar

from core.audit.records import Actor
from core.storage.table import Record
from services.auth.domain.permissions import SEE_ALL_PROJECTS, scopes_of

ACTIVE, DISABLED, PENDING, CLOSING = "active", "disabled", "pending", "closing"
SUSPENDED = "suspended"
"""State of a tenant that an operator has suspended: its data stay, and it cannot be used."""


class TenantRecord(Record, frozen=True):
    """A tenant. While `pending`, its registration has until `reserved_until` and may then be taken over."""

    id: str
    slug: str
    company_name: str
    status: str
    created_at: float
    attempt: str = ""
    reserved_until: float = 0.0
    owner_id: str = ""
    plan: str = ""
    """Name of its plan; empty: the installation's default."""


class DirectoryEntry(Record, frozen=True):
    """Entry of an email's directory: an account with it exists in this tenant."""

    id: str
    email_lower: str
    tenant: str
    created_at: float


class User(Record, frozen=True):
    """An account. Sessions issued before `sessions_from` have ended; `revision` grows with every change of rights.

    `email_lower` is the email's key (`inputs.email_key`), here and in the other records.
    """

    hidden: ClassVar[frozenset[str]] = frozenset({"password_hash"})

    id: str
    email: str
    email_lower: str
    name: str
    role: str
    created_at: float
    password_hash: str
    overrides: Mapping[str, str] = {}
    project_ids: tuple[str, ...] = ()
    status: str = ACTIVE
    must_change_password: bool = False
    sessions_from: float = 0.0
    revision: int = 1
    last_login_at: float | None = None
    known_networks: tuple[str, ...] = ()
    """Networks from which its password was right, the latest first: see `Attempts`."""

    @property
    def scopes(self) -> frozenset[str]:
        return scopes_of(self.role, self.overrides)

    def in_project(self, project_id: str) -> bool:
        return self.role in SEE_ALL_PROJECTS or project_id in self.project_ids


class ProjectRecord(Record, frozen=True):
    """A part of a tenant. While `closing`, nothing new can begin in it."""

    id: str
    key: str
    name: str
    created_at: float
    description: str = ""
    status: str = ACTIVE
    service_tokens_until: float | None = None
    """Expiry of the last service token that was minted for it."""


class ApiToken(Record, frozen=True):
    """A token without its secret: `suffix` is its last characters.

    `parent_id` is the API token that it was made with, and `key_id` the key that signed it; records of earlier versions
    have neither.
    """

    id: str
    label: str
    suffix: str
    project_id: str
    user_id: str
    scopes: tuple[str, ...]
    created_at: float
    expires_at: float | None = None
    parent_id: str = ""
    key_id: str | None = None


class SessionRecord(Record, frozen=True):
    """A session that has not expired. `ended`: it is revoked all the same."""

    id: str
    user_id: str
    project_id: str
    created_at: float
    expires_at: float
    issued_at: float = 0.0
    ended: bool = False


class Invitation(Record, frozen=True):
    """An open invitation; accepting or revoking it removes it. The account that comes of it gets its id."""

    hidden: ClassVar[frozenset[str]] = frozenset({"secret_hash"})

    id: str
    email: str
    email_lower: str
    name: str
    role: str
    invited_by: str
    created_at: float
    expires_at: float
    secret_hash: str
    overrides: Mapping[str, str] = {}
    project_ids: tuple[str, ...] = ()
    token_id: str = ""
    """The API token that it was made with, and ends with."""


class PasswordResetRecord(Record, frozen=True):
    """Permission to set a new password once. `password_mark` is the mark of the password that it replaces: it ends with
    that password."""

    hidden: ClassVar[frozenset[str]] = frozenset({"secret_hash"})

    id: str
    user_id: str
    secret_hash: str
    password_mark: str
    created_at: float
    expires_at: float


class Deletion(Record, frozen=True):
    """A project that is deleted, once it is `published`. `actor`: who did it, as the audit log tells it."""

    id: str
    tenant: str
    project: str
    created_at: float
    actor: Actor = Actor()
    published: bool | None = None


class RevocationRecord(Record, frozen=True):
    """One revoked token, or a cut-off: see `core.revocations.Revocation`. `expires_at` 0: for good.

    Records of earlier versions have random ids and neither `api` nor `issued_at`.
    """

    id: str
    tenant: str
    created_at: float
    token_id: str = ""
    subject: str = ""
    api: bool = False
    issued_at: float | None = None
    issued_before: float = 0.0
    kept: tuple[str, ...] = ()
    expires_at: float = 0.0
    everything: bool | None = None
    suspended: bool | None = None


class InstallationValue(Record, frozen=True):
    """A value that is made once and holds for the whole installation."""

    id: str
    value: str


class SigningKey(Record, frozen=True):
    """A key pair on P-256. `slot` is unique: there is at most one next and one current key, and any number retired.

    `sealed` is the private half; a retired key has none.
    """

    hidden: ClassVar[frozenset[str]] = frozenset({"sealed"})

    id: str
    x: str
    y: str
    created_at: float
    slot: str | None = None
    sealed: str | None = None
    activated_at: float | None = None
    retired_at: float | None = None
