"""Comments on the versions of prompts."""

import time
from collections.abc import Sequence
from uuid import uuid4

from core import fields
from core.errors import NotFound
from core.storage.ports import Cond, DocumentStore, Op
from core.storage.references import referring
from core.storage.table import Table
from core.tenancy import Project
from services.inference.domain.prompts.prompts import Prompts
from services.inference.domain.prompts.records import Prompt, PromptComment
from services.inference.domain.prompts.tables import PROMPT_COMMENTS

MAX_COMMENT = 4000
"""Characters."""
COMPARED = 100
"""Comments that stand beside a comparison."""


class Comments:
    """Use cases of comments. Each takes the project first."""

    def __init__(self, store: DocumentStore, prompts: Prompts) -> None:
        self._table = Table(store, PROMPT_COMMENTS, PromptComment)
        self._prompts = prompts

    async def create(self, project: Project, key: str, content: str, version_id: str, *, by: str) -> PromptComment:
        """Comment on a version, the current one if none is named. Raises NotFound (the prompt, the version),
        InvalidInput."""
        prompt = await self._prompts.get(project, key)
        version = await self._prompts.version(project, prompt, version_id or prompt.current.id)
        comment = PromptComment(
            id=f"pmc_{uuid4().hex}",
            prompt_id=prompt.id,
            version_id=version.id,
            version_number=version.number,
            content=fields.text("content", content, at_least=1, at_most=MAX_COMMENT),
            created_by=by,
            created_at=time.time(),
        )
        await referring(
            lambda: self._table.insert(project, comment),
            check=lambda _: self._prompts.get(project, prompt.id),
            undo=lambda _: self._table.delete(project, comment.id),
        )
        return comment

    async def list(
        self, project: Project, key: str, *, size: int = 0, token: str = ""
    ) -> tuple[Sequence[PromptComment], str]:
        """One page, newest first, and the token of the next. Raises NotFound, InvalidInput."""
        prompt = await self._prompts.get(project, key)
        return await self._table.page(
            project, {"promptId": prompt.id}, page_size=fields.page_size(size), page_token=token
        )

    async def of_versions(self, project: Project, prompt: Prompt, ids: Sequence[str]) -> Sequence[PromptComment]:
        """The newest comments on these versions."""
        where = {"promptId": prompt.id, "versionId": Cond(Op.IN, list(ids))}
        return (await self._table.page(project, where, page_size=COMPARED))[0]

    async def delete(self, project: Project, key: str, id: str) -> None:
        """Raises NotFound."""
        prompt = await self._prompts.get(project, key)
        if not await self._table.delete_where(project, {"id": id, "promptId": prompt.id}):
            raise NotFound("The prompt has no such comment.", reason="COMMENT_NOT_FOUND", field="commentId")
