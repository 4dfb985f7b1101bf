"""The model providers of a project: where its models run."""

from collections.abc import Mapping

from core.providers import providers
from core.providers.providers import HostGuard
from core.sealing import Sealer
from core.storage.ports import DocumentStore
from services.inference.domain.catalogue.drivers import DRIVERS, ModelDriver
from services.inference.domain.tables import PROVIDERS


class ModelProviders(providers.Providers[ModelDriver]):
    def __init__(
        self,
        store: DocumentStore,
        sealer: Sealer,
        guard: HostGuard,
        drivers: Mapping[str, ModelDriver] = DRIVERS,
    ) -> None:
        """`drivers` are those that this installation offers, by id."""
        super().__init__(store, PROVIDERS, sealer, drivers, guard, users="models")
