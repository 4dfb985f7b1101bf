"""Where a provider's settings lead, checked before anything is connected to."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from core.errors import InvalidInput
from core.http.errors import AddressRefused
from core.http.guard import OutboundGuard
from services.vector.ports import Driver


class AddressCheck:
    """Holds every host that a driver's values name to the guard, in whichever field it stands."""

    def __init__(self, guard: OutboundGuard) -> None:
        self._guard = guard

    async def __call__(self, driver: Driver, credentials: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        """Raises InvalidInput, naming the field."""
        for scope, values in (("credentials", credentials), ("settings", settings)):
            for name, value in values.items():
                for host, port in _hosts(name, value):
                    await self._check(host, port, f"{scope}.{name}")

    async def _check(self, host: str, port: int, field: str) -> None:
        try:
            await self._guard.addresses(host, port)
        except AddressRefused:
            raise InvalidInput(
                f"{field} leads to an address that is not public. An operator can allow it.",
                field=field,
                reason="ADDRESS_REFUSED",
            ) from None
        except OSError:
            raise InvalidInput(f"The host of {field} has no address.", field=field) from None


def _hosts(name: str, value: object) -> Iterator[tuple[str, int]]:
    if not isinstance(value, str):
        return
    if name == "host":
        yield value, 0
    elif "://" in value:
        parts = urlsplit(value)
        if parts.hostname:
            yield parts.hostname, parts.port or 0
