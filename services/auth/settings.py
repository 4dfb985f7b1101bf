"""The settings of the auth service."""

from dataclasses import dataclass
from typing import Literal

from limits import parse_many

from core.config import Secret, setting
from core.mail.settings import MailSettings
from core.sealing import SealingSettings
from services.auth.domain.accounts import SignInSettings
from services.auth.domain.attempts import AttemptLimits
from services.auth.domain.quotas import TenantLimits
from services.auth.domain.sessions import MAX_SESSION_SECONDS

_DAY = 86_400.0


def _check_rates(*rates: str) -> None:
    """Check that a text lists rates. Raises ValueError where it does not."""
    for text in rates:
        try:
            parse_many(text)
        except ValueError:
            raise ValueError(f'{text!r} is not a limit; write one as "10/15 minutes" or "5/hour"') from None


@dataclass(frozen=True)
class AttemptSettings:
    """Limits on attempts, as "10/15 minutes" """

    login: str = setting(
        "PORTICO_AUTH_LOGIN_LIMIT", default="10/15 minutes", help="Wrong passwords for one account from one address."
    )
    login_of_address: str = setting(
        "PORTICO_AUTH_LOGIN_ADDRESS_LIMIT",
        default="100/15 minutes",
        help="Wrong passwords from one address, but for accounts that have signed in from it before.",
    )
    login_of_account: str = setting(
        "PORTICO_AUTH_LOGIN_ACCOUNT_LIMIT",
        default="100/15 minutes",
        help="Wrong passwords for one account from all addresses that it has not signed in from before.",
    )
    known_networks: int = setting(
        "PORTICO_AUTH_KNOWN_NETWORKS",
        default=20,
        min=1,
        max=200,
        help="Addresses that an account remembers it has signed in from; guesses from elsewhere do not lock these out.",
    )
    sign_ins: str = setting(
        "PORTICO_AUTH_SIGN_IN_LIMIT", default="100/15 minutes", help="Sign-ins of one account from one address."
    )
    register: str = setting("PORTICO_AUTH_REGISTER_LIMIT", default="5/hour", help="Registrations from one address.")
    accept: str = setting(
        "PORTICO_AUTH_ACCEPT_LIMIT",
        default="20/15 minutes",
        help="Wrong invitation secrets from one address, and acceptances of one invitation.",
    )
    forgot: str = setting(
        "PORTICO_AUTH_FORGOT_LIMIT", default="3/15 minutes", help="Mails for a new password to one email."
    )
    forgot_of_address: str = setting(
        "PORTICO_AUTH_FORGOT_ADDRESS_LIMIT",
        default="20/15 minutes",
        help="Requests for a new password, and wrong tokens of such mails, from one address.",
    )

    def __post_init__(self) -> None:
        limits = self.limits
        _check_rates(
            limits.login,
            limits.login_of_address,
            limits.login_of_account,
            limits.sign_ins,
            limits.register,
            limits.accept,
            limits.forgot,
            limits.forgot_of_address,
        )

    @property
    def limits(self) -> AttemptLimits:
        return AttemptLimits(
            self.login,
            self.login_of_address,
            self.login_of_account,
            self.sign_ins,
            self.register,
            self.accept,
            self.forgot,
            self.forgot_of_address,
            self.known_networks,
        )


@dataclass(frozen=True)
class TenantLimitSettings:
    """Limits of one tenant, so that it takes nothing from the others"""

    tokens: int = setting(
        "PORTICO_MAX_TOKENS_PER_TENANT", default=1000, min=1, max=5000, help="API tokens of one tenant."
    )
    token_days: float = setting(
        "PORTICO_MAX_TOKEN_DAYS",
        default=365.0,
        min=0.01,
        max=3650,
        help="Longest life of an API token, and that of one that asks for no other.",
    )
    token_rate: str = setting(
        "PORTICO_AUTH_TOKEN_LIMIT", default="600/hour", help="API tokens that one tenant makes, deleted ones too."
    )
    invitation_rate: str = setting(
        "PORTICO_AUTH_INVITATION_LIMIT",
        default="1000/day",
        help="Invitations that one tenant makes, revoked and accepted ones too.",
    )
    change_rate: str = setting(
        "PORTICO_AUTH_CHANGE_LIMIT",
        default="300/minute",
        help="Invitations, changes of users, removals of users, projects and tokens and switches of project, by one "
        "person or by all API tokens of one tenant together.",
    )
    users: int = setting(
        "PORTICO_MAX_USERS_PER_TENANT",
        default=10_000,
        min=1,
        max=1_000_000,
        help="Users and open invitations of one tenant.",
    )
    sessions: int = setting(
        "PORTICO_MAX_SESSIONS_PER_USER",
        default=100,
        min=2,
        max=500,
        help="Sessions of one user, ended ones too until they would have expired; the oldest ends for one more.",
    )
    revocations: int = setting(
        "PORTICO_MAX_REVOCATIONS_PER_TENANT",
        default=1000,
        min=1,
        max=100_000,
        help="Revoked API tokens of one tenant that services hold one by one; beyond, a cut-off takes their place.",
    )

    def __post_init__(self) -> None:
        _check_rates(self.token_rate, self.invitation_rate, self.change_rate)

    @property
    def limits(self) -> TenantLimits:
        return TenantLimits(self.tokens, self.users, self.token_rate, self.invitation_rate, self.change_rate)


@dataclass(frozen=True)
class TenantCommandSettings:
    """Operator's commands on whole tenants"""

    inference: str = setting(
        "PORTICO_INFERENCE_ADDRESS",
        default="127.0.0.1:50052",
        help="host:port of inference, for embeddings, chats and reranking.",
    )
    vector: str = setting("PORTICO_VECTOR_ADDRESS", default="127.0.0.1:50053", help="host:port of vector, for indexes.")
    rag: str = setting("PORTICO_RAG_ADDRESS", default="127.0.0.1:50054", help="host:port of rag.")
    tracing: str = setting("PORTICO_TRACING_ADDRESS", default="127.0.0.1:50055", help="host:port of tracing.")
    edge_url: str = setting(
        "PORTICO_EDGE_URL", default="http://127.0.0.1:8080", help="URL of the edge, which doctor looks at."
    )
    source_keys: Secret | None = setting(
        "PORTICO_SOURCE_ENCRYPTION_KEYS",
        default=None,
        help="For tenant restore: PORTICO_ENCRYPTION_KEYS of the installation that a backup comes from, where this one "
        "does not have the keys that its manifest lists.",
    )


@dataclass(frozen=True)
class Settings:
    """The auth service"""

    attempts: AttemptSettings
    tenants: TenantLimitSettings
    sealing: SealingSettings
    mail: MailSettings
    registration: Literal["open", "closed"] = setting(
        "PORTICO_REGISTRATION", default="open", help="Whether anybody may register a tenant."
    )
    session_seconds: float = setting(
        "PORTICO_SESSION_SECONDS", default=_DAY / 2, min=60, max=MAX_SESSION_SECONDS, help="How long a sign-in lasts."
    )
    sign_in_seconds: float = setting(
        "PORTICO_AUTH_SIGN_IN_SECONDS",
        default=0.25,
        min=0,
        max=10,
        help="A sign-in is answered no sooner than this, so that its time does not tell which accounts there are.",
    )
    insecure_cookies: bool = setting(
        "PORTICO_INSECURE_COOKIES",
        default=False,
        help="Set cookies over plain HTTP too, without the __Host- prefix: for a laptop without TLS.",
    )
    key_max_age_seconds: float = setting(
        "PORTICO_AUTH_KEY_MAX_AGE_SECONDS", default=90 * _DAY, min=60, help="Age at which the signing key is rotated."
    )
    key_publish_seconds: float = setting(
        "PORTICO_AUTH_KEY_PUBLISH_SECONDS",
        default=600.0,
        min=0,
        help="How long a signing key is published before it signs; more than verifiers keep a key set.",
    )
    key_poll_seconds: float = setting(
        "PORTICO_AUTH_KEY_POLL_SECONDS",
        default=2.0,
        min=0.05,
        help="How soon a rotation or withdrawal elsewhere is noticed.",
    )
    revocation_poll_seconds: float = setting(
        "PORTICO_AUTH_REVOCATION_POLL_SECONDS",
        default=0.5,
        min=0.05,
        help="How soon a revocation by another replica is noticed.",
    )
    heartbeat_seconds: float = setting(
        "PORTICO_AUTH_HEARTBEAT_SECONDS", default=4.0, min=0.05, max=10, help="Between signs of life to watchers."
    )
    audit_retention_days: float = setting(
        "PORTICO_AUDIT_RETENTION_DAYS", default=365.0, min=1, help="How long entries of the audit logs are kept."
    )
    password_memory_kib: int = setting(
        "PORTICO_AUTH_PASSWORD_MEMORY_KIB", default=65_536, min=1024, help="Memory that a password hash takes."
    )
    password_passes: int = setting(
        "PORTICO_AUTH_PASSWORD_PASSES", default=3, min=1, max=20, help="Passes that a password hash makes over it."
    )
    password_parallel: int = setting(
        "PORTICO_AUTH_PASSWORD_PARALLEL", default=2, min=1, max=64, help="Password hashes made at one time."
    )

    @property
    def sign_in(self) -> SignInSettings:
        return SignInSettings(self.registration == "open", self.sign_in_seconds)
