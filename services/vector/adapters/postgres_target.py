"""The target of a PostgreSQL connection, from a connection string or single fields."""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self
from urllib.parse import parse_qsl, unquote, urlsplit

from core.errors import InvalidInput
from core.http.origin import host_name
from core.providers.drivers import Host, Values

STRING = "credentials.connectionString"
_PORT = 5432
_SCHEMES = ("postgres", "postgresql")
_PARAMETERS = ("sslmode", "application_name")
_SERVER = re.compile(r"(\[[^\[\]@]+\]|[^\[\]:@]*)(?::([0-9]{1,5}))?")
_MAX_SERVERS = 8


class TlsMode(StrEnum):
    """TLS modes as in libpq, whose `allow` is `prefer` here."""

    DISABLE = "disable"
    PREFER = "prefer"
    """TLS, unless the server has none. Certificates are not verified."""
    REQUIRE = "require"
    """Certificates are not verified."""
    VERIFY_CA = "verify-ca"
    VERIFY_FULL = "verify-full"

    @classmethod
    def parse(cls, text: str, field: str) -> "TlsMode":
        """Parse a TLS mode. Raises InvalidInput, naming the field."""
        try:
            return cls.PREFER if text == "allow" else cls(text)
        except ValueError:
            raise InvalidInput(f"{field} is one of {', '.join(cls)}.", field=field) from None


@dataclass(frozen=True, slots=True)
class PostgresTarget:
    """`hosts` are tried in order."""

    hosts: Sequence[Host]
    user: str
    database: str
    password: str = field(default="", repr=False)
    tls: TlsMode = TlsMode.PREFER
    settings: Mapping[str, str] = field(default_factory=dict)
    """Settings sent to the server when a connection starts."""

    @classmethod
    def of(cls, credentials: Values, settings: Values) -> Self:
        """The target of a provider's fields. Raises InvalidInput, naming the field."""
        tls = TlsMode.parse(settings["ssl"], "settings.ssl") if "ssl" in settings else None
        if "connectionString" in credentials:
            return cls._of_string(credentials["connectionString"], tls)
        for name in ("host", "database", "user"):
            if name not in settings:
                raise InvalidInput(f"Give a connectionString, or {name} and the others.", field=f"settings.{name}")
        path = "settings.host"
        host = Host(_checked_host(settings["host"], path), int(settings.get("port", _PORT)), path)
        password = credentials.get("password", "")
        return cls((host,), settings["user"], settings["database"], password, tls or TlsMode.PREFER)

    @classmethod
    def _of_string(cls, text: str, tls: TlsMode | None) -> Self:
        """The target of a connection string. Raises InvalidInput. Parameters that name further hosts, or files of this
        machine, are refused."""
        try:
            parts = urlsplit(text)
        except ValueError:
            raise _refusal("is not a URL") from None
        if parts.scheme not in _SCHEMES or parts.fragment:
            raise _refusal("must look like postgresql://user:password@host:port/database")
        sign_in, _, servers = parts.netloc.rpartition("@")
        user, _, password = sign_in.partition(":")
        database = unquote(parts.path.removeprefix("/")) or unquote(user)
        if not user:
            raise _refusal("names no user")
        parameters = dict(parse_qsl(parts.query, keep_blank_values=True))
        if not parameters.keys() <= set(_PARAMETERS):
            raise _refusal(f"may have the parameters {', '.join(_PARAMETERS)} alone")
        mode = parameters.get("sslmode")
        tls = tls or (TlsMode.parse(mode, STRING) if mode else TlsMode.PREFER)
        name = parameters.get("application_name")
        hosts = tuple(map(_host_of, servers.split(",")[: _MAX_SERVERS + 1]))
        if len(hosts) > _MAX_SERVERS:
            raise _refusal(f"names more than {_MAX_SERVERS} hosts")
        settings = {"application_name": name} if name else {}
        return cls(hosts, unquote(user), database, unquote(password), tls, settings)


def _host_of(server: str) -> Host:
    """Parse host, host:port or [address]:port."""
    found = _SERVER.fullmatch(server)
    if found is None:
        raise _refusal("names a host that is none")
    host, port = found[1].strip("[]"), int(found[2] or _PORT)
    if not 1 <= port <= 65535:
        raise _refusal("names a port that is none")
    return Host(_checked_host(host, STRING), port, STRING)


def _checked_host(host: str, field: str) -> str:
    """Check a host. Raises InvalidInput, naming the field, for what is neither a name nor an address: a socket's path,
    a list."""
    if not host:
        raise InvalidInput(f"{field} names no host.", field=field)
    try:
        return str(ipaddress.IPv6Address(host)) if ":" in host else host_name(host)
    except ValueError:
        raise InvalidInput(f"{field} must be the name or the address of one host.", field=field) from None


def _refusal(what: str) -> InvalidInput:
    return InvalidInput(f"{STRING} {what}.", field=STRING)
