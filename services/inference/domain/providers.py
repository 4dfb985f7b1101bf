"""The model providers of a project: where its models run."""

from collections.abc import Mapping

from core.providers import providers
from core.providers.drivers import Values
from core.providers.providers import Changed
from core.sealing import Sealer
from core.storage.ports import DocumentStore
from services.inference.domain.drivers import DRIVERS, Driver
from services.inference.domain.tables import PROVIDERS
from services.inference.ports import CheckUrl


class Providers(providers.Providers[Driver]):
    def __init__(
        self,
        store: DocumentStore,
        sealer: Sealer,
        check_url: CheckUrl,
        changed: Changed,
        drivers: Mapping[str, Driver] = DRIVERS,
    ) -> None:
        """`drivers` are those that this installation offers, by id."""

        async def check_address(driver: Driver, credentials: Values, settings: Values) -> None:
            """Only a URL that the tenant gave needs the guard's opinion: the drivers' own are public."""
            if "baseUrl" in settings:
                await check_url(settings["baseUrl"], "settings.baseUrl")

        super().__init__(store, PROVIDERS, sealer, drivers, check_address, changed, users="models")
