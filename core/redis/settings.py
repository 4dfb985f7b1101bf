"""Settings of Redis."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from core.config import Secret, setting
from core.redis import urls
from core.redis.urls import RedisAddress

_PREFIX = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """Redis, for CACHE_PROVIDER=redis"""

    url: Secret | None = setting(
        "REDIS_URL",
        default=None,
        help="Address of Redis 6.2 or later, as redis://user:password@host:6379/0; rediss:// with TLS. Sentinel: "
        "redis+sentinel://host1:26379,host2:26379/mymaster. Cluster: redis+cluster://host1:6379,host2:6379.",
    )
    password_file: Path | None = setting(
        "PORTICO_REDIS_PASSWORD_FILE", default=None, help="File that holds the password, instead of the URL."
    )
    ca_file: Path | None = setting(
        "PORTICO_REDIS_CA_FILE",
        default=None,
        help="Authorities that may sign the server's certificate; empty: the system's.",
    )
    cert_file: Path | None = setting(
        "PORTICO_REDIS_CERT_FILE", default=None, help="Client certificate, where the server asks for one."
    )
    key_file: Path | None = setting("PORTICO_REDIS_KEY_FILE", default=None, help="Private key of that certificate.")
    prefix: str = setting(
        "PORTICO_REDIS_PREFIX",
        default="portico",
        min=1,
        max=32,
        help="Begin of the names of all keys, where several installations share a server.",
    )
    pool: int = setting(
        "PORTICO_REDIS_POOL", default=50, min=1, max=1000, help="Connections to each Redis server, per service."
    )
    seconds: float = setting(
        "PORTICO_REDIS_SECONDS", default=1.0, min=0.05, max=30, help="Time limit of one call, connecting included."
    )

    def __post_init__(self) -> None:
        if not _PREFIX.fullmatch(self.prefix):
            raise ValueError("PORTICO_REDIS_PREFIX must be letters, digits, '_' or '-'")
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("PORTICO_REDIS_CERT_FILE and PORTICO_REDIS_KEY_FILE must be set together")
        if self.url is not None:
            self.address()

    def address(self) -> RedisAddress:
        """The address with its password. Raises ValueError where there is none, or it cannot be used."""
        if self.url is None:
            raise ValueError("REDIS_URL is missing: CACHE_PROVIDER=redis needs the address of a server")
        try:
            address = urls.parse(self.url.reveal())
        except ValueError as error:
            raise ValueError(f"REDIS_URL {error}") from None
        files = {"PORTICO_REDIS_CA_FILE": self.ca_file, "PORTICO_REDIS_CERT_FILE": self.cert_file}
        for name, file in files.items():
            if file is not None and not address.tls:
                raise ValueError(f"{name} is of no use without TLS: begin REDIS_URL with rediss")
        if self.password_file is None:
            return address
        if address.password is not None:
            raise ValueError("a password in REDIS_URL and PORTICO_REDIS_PASSWORD_FILE cannot both be set")
        try:
            return replace(address, password=self.password_file.read_text().strip())
        except (OSError, UnicodeDecodeError):
            raise ValueError("the file of PORTICO_REDIS_PASSWORD_FILE cannot be read") from None
