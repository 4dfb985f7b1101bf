"""A platform in memory, for tests of a service's domain as its `assemble` wires it."""

from pathlib import Path

from core import config
from core.app import CoreSettings, Platform
from core.audit.log import AuditLog
from core.cache.none import NoCache
from core.health import Health
from core.identity import KeyRing, TokenVerifier
from core.lifecycle import Lifecycle
from core.rate_limits import RateLimits
from core.removals import Removals
from core.revocations import Revocations
from core.rpc.service_tokens import AuthServiceTokens
from core.storage.ports import DocumentStore
from core.tasks import Tasks
from tests.support.serving import environment
from tests.support.stores import MemoryStore


def memory_platform(service: str, store: DocumentStore | None = None, folder: Path = Path("/nonexistent")) -> Platform:
    """Files, if a part that the test does not replace keeps any, lie in `folder`. `tidy` it at the end."""
    store, tasks = store or MemoryStore(), Tasks()
    keys, revocations = KeyRing(), Revocations()
    settings, cache, verifier = (
        config.load(CoreSettings, environment(folder)),
        NoCache(),
        TokenVerifier(keys, revocations),
    )
    return Platform(
        service=service,
        settings=settings,
        store=store,
        cache=cache,
        rate_limits=RateLimits(),
        tasks=tasks,
        health=Health(),
        lifecycle=Lifecycle(),
        keys=keys,
        revocations=revocations,
        verifier=verifier,
        service_tokens=AuthServiceTokens(
            service, settings.rpc.auth_address, settings.rpc.service_secret, verifier, cache
        ),
        audit=AuditLog(store, tasks),
        removals=Removals(service, store),
    )


async def tidy(platform: Platform) -> None:
    """Stop what was started on the platform."""
    await platform.lifecycle.stop()
    await platform.tasks.drain(0.1)
