"""Where a provider's settings lead, checked before anything is connected to."""

from core.http.guard import OutboundGuard
from core.providers.drivers import Values
from services.vector.ports import Driver


class AddressCheck:
    """Holds every server that a provider leads to against the guard."""

    def __init__(self, guard: OutboundGuard) -> None:
        self._guard = guard

    async def __call__(self, driver: Driver, credentials: Values, settings: Values) -> None:
        """Raises InvalidInput, naming the field."""
        for host in driver.hosts(credentials, settings):
            await self._guard.validate_host(host.name, host.port, field=host.field)
