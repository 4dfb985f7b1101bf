"""The projects of a tenant."""

from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from core import logs
from core.audit import changes as audit
from core.context import Kind
from core.errors import Conflict, FailedPrecondition, NotFound, PermissionDenied, PorticoError
from core.mail.mailer import Mails
from core.storage.ports import Cond, Op
from core.tenancy import Project, Tenant
from services.auth.domain import inputs
from services.auth.domain.callers import Caller, Callers
from services.auth.domain.deleted_projects import AUTH, Deletions
from services.auth.domain.issuing import new_id
from services.auth.domain.members import Members
from services.auth.domain.quotas import Quotas
from services.auth.domain.records import ACTIVE, CLOSING, ProjectRecord
from services.auth.domain.service_tokens import ServiceTokens
from services.auth.domain.sessions import Sessions
from services.auth.domain.tables import Tables
from services.auth.domain.tenants import Tenants
from services.auth.ports import Clock

log = logs.get(__name__)

_KEY_TRIES = 50
_CUT_OFF_SECONDS = 60.0
"""Longer than any deletion takes that is still going on."""


class Projects:
    def __init__(
        self,
        tables: Tables,
        tenants: Tenants,
        callers: Callers,
        members: Members,
        sessions: Sessions,
        service_tokens: ServiceTokens,
        deletions: Deletions,
        quotas: Quotas,
        mails: Mails,
        clock: Clock,
    ) -> None:
        self._tables = tables
        self._tenants = tenants
        self._callers = callers
        self._members = members
        self._sessions = sessions
        self._service_tokens = service_tokens
        self._deletions = deletions
        self._quotas = quotas
        self._mails = mails
        self._clock = clock

    async def page(self, page_size: int, page_token: str) -> tuple[list[ProjectRecord], str]:
        caller = await self._callers.current()
        where = {} if caller.sees_all else {"id": Cond(Op.IN, list(caller.project_ids))}
        return await self._tables.projects.page(caller.tenant, where, page_size=page_size, page_token=page_token)

    async def get(self, reference: str) -> ProjectRecord:
        return await self._callers.project(await self._callers.current(), reference)

    async def create(self, name: str, key: str, description: str) -> ProjectRecord:
        caller = await self._callers.current()
        if caller.identity.kind is not Kind.SESSION:
            raise PermissionDenied("An API token is bound to its project and cannot create others. Sign in to do that.")
        project = ProjectRecord(
            id=new_id(),
            key=inputs.slug(key, "key") if key else "",
            name=inputs.NAME.check(name),
            created_at=self._clock(),
            description=inputs.DESCRIPTION.check(description),
        )
        async with self._quotas.new_project(caller.identity.project):
            made = await self._insert(caller.tenant, project)
        await self._join(caller, made)
        audit.change().metadata["key"] = made.key
        return made

    async def update(self, reference: str, *, name: str | None, description: str | None) -> ProjectRecord:
        caller = await self._callers.current()
        project = await self._callers.project(caller, reference)
        changes: dict[str, Any] = {}
        if name is not None:
            changes["name"] = inputs.NAME.check(name)
        if description is not None:
            changes["description"] = inputs.DESCRIPTION.check(description)
        updated = await self._tables.projects.update(caller.tenant, project.id, **changes)
        if updated is None:
            raise NotFound("There is no such project.")
        return updated

    async def delete(self, reference: str) -> None:
        """Close the project, tell every service, take back every token and session in it, and remove it. Safe
        to repeat; one that is cut off is finished by `finish_deletions`."""
        caller = await self._callers.current()
        project = await self._callers.project(caller, reference)
        if project.id == caller.identity.project.id:
            raise FailedPrecondition("This is the project of your own token. Switch to another one first.")
        change = audit.change()
        change.resource_id = project.id
        change.metadata["key"] = project.key
        await self._quotas.change(caller)
        await self._deletions.prepare(caller.tenant, project.id)
        await self._close(caller.tenant, project.id)
        await self._deletions.publish(caller.tenant, project.id)
        await self._remove(caller.tenant, project.id)

    async def finish_deletions(self) -> None:
        """Resume deletions that were interrupted, by a crash or because the store was away."""
        for each in await self._deletions.unpublished(_CUT_OFF_SECONDS):
            await _attempt(self._settle(Tenant(each.tenant), each.project))
        pending, _ = await self._deletions.pending(AUTH)
        for each in pending:
            if each.created_at < self._clock() - _CUT_OFF_SECONDS:
                await _attempt(self._remove(Tenant(each.tenant), each.project))

    async def _settle(self, tenant: Tenant, project_id: str) -> None:
        """Finish a deletion that had been begun; one that had not yet closed the project has not happened."""
        known = await self._tenants.known(tenant.slug) is not None
        project = await self._tables.projects.get(tenant, project_id) if known else None
        if project is None or project.status != CLOSING:
            await self._deletions.withdraw(tenant, project_id)
            return
        with suppress(FailedPrecondition):  # it is the last one, and stays
            await self._close(tenant, project_id)
            await self._deletions.publish(tenant, project_id)

    async def _remove(self, tenant: Tenant, project_id: str) -> None:
        """Remove auth's own records of the project. Safe to repeat."""
        if await self._tenants.known(tenant.slug) is not None:
            tokens = [token async for token in self._tables.tokens.scan(tenant, {"projectId": project_id})]
            await self._members.take_back(tenant, tokens)
            await self._sessions.end_in_project(tenant, project_id)
            await self._service_tokens.end_in_project(tenant, project_id)
            await self._leave(tenant, project_id)
            await self._mails.forget(Project(tenant, project_id))
            await self._tables.quota_policies.delete_where(tenant, {"projectId": project_id})
            await self._tables.projects.delete(tenant, project_id)
        await self._deletions.acknowledge(AUTH, tenant.slug, project_id)

    async def _insert(self, tenant: Tenant, project: ProjectRecord) -> ProjectRecord:
        """Insert the project; where no key is given, one is made from the name, with `-2`, `-3` and so on."""
        base = inputs.slug_from(project.name) or "project"
        keys = [project.key] if project.key else [_numbered(base, number) for number in range(1, _KEY_TRIES + 1)]
        for key in keys:
            candidate = ProjectRecord(project.id, key, project.name, project.created_at, project.description)
            try:
                await self._tables.projects.insert(tenant, candidate)
            except Conflict:
                continue
            return candidate
        raise Conflict("A project with this key exists already.", field="key")

    async def _join(self, caller: Caller, project: ProjectRecord) -> None:
        """Make the creator of a project a member of it."""
        if caller.user is not None and not caller.user.in_project(project.id):
            user = caller.user
            await self._tables.users.update(
                caller.tenant,
                user.id,
                where={"revision": user.revision},
                project_ids=(*user.project_ids, project.id),
                revision=user.revision + 1,
            )

    async def _close(self, tenant: Tenant, project_id: str) -> None:
        """Close the project, so that nothing new begins in it. Looks afterwards whether another is left, so that of two
        removals at the same time none takes the last."""
        await self._tables.projects.update(tenant, project_id, status=CLOSING)
        if await self._tables.projects.count(tenant, {"status": ACTIVE}) == 0:
            await self._tables.projects.update(tenant, project_id, status=ACTIVE)
            await self._deletions.withdraw(tenant, project_id)
            raise FailedPrecondition("This is the last project. Create another one first.")

    async def _leave(self, tenant: Tenant, project_id: str) -> None:
        async for user in self._tables.users.scan(tenant, {"projectIds": Cond(Op.CONTAINS, project_id)}):
            ids = tuple(each for each in user.project_ids if each != project_id)
            await self._tables.users.update(
                tenant, user.id, where={"revision": user.revision}, project_ids=ids, revision=user.revision + 1
            )


async def _attempt(work: Coroutine[Any, Any, None]) -> None:
    """Attempt the work of one tenant: its failure does not hold up the others."""
    try:
        await work
    except PorticoError as error:
        log.warning("a deletion is left for later", reason=error.reason)


def _numbered(base: str, number: int) -> str:
    suffix = "" if number == 1 else f"-{number}"
    return base[: inputs.SLUG_LENGTH - len(suffix)].rstrip("-") + suffix
