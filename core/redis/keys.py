"""Names of keys and channels in Redis. No other place makes one.

    portico:{t:acme}:p:<project>:cache:<name>       prefix, tenant, project, use, name

What stands in braces is the hash tag of Redis Cluster: all keys of a tenant lie on one node, so that a script may work
on several of them.
"""

import re
from hashlib import blake2b

from core.tenancy import AllProjects, Main, Project, Scope, Tenant

_USE = re.compile(r"[a-z][a-z-]+")
_LONGEST_NAME = 200
"""Bytes; of longer names a digest is kept."""


class RedisKeys:
    """`prefix` begins all names; several installations may share a server."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix.encode()

    def of(self, scope: Scope, use: str, name: str) -> bytes:
        """The key of `name` in the scope, for one `use` such as "cache". The name may hold any character."""
        return b"%b:%b:%b:%b" % (self._prefix, _scope(scope), _use(use), _bounded(name))

    def channel(self, scope: Scope, topic: str) -> bytes:
        """The channel of a topic, for messages about what belongs to the scope."""
        return b"%b:%b:events:%b" % (self._prefix, _scope(scope), _use(topic))

    def channels(self, topic: str) -> bytes:
        """The pattern that matches the topic's channels of every scope."""
        return b"%b:{*:events:%b" % (self._prefix, _use(topic))

    def all_of(self, tenant: Tenant) -> bytes:
        """The pattern that matches every key of a tenant."""
        return b"%b:%b:*" % (self._prefix, _scope(tenant))


def _scope(scope: Scope) -> bytes:
    match scope:
        case Main():
            return b"{main}"
        case Tenant(slug):
            return b"{t:%b}" % slug.encode()
        case AllProjects(tenant):
            return b"{t:%b}:*" % tenant.slug.encode()
        case Project(tenant, id):
            return b"{t:%b}:p:%b" % (tenant.slug.encode(), id.encode())


def _use(use: str) -> bytes:
    if not _USE.fullmatch(use):
        raise ValueError("the use of a key is two or more small letters and hyphens")
    return use.encode()


def _bounded(name: str) -> bytes:
    data = name.encode(errors="surrogatepass")
    if len(data) <= _LONGEST_NAME and not data.startswith(b"#"):
        return data
    return b"#" + blake2b(data, digest_size=16).hexdigest().encode()
