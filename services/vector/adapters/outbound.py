"""Where a provider's settings lead, checked before anything is connected to."""

from collections.abc import Iterator
from urllib.parse import parse_qsl, urlsplit

from core.errors import InvalidInput
from core.http.guard import OutboundGuard
from core.providers.drivers import Driver, Values

_PARAMETERS = ("sslmode", "application_name")


class AddressCheck:
    """Holds every host that a driver's values name to the guard, in whichever field it stands."""

    def __init__(self, guard: OutboundGuard) -> None:
        self._guard = guard

    async def __call__(self, driver: Driver, credentials: Values, settings: Values) -> None:
        """Raises InvalidInput, naming the field."""
        for scope, values in (("credentials", credentials), ("settings", settings)):
            for name, value in values.items():
                field = f"{scope}.{name}"
                for host, port in _hosts(name, value, field):
                    await self._check(host, port, field)

    async def _check(self, host: str, port: int, field: str) -> None:
        if not host:
            raise InvalidInput(f"{field} names no host.", field=field)
        await self._guard.validate_host(host, port, field=field)


def _hosts(name: str, value: str, field: str) -> Iterator[tuple[str, int]]:
    """Every host that a URL, a connection string or a field named host can mean."""
    if name == "host":
        yield from ((host.strip(), 0) for host in value.split(","))
    elif "://" in value:
        try:
            parts = urlsplit(value)
        except ValueError:
            raise InvalidInput(f"{field} is not a URL.", field=field) from None
        for key, _ in parse_qsl(parts.query, keep_blank_values=True):
            if key not in _PARAMETERS:  # others name further hosts, or files of this machine
                raise InvalidInput(f"{field} may have the parameters {', '.join(_PARAMETERS)} alone.", field=field)
        yield from (_host_and_port(server) for server in parts.netloc.rpartition("@")[2].split(","))


def _host_and_port(server: str) -> tuple[str, int]:
    """Of host, host:port or [address]:port."""
    parts = urlsplit(f"//{server}")
    try:
        return parts.hostname or "", parts.port or 0
    except ValueError:
        return "", 0  # no host has this name
