"""Clients of Redis for tests."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.config import load
from core.redis.client import RedisClient
from core.redis.settings import RedisSettings


@asynccontextmanager
async def redis_client(url: str, prefix: str = "", **env: str) -> AsyncIterator[RedisClient]:
    """A client with a prefix of its own, so that tests may share a server, and with time enough on a busy machine."""
    named = {"REDIS_URL": url, "PORTICO_REDIS_PREFIX": prefix or f"t{secrets.token_hex(4)}"}
    named["PORTICO_REDIS_SECONDS"] = "10"
    client = RedisClient(load(RedisSettings, named | env))
    try:
        yield client
    finally:
        await client.close()
