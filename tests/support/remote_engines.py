"""The drivers of vector engines elsewhere, as a test needs them: with a guard and bounds of its own."""

from collections.abc import Mapping
from typing import Any

from core.http.guard import OutboundGuard
from services.vector.adapters.drivers import RemoteAccess, drivers
from services.vector.ports import VectorDriver, VectorEngine
from tests.support.exact_engine import ExactEngine

MIB = 1024 * 1024
LOOPBACK = OutboundGuard(["127.0.0.0/8", "::1"])


def drivers_at(guard: OutboundGuard = LOOPBACK, *, max_answer_bytes: int = 16 * MIB) -> Mapping[str, VectorDriver]:
    """All drivers; the embedded engine is a simple one."""
    return drivers(ExactEngine(), RemoteAccess(guard, max_answer_bytes))


def pgvector(server: Mapping[str, Any], guard: OutboundGuard = LOOPBACK, **settings: str) -> VectorEngine:
    """On a server as `tests.support.postgres` describes it."""
    given = {**{name: str(value) for name, value in server.items()}, **settings}
    return drivers_at(guard)["pgvector"].open({}, given)
