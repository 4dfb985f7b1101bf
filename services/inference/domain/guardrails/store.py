"""The guardrails of a project."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any
from uuid import uuid4

import msgspec

from core import fields
from core.audit import changes as audit
from core.errors import Conflict, FailedPrecondition, InvalidInput, NotFound
from core.project_changes import ProjectChanges
from core.storage.keys import insert_with_key
from core.storage.ports import DocumentStore
from core.storage.references import delete_unreferenced, referring
from core.storage.table import Table
from core.tenancy import Project
from services.inference.domain.guardrails import judges
from services.inference.domain.guardrails.findings import ACTIONS, BLOCK, REDACT
from services.inference.domain.guardrails.pii import CATEGORIES
from services.inference.domain.guardrails.records import (
    CLOSED,
    CUSTOM,
    FAIL_MODES,
    GUARDRAIL_TYPES,
    TARGETS,
    Guardrail,
    GuardrailChanges,
    NewGuardrail,
    Policy,
)
from services.inference.domain.guardrails.regexes import MAX_PATTERNS, compile_pattern
from services.inference.domain.guardrails.word_lists_store import WordLists, checked_words
from services.inference.domain.guardrails.words import BUILT_IN
from services.inference.domain.tables import GUARDRAILS, MODELS

MAX_POLICY_BYTES = 64 * 1024
MAX_INLINE_WORDS = 1000
MAX_LISTS = 5
"""Word lists of one guardrail."""
_MAX_PROMPT = 16_000
_RESERVED = frozenset({"evaluate", "evaluations", "statistics", "word-lists"})
"""Keys that are paths."""


class Guardrails:
    """Use cases of guardrails. Each takes the project first; another project's records do not exist for it."""

    def __init__(self, store: DocumentStore, word_lists: WordLists) -> None:
        self._store = store
        self._table = Table(store, GUARDRAILS, Guardrail)
        self._word_lists = word_lists
        self.changes = ProjectChanges()

    async def create(self, project: Project, new: NewGuardrail) -> Guardrail:
        """Create a guardrail. Raises Conflict (the key), NotFound (a word list), InvalidInput."""
        if new.key in _RESERVED:
            raise InvalidInput(f"key must not be {new.key}.", field="key")
        now = time.time()
        record = _checked(
            Guardrail(
                id=f"grd_{uuid4().hex}",
                key=fields.key("key", new.key) if new.key else "",
                name=fields.text("name", new.name, at_least=1, at_most=200),
                type=fields.one_of("type", new.type, GUARDRAIL_TYPES),
                description=fields.text("description", new.description, at_most=2000),
                target=fields.one_of("target", new.target or "both", TARGETS),
                action=fields.one_of("action", new.action or BLOCK, ACTIONS),
                enabled=new.enabled,
                fail_mode=fields.one_of("failMode", new.fail_mode or CLOSED, FAIL_MODES),
                model_key=fields.text("modelKey", new.model_key, at_most=128),
                custom_prompt=fields.text("customPrompt", new.custom_prompt, at_most=_MAX_PROMPT),
                policy=read_policy(new.policy),
                metadata=fields.small_json("metadata", new.metadata),
                created_at=now,
                updated_at=now,
            )
        )
        created = await referring(
            lambda: insert_with_key(
                self._table,
                project,
                lambda key: msgspec.structs.replace(record, key=key),
                record.key,
                fields.slug(f"{record.name} guardrail" if record.name in _RESERVED else record.name, "guardrail"),
            ),
            check=lambda made: self._check_referred(project, made),
            undo=lambda made: self._table.delete(project, made.id),
        )
        self.changes.publish(project)
        return created

    async def get(self, project: Project, key: str, *, field: str = "key") -> Guardrail:
        """The guardrail of this key. Raises NotFound."""
        record = await self.by_key(project, key)
        if record is None:
            raise NotFound("There is no such guardrail in this project.", reason="GUARDRAIL_NOT_FOUND", field=field)
        return record

    async def by_key(self, project: Project, key: str) -> Guardrail | None:
        return await self._table.find_one(project, {"key": key}) if key else None

    async def check_open(self, project: Project, key: str, field: str) -> None:
        """Check that a record may refer to this guardrail. Raises NotFound."""
        if (await self.get(project, key, field=field)).closing:
            raise NotFound("The guardrail is being deleted.", reason="GUARDRAIL_NOT_FOUND", field=field)

    async def list(
        self, project: Project, *, type: str = "", enabled: bool | None = None, size: int = 0, token: str = ""
    ) -> tuple[list[Guardrail], str]:
        """One page, newest first, and the token of the next."""
        where: dict[str, Any] = {}
        if type:
            where["type"] = fields.one_of("type", type, GUARDRAIL_TYPES)
        if enabled is not None:
            where["enabled"] = enabled
        return await self._table.page(project, where, page_size=fields.page_size(size), page_token=token)

    async def moderating(self, project: Project) -> Guardrail | None:
        """The oldest enabled guardrail that moderates."""
        async for each in self._table.scan(project, {"enabled": True}):
            if each.policy.moderation.enabled:
                return each
        return None

    async def update(self, project: Project, key: str, changes: GuardrailChanges) -> Guardrail:
        """Change a guardrail. Raises NotFound, Conflict, InvalidInput."""
        given = {name: value for name, value in asdict(changes).items() if value is not None}
        old = await self.get(project, key)
        changed = _checked(_changed(old, given))
        fresh = {name: getattr(changed, name) for name in (*given, "word_lists")}

        async def write() -> Guardrail | None:
            where = {"updatedAt": old.updated_at}
            return await self._table.update(project, old.id, where=where, **fresh, updated_at=time.time())

        async def undo(_: Guardrail | None) -> None:
            before = {name: getattr(old, name) for name in fresh}
            await self._table.update(project, old.id, **before, updated_at=time.time())
            self.changes.publish(project)

        updated = await referring(write, check=lambda _: self._check_referred(project, changed), undo=undo)
        if updated is None:
            raise Conflict("The guardrail is being changed by others. Try again.", reason="CHANGED_MEANWHILE")
        self.changes.publish(project)
        return updated

    async def delete(self, project: Project, key: str) -> None:
        """Delete a guardrail. Raises NotFound, FailedPrecondition where a model uses it."""
        record = await self.get(project, key)
        audit.change().resource_id = record.key

        async def count() -> int:
            uses = [
                await self._store.count(project, MODELS, {name: record.key})
                for name in ("inputGuardrailKey", "outputGuardrailKey")
            ]
            return sum(uses)

        if used := await delete_unreferenced(self._table, project, record.id, count):
            raise FailedPrecondition(
                f"The guardrail is in use (by models: {used}). Take it off them first.",
                reason="GUARDRAIL_IN_USE",
                field="key",
            )
        self.changes.publish(project)

    async def count_on(self, project: Project, model_key: str) -> int:
        """Count the guardrails that judge with the model."""
        used = 0
        async for each in self._table.scan(project):
            used += model_key in each.judge_keys
        return used

    async def _check_referred(self, project: Project, record: Guardrail) -> None:
        """Raises NotFound where a word list is gone, or it or a judge is being deleted. A judge may be made later."""
        for key in record.judge_keys:
            model = await self._store.find_one(project, MODELS, {"key": key})
            if model is not None and model.get("closing"):
                raise NotFound(f"The model {key[:128]} is being deleted.", reason="MODEL_NOT_FOUND", field="modelKey")
        await self._word_lists.check_open(project, record.word_lists, "policy.wordFilter.customListKeys")


def read_policy(given: Mapping[str, Any]) -> Policy:
    """A policy out of its JSON. Raises InvalidInput, which names the field."""
    try:
        return msgspec.convert(dict(given), Policy)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$.")
        place = f"policy.{path.rstrip('`')}" if path else "policy"
        raise InvalidInput(f"{place} is not valid: {text}.", field=place) from None


def _changed(old: Guardrail, given: Mapping[str, Any]) -> Guardrail:
    read: dict[str, Callable[[Any], Any]] = {
        "name": lambda value: fields.text("name", value, at_least=1, at_most=200),
        "description": lambda value: fields.text("description", value, at_most=2000),
        "target": lambda value: fields.one_of("target", value, TARGETS),
        "action": lambda value: fields.one_of("action", value, ACTIONS),
        "fail_mode": lambda value: fields.one_of("failMode", value, FAIL_MODES),
        "model_key": lambda value: fields.text("modelKey", value, at_most=128),
        "custom_prompt": lambda value: fields.text("customPrompt", value, at_most=_MAX_PROMPT),
        "policy": read_policy,
        "metadata": lambda value: fields.small_json("metadata", value),
    }
    return msgspec.structs.replace(
        old, **{name: read[name](value) if name in read else value for name, value in given.items()}
    )


def _checked(record: Guardrail) -> Guardrail:
    """Check what belongs together; fill in what follows from the policy. Raises InvalidInput."""
    if record.type == CUSTOM:
        _check_judge("modelKey", record.model_key, record.action, "")
        if not record.custom_prompt:
            raise InvalidInput("customPrompt must say what a custom guardrail judges.", field="customPrompt")
        return record
    policy = record.policy
    filter_ = policy.word_filter
    _check_known("policy.pii.categories", policy.pii.categories, CATEGORIES)
    _check_known("policy.moderation.categories", policy.moderation.categories, judges.MODERATION_CATEGORIES)
    _check_known("policy.wordFilter.builtinLists", filter_.builtin_lists, BUILT_IN)
    if policy.moderation.enabled:
        part = policy.moderation
        _check_judge("policy.moderation.modelKey", part.model_key or record.model_key, record.action, part.action)
    if policy.prompt_shield.enabled:
        shield = policy.prompt_shield
        _check_judge("policy.promptShield.modelKey", shield.model_key or record.model_key, record.action, shield.action)
    fields.count("policy.wordFilter.regexes", filter_.regexes, MAX_PATTERNS)
    for at, pattern in enumerate(filter_.regexes):
        compile_pattern(f"policy.wordFilter.regexes[{at}]", pattern)
    words = checked_words("policy.wordFilter.words", filter_.words, MAX_INLINE_WORDS)
    fields.count("policy.wordFilter.customListKeys", filter_.custom_list_keys, MAX_LISTS)
    filter_ = msgspec.structs.replace(filter_, words=words)
    return msgspec.structs.replace(
        record,
        policy=msgspec.structs.replace(policy, word_filter=filter_),
        word_lists=tuple(dict.fromkeys(filter_.custom_list_keys)),
    )


def _check_judge(field: str, model: str, action: str, own_action: str) -> None:
    if not model:
        raise InvalidInput(f"{field} must name the model that judges.", field=field)
    if (own_action or action) == REDACT:
        place = field.removesuffix("modelKey") + "action"
        raise InvalidInput(
            f"{place} must not be redact: a judge finds no places in a text. Use block, warn or flag.", field=place
        )


def _check_known(field: str, given: Mapping[str, bool], known: Sequence[str] | Mapping[str, Any]) -> None:
    for id in given:
        if id not in known:
            raise InvalidInput(f"{field} knows {', '.join(known)}, not {id[:64]}.", field=field)
