"""Auth's collections, each as a table of records."""

from dataclasses import dataclass

from core.audit.records import AuditEntry
from core.quotas.policies import QUOTA_POLICIES, QuotaPolicy
from core.storage.ports import JSON, TEXT, TIME, Collection, DocumentStore, Level
from core.storage.table import Table
from core.storage.tenant_registry import TENANTS
from services.auth.domain.records import (
    ApiToken,
    Deletion,
    DirectoryEntry,
    InstallationValue,
    Invitation,
    PasswordResetRecord,
    ProjectRecord,
    RevocationRecord,
    SessionRecord,
    SigningKey,
    TenantRecord,
    User,
)

_DIRECTORY = Collection(
    "directory",
    Level.MAIN,
    {"emailLower": TEXT, "tenant": TEXT, "createdAt": TIME},
    indexes=(("emailLower", "createdAt"), ("tenant",)),
)
_INSTALLATION = Collection("installation", Level.MAIN)
_SIGNING_KEYS = Collection(
    "signing_keys",
    Level.MAIN,
    {"slot": TEXT, "createdAt": TIME},
    unique=(("slot",),),
    sealed={"sealed": "{id}"},
    hidden=("sealed",),
)
_REVOCATIONS = Collection(
    "revocations",
    Level.MAIN,
    {"tenant": TEXT, "createdAt": TIME, "expiresAt": TIME, "issuedAt": TIME},
    indexes=(("createdAt",), ("expiresAt",), ("tenant", "createdAt"), ("tenant", "issuedAt")),
)
_DELETIONS = Collection(
    "project_deletions", Level.MAIN, {"tenant": TEXT, "createdAt": TIME, "actor": JSON}, indexes=(("createdAt",),)
)
_OPERATOR_LOG = Collection(
    "operator_log", Level.MAIN, {"createdAt": TIME, "action": TEXT, "metadata": JSON}, indexes=(("createdAt",),)
)
_USERS = Collection(
    "users",
    Level.TENANT,
    {"emailLower": TEXT, "createdAt": TIME, "overrides": JSON},
    unique=(("emailLower",),),
    indexes=(("createdAt",),),
    hidden=("passwordHash",),
)
_PROJECTS = Collection(
    "projects", Level.TENANT, {"key": TEXT, "createdAt": TIME}, unique=(("key",),), indexes=(("createdAt",),)
)
_API_TOKENS = Collection(
    "api_tokens",
    Level.TENANT,
    {"userId": TEXT, "projectId": TEXT, "parentId": TEXT, "createdAt": TIME, "expiresAt": TIME},
    indexes=(
        ("createdAt",),
        ("userId", "createdAt"),
        ("projectId", "createdAt"),
        ("parentId", "createdAt"),
    ),
    expiry="expiresAt",
)
_SESSIONS = Collection(
    "sessions",
    Level.TENANT,
    {"userId": TEXT, "projectId": TEXT, "createdAt": TIME, "issuedAt": TIME, "expiresAt": TIME},
    indexes=(("projectId",), ("userId", "issuedAt")),
    expiry="expiresAt",
)
_INVITATIONS = Collection(
    "invitations",
    Level.TENANT,
    {"emailLower": TEXT, "secretHash": TEXT, "createdAt": TIME, "expiresAt": TIME, "overrides": JSON},
    unique=(("emailLower",), ("secretHash",)),
    expiry="expiresAt",
    hidden=("secretHash",),
)
_PASSWORD_RESETS = Collection(
    "password_resets",
    Level.TENANT,
    {"userId": TEXT, "secretHash": TEXT, "createdAt": TIME, "expiresAt": TIME},
    unique=(("secretHash",),),
    indexes=(("userId", "createdAt"),),
    expiry="expiresAt",
    hidden=("secretHash", "passwordMark"),
)

COLLECTIONS = (
    _DIRECTORY,
    _INSTALLATION,
    _SIGNING_KEYS,
    _REVOCATIONS,
    _DELETIONS,
    _OPERATOR_LOG,
    _USERS,
    _PROJECTS,
    _API_TOKENS,
    _SESSIONS,
    _INVITATIONS,
    _PASSWORD_RESETS,
)


@dataclass(frozen=True, slots=True)
class Tables:
    """All tables of auth. The first seven belong to the installation, the others to a tenant."""

    tenants: Table[TenantRecord]
    directory: Table[DirectoryEntry]
    installation: Table[InstallationValue]
    signing_keys: Table[SigningKey]
    revocations: Table[RevocationRecord]
    deletions: Table[Deletion]
    operator_log: Table[AuditEntry]
    users: Table[User]
    projects: Table[ProjectRecord]
    tokens: Table[ApiToken]
    sessions: Table[SessionRecord]
    invitations: Table[Invitation]
    password_resets: Table[PasswordResetRecord]
    quota_policies: Table[QuotaPolicy]

    @classmethod
    def of(cls, store: DocumentStore) -> "Tables":
        return cls(
            tenants=Table(store, TENANTS, TenantRecord),
            directory=Table(store, _DIRECTORY, DirectoryEntry),
            installation=Table(store, _INSTALLATION, InstallationValue),
            signing_keys=Table(store, _SIGNING_KEYS, SigningKey),
            revocations=Table(store, _REVOCATIONS, RevocationRecord),
            deletions=Table(store, _DELETIONS, Deletion),
            operator_log=Table(store, _OPERATOR_LOG, AuditEntry),
            users=Table(store, _USERS, User),
            projects=Table(store, _PROJECTS, ProjectRecord),
            tokens=Table(store, _API_TOKENS, ApiToken),
            sessions=Table(store, _SESSIONS, SessionRecord),
            invitations=Table(store, _INVITATIONS, Invitation),
            password_resets=Table(store, _PASSWORD_RESETS, PasswordResetRecord),
            quota_policies=Table(store, QUOTA_POLICIES, QuotaPolicy),
        )
