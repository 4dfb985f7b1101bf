"""The start and the stop of a service's process: from the environment to a running server, and back down in order.

    main("inference", Settings, build, collections=COLLECTIONS)

`build(platform, settings)` is the service's own wiring: it makes its adapters and servicers, and registers health
checks and stop steps on the platform. Everything around it is the same for all services and stands here.
"""

import asyncio
import gc
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn, TypeVar

import uvloop
from grpc.aio import Server

from core import commands, config, logs, migrate, rlimits, secret_files, telemetry
from core.audit.log import FLUSH_SECONDS, AuditLog
from core.cache.factory import CacheSettings, make_cache
from core.collections import CORE_COLLECTIONS
from core.commands import Command
from core.config import ConfigError
from core.health import Health
from core.lifecycle import Lifecycle, Phase
from core.locks.singletons import Singletons
from core.logs import LogSettings
from core.memory import CHECK_SECONDS, FreedMemory, limit_kept_memory
from core.project_removal import Removals
from core.quotas.admission import RECONCILE_SECONDS, REPORT_SECONDS, Admission
from core.quotas.calls import CallQuotas
from core.quotas.factory import make_ledger
from core.quotas.plans import PlanSettings
from core.quotas.source import PolicySource
from core.quotas.thresholds import Thresholds
from core.quotas.totals import TotalQuotas
from core.redis.settings import RedisSettings
from core.revocations import Revocations
from core.rpc import tenant_data, tls
from core.rpc.arrivals import Arrivals
from core.rpc.audit import recorded
from core.rpc.chain import Chain
from core.rpc.limits import MIB
from core.rpc.removal_feed import RemovalFeed
from core.rpc.server import ServiceRegistration, bind, make_health_server, make_server
from core.rpc.service_tokens import AuthServiceTokens
from core.rpc.settings import RpcSettings
from core.rpc.stages.admissions import Admissions
from core.rpc.stages.auth import Auth
from core.rpc.stages.features import Features
from core.rpc.stages.load_shedding import LoadShedding
from core.rpc.stages.refusals import Refusals
from core.rpc.stages.shares import Shares
from core.rpc.stages.stage import Stage
from core.rpc.tenant_data import TenantDataServicer
from core.rpc.trust_feed import TrustFeed
from core.shared import Shared, make_shared
from core.storage.factory import StoreSettings, make_store
from core.storage.migrations import NO_MIGRATIONS, Migrations
from core.storage.ports import Collection, DocumentStore
from core.storage.schema import Schema
from core.tasks import Tasks
from core.telemetry import TelemetrySettings
from core.tenant_data import TenantDataRegistry
from core.token_verifier import KeyRing, TokenVerifier

_SWEEP_SECONDS = 60.0

log = logs.get(__name__)

S = TypeVar("S")


@dataclass(frozen=True)
class CoreSettings:
    """The settings that every service reads."""

    rpc: RpcSettings
    log: LogSettings
    store: StoreSettings
    cache: CacheSettings
    redis: RedisSettings
    plans: PlanSettings
    telemetry: TelemetrySettings

    def __post_init__(self) -> None:
        if self.cache.provider == "redis" and self.redis.url is None:
            raise ValueError("REDIS_URL is missing: CACHE_PROVIDER=redis needs the address of a server")


@dataclass(frozen=True, slots=True)
class Platform:
    """Resources shared by the services of one process. Made once, by `start`."""

    service: str
    settings: CoreSettings
    store: DocumentStore
    shared: Shared
    """Cache, rate limits, locks and messages over all replicas of the service."""
    singletons: Singletons
    """Periodic work that one replica does for all."""
    tasks: Tasks
    health: Health
    lifecycle: Lifecycle
    keys: KeyRing
    revocations: Revocations
    verifier: TokenVerifier
    audit: AuditLog
    removals: Removals
    policies: PolicySource
    """The plans and quota policies of tenants."""
    admission: Admission
    """Quotas and budgets of calls, over all replicas."""
    call_quotas: CallQuotas
    """Reservations of the present call, for the domains of services."""
    totals: TotalQuotas
    """Limits of what there is at any time."""
    tenant_data: TenantDataRegistry
    service_tokens: AuthServiceTokens
    """Service tokens for jobs that call other services."""

    @classmethod
    def on(cls, service: str, settings: CoreSettings, store: DocumentStore, shared: Shared) -> "Platform":
        """The platform of a service on its store and on what its replicas share. Nothing runs yet."""
        tasks, health, rpc = Tasks(), Health(), settings.rpc
        keys, revocations = KeyRing(), Revocations()
        verifier = TokenVerifier(keys, revocations)
        secrets = make_cache(settings.cache)  # tokens stay in this process
        health.add("store", store.check)
        health.add("cache", shared.cache.check, essential=False)
        policies = PolicySource(store, settings.plans.plans())
        policies.share(shared.fanout)
        audit = AuditLog(store, tasks)
        admission = Admission(make_ledger(shared), policies, {}, tasks, Thresholds(audit).look)
        return cls(
            service=service,
            settings=settings,
            store=store,
            shared=shared,
            singletons=Singletons(service, shared.locks, tasks),
            tasks=tasks,
            health=health,
            lifecycle=Lifecycle(),
            keys=keys,
            revocations=revocations,
            verifier=verifier,
            audit=audit,
            removals=Removals(service, store),
            policies=policies,
            admission=admission,
            call_quotas=CallQuotas(admission),
            totals=TotalQuotas(policies),
            tenant_data=TenantDataRegistry(),
            service_tokens=AuthServiceTokens(service, rpc.auth_address, rpc.service_secret, verifier, secrets),
        )

    def follow_auth(self) -> None:
        """Learn keys, revocations and deleted projects from the auth service: for every service but auth itself. Raises
        RuntimeError for a service that has not said how it removes a project (`removals.handle`)."""
        if not self.removals.ready:
            raise RuntimeError(f"{self.service} does not say how it removes a deleted project")
        rpc = self.settings.rpc
        secret, auth = rpc.service_secret, rpc.auth_address
        deleted = RemovalFeed(self.service, auth, secret, self.removals, self.tasks)
        feed = TrustFeed(self.service, auth, secret, self.keys, self.revocations, self.tasks, deleted.notice)
        feed.start()
        self.health.add("auth", feed.check, ttl=0.5)
        self.lifecycle.on_stop(Phase.POOLS, "auth channel", feed.close, 5.0)
        deleted.start()
        self.lifecycle.on_stop(Phase.POOLS, "removals channel", deleted.close, 5.0)


Build = Callable[[Platform, S], Awaitable[Sequence[ServiceRegistration]]]


@dataclass(frozen=True, slots=True)
class Running:
    """A started service. `port` is where it serves."""

    platform: Platform
    server: Server
    port: int
    edge_port: int | None = None
    """Port of the HTTP/1.1 server for the edge's hot calls; None if it is off."""


def main(
    service: str,
    settings_class: type[S],
    build: Build[S],
    known: Sequence[Command] = (),
    env: Mapping[str, str] = os.environ,
    *,
    collections: Sequence[Collection] = (),
    migrations: Migrations = NO_MIGRATIONS,
) -> NoReturn:
    """Serve, or run the one of the `known` commands that the command line names, and end the process. `collections`
    and `migrations` are what the service keeps in the document store, beside core's own collections."""
    secret_files.set_umask()
    schema = Schema((*CORE_COLLECTIONS, *collections), migrations)
    status = commands.run(service, (*known, migrate.command(service, schema)), None, env)
    if status is not None:
        sys.exit(status)
    run(service, settings_class, build, env, collections=collections, migrations=migrations)


def run(
    service: str,
    settings_class: type[S],
    build: Build[S],
    env: Mapping[str, str] = os.environ,
    *,
    collections: Sequence[Collection] = (),
    migrations: Migrations = NO_MIGRATIONS,
) -> NoReturn:
    """Serve until a signal comes, then exit the process with 0; with 2 where the configuration cannot be used."""
    schema = Schema((*CORE_COLLECTIONS, *collections), migrations)
    try:
        core_settings, settings = load(settings_class, env)
    except ConfigError as error:
        sys.exit(commands.complain(error))
    secret_files.set_umask()
    secret_files.restrict(core_settings.store.data_dir, recursive=False)
    rlimits.raise_open_files()
    limit_kept_memory()
    sys.exit(uvloop.run(_serve(service, core_settings, settings, build, schema)))


def load(settings_class: type[S], env: Mapping[str, str]) -> tuple[CoreSettings, S]:
    """Load core's settings and the service's own. Raises ConfigError with the mistakes of both."""
    problems: list[str] = []
    loaded: list[object] = []
    for cls in (CoreSettings, settings_class):
        try:
            loaded.append(config.load(cls, env))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return loaded[0], loaded[1]  # type: ignore[return-value]  # in the order of the classes above


async def start(service: str, core_settings: CoreSettings, settings: S, build: Build[S], schema: Schema) -> Running:
    """Start the service. `Running.platform.lifecycle.stop()` takes it down again."""
    store, shared = make_store(core_settings.store, schema), make_shared(core_settings.cache, core_settings.redis)
    platform = Platform.on(service, core_settings, store, shared)
    lifecycle = platform.lifecycle
    lifecycle.install()
    own = tenant_data.registration(
        TenantDataServicer(service, schema, platform.tenant_data, platform.removals, platform.revocations)
    )
    built = await build(platform, settings)
    for data in shared.tenant_data():
        platform.tenant_data.keep(data)
    platform.tenant_data.settle_by(platform.audit.flush)
    registrations = [recorded(registration, platform.audit) for registration in (*built, own)]
    platform.tasks.every("write audit log", FLUSH_SECONDS, platform.audit.flush)
    chain = _chain(platform)
    server = make_server(registrations, chain, platform.health)
    port = bind(server, core_settings.rpc.listen)
    grace = core_settings.rpc.grace_seconds
    lifecycle.on_stop(Phase.NOT_SERVING, "health", platform.health.shutting_down, 1.0)
    drain = core_settings.rpc.drain_seconds
    lifecycle.on_stop(Phase.DRAIN_DELAY, "drain delay", lambda: asyncio.sleep(drain), drain + 1.0)
    lifecycle.on_stop(Phase.SERVER, "server", lambda: server.stop(grace), grace + 5.0)
    lifecycle.on_stop(Phase.TASKS, "tasks", lambda: platform.tasks.drain(5.0), 10.0)
    lifecycle.on_stop(Phase.FLUSH, "audit log", platform.audit.close, 10.0)
    lifecycle.on_stop(Phase.POOLS, "service tokens", platform.service_tokens.close, 5.0)
    lifecycle.on_stop(Phase.FLUSH, "locks", platform.singletons.close, 5.0)
    lifecycle.on_stop(Phase.FLUSH, "quotas", platform.admission.close, 5.0)
    lifecycle.on_stop(Phase.CACHE, "cache", shared.close, 5.0)
    lifecycle.on_stop(Phase.STORES, "store", platform.store.close, 10.0)
    lifecycle.on_stop(Phase.TELEMETRY, "telemetry", _close_telemetry, 10.0)
    platform.tasks.every("report quotas", REPORT_SECONDS, platform.admission.report)
    platform.tasks.every("reconcile quotas", RECONCILE_SECONDS, platform.admission.reconcile)
    platform.tasks.every("sweep expired documents", _SWEEP_SECONDS, platform.store.sweep)
    platform.tasks.every("give freed memory back", CHECK_SECONDS, FreedMemory().give_back)
    shared.fanout.start(platform.tasks)
    await platform.health.start()
    await server.start()
    edge_port = await _serve_edge(platform, registrations, chain)
    await _serve_health(platform)
    log.info(
        "serving",
        service=service,
        port=port,
        edge_port=edge_port,
        settings={**config.describe(core_settings), **config.describe(settings)},
    )
    return Running(platform, server, port, edge_port)


async def _serve_edge(platform: Platform, registrations: Sequence[ServiceRegistration], chain: Chain) -> int | None:
    rpc = platform.settings.rpc
    if not rpc.edge_listen:
        return None
    if rpc.edge_secret is None:
        log.warning("PORTICO_EDGE_SECRET is not set: nothing that the edge says of its calls is believed")
    # Imported here because only the services that the edge calls often install its parser.
    from core.rpc.http1.server import Http1Server

    server = Http1Server(registrations, chain, platform.health)
    grace = rpc.grace_seconds
    platform.lifecycle.on_stop(Phase.SERVER, "edge server", lambda: server.stop(grace), grace + 5.0)
    return await server.start(rpc.edge_listen)


async def _serve_health(platform: Platform) -> None:
    listen = platform.settings.rpc.health_listen
    if not listen:
        return
    server = make_health_server(platform.health)
    server.add_insecure_port(listen)
    platform.lifecycle.on_stop(Phase.TELEMETRY, "health server", lambda: server.stop(None), 5.0)
    await server.start()


async def _serve(service: str, core_settings: CoreSettings, settings: S, build: Build[S], schema: Schema) -> int:
    logs.configure(service, core_settings.log.level, core_settings.log.format)
    telemetry.configure(
        service,
        core_settings.telemetry.endpoint,
        headers=core_settings.telemetry.headers,
        metrics_exporter=core_settings.telemetry.metrics_exporter,
        metrics_port=core_settings.telemetry.metrics_port,
        metrics_host=core_settings.telemetry.metrics_host,
    )
    tls.configure(core_settings.rpc.tls.identity)
    running = await start(service, core_settings, settings, build, schema)
    # What lives now lives for good: keep the collector from walking it again and again.
    gc.collect()
    gc.freeze()
    return await running.platform.lifecycle.run_until_stopped()


def _chain(platform: Platform) -> Chain:
    """The interceptor chain. The order of the stages is the design's; telemetry and errors stand around all of these,
    in `Chain` itself."""
    rpc = platform.settings.rpc
    load = LoadShedding(rpc.max_concurrent_calls)
    stages: list[Stage] = [
        load,
        Refusals(platform.audit),
        Auth(platform.verifier, rpc.service_secret),
        Features(platform.policies),
        Shares(load, rpc.tenant_share_percent),
        Admissions(platform.call_quotas),
    ]
    arrivals = Arrivals(memory=rpc.arriving_mb * MIB, seconds=rpc.request_seconds)
    return Chain(stages, arrivals=arrivals, edge_secret=rpc.edge_secret)


async def _close_telemetry() -> None:
    if (active := telemetry.active()) is not None:
        await active.close()
