"""API tokens: JWTs for programs, bound to one project, shown once and not kept."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from core.audit import changes as audit
from core.context import Kind
from core.errors import InvalidInput, NotFound, PermissionDenied
from core.permissions import EVERYTHING
from core.tenancy import Project, Tenant
from services.auth.domain import inputs
from services.auth.domain.callers import Caller, Callers
from services.auth.domain.issuing import Issuer, new_id
from services.auth.domain.members import Members
from services.auth.domain.permissions import checked_levels, checked_scopes, scopes_from_levels
from services.auth.domain.records import ACTIVE, ApiToken, User
from services.auth.domain.tables import Tables
from services.auth.ports import Clock

_MIN_LIFE_SECONDS = 60.0
_SHOWN = 6
"""Characters of a token that are kept, to tell tokens apart."""
_MAX_EXPIRY = 253_402_300_799.0
"""The last second of the year 9999, where timestamps end."""


@dataclass(frozen=True, slots=True)
class NewToken:
    """What a caller asks for. An empty `project` means the one of the caller's own token."""

    label: str
    project: str = ""
    scopes: tuple[str, ...] = ()
    levels: Mapping[str, str] | None = None
    expires_at: float | None = None


class Tokens:
    def __init__(self, tables: Tables, callers: Callers, members: Members, issuer: Issuer, clock: Clock) -> None:
        self._tables = tables
        self._callers = callers
        self._members = members
        self._issuer = issuer
        self._clock = clock

    async def page(self, project: str, page_size: int, page_token: str) -> tuple[list[ApiToken], str, Caller]:
        caller = await self._callers.current()
        where: dict[str, str] = {} if caller.sees_all else {"userId": caller.person.id}
        if project:
            where["projectId"] = (await self._callers.project(caller, project, field="projectId")).id
        elif not caller.sees_all and caller.identity.kind is Kind.API:
            where["projectId"] = caller.identity.project.id
        tokens, following = await self._tables.tokens.page(
            caller.tenant, where, page_size=page_size, page_token=page_token
        )
        return tokens, following, caller

    async def create(self, asked: NewToken) -> tuple[ApiToken, str]:
        """The record, and the token itself."""
        caller = await self._callers.current()
        label = inputs.LABEL.check(asked.label)
        scopes = self._scopes(caller, asked)
        expires_at = self._expiry(asked.expires_at)
        audit.change().metadata |= {"label": label, "scopes": " ".join(sorted(scopes))}
        if not caller.holds(scopes):
            raise PermissionDenied("A token can hold no more than you do. Ask for fewer scopes.")
        reference = asked.project or caller.identity.project.id
        project = await self._callers.project(caller, reference, field="projectId")
        record, token = await self.issue(caller.tenant, caller.person, project.id, label, scopes, expires_at)
        found = await self._tables.projects.get(caller.tenant, project.id)
        if found is None or found.status != ACTIVE or not await self._callers.still_holds(caller):
            await self._members.take_back(caller.tenant, [record])
            raise PermissionDenied("Your rights were changed at the same time. Try again.")
        return record, token

    async def issue(
        self,
        tenant: Tenant,
        user: User,
        project_id: str,
        label: str,
        scopes: Iterable[str],
        expires_at: float | None = None,
    ) -> tuple[ApiToken, str]:
        """Makes a token without asking whether anybody may; the operator's commands do so, too."""
        id, now = new_id(), self._clock()
        token = self._issuer.issue(
            Project(tenant, project_id), user.id, Kind.API, scopes, token_id=id, issued_at=now, expires_at=expires_at
        )
        record = ApiToken(
            id=id,
            label=label,
            suffix=token[-_SHOWN:],
            project_id=project_id,
            user_id=user.id,
            scopes=tuple(sorted(scopes)),
            created_at=now,
            expires_at=expires_at,
        )
        await self._tables.tokens.insert(tenant, record)
        return record, token

    async def delete(self, id: str) -> None:
        caller = await self._callers.current()
        token = await self._tables.tokens.get(caller.tenant, id)
        if token is None or not may_delete(caller, token):
            raise NotFound("There is no such token.")
        audit.change().metadata["label"] = token.label
        await self._members.take_back(caller.tenant, [token])

    def _scopes(self, caller: Caller, asked: NewToken) -> frozenset[str]:
        levels = checked_levels(asked.levels or {})
        scopes = checked_scopes([*asked.scopes, *scopes_from_levels(levels)])
        if EVERYTHING in scopes or not (asked.scopes or asked.levels):
            return caller.identity.scopes
        if not scopes:
            raise InvalidInput("A token needs at least one scope.", field="servicePermissions")
        return scopes

    def _expiry(self, asked: float | None) -> float | None:
        if asked is None:
            return None
        if not self._clock() + _MIN_LIFE_SECONDS <= asked <= _MAX_EXPIRY:
            raise InvalidInput("A token must live at least a minute.", field="expiresAt")
        return float(int(asked))


def may_delete(caller: Caller, token: ApiToken) -> bool:
    if caller.sees_all:
        return True
    return caller.user is not None and token.user_id == caller.user.id and caller.may_see(token.project_id)
