"""The origin of a provider: the checked parts of its base URL."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from core.errors import InvalidInput

_URL = re.compile(r"(?:http|https)://[^\s/?#@\\]+(?:/[!-~]*)?", re.IGNORECASE)
HOST_NAME = re.compile(r"(?!-)[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Origin:
    """`host` is lower-case ASCII, an IPv6 address without brackets; `path` is what comes before each request's own."""

    scheme: str
    host: str
    port: int
    path: str = ""

    @classmethod
    def parse(cls, url: str, *, field: str = "baseUrl") -> Self:
        """Parse a base URL. Raises InvalidInput, naming `field`, unless the URL is http(s)://host[:port][/path] and no
        more."""
        refusal = InvalidInput(
            f"{field} must look like https://host[:port]/path, without user, query or '#'.", field=field
        )
        if not _URL.fullmatch(url):
            raise refusal
        try:
            parts = urlsplit(url)
            host = _host(parts.hostname or "")
            port = parts.port
        except ValueError:
            raise refusal from None
        if parts.query or parts.fragment or port == 0 or not host:
            raise refusal
        scheme = parts.scheme.lower()
        return cls(scheme, host, port or _DEFAULT_PORTS[scheme], parts.path.rstrip("/"))

    @property
    def secure(self) -> bool:
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def host_name(text: str) -> str:
    """A host's name, or an IPv4 address, in lower-case ASCII. Raises ValueError for what is neither."""
    name = (text.encode("idna").decode() if not text.isascii() else text).lower()
    if len(name) > 253 or not HOST_NAME.fullmatch(name):
        raise ValueError("not a host name")
    return name


def _host(text: str) -> str:
    return str(ipaddress.IPv6Address(text)) if ":" in text else host_name(text)
