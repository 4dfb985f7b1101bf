"""The store that the settings name."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.config import setting
from core.storage.ports import DocumentStore
from core.storage.schema import Schema
from core.storage.sqlite import SqliteStore


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Settings of the document store."""

    provider: Literal["sqlite"] = setting("DB_PROVIDER", default="sqlite", help="The engine of the document store.")
    data_dir: Path = setting("PORTICO_DATA_DIR", default=Path("data"), help="Folder of everything that is kept.")
    max_open: int = setting(
        "PORTICO_SQLITE_MAX_OPEN", default=64, min=1, max=4096, help="Tenants' databases open at once, per service."
    )


def make_store(settings: StoreSettings, schema: Schema) -> DocumentStore:
    return SqliteStore(settings.data_dir, schema, max_open=settings.max_open)
