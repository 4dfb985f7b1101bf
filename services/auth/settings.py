"""The settings of the auth service."""

from dataclasses import dataclass
from typing import Literal

from limits import parse_many

from core.config import setting
from core.sealing import SealingSettings
from services.auth.domain.attempts import AttemptLimits
from services.auth.domain.sessions import MAX_SESSION_SECONDS

_DAY = 86_400.0


@dataclass(frozen=True)
class AttemptSettings:
    """How often anybody may try, as "10/15 minutes" """

    login: str = setting(
        "PORTICO_AUTH_LOGIN_LIMIT", default="10/15 minutes", help="Sign-ins of one account from one address."
    )
    login_of_address: str = setting(
        "PORTICO_AUTH_LOGIN_ADDRESS_LIMIT", default="100/15 minutes", help="Sign-ins from one address."
    )
    login_of_account: str = setting(
        "PORTICO_AUTH_LOGIN_ACCOUNT_LIMIT", default="100/15 minutes", help="Sign-ins of one account."
    )
    register: str = setting("PORTICO_AUTH_REGISTER_LIMIT", default="5/hour", help="Registrations from one address.")
    accept: str = setting(
        "PORTICO_AUTH_ACCEPT_LIMIT", default="20/15 minutes", help="Invitations accepted from one address."
    )
    password: str = setting(
        "PORTICO_AUTH_PASSWORD_LIMIT", default="10/15 minutes", help="Changes of one account's password."
    )

    def __post_init__(self) -> None:
        for text in (
            self.login,
            self.login_of_address,
            self.login_of_account,
            self.register,
            self.accept,
            self.password,
        ):
            try:
                parse_many(text)
            except ValueError:
                raise ValueError(f'{text!r} is not a limit; write one as "10/15 minutes" or "5/hour"') from None

    @property
    def limits(self) -> AttemptLimits:
        return AttemptLimits(
            self.login, self.login_of_address, self.login_of_account, self.register, self.accept, self.password
        )


@dataclass(frozen=True)
class Settings:
    """The auth service"""

    attempts: AttemptSettings
    sealing: SealingSettings
    registration: Literal["open", "closed"] = setting(
        "PORTICO_REGISTRATION", default="open", help="Whether anybody may register a company."
    )
    session_seconds: float = setting(
        "PORTICO_SESSION_SECONDS", default=_DAY / 2, min=60, max=MAX_SESSION_SECONDS, help="How long a sign-in lasts."
    )
    insecure_cookies: bool = setting(
        "PORTICO_INSECURE_COOKIES", default=False, help="Set cookies over plain HTTP too: for a laptop without TLS."
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
        "PORTICO_AUTH_KEY_POLL_SECONDS", default=2.0, min=0.05, help="How soon a rotation elsewhere is noticed."
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
