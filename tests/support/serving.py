"""A service on a port of its own and its data in a folder, as a contract test sees it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from core import app
from core.app import Running
from core.sealing import generate_key
from tests.support.stores import TENANTS, schema_of
from tests.support.tokens import Signer

_KEYS = generate_key()
EDGE_SECRET = "e" * 32
BY_EDGE = (("x-portico-edge", EDGE_SECRET),)
"""Metadata that makes a service believe what the edge alone may say."""
REST = (*BY_EDGE, ("x-portico-rest", "1"))
"""Metadata of a call that the edge has transcoded from REST."""


@dataclass
class Harness:
    """The service, a connection to it, who signs its tokens, and where its data lie."""

    running: Running
    channel: grpc.aio.Channel
    signer: Signer
    folder: Path


def environment(folder: Path, **more: str) -> dict[str, str]:
    return {
        "PORTICO_SERVICE_SECRET": "s" * 32,
        "PORTICO_EDGE_SECRET": EDGE_SECRET,
        "PORTICO_ENCRYPTION_KEYS": _KEYS,
        "PORTICO_DATA_DIR": str(folder),
        "PORTICO_DRAIN_SECONDS": "0",
        "PORTICO_GRACE_SECONDS": "5",
        "PORTICO_OUTBOUND_ALLOWED_HOSTS": "127.0.0.1",
        **more,
    }


def connect(port: int) -> grpc.aio.Channel:
    """A channel that takes as much metadata as the edge does, which error bodies of REST calls need."""
    options = (("grpc.max_metadata_size", 60 * 1024), ("grpc.enable_http_proxy", 0))
    return grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options)


@asynccontextmanager
async def served(
    name: str, settings_class: Any, build: Any, folder: Path, signer: Signer, **env: str
) -> AsyncIterator[Running]:
    """Without its ties to auth: it trusts the signer's key, and nothing is revoked."""
    core_settings, settings = app.load(settings_class, environment(folder, **env))
    running = await app.start(name, core_settings, settings, build, schema_of(name))
    for tenant in TENANTS:
        await running.platform.store.create_tenant(tenant)
    running.platform.keys.replace({signer.key_id: signer.private.public_key()})
    running.platform.revocations.replace([])
    try:
        yield running
    finally:
        await running.platform.lifecycle.stop()
