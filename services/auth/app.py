"""Wires the auth service."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from core.app import Platform
from core.audit.log import AuditLog
from core.fanout.none import NoFanout
from core.fanout.ports import Fanout
from core.jobs.jobs import Jobs
from core.lifecycle import Phase
from core.mail.mailer import Mails, NoMail, make_mails
from core.quotas.plans import Plans
from core.quotas.source import PolicySource
from core.quotas.totals import TotalQuotas
from core.rate_limits.ports import RateLimits
from core.revocations import Revocations
from core.rpc.metrics import MetricsServicer
from core.rpc.server import ServiceRegistration
from core.storage.ports import DocumentStore
from core.tenancy import MAIN
from core.token_verifier import KeyRing
from portico.auth.v1 import (
    account_service_pb2_grpc,
    audit_service_pb2_grpc,
    budget_service_pb2_grpc,
    key_service_pb2_grpc,
    metrics_service_pb2_grpc,
    project_service_pb2_grpc,
    quota_service_pb2_grpc,
    token_service_pb2_grpc,
    trust_service_pb2_grpc,
    user_service_pb2_grpc,
)
from services.auth.adapters.argon2 import Argon2Hasher
from services.auth.domain.accounts import Accounts
from services.auth.domain.attempts import Attempts
from services.auth.domain.audit import Audit, AuditRetention, OperatorLog
from services.auth.domain.callers import Callers
from services.auth.domain.compaction import Compaction
from services.auth.domain.deleted_projects import Deletions
from services.auth.domain.invitations import Invitations
from services.auth.domain.issuing import Issuer
from services.auth.domain.key_withdrawal import Withdrawal
from services.auth.domain.keys import Keys, Rotation
from services.auth.domain.members import Members
from services.auth.domain.metrics import AuthMetrics
from services.auth.domain.password_resets import PasswordResets
from services.auth.domain.passwords import Passwords, salt_key
from services.auth.domain.projects import Projects
from services.auth.domain.quota_policies import QuotaPolicies
from services.auth.domain.quotas import Quotas
from services.auth.domain.registration import Registration
from services.auth.domain.revocation_log import RevocationLog
from services.auth.domain.service_tokens import ServiceTokens
from services.auth.domain.sessions import Sessions
from services.auth.domain.tables import Tables
from services.auth.domain.tenants import Tenants
from services.auth.domain.tokens import Tokens
from services.auth.domain.users import Users
from services.auth.ports import Clock, PasswordHasher
from services.auth.servicers.account import AccountServicer
from services.auth.servicers.audit import AuditServicer
from services.auth.servicers.cookies import Cookies
from services.auth.servicers.keys import KeyServicer
from services.auth.servicers.project import ProjectServicer
from services.auth.servicers.quota import BudgetServicer, QuotaServicer
from services.auth.servicers.token import TokenServicer
from services.auth.servicers.trust import TrustServicer
from services.auth.servicers.user import UserServicer
from services.auth.settings import Settings

KEYS, REVOCATIONS = "signing-keys", "revocations"
"""Topics of messages to other replicas."""
_PRUNE_SECONDS = 600.0
_COMPACT_SECONDS = 60.0
_FINISH_SECONDS = 30.0
_PRUNE_AUDIT_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Domain:
    """The parts of the domain, assembled."""

    tables: Tables
    keys: Keys
    revocations: RevocationLog
    registration: Registration
    sessions: Sessions
    members: Members
    accounts: Accounts
    users: Users
    password_resets: PasswordResets
    invitations: Invitations
    projects: Projects
    deletions: Deletions
    tokens: Tokens
    compaction: Compaction
    withdrawal: Withdrawal
    service_tokens: ServiceTokens
    callers: Callers
    audit: Audit
    operator_log: OperatorLog
    audit_retention: AuditRetention
    tenants: Tenants
    quota_policies: QuotaPolicies
    source: PolicySource


@dataclass(frozen=True, slots=True)
class _Base:
    """Dependencies shared by the domain classes, loaded from the store."""

    store: DocumentStore
    tables: Tables
    keys: Keys
    revocations: RevocationLog
    passwords: Passwords
    rate_limits: RateLimits
    audit_log: AuditLog
    mails: Mails
    clock: Clock
    source: PolicySource


async def assemble(
    store: DocumentStore,
    rate_limits: RateLimits,
    settings: Settings,
    *,
    audit_log: AuditLog,
    keys: KeyRing,
    revocations: Revocations,
    clock: Clock = time.time,
    hasher: PasswordHasher | None = None,
    mails: Mails | None = None,
    source: PolicySource | None = None,
    fanout: Fanout | None = None,
) -> Domain:
    """The domain on `store`, ready for use. `keys` and `revocations` are filled, and kept as the store has them by
    `Keys.refresh` and `RevocationLog.poll`. Without a `hasher` there is the one that the settings ask for; without
    `mails` none is sent; without a `source` the plans are the built-in ones."""
    tables = Tables.of(store)
    rotation = Rotation(settings.key_max_age_seconds, settings.key_publish_seconds)
    fanout = fanout or NoFanout()
    tell_keys, tell_revocations = (partial(fanout.publish, topic, MAIN) for topic in (KEYS, REVOCATIONS))
    signing = Keys(tables, settings.sealing.sealer(), clock, rotation, keys.replace, tell_keys)
    log = RevocationLog(tables, clock, revocations, heartbeat=settings.heartbeat_seconds, tell=tell_revocations)
    hasher = hasher or Argon2Hasher(settings.password_memory_kib, settings.password_passes)
    passwords = Passwords(hasher, await salt_key(tables), parallel=settings.password_parallel)
    await signing.refresh()
    await log.start()
    source = source or PolicySource(store, Plans.built_in())
    return _domain(
        _Base(store, tables, signing, log, passwords, rate_limits, audit_log, mails or NoMail(), clock, source),
        settings,
    )


def _domain(base: _Base, settings: Settings) -> Domain:
    tables, log, passwords, clock, limits = base.tables, base.revocations, base.passwords, base.clock, settings.tenants
    issuer = Issuer(base.keys, base.source)
    quotas = Quotas(tables, base.rate_limits, limits.limits, TotalQuotas(base.source))
    attempts = Attempts(base.rate_limits, settings.attempts.limits)
    tenants = Tenants(base.store, tables, clock)
    callers = Callers(tables, tenants)
    sessions = Sessions(tables, issuer, log, clock, seconds=settings.session_seconds, per_user=limits.sessions)
    members = Members(tables, log, sessions, clock)
    deletions = Deletions(tables, clock)
    registration = Registration(tables, tenants, passwords, clock)
    service_tokens = ServiceTokens(tables, tenants, issuer, log, clock)
    return Domain(
        tables=tables,
        keys=base.keys,
        revocations=log,
        registration=registration,
        sessions=sessions,
        members=members,
        accounts=Accounts(
            tables,
            tenants,
            callers,
            members,
            sessions,
            registration,
            passwords,
            attempts,
            quotas,
            base.mails,
            clock,
            settings.sign_in,
        ),
        password_resets=PasswordResets(
            tables, tenants, members, sessions, passwords, attempts, base.mails, clock, settings.sign_in_seconds
        ),
        users=Users(tables, callers, tenants, members, quotas),
        invitations=Invitations(tables, tenants, callers, sessions, passwords, attempts, quotas, base.mails, clock),
        projects=Projects(
            tables, tenants, callers, members, sessions, service_tokens, deletions, quotas, base.mails, clock
        ),
        deletions=deletions,
        tokens=Tokens(tables, callers, members, issuer, quotas, clock, max_days=limits.token_days),
        compaction=Compaction(tables, tenants, log, clock, at_most=limits.revocations),
        withdrawal=Withdrawal(tables, tenants, base.keys, members, clock),
        service_tokens=service_tokens,
        callers=callers,
        audit=Audit(base.audit_log, callers),
        operator_log=OperatorLog(tables.operator_log, clock),
        audit_retention=AuditRetention(base.store, base.audit_log, settings.audit_retention_days * 86_400.0),
        tenants=tenants,
        source=base.source,
        quota_policies=QuotaPolicies(tables, callers, base.source, clock),
    )


async def build(platform: Platform, settings: Settings) -> Sequence[ServiceRegistration]:
    fanout = platform.shared.fanout
    jobs = Jobs(
        platform.store,
        platform.tasks,
        platform.lifecycle,
        audit_log=platform.audit,
        fanout=fanout,
        paused=platform.revocations.is_suspended,
    )
    domain = await assemble(
        platform.store,
        platform.shared.rate_limits,
        settings,
        audit_log=platform.audit,
        keys=platform.keys,
        revocations=platform.revocations,
        mails=make_mails("auth", jobs, settings.sealing.sealer(), settings.mail),
        source=platform.policies,
        fanout=fanout,
    )
    await jobs.start()
    _start(platform, settings, domain)
    platform.lifecycle.on_stop(Phase.DRAIN_DELAY, "watches", domain.revocations.close)
    return [
        *_registrations(domain, Cookies(settings.session_seconds, secure=not settings.insecure_cookies)),
        _metrics(platform),
    ]


def _start(platform: Platform, settings: Settings, domain: Domain) -> None:
    tasks, once = platform.tasks, platform.singletons
    keys, revocations = (_noticed(platform.shared.fanout, topic) for topic in (KEYS, REVOCATIONS))
    tasks.every("notice key rotations", settings.key_poll_seconds, domain.keys.refresh, wake=keys)
    tasks.every("notice revocations", settings.revocation_poll_seconds, domain.revocations.poll, wake=revocations)
    tasks.every("prune revocations", _PRUNE_SECONDS, domain.revocations.prune)
    once.every("compact revocations", _COMPACT_SECONDS, lambda: domain.compaction.run(platform.revocations))
    once.every("finish deletions", _FINISH_SECONDS, domain.projects.finish_deletions)
    once.every("prune audit logs", _PRUNE_AUDIT_SECONDS, domain.audit_retention.prune)


def _noticed(fanout: Fanout, topic: str) -> asyncio.Event:
    """An event that is set by every message of the topic: another replica has written what is to be read again."""
    event = asyncio.Event()
    fanout.subscribe(topic, lambda scope, text: event.set(), event.set)
    return event


def _metrics(platform: Platform) -> ServiceRegistration:
    return ServiceRegistration(
        "portico.auth.v1.MetricsService",
        metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server,
        MetricsServicer(AuthMetrics(Tables.of(platform.store).tokens).collect),
    )


def _registrations(domain: Domain, cookies: Cookies) -> Sequence[ServiceRegistration]:
    account = AccountServicer(domain.accounts, domain.password_resets, domain.invitations, domain.callers, cookies)
    return [
        ServiceRegistration(
            "portico.auth.v1.AccountService", account_service_pb2_grpc.add_AccountServiceServicer_to_server, account
        ),
        ServiceRegistration(
            "portico.auth.v1.UserService",
            user_service_pb2_grpc.add_UserServiceServicer_to_server,
            UserServicer(domain.users, domain.invitations),
        ),
        ServiceRegistration(
            "portico.auth.v1.ProjectService",
            project_service_pb2_grpc.add_ProjectServiceServicer_to_server,
            ProjectServicer(domain.projects),
        ),
        ServiceRegistration(
            "portico.auth.v1.TokenService",
            token_service_pb2_grpc.add_TokenServiceServicer_to_server,
            TokenServicer(domain.tokens),
        ),
        ServiceRegistration(
            "portico.auth.v1.AuditService",
            audit_service_pb2_grpc.add_AuditServiceServicer_to_server,
            AuditServicer(domain.audit),
        ),
        ServiceRegistration(
            "portico.auth.v1.QuotaService",
            quota_service_pb2_grpc.add_QuotaServiceServicer_to_server,
            QuotaServicer(domain.quota_policies),
        ),
        ServiceRegistration(
            "portico.auth.v1.BudgetService",
            budget_service_pb2_grpc.add_BudgetServiceServicer_to_server,
            BudgetServicer(domain.quota_policies),
        ),
        ServiceRegistration(
            "portico.auth.v1.KeyService",
            key_service_pb2_grpc.add_KeyServiceServicer_to_server,
            KeyServicer(domain.keys),
        ),
        ServiceRegistration(
            "portico.auth.v1.TrustService",
            trust_service_pb2_grpc.add_TrustServiceServicer_to_server,
            TrustServicer(domain.revocations, domain.service_tokens, domain.deletions),
        ),
    ]
