"""The limits on requests to auth, from the constants and settings that enforce them."""

from collections.abc import Iterator

from limits import parse_many

from core.limits import Limit
from core.quotas.limits import MAX_THRESHOLDS
from services.auth.domain.quota_policies import MAX_POLICIES
from services.auth.settings import Settings


def limits(settings: Settings) -> tuple[Limit, ...]:
    attempts, tenants = settings.attempts, settings.tenants
    account_and_address = "account and address"
    return (
        *_rate("Wrong passwords", attempts.login, account_and_address),
        *_rate("Wrong passwords, but for accounts that know the address", attempts.login_of_address, "address"),
        *_rate("Wrong passwords from unknown addresses", attempts.login_of_account, "account"),
        Limit("Addresses that are known", attempts.known_networks, "addresses", "account", "the oldest is forgotten"),
        *_rate("Sign-ins", attempts.sign_ins, account_and_address),
        *_rate("Registrations", attempts.register, "address"),
        *_rate("Wrong invitation secrets", attempts.accept, "address"),
        *_rate("Acceptances", attempts.accept, "invitation"),
        Limit("API tokens", tenants.tokens, "tokens", "tenant", "409"),
        Limit("Life of an API token", tenants.token_days, "days", "token"),
        *_rate("API tokens made", tenants.token_rate, "tenant"),
        *_rate("Invitations made", tenants.invitation_rate, "tenant"),
        *_rate("Changes of users, projects and tokens", tenants.change_rate, "person, or all tokens of a tenant"),
        Limit("Users and open invitations", tenants.users, "users", "tenant", "409"),
        Limit("Quota policies and budgets", MAX_POLICIES, "policies", "tenant", "409"),
        Limit("Thresholds of a budget", MAX_THRESHOLDS, "thresholds", "policy"),
        Limit("Sessions", tenants.sessions, "sessions", "user", "the oldest ends"),
        Limit("Revocations that are held one by one", tenants.revocations, "tokens", "tenant", "a cut-off for all"),
        Limit("Life of a session", settings.session_seconds, "seconds", "sign-in", "401"),
        Limit("Password hashes at a time", settings.password_parallel, "hashes", "process", "they wait"),
        Limit("Least time of an answer", settings.sign_in_seconds, "seconds", "sign-in", "it waits"),
        Limit("Audit entries are kept", settings.audit_retention_days, "days", "tenant", "they are removed"),
    )


def _rate(what: str, rates: str, per: str) -> Iterator[Limit]:
    """A row for each of the rates, as "5/hour"."""
    for rate in parse_many(rates):
        interval = f"{rate.multiples} {rate.GRANULARITY.name}" + ("s" if rate.multiples > 1 else "")
        yield Limit(what, rate.amount, "times", f"{per}, in {interval}", "429")
