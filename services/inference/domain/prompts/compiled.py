"""Prompts compiled for calls, kept in memory.

A change drops the project's at once, in other processes too where they share changes (`core.fanout`). Else those are
noticed when a prompt is looked up anew, which happens every `MAX_AGE_SECONDS`.
"""

from core.runtime_pool import RuntimePool
from core.tenancy import Project
from services.inference.domain.prompts.prompts import Prompts, Wanted
from services.inference.domain.prompts.templates import Template, compile_template

MAX_AGE_SECONDS = 10.0

CompiledKey = tuple[str, str, str, int | None, str]
"""Tenant, project, key of the prompt, number of the version, environment."""


class CompiledPrompts:
    """Finds templates. `pool` holds them; it bounds how many there are, and their age."""

    def __init__(self, prompts: Prompts, pool: RuntimePool[CompiledKey, Template]) -> None:
        self._prompts = prompts
        self._pool = pool
        prompts.changes.subscribe(self.forget)

    async def find(self, project: Project, key: str, wanted: Wanted) -> Template:
        """The template of the version that is wanted. Raises as `Prompts.resolve`."""
        pool_key = (project.tenant.slug, project.id, key, wanted.number, wanted.environment)

        async def build() -> Template:
            _, version = await self._prompts.resolve(project, key, wanted)
            return compile_template(version.template)

        return self._pool.lookup(pool_key) or await self._pool.get(pool_key, build)

    def forget(self, project: Project | None) -> None:
        """Forget the project's prompts after a change, or with None all: no call that begins after this uses what was
        before."""
        mine = project and (project.tenant.slug, project.id)
        self._pool.invalidate(lambda key: mine is None or key[:2] == mine)
