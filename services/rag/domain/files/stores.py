"""The stores behind the providers: the local folder is the service's own, others are kept open for a while."""

from core.providers.runtimes import RuntimeKey, Runtimes
from core.runtime_pool import RuntimePool
from services.rag.domain.files.providers import LOCAL, FileProviders
from services.rag.ports import FileStore


class Stores(Runtimes[FileStore]):
    def __init__(self, providers: FileProviders, local: FileStore, pool: RuntimePool[RuntimeKey, FileStore]) -> None:
        super().__init__(pool, providers.open, {LOCAL: local}, providers.changes)
