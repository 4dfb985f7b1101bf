"""The users of a tenant: their roles, permissions, projects and status."""

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from core.audit import changes as audit
from core.errors import Conflict, FailedPrecondition, InvalidInput, NotFound
from core.tenancy import Tenant
from services.auth.domain import inputs
from services.auth.domain.callers import Caller, Callers
from services.auth.domain.grants import checked_projects, require_authority, require_projects_of
from services.auth.domain.members import Members
from services.auth.domain.permissions import OWNER, checked_levels, checked_role
from services.auth.domain.quotas import Quotas
from services.auth.domain.records import ACTIVE, DISABLED, User
from services.auth.domain.tables import Tables
from services.auth.domain.tenants import Tenants


@dataclass(frozen=True, slots=True)
class UserChange:
    """Changes of a user. None: unchanged."""

    name: str | None = None
    role: str | None = None
    overrides: Mapping[str, str] | None = None
    project_ids: tuple[str, ...] | None = None
    status: str | None = None

    @property
    def fields(self) -> dict[str, str]:
        """The changed fields, for the audit log."""
        asked = {
            "role": self.role,
            "status": self.status,
            "servicePermissions": self.overrides and " ".join(map(":".join, self.overrides.items())),
            "projectIds": self.project_ids and " ".join(self.project_ids),
            "name": None if self.name is None else "changed",
        }
        return {name: value[:1000] for name, value in asked.items() if value}


class Users:
    def __init__(self, tables: Tables, callers: Callers, tenants: Tenants, members: Members, quotas: Quotas) -> None:
        self._users = tables.users
        self._callers = callers
        self._tenants = tenants
        self._members = members
        self._quotas = quotas

    async def page(self, page_size: int, page_token: str) -> tuple[list[User], str]:
        """One page of the users whom the caller sees: a page may have fewer than `page_size`, and more may follow all
        the same."""
        caller = await self._callers.current()
        users, following = await self._users.page(caller.tenant, {}, page_size=page_size, page_token=page_token)
        return [user for user in users if _sees(caller, user)], following

    async def get(self, id: str) -> User:
        return await self._find(await self._callers.current(), id)

    async def update(self, id: str, change: UserChange) -> User:
        """Change a user. Sessions of the user end and API tokens beyond the new rights are revoked before this
        returns."""
        caller = await self._callers.current()
        user = await self._find(caller, id)
        audit.change().metadata |= change.fields
        await self._quotas.change(caller)
        wanted = await self._changed(caller, user, change)
        await self._guard(caller, user, wanted)
        return await self._write(caller.tenant, user, wanted)

    async def delete(self, id: str) -> None:
        """Delete a user, disabling first, so that the account cannot sign in while what it holds is taken back. Safe to
        repeat."""
        caller = await self._callers.current()
        user = await self._find(caller, id)
        await self._quotas.change(caller)
        await self._guard(caller, user, replace(user, status=DISABLED))
        await self._write(caller.tenant, user, replace(user, status=DISABLED))
        await self._tenants.unlist_email(caller.tenant, user.email_lower)
        await self._users.delete(caller.tenant, id)

    async def _find(self, caller: Caller, id: str) -> User:
        user = await self._users.get(caller.tenant, id)
        if user is None or not _sees(caller, user):
            raise NotFound("There is no such user.")
        return user

    async def _changed(self, caller: Caller, user: User, change: UserChange) -> User:
        """The account as asked for. Raises InvalidInput."""
        role = user.role if change.role is None else checked_role(change.role)
        overrides = user.overrides if change.overrides is None else checked_levels(change.overrides)
        if role == OWNER:
            if change.overrides:
                raise InvalidInput("An owner holds everything: nothing can be overridden.", field="servicePermissions")
            overrides = {}
        status = user.status if change.status is None else change.status
        if status not in (ACTIVE, DISABLED):
            raise InvalidInput("A status is active or disabled.", field="status")
        project_ids = user.project_ids
        if change.project_ids is not None:
            project_ids = await checked_projects(self._callers, caller, change.project_ids)
        return replace(
            user,
            name=user.name if change.name is None else inputs.NAME.check(change.name),
            role=role,
            overrides=overrides,
            status=status,
            project_ids=project_ids,
        )

    async def _guard(self, caller: Caller, user: User, wanted: User) -> None:
        require_authority(caller, user.role, user.overrides)
        require_authority(caller, wanted.role, wanted.overrides)
        require_projects_of(caller, user.project_ids)
        if wanted.status != ACTIVE and user.id == caller.person.id:
            raise FailedPrecondition("You cannot disable or remove yourself. Ask somebody else to.")
        if _stops_owning(user, wanted) and await self._owners(caller.tenant) <= 1:
            raise _last_owner()

    async def _write(self, tenant: Tenant, user: User, wanted: User) -> User:
        rights_change = _rights(user) != _rights(wanted)
        updated = await self._users.update(
            tenant,
            user.id,
            where={"revision": user.revision},
            name=wanted.name,
            role=wanted.role,
            overrides=dict(wanted.overrides),
            status=wanted.status,
            project_ids=wanted.project_ids,
            revision=user.revision + 1,
            sessions_from=self._members.cutoff(user) if rights_change else user.sessions_from,
        )
        if updated is None:
            raise Conflict("The user was changed at the same time. Read it again, then try again.")
        if _stops_owning(user, wanted) and await self._owners(tenant) == 0:
            # Two owners stepped down at the same time, and each saw the other still there: neither may.
            await self._users.update(
                tenant, user.id, role=user.role, status=user.status, overrides={}, revision=user.revision + 2
            )
            raise _last_owner()
        if rights_change or wanted.status != ACTIVE:
            await self._members.enforce(tenant, updated)
        return updated

    async def _owners(self, tenant: Tenant) -> int:
        return await self._users.count(tenant, {"role": OWNER, "status": ACTIVE})


def _sees(caller: Caller, user: User) -> bool:
    is_self = caller.user is not None and caller.user.id == user.id
    return is_self or caller.may_see_member(user.role, user.project_ids)


def _rights(user: User) -> tuple[object, ...]:
    return user.role, dict(user.overrides), user.status, frozenset(user.project_ids)


def _stops_owning(user: User, wanted: User) -> bool:
    owned = user.role == OWNER and user.status == ACTIVE
    return owned and not (wanted.role == OWNER and wanted.status == ACTIVE)


def _last_owner() -> FailedPrecondition:
    return FailedPrecondition("This is the last owner. Make somebody else an owner first.", reason="LAST_OWNER")
