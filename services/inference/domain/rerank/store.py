"""The rerankers of a project."""

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from uuid import uuid4

import msgspec

from core import fields
from core.audit import changes as audit
from core.errors import Conflict, NotFound
from core.storage.keys import insert_with_key
from core.storage.ports import DocumentStore
from core.storage.references import referring
from core.storage.table import Table
from core.tenancy import Project
from services.inference.domain.catalogue.models import LLM, RERANK, Models
from services.inference.domain.rerank.records import (
    MODEL,
    STATUSES,
    STRATEGIES,
    NewReranker,
    Reranker,
    RerankerChanges,
    checked,
)
from services.inference.domain.tables import RERANKERS


class Rerankers:
    """Use cases of rerankers. Each takes the project first; another project's records do not exist for it."""

    def __init__(self, store: DocumentStore, models: Models) -> None:
        self._table = Table(store, RERANKERS, Reranker)
        self._models = models

    async def create(self, project: Project, new: NewReranker) -> Reranker:
        """Create a reranker. Raises Conflict (the key), NotFound (the model), InvalidInput."""
        now = time.time()
        key = fields.key("key", new.key) if new.key else ""
        values = {**asdict(new), "config": new.config, "key": key}
        record = checked(Reranker(id=f"rrk_{uuid4().hex}", created_at=now, updated_at=now, **values))
        await self._check_model(project, record)
        return await referring(
            lambda: insert_with_key(
                self._table,
                project,
                lambda free: msgspec.structs.replace(record, key=free),
                record.key,
                fields.slug(record.name, "reranker"),
            ),
            check=lambda made: self._check_model(project, made),
            undo=lambda made: self._table.delete(project, made.id),
        )

    async def get(self, project: Project, key: str) -> Reranker:
        """The reranker of this key. Raises NotFound."""
        record = await self._table.find_one(project, {"key": key}) if key else None
        if record is None:
            raise NotFound("There is no such reranker in this project.", reason="RERANKER_NOT_FOUND", field="key")
        return record

    async def list(
        self, project: Project, *, strategy: str = "", status: str = "", size: int = 0, token: str = ""
    ) -> tuple[list[Reranker], str]:
        """One page, newest first, and the token of the next."""
        where: dict[str, Any] = {}
        if strategy:
            where["strategy"] = fields.one_of("strategy", strategy, STRATEGIES)
        if status:
            where["status"] = fields.one_of("status", status, STATUSES)
        limit = fields.page_size(size, fields.MAX_PAGE)
        return await self._table.page(project, where, page_size=limit, page_token=token)

    async def update(self, project: Project, key: str, changes: RerankerChanges) -> Reranker:
        """Change a reranker. Raises NotFound, Conflict, InvalidInput."""
        old = await self.get(project, key)
        given = {name: getattr(changes, name) for name in RerankerChanges.__dataclass_fields__}
        given = {name: value for name, value in given.items() if value is not None}
        changed = checked(msgspec.structs.replace(old, **given))
        await self._check_model(project, changed)
        fresh: Mapping[str, Any] = {name: getattr(changed, name) for name in given}

        async def write() -> Reranker | None:
            where = {"updatedAt": old.updated_at}
            return await self._table.update(project, old.id, where=where, **fresh, updated_at=time.time())

        async def undo(_: Reranker | None) -> None:
            before = {name: getattr(old, name) for name in given}
            await self._table.update(project, old.id, **before, updated_at=time.time())

        updated = await referring(write, check=lambda _: self._check_model(project, changed), undo=undo)
        if updated is None:
            raise Conflict("The reranker is being changed by others. Try again.", reason="CHANGED_MEANWHILE")
        return updated

    async def delete(self, project: Project, key: str) -> None:
        """Delete a reranker. Raises NotFound."""
        record = await self.get(project, key)
        audit.change().resource_id = record.key
        await self._table.delete(project, record.id)

    async def _check_model(self, project: Project, record: Reranker) -> None:
        if record.model_key:
            category = RERANK if record.strategy == MODEL else LLM
            await self._models.check_open(project, record.model_key, category, "modelKey")
