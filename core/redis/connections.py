"""Clients of the library `redis` for a single server, Sentinel and Cluster."""

from typing import Any

from redis.asyncio import Redis, RedisCluster, Sentinel
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from core.redis.settings import RedisSettings
from core.redis.urls import Mode, RedisAddress

LibraryClient = Redis | RedisCluster


def open_client(address: RedisAddress, settings: RedisSettings, connections: int) -> LibraryClient:
    """A client that connects when it is first used. The library tries nothing again: it cannot know which commands may
    be repeated. `connections` bounds those to each server."""
    tls = _tls(settings) if address.tls else {}
    common: dict[str, Any] = {
        **tls,
        "username": address.user,
        "password": address.password,
        "socket_timeout": settings.seconds,
        "socket_connect_timeout": settings.seconds,
        "max_connections": connections,
        "protocol": 2,
        "retry": Retry(NoBackoff(), 0),
        "driver_info": None,  # two commands less for each connection
    }
    match address.mode:
        case Mode.SINGLE:
            host, port = address.hosts[0]
            return Redis(host=host, port=port, db=address.database, **common)
        case Mode.SENTINEL:
            own = {"username": address.sentinel_user, "password": address.sentinel_password, "max_connections": 2}
            sentinel = Sentinel(list(address.hosts), sentinel_kwargs={**common, **own}, db=address.database, **common)
            primary: Redis = sentinel.master_for(address.service)
            return primary
        case Mode.CLUSTER:
            return RedisCluster(startup_nodes=[ClusterNode(*host) for host in address.hosts], **common)


def _tls(settings: RedisSettings) -> dict[str, Any]:
    return {
        "ssl": True,
        "ssl_cert_reqs": "required",
        "ssl_check_hostname": True,
        "ssl_ca_certs": settings.ca_file and str(settings.ca_file),
        "ssl_certfile": settings.cert_file and str(settings.cert_file),
        "ssl_keyfile": settings.key_file and str(settings.key_file),
    }
