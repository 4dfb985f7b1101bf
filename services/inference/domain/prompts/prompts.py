"""The prompts of a project: their versions, and which of them each environment serves."""

import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import msgspec

from core import fields
from core.audit import changes as audit
from core.errors import Conflict, InvalidInput, NotFound
from core.project_changes import ProjectChanges
from core.storage.closed_projects import check_project_open
from core.storage.keys import insert_with_key
from core.storage.ports import Cond, DocumentStore, Op, Order
from core.storage.references import referring
from core.storage.table import Table
from core.tenancy import Project
from services.inference.domain.prompts.deployments import ACTIONS, MAX_NOTE, DeploymentRequest, deployed
from services.inference.domain.prompts.parsing import MAX_CHARACTERS
from services.inference.domain.prompts.records import ENVIRONMENTS, Prompt, PromptVersion
from services.inference.domain.prompts.tables import PROMPT_COMMENTS, PROMPT_VERSIONS, PROMPTS
from services.inference.domain.prompts.templates import compile_template

MAX_PAGE_CHARACTERS = 1024 * 1024
"""Characters of the templates of one page: it ends with the one that goes beyond."""
_MAX_READS = 20
"""Pages of the store that are read for one of prompts."""
_ATTEMPTS = 20
_KEY_OR_ID = re.compile(r"[a-z0-9_-]{1,64}")
_BY_NUMBER = Order("number")


@dataclass(frozen=True, slots=True)
class NewPrompt:
    """The values that a prompt is made from; an empty key is made from the name."""

    name: str
    template: str
    key: str = ""
    description: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    comment: str = ""


@dataclass(frozen=True, slots=True)
class PromptChanges:
    """Fields that the next version changes. None: as in the current one."""

    name: str | None = None
    template: str | None = None
    description: str | None = None
    metadata: Mapping[str, Any] | None = None
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The version of a prompt to use: that of a number, or else what an environment serves, or else the current
    one."""

    number: int | None = None
    environment: str = ""


@dataclass(frozen=True, slots=True)
class Rendered:
    """The text of a version."""

    prompt: Prompt
    version: PromptVersion
    text: str


class Prompts:
    """Use cases of prompts. Each takes the project first; another project's records do not exist for it. `changes`
    tells of every change."""

    def __init__(self, store: DocumentStore) -> None:
        self._store = store
        self._table = Table(store, PROMPTS, Prompt)
        self._versions = Table(store, PROMPT_VERSIONS, PromptVersion)
        self.changes = ProjectChanges()

    async def create(self, project: Project, new: NewPrompt, *, by: str) -> Prompt:
        """Create a prompt with its version 1. Raises Conflict (the key), InvalidInput."""
        if new.key:
            fields.key("key", new.key)
            await self._finish_deletion(project, new.key)
        now = time.time()
        id = f"prm_{uuid4().hex}"
        version = _checked(
            PromptVersion(_version_id(), id, 1, new.name, new.template, new.description, new.metadata, new.comment)
        )
        version = msgspec.structs.replace(version, created_by=by, created_at=now)
        prompt = Prompt(id, new.key, version, 1, created_by=by, created_at=now, updated_at=now)
        stem = fields.slug(version.name, "prompt")
        created = await referring(
            lambda: insert_with_key(
                self._table, project, lambda key: msgspec.structs.replace(prompt, key=key), new.key, stem
            ),
            check=lambda _: check_project_open(self._store, project),
            undo=lambda made: self._table.delete(project, made.id),
        )
        self.changes.publish(project)
        return created

    async def get(self, project: Project, key: str) -> Prompt:
        """The prompt of this key or record id. Raises NotFound."""
        prompt = await self._find(project, key)
        if prompt is None or prompt.closing is not None:
            raise _no_prompt()
        return prompt

    async def list(
        self, project: Project, search: str = "", *, size: int = 0, token: str = ""
    ) -> tuple[Sequence[Prompt], str]:
        """One page, newest first, and the token of the next. `search` is looked for in key, name and description,
        whatever the case. Raises InvalidInput."""
        limit = fields.page_size(size, fields.MAX_PAGE)
        wanted = fields.text("search", search, at_most=200).casefold()
        found: list[Prompt] = []
        for _ in range(_MAX_READS):
            page, token = await self._table.page(project, page_size=limit - len(found), page_token=token)
            found += [each for each in page if each.closing is None and _matches(each, wanted)]
            if not token or len(found) == limit or _is_long([each.current for each in found]):
                break
        return found, token

    async def resolve(self, project: Project, key: str, wanted: Wanted) -> tuple[Prompt, PromptVersion]:
        """The prompt, and the version that is wanted of it. Raises NotFound (the prompt, the version, or an environment
        that serves none), InvalidInput."""
        _check_wanted(wanted)
        prompt = await self.get(project, key)
        if wanted.number is not None:
            return prompt, await self._numbered(project, prompt, wanted.number)
        if not wanted.environment:
            return prompt, prompt.current
        deployment = prompt.deployments.get(wanted.environment)
        if deployment is None or deployment.active is None:
            raise NotFound(
                f"The prompt {prompt.key} is not deployed to {wanted.environment}. Promote a version.",
                reason="NOT_DEPLOYED",
                field="environment",
            )
        return prompt, await self.version(project, prompt, deployment.active.id)

    async def render(self, project: Project, key: str, wanted: Wanted, data: Mapping[str, Any]) -> Rendered:
        """The text of the version that is wanted. Raises as `resolve`, and InvalidInput where there is too much of
        it."""
        prompt, version = await self.resolve(project, key, wanted)
        return Rendered(prompt, version, await compile_template(version.template).render_fairly(data))

    async def version(self, project: Project, prompt: Prompt, id: str, field: str = "versionId") -> PromptVersion:
        """The version of this id. Raises NotFound, InvalidInput where there is none, both naming `field`."""
        if not id:
            raise InvalidInput(f"{field} is missing: it names a version.", field=field)
        version = prompt.current if prompt.current.id == id else await self._versions.get(project, id)
        if version is None or version.prompt_id != prompt.id:
            raise _no_version(prompt, field)
        return version

    async def versions(
        self, project: Project, key: str, *, size: int = 0, token: str = ""
    ) -> tuple[Prompt, Sequence[PromptVersion], str]:
        """The prompt, one page of its versions, newest first, and the token of the next page."""
        prompt = await self.get(project, key)
        limit = fields.page_size(size, fields.MAX_PAGE)
        below = _number_of(token) if token else prompt.last_number + 1
        found = [prompt.current] if prompt.current.number == below - 1 else []  # it may not have been copied yet
        more = True
        while more and len(found) < limit and not _is_long(found):
            where = {"promptId": prompt.id, "number": Cond(Op.LT, found[-1].number if found else below)}
            page, following = await self._versions.page(project, where, order=_BY_NUMBER, page_size=limit - len(found))
            found += page
            more = bool(following)
        more = bool(found) and found[-1].number > 1
        return prompt, found, str(found[-1].number) if more else ""

    async def update(self, project: Project, key: str, changes: PromptChanges, *, by: str) -> Prompt:
        """Make another version, the current one from now on. Raises NotFound, InvalidInput, Conflict."""

        async def next_version(prompt: Prompt) -> dict[str, Any]:
            given = {
                name: value
                for name in ("name", "template", "description", "metadata")
                if (value := getattr(changes, name)) is not None
            }
            number = prompt.last_number + 1
            version = msgspec.structs.replace(
                prompt.current,
                id=_version_id(),
                number=number,
                comment=changes.comment,
                created_by=by,
                created_at=time.time(),
                **given,
            )
            return {"current": _checked(version), "last_number": number}

        return await self._change(project, key, next_version)

    async def set_current(self, project: Project, key: str, version_id: str) -> Prompt:
        """Make an earlier version the current one. Raises NotFound, Conflict."""

        async def replaced(prompt: Prompt) -> dict[str, Any]:
            version = await self.version(project, prompt, version_id)
            return {} if version == prompt.current else {"current": version}

        return await self._change(project, key, replaced)

    async def deploy(
        self, project: Project, key: str, action: str, environment: str, version_id: str, note: str, *, by: str
    ) -> Prompt:
        """Change what an environment serves: see `deployments`. Raises NotFound (the prompt, the version),
        InvalidInput, FailedPrecondition, Conflict."""
        fields.one_of("action", action, tuple(ACTIONS))
        fields.one_of("environment", environment, ENVIRONMENTS)
        note = fields.text("note", note, at_most=MAX_NOTE)

        async def changed(prompt: Prompt) -> dict[str, Any]:
            version = await self.version(project, prompt, version_id) if version_id else None
            return deployed(prompt, DeploymentRequest(action, environment, version, note, by, time.time()))

        return await self._change(project, key, changed)

    async def delete(self, project: Project, key: str) -> None:
        """Delete a prompt with its versions and comments. Raises NotFound. What a killed process leaves of it does not
        exist for anybody, and goes when the call is repeated or the key is used again."""
        prompt = await self._find(project, key)
        if prompt is None:
            raise _no_prompt()
        audit.change().resource_id = prompt.key
        await self._table.update(project, prompt.id, closing="deleted", revision=prompt.revision + 1)
        self.changes.publish(project)
        await self._remove(project, prompt.id)

    async def _find(self, project: Project, key: str) -> Prompt | None:
        """The prompt of this key or record id, also one that is being deleted."""
        if not _KEY_OR_ID.fullmatch(key):
            return None
        return await self._table.find_one(project, {"key": key}) or await self._table.get(project, key)

    async def _finish_deletion(self, project: Project, key: str) -> None:
        left = await self._table.find_one(project, {"key": key})
        if left is not None and left.closing is not None:
            await self._remove(project, left.id)

    async def _remove(self, project: Project, id: str) -> None:
        await self._remove_parts(project, id)
        await self._table.delete(project, id)

    async def _remove_parts(self, project: Project, id: str) -> None:
        for collection in (PROMPT_VERSIONS, PROMPT_COMMENTS):
            await self._store.delete_where(project, collection, {"promptId": id})

    async def _numbered(self, project: Project, prompt: Prompt, number: int) -> PromptVersion:
        if prompt.current.number == number:
            return prompt.current
        version = await self._versions.find_one(project, {"promptId": prompt.id, "number": number})
        if version is None:
            raise _no_version(prompt, "version")
        return version

    async def _change(
        self, project: Project, key: str, change: Callable[[Prompt], Awaitable[dict[str, Any]]]
    ) -> Prompt:
        """Write what `change` makes of the prompt, unless somebody else has changed it meanwhile: then begin anew."""
        id = ""
        for _ in range(_ATTEMPTS):
            try:
                old = await self.get(project, id or key)
            except NotFound:
                if id:  # deleted meanwhile, perhaps before its current version was copied
                    await self._remove_parts(project, id)
                raise
            id = old.id
            fresh = await change(old)
            if not fresh:
                return old
            if "current" in fresh:
                await self._versions.insert_many(project, [old.current])
            where = {"revision": old.revision, "closing": None}
            new = await self._table.update(
                project, id, where=where, revision=old.revision + 1, updated_at=time.time(), **fresh
            )
            if new is not None:
                self.changes.publish(project)
                return new
        raise Conflict("The prompt is being changed by others. Try again.", reason="CHANGED_MEANWHILE")


def _version_id() -> str:
    return f"pmv_{uuid4().hex}"


def _checked(version: PromptVersion) -> PromptVersion:
    """The version with its texts cleaned. Raises InvalidInput, naming the field."""
    template = version.template
    if not template.strip():
        raise _invalid_template(f"template must have 1 to {MAX_CHARACTERS} characters.")
    if "\0" in template:
        raise _invalid_template("template holds a NUL character.")
    compile_template(template)
    return msgspec.structs.replace(
        version,
        name=fields.text("name", version.name, at_least=1, at_most=200),
        description=fields.text("description", version.description, at_most=2000),
        metadata=fields.small_json("metadata", version.metadata),
        comment=fields.text("versionComment", version.comment, at_most=2000),
    )


def _check_wanted(wanted: Wanted) -> None:
    if wanted.number is not None and wanted.number < 1:
        raise InvalidInput("version must be the number of a version: 1, 2, 3, ...", field="version")
    if wanted.environment:
        fields.one_of("environment", wanted.environment, ENVIRONMENTS)


def _matches(prompt: Prompt, search: str) -> bool:
    texts = (prompt.key, prompt.current.name, prompt.current.description)
    return not search or any(search in text.casefold() for text in texts)


def _is_long(versions: Sequence[PromptVersion]) -> bool:
    return sum(len(each.template) for each in versions) > MAX_PAGE_CHARACTERS


def _number_of(token: str) -> int:
    if not (token.isascii() and token.isdigit() and len(token) < 10):
        raise InvalidInput("pageToken is not one that a page of versions ended with.", field="pageToken")
    return int(token)


def _no_prompt() -> NotFound:
    return NotFound("There is no such prompt in this project.", reason="PROMPT_NOT_FOUND", field="key")


def _no_version(prompt: Prompt, field: str) -> NotFound:
    return NotFound(f"The prompt {prompt.key} has no such version.", reason="VERSION_NOT_FOUND", field=field)


def _invalid_template(message: str) -> InvalidInput:
    return InvalidInput(message, field="template")
