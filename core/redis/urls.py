"""Connection strings of Redis: a single server, Sentinel or Cluster.

    redis://user:password@host:6379/0                        rediss:// with TLS
    redis+sentinel://user:password@h1:26379,h2/mymaster/0    rediss+sentinel:// with TLS to servers and sentinels
    redis+cluster://user:password@h1:6379,h2                 rediss+cluster:// with TLS

`?sentinel_user=...&sentinel_password=...` is for sentinels that have a password of their own. User names and passwords
are percent-encoded where they hold characters that a URL cannot.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from urllib.parse import parse_qsl, unquote, urlsplit

PORT = 6379
SENTINEL_PORT = 26379
_SCHEME = re.compile(r"(rediss?)(?:\+(sentinel|cluster))?")
_HOST = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::(\d{1,5}))?|([^:\[\]\s]+)(?::(\d{1,5}))?")
_SERVICE = re.compile(r"[A-Za-z0-9._-]+")
_QUERY = ("sentinel_user", "sentinel_password")


class Mode(Enum):
    SINGLE = "single server"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """A parsed connection string. `hosts` are those of the server, the sentinels or some nodes of the cluster."""

    mode: Mode
    tls: bool
    hosts: Sequence[tuple[str, int]]
    user: str | None = None
    password: str | None = None
    database: int = 0
    service: str = ""
    """Name of the primary that the sentinels watch."""
    sentinel_user: str | None = None
    sentinel_password: str | None = None

    def __repr__(self) -> str:
        return f"RedisAddress({self.mode.value}, {len(self.hosts)} hosts)"


def parse(url: str) -> RedisAddress:
    """Parse a connection string. Raises ValueError, which does not show it: it may hold a password."""
    try:
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:
        raise ValueError("is not a URL") from None
    scheme = _SCHEME.fullmatch(parts.scheme)
    if scheme is None or parts.fragment:
        raise ValueError("must begin with redis:// or rediss://, redis+sentinel:// or redis+cluster://")
    mode = Mode(scheme[2]) if scheme[2] else Mode.SINGLE
    if set(query) - set(_QUERY) or (query and mode is not Mode.SENTINEL):
        raise ValueError(f"takes only {' and '.join(_QUERY)} after its question mark, and these for sentinels")
    login, _, places = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    service, database = _path(mode, parts.path)
    return RedisAddress(
        mode=mode,
        tls=scheme[1] == "rediss",
        hosts=_hosts(places, SENTINEL_PORT if mode is Mode.SENTINEL else PORT, several=mode is not Mode.SINGLE),
        user=unquote(user) or None,
        password=unquote(password) or None,
        database=database,
        service=service,
        sentinel_user=query.get("sentinel_user") or None,
        sentinel_password=query.get("sentinel_password") or None,
    )


def _hosts(places: str, port: int, *, several: bool) -> Sequence[tuple[str, int]]:
    hosts = []
    for place in places.split(","):
        found = _HOST.fullmatch(place)
        if found is None:
            raise ValueError("must name a host, as in redis://host:6379")
        number = int(found[2] or found[4] or port)
        if not 0 < number < 65536:
            raise ValueError("has a port that is not from 1 to 65535")
        hosts.append((found[1] or found[3], number))
    if len(hosts) > 1 and not several:
        raise ValueError("names several hosts: begin it with redis+sentinel:// or redis+cluster://")
    return tuple(hosts)


def _path(mode: Mode, path: str) -> tuple[str, int]:
    """The service and the number of the database."""
    parts = [unquote(part) for part in path.strip("/").split("/") if part]
    service = ""
    if mode is Mode.SENTINEL:
        if not parts or not _SERVICE.fullmatch(parts[0]):
            raise ValueError(
                "must name the primary that the sentinels watch, as in redis+sentinel://host:26379/mymaster"
            )
        service = parts.pop(0)
    if not parts:
        return service, 0
    if mode is Mode.CLUSTER:
        raise ValueError("names a database, which a cluster does not have")
    if len(parts) > 1 or not re.fullmatch(r"\d{1,4}", parts[0]):
        raise ValueError("must end with the number of a database, as in redis://host:6379/0")
    return service, int(parts[0])
