"""The domain on a store in memory, with a clock that stands still until told."""

import time
from dataclasses import dataclass, field

import pytest

from core.audit.log import AuditLog
from core.config import load
from core.rate_limits.memory import MemoryRateLimits
from core.revocations import Revocations
from core.sealing import generate_key
from core.storage.ports import DocumentStore
from core.tasks import Tasks
from core.token_verifier import KeyRing, TokenVerifier
from services.auth.app import Domain, assemble
from services.auth.ports import PasswordHasher
from services.auth.settings import Settings
from tests.support.stores import MemoryStore


@dataclass
class Clock:
    """Begins an hour ago, since verifiers look at the real time."""

    now: float = field(default_factory=lambda: time.time() - 3600)

    def __call__(self) -> float:
        return self.now


@dataclass
class Harness:
    """One installation. Each `start` is a process of its own on the same store, which has the clock of the domain."""

    clock: Clock = field(default_factory=Clock)
    store: DocumentStore = field(init=False)
    env: dict[str, str] = field(
        default_factory=lambda: {
            "PORTICO_ENCRYPTION_KEYS": generate_key(),
            "PORTICO_AUTH_PASSWORD_MEMORY_KIB": "1024",
            "PORTICO_AUTH_PASSWORD_PASSES": "1",
            "PORTICO_AUTH_HEARTBEAT_SECONDS": "0.05",
            "PORTICO_AUTH_SIGN_IN_SECONDS": "0",
        }
    )

    def __post_init__(self) -> None:
        self.store = MemoryStore(tenants=(), clock=self.clock)

    async def start(
        self, store: DocumentStore | None = None, hasher: PasswordHasher | None = None, **env: str
    ) -> "Process":
        settings = load(Settings, {**self.env, **env})
        keys, revocations = KeyRing(), Revocations()
        audit_log = AuditLog(store or self.store, Tasks(), clock=self.clock)
        domain = await assemble(
            store or self.store,
            MemoryRateLimits(),
            settings,
            audit_log=audit_log,
            keys=keys,
            revocations=revocations,
            clock=self.clock,
            hasher=hasher,
        )
        return Process(domain, keys, revocations, TokenVerifier(keys, revocations), audit_log)


@dataclass
class Process:
    domain: Domain
    keys: KeyRing
    revocations: Revocations
    verifier: TokenVerifier
    audit_log: AuditLog


@pytest.fixture
def harness() -> Harness:
    return Harness()
