"""What operators do beside the running service, on the same store."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from core import config, logs
from core.config import ConfigError
from core.errors import PorticoError
from core.sealing import Sealer
from core.storage.factory import StoreSettings, make_store
from core.storage.ports import Collection, DocumentStore, Level
from core.tenancy import MAIN, EveryProject, Project, Tenant
from services.inference.domain.providers import Providers, provider_of
from services.inference.domain.tables import PROVIDERS, Table
from services.inference.settings import Settings

_TENANTS = Collection("tenants", Level.MAIN, unique=(("slug",),))
"""The registry, which auth keeps; only read here."""
_PAGE = 500


@dataclass(frozen=True)
class CommandSettings:
    """What the commands read."""

    store: StoreSettings
    inference: Settings


def run(env: Mapping[str, str]) -> int:
    """Rotates the credentials. 0: all are sealed with the primary key; 1: some could not be; 2: configuration."""
    try:
        settings = config.load(CommandSettings, env)
        sealer = settings.inference.sealing.sealer()
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    logs.configure("inference", "warning", "pretty")
    return asyncio.run(_rotate(settings.store, sealer))


async def _rotate(settings: StoreSettings, sealer: Sealer) -> int:
    store = make_store(settings)
    failed = 0
    try:
        async for tenant in _tenants(store):
            failed += await rotate_tenant(store, sealer, tenant)
    finally:
        await store.close()
    return 1 if failed else 0


async def rotate_tenant(store: DocumentStore, sealer: Sealer, tenant: Tenant) -> int:
    """Seals the tenant's credentials with the primary key and says how it went. Returns how many could not be."""
    providers = Providers(store, sealer, _no_check, lambda project: None)
    sealed = kept = failed = 0
    table, token = Table(store, PROVIDERS), ""
    while True:
        page = await table.page(EveryProject(tenant), {}, _PAGE, token)
        for document in page.items:
            provider, project = provider_of(document), Project(tenant, document["project"])
            try:
                changed = await providers.reseal(project, provider)
            except PorticoError as error:
                failed += 1
                sys.stderr.write(f"{tenant.slug}: provider {provider.key} of {project.id}: {error.reason}\n")
            else:
                sealed, kept = sealed + changed, kept + (not changed)
        token = page.next_token
        if not token:
            sys.stdout.write(f"{tenant.slug}: {sealed} sealed anew, {kept} left as they are, {failed} failed\n")
            return failed


async def _tenants(store: DocumentStore) -> AsyncIterator[Tenant]:
    await store.prepare(MAIN, [_TENANTS])
    token = ""
    while True:
        page = await store.find(MAIN, _TENANTS, page_size=_PAGE, page_token=token)
        for document in page.items:
            yield Tenant(document["slug"])
        token = page.next_token
        if not token:
            return


async def _no_check(url: str, field: str) -> None:
    """Nothing is called here."""
