"""A process that migrates the models of a folder and stops half-way, for tests that kill it: `python -m
tests.support.migration_process FOLDER LEASE`. It prints `half-way` when it has changed some of them."""

import asyncio
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.storage.sqlite import SqliteStore
from core.tenancy import AllProjects, Tenant
from services.inference.domain.catalogue.migrations import MIGRATIONS
from services.inference.domain.tables import MODELS
from tests.support.stores import schema_of

CHANGED = 3


class StopsHalfway(SqliteStore):
    left = CHANGED

    async def update(self, scope: Any, collection: Any, *args: Any, **kwargs: Any) -> Any:
        if collection is MODELS:
            if not self.left:
                print("half-way", flush=True)
                await asyncio.Event().wait()
            self.left -= 1
        return await super().update(scope, collection, *args, **kwargs)


async def main(folder: Path, lease: float) -> None:
    store = StopsHalfway(folder, schema_of("inference", replace(MIGRATIONS, lease_seconds=lease)))
    await store.count(AllProjects(Tenant("acme")), MODELS)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), float(sys.argv[2])))
