"""Two replicas of a service on one store and one Redis: what one changes, the other knows at once.

Polls are as good as off, so that whatever comes about was told.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from core import config
from core.app import Platform
from core.audit.log import AuditLog
from core.cache.factory import CacheSettings
from core.config import load
from core.context import Identity, Kind
from core.errors import Unavailable
from core.jobs.jobs import Jobs
from core.jobs.limits import JobLimits
from core.jobs.records import Status
from core.jobs.run import JobRun
from core.project_changes import ProjectChanges
from core.providers.records import NewProvider
from core.redis.settings import RedisSettings
from core.revocations import Revocation
from core.sealing import generate_key
from core.shared import Shared, make_shared
from core.tenancy import Project, Tenant
from services.auth import app as auth
from services.auth.domain.attempts import Attempts
from services.auth.settings import Settings as AuthSettings
from services.inference import app as inference
from services.inference.domain.catalogue.models import ModelChanges, NewModel
from services.inference.settings import Settings as InferenceSettings
from services.rag import app as rag
from services.rag.settings import Settings as RagSettings
from services.vector import app as vector
from services.vector.settings import Settings as VectorSettings
from tests.support import waiting
from tests.support.exact_engine import ExactEngine, driver
from tests.support.platforms import memory_platform, tidy
from tests.support.providers import AnyHost
from tests.support.redis_server import RedisServer
from tests.support.stores import MemoryStore

ACME = Project(Tenant("acme"), "p1")
HOUR = 3600.0


async def until(condition: Callable[[], object]) -> None:
    await waiting.until(condition, 30.0)


RARELY = JobLimits(poll=HOUR, heartbeat=HOUR, lease=4 * HOUR)


@dataclass
class Replicas:
    """The platforms of two replicas, and the key that seals their secrets."""

    one: Platform
    other: Platform
    keys: str


@asynccontextmanager
async def replicas(service: str, server: RedisServer, folder: Path) -> AsyncIterator[Replicas]:
    prefix, store = f"r-{service}-{folder.name}"[:32], MemoryStore()
    env = {"CACHE_PROVIDER": "redis", "REDIS_URL": server.url, "PORTICO_REDIS_PREFIX": prefix}
    env["PORTICO_REDIS_SECONDS"] = "10"
    cache, redis = load(CacheSettings, env), load(RedisSettings, env)
    shared: list[Shared] = [make_shared(cache, redis) for _ in range(2)]
    platforms = [memory_platform(service, store, folder, each) for each in shared]
    try:
        yield Replicas(platforms[0], platforms[1], generate_key())
    finally:
        for platform in platforms:
            await tidy(platform)
            await platform.shared.close()


async def hearing(*platforms: Platform) -> None:
    """Start to hear, and wait until it is so."""
    for platform in platforms:
        connected = asyncio.Event()
        platform.shared.fanout.subscribe("test", lambda scope, text: None, connected.set)
        platform.shared.fanout.start(platform.tasks)
        async with asyncio.timeout(30):
            await connected.wait()


def jobs_of(platform: Platform) -> Jobs:
    return Jobs(platform.store, platform.tasks, platform.lifecycle, limits=RARELY, fanout=platform.shared.fanout)


async def test_a_job_of_one_replica_is_begun_by_another(redis: RedisServer, tmp_path: Path) -> None:
    async with replicas("rag", redis, tmp_path) as both:
        begun, asks, works = asyncio.Event(), jobs_of(both.one), jobs_of(both.other)

        async def handle(run: JobRun) -> None:
            begun.set()

        works.handle("test.kind", handle, None)
        await works.start()
        await hearing(both.one, both.other)
        await asyncio.sleep(0)
        await asks.submit(ACME, "test.kind", {})
        async with asyncio.timeout(30):
            await begun.wait()


async def test_a_job_that_runs_elsewhere_is_cancelled_at_once(redis: RedisServer, tmp_path: Path) -> None:
    async with replicas("rag", redis, tmp_path) as both:
        begun, asks, works = asyncio.Event(), jobs_of(both.one), jobs_of(both.other)

        async def handle(run: JobRun) -> None:
            begun.set()
            await asyncio.Event().wait()

        works.handle("test.kind", handle, None)
        await works.start()
        await hearing(both.one, both.other)
        job = await asks.submit(ACME, "test.kind", {})
        async with asyncio.timeout(30):
            await begun.wait()
        await asks.cancel(ACME, job.id)
        async with asyncio.timeout(30):
            while (await asks.get(ACME, job.id)).status is not Status.CANCELLED:
                await asyncio.sleep(0.005)


async def _inference(platform: Platform, keys: str) -> inference.Domain:
    settings = config.load(InferenceSettings, {"PORTICO_ENCRYPTION_KEYS": keys})
    return inference.assemble(platform, settings, guard=AnyHost())


async def _vector(platform: Platform, keys: str) -> vector.Domain:
    settings, engine = config.load(VectorSettings, {"PORTICO_ENCRYPTION_KEYS": keys}), ExactEngine()
    return await vector.assemble(platform, settings, embedded=engine, drivers={"embedded": driver("embedded", engine)})


async def _rag(platform: Platform, keys: str) -> rag.Domain:
    return await rag.assemble(platform, config.load(RagSettings, {"PORTICO_ENCRYPTION_KEYS": keys}))


OWNERS = {
    "inference": (_inference, ("providers", "models", "guardrails", "word_lists", "pii_policies", "prompts")),
    "vector": (_vector, ("providers", "indexes")),
    "rag": (_rag, ("providers",)),
}


@pytest.mark.parametrize("service", OWNERS)
async def test_a_change_of_any_kind_of_record_is_heard(redis: RedisServer, tmp_path: Path, service: str) -> None:
    assemble: Any
    assemble, owners = OWNERS[service]
    async with replicas(service, redis, tmp_path) as both:
        one, other = [await assemble(platform, both.keys) for platform in (both.one, both.other)]
        heard: dict[str, list[Project | None]] = {name: [] for name in owners}
        for name in owners:
            changes: ProjectChanges = getattr(other, name).changes
            changes.subscribe(heard[name].append)
        await hearing(both.one, both.other)
        await until(lambda: all(heard.values()))
        assert all(set(each) == {None} for each in heard.values()), "what was before may have been missed"
        for name in owners:
            getattr(one, name).changes.publish(ACME)
        await until(lambda: all(ACME in each for each in heard.values()))


async def test_a_changed_model_serves_the_next_call_of_the_other_replica(redis: RedisServer, tmp_path: Path) -> None:
    async with replicas("inference", redis, tmp_path) as both:
        one, other = [await _inference(platform, both.keys) for platform in (both.one, both.other)]
        await hearing(both.one, both.other)
        await one.providers.create(ACME, NewProvider("echo", "P", key="p"))
        await one.models.create(ACME, NewModel("M", "llm", "p", "up", key="m"))
        assert (await other.routes.find(ACME, "m", "llm")).targets[0].model_id == "up"
        await one.models.update(ACME, "m", ModelChanges(model_id="other"))
        await until(lambda: other.routes.known(ACME, "m", "llm") is None)
        assert (await other.routes.find(ACME, "m", "llm")).targets[0].model_id == "other"


async def test_a_revocation_by_one_replica_of_auth_is_known_to_the_other(redis: RedisServer, tmp_path: Path) -> None:
    async with replicas("auth", redis, tmp_path) as both:
        env = {
            "PORTICO_ENCRYPTION_KEYS": both.keys,
            "PORTICO_AUTH_REVOCATION_POLL_SECONDS": str(HOUR),
            "PORTICO_AUTH_KEY_POLL_SECONDS": str(HOUR),
            "PORTICO_AUTH_PASSWORD_MEMORY_KIB": "1024",
            "PORTICO_AUTH_KEY_PUBLISH_SECONDS": "0",
        }
        settings = config.load(AuthSettings, env)
        domains = []
        for platform in (both.one, both.other):
            domain = await auth.assemble(
                platform.store,
                platform.shared.rate_limits,
                settings,
                audit_log=AuditLog(platform.store, platform.tasks),
                keys=platform.keys,
                revocations=platform.revocations,
                fanout=platform.shared.fanout,
            )
            auth._start(platform, settings, domain)
            domains.append(domain)
        await hearing(both.one, both.other)
        identity = Identity(ACME, "user", Kind.SESSION, frozenset(), "token", 1.0, None)
        await domains[0].revocations.revoke(Revocation("acme", "token", "user", issued_at=1.0, expires_at=9e9))
        await until(lambda: both.other.revocations.is_revoked(identity))
        withdrawn = domains[0].keys.signer.key_id
        await domains[0].keys.withdraw(withdrawn)
        await until(lambda: domains[1].keys.signer.key_id != withdrawn)


async def test_sign_ins_meet_one_limit_over_all_replicas_and_are_closed_without_it(
    redis: RedisServer, tmp_path: Path
) -> None:
    async with replicas("auth", redis, tmp_path) as both:
        settings = config.load(AuthSettings, {"PORTICO_ENCRYPTION_KEYS": both.keys})
        limits = replace(settings.attempts.limits, login="3/hour")
        attempts = [Attempts(platform.shared.rate_limits, limits) for platform in (both.one, both.other)]
        tried = 0
        for i in range(10):
            try:
                async with attempts[i % 2].password("owner@acme.example", known=True):
                    tried += 1
            except Exception:
                continue
        assert tried == 3
        await both.one.shared.close()
        env = {"CACHE_PROVIDER": "redis", "REDIS_URL": "redis://127.0.0.1:1"}
        away = make_shared(load(CacheSettings, env), load(RedisSettings, env))
        with pytest.raises(Unavailable):
            async with Attempts(away.rate_limits, limits).password("owner@acme.example", known=True):
                pass
        await away.close()
