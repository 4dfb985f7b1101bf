"""The word lists of a project."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any
from uuid import uuid4

import msgspec

from core import fields
from core.audit import changes as audit
from core.errors import FailedPrecondition, InvalidInput, NotFound
from core.offload import offload
from core.project_changes import ProjectChanges
from core.storage.keys import insert_with_key
from core.storage.ports import Cond, DocumentStore, Op
from core.storage.references import delete_unreferenced
from core.storage.table import Table
from core.tenancy import Project
from services.inference.domain.guardrails.records import NewWordList, WordList, WordListChanges
from services.inference.domain.guardrails.words import MAX_WORD, MAX_WORDS
from services.inference.domain.tables import GUARDRAILS, WORD_LISTS

MAX_BYTES = 2 * 1024 * 1024
"""Most bytes of all words of one list."""
MAX_PAGE = 10
"""Most lists of a page: all their words are read for it."""


class WordLists:
    """Use cases of word lists. Each takes the project first; another project's records do not exist for it."""

    def __init__(self, store: DocumentStore) -> None:
        self._store = store
        self._table = Table(store, WORD_LISTS, WordList)
        self.changes = ProjectChanges()

    async def create(self, project: Project, new: NewWordList) -> WordList:
        """Create a list. Raises Conflict (the key), InvalidInput."""
        name = fields.text("name", new.name, at_least=1, at_most=200)
        now = time.time()
        record = WordList(
            id=f"gwl_{uuid4().hex}",
            key=fields.key("key", new.key) if new.key else "",
            name=name,
            description=fields.text("description", new.description, at_most=2000),
            language=fields.text("language", new.language, at_most=16),
            words=await _checked("words", new.words),
            created_at=now,
            updated_at=now,
        )
        created = await insert_with_key(
            self._table,
            project,
            lambda key: msgspec.structs.replace(record, key=key),
            record.key,
            fields.slug(name, "words"),
        )
        self.changes.publish(project)
        return created

    async def get(self, project: Project, key: str, *, field: str = "key") -> WordList:
        """The list of this key. Raises NotFound."""
        record = await self._table.find_one(project, {"key": key}) if key else None
        if record is None:
            raise NotFound("There is no such word list in this project.", reason="WORD_LIST_NOT_FOUND", field=field)
        return record

    async def list(self, project: Project, *, size: int = 0, token: str = "") -> tuple[list[WordList], str]:
        """One page, newest first, and the token of the next."""
        limit = fields.between("pageSize", size, 1, MAX_PAGE, default=MAX_PAGE)
        return await self._table.page(project, page_size=limit, page_token=token)

    async def update(self, project: Project, key: str, changes: WordListChanges) -> WordList:
        """Change a list. Raises NotFound, InvalidInput."""
        given = {name: value for name, value in asdict(changes).items() if value is not None}
        fresh: dict[str, Any] = {"updated_at": time.time()}
        if "name" in given:
            fresh["name"] = fields.text("name", given["name"], at_least=1, at_most=200)
        if "description" in given:
            fresh["description"] = fields.text("description", given["description"], at_most=2000)
        if "language" in given:
            fresh["language"] = fields.text("language", given["language"], at_most=16)
        if "words" in given:
            fresh["words"] = await _checked("words", given["words"])
        old = await self.get(project, key)
        updated = await self._table.update(project, old.id, **fresh)
        if updated is None:
            raise NotFound("The word list has been deleted.", reason="WORD_LIST_NOT_FOUND", field="key")
        self.changes.publish(project)
        return updated

    async def delete(self, project: Project, key: str) -> None:
        """Delete a list. Raises NotFound, FailedPrecondition where a guardrail uses it."""
        record = await self.get(project, key)
        audit.change().resource_id = record.key
        used = await delete_unreferenced(
            self._table,
            project,
            record.id,
            lambda: self._store.count(project, GUARDRAILS, {"wordLists": Cond(Op.CONTAINS, record.key)}),
        )
        if used:
            raise FailedPrecondition(
                f"The word list is in use (guardrails: {used}). Take it out of them first.",
                reason="WORD_LIST_IN_USE",
                field="key",
            )
        self.changes.publish(project)

    async def unchanged(self, project: Project, times: Iterable[tuple[str, float | None]]) -> bool:
        """Return whether the lists of these keys were last changed at these times; None: there is no such list. Reads
        no words: lists in use are asked for every few seconds, and have megabytes."""
        for key, time_ in times:
            where = {"key": key} if time_ is None else {"key": key, "updatedAt": time_}
            if await self._store.count(project, WORD_LISTS, where) != (time_ is not None):
                return False
        return True

    async def check_open(self, project: Project, keys: Iterable[str], field: str) -> None:
        """Check that all lists exist and none is being deleted. Raises NotFound."""
        for key in keys:
            if (await self.get(project, key, field=field)).closing:
                raise NotFound("The word list is being deleted.", reason="WORD_LIST_NOT_FOUND", field=field)


async def _checked(field: str, words: Sequence[str]) -> tuple[str, ...]:
    return await offload(lambda: checked_words(field, words), len(words), above=500)


def checked_words(field: str, words: Iterable[str], at_most: int = MAX_WORDS) -> tuple[str, ...]:
    """Words without space around them and without repetitions. Raises InvalidInput, which names the field."""
    found = tuple(dict.fromkeys(stripped for word in words if (stripped := word.strip())))
    fields.count(field, found, at_most)
    if any(len(word) > MAX_WORD for word in found):
        raise InvalidInput(f"{field} must hold words of at most {MAX_WORD} characters.", field=field)
    if sum(len(word.encode(errors="replace")) for word in found) > MAX_BYTES:
        raise InvalidInput(f"{field} must have at most {MAX_BYTES} bytes in all.", field=field)
    return found
