"""Providers of any driver, on a store in memory."""

from collections.abc import Mapping

from core.http.guard import OutboundGuard
from core.providers.drivers import Driver
from core.providers.providers import Providers
from core.providers.records import NewProvider, collection
from core.sealing import Sealer, generate_key
from core.tenancy import Project, Tenant
from tests.support.stores import MemoryStore

_PROJECT = Project(Tenant("acme"), "p1")
_SEALER = Sealer.from_settings(generate_key())


class AnyHost:
    """A guard that lets every address pass."""

    async def validate_host(self, host: str, port: int, *, field: str) -> None: ...


async def configure(
    driver: Driver, credentials: Mapping[str, str], settings: Mapping[str, str], guard: OutboundGuard
) -> None:
    """Make a provider, with all checks. Raises InvalidInput."""
    providers = Providers(MemoryStore(), collection("providers"), _SEALER, {driver.id: driver}, guard, users="")
    await providers.create(_PROJECT, NewProvider(driver.id, "P", credentials=credentials, settings=settings))
