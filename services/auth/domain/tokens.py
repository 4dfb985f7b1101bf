"""API tokens: JWTs for programs, bound to one project, shown once and not kept.

A token that was made with another API token is its child: it holds no more, ends no later, and is revoked with it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from core.audit import changes as audit
from core.context import Kind
from core.errors import InvalidInput, NotFound, PermissionDenied, Unavailable
from core.permissions import EVERYTHING
from core.storage.references import referring
from core.tenancy import Project, Tenant
from services.auth.domain import inputs
from services.auth.domain.callers import Caller, Callers
from services.auth.domain.compaction import SETTLED_SECONDS
from services.auth.domain.issuing import Issuer, new_id
from services.auth.domain.members import Members
from services.auth.domain.permissions import checked_levels, checked_scopes, scopes_from_levels
from services.auth.domain.quotas import Quotas
from services.auth.domain.records import ACTIVE, ApiToken, User
from services.auth.domain.tables import Tables
from services.auth.ports import Clock

_MIN_LIFE_SECONDS = 60.0
_SHOWN = 6
"""Characters of a token that are kept, to tell tokens apart."""
_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class NewToken:
    """The values of a new API token. An empty `project` means the one of the caller's own token."""

    label: str
    project: str = ""
    scopes: tuple[str, ...] = ()
    levels: Mapping[str, str] | None = None
    expires_at: float | None = None


class Tokens:
    """`max_days` is the longest life of a token, and that of one for which no other is asked."""

    def __init__(
        self,
        tables: Tables,
        callers: Callers,
        members: Members,
        issuer: Issuer,
        quotas: Quotas,
        clock: Clock,
        *,
        max_days: float,
    ) -> None:
        self._tables = tables
        self._callers = callers
        self._members = members
        self._issuer = issuer
        self._quotas = quotas
        self._clock = clock
        self._max_days = max_days

    async def page(self, project: str, page_size: int, page_token: str) -> tuple[list[ApiToken], str, Caller]:
        caller = await self._callers.current()
        where: dict[str, str] = {} if caller.sees_all else {"userId": caller.person.id}
        if project:
            where["projectId"] = (await self._callers.project(caller, project, field="projectId")).id
        elif caller.identity.kind is Kind.API:
            where["projectId"] = caller.identity.project.id
        tokens, following = await self._tables.tokens.page(
            caller.tenant, where, page_size=page_size, page_token=page_token
        )
        return tokens, following, caller

    async def create(self, asked: NewToken) -> tuple[ApiToken, str]:
        """Create an API token: the record, and the token's text."""
        caller = await self._callers.current()
        label = inputs.LABEL.check(asked.label)
        scopes = self._scopes(caller, asked)
        expires_at = self._expiry(caller, asked.expires_at)
        audit.change().metadata |= {"label": label, "scopes": " ".join(sorted(scopes))}
        if not caller.holds(scopes):
            raise PermissionDenied("A token can hold no more than you do. Ask for fewer scopes.")
        reference = asked.project or caller.identity.project.id
        project = await self._callers.project(caller, reference, field="projectId")
        async with self._quotas.new_token(Project(caller.tenant, project.id)):
            return await referring(
                lambda: self.issue(
                    caller.tenant,
                    caller.person,
                    project.id,
                    label,
                    scopes,
                    expires_at=expires_at,
                    parent_id=caller.api_token_id,
                ),
                check=lambda made: self._check_basis(caller, made[0]),
                undo=lambda made: self._members.take_back(caller.tenant, [made[0]]),
            )

    async def _check_basis(self, caller: Caller, made: ApiToken) -> None:
        """Raises PermissionDenied where what a new token rests on was removed while it was made, Unavailable where that
        took too long to know."""
        project = await self._tables.projects.get(caller.tenant, made.project_id)
        if project is None or project.status != ACTIVE or not await self._callers.still_holds(caller):
            raise PermissionDenied("Your rights were changed at the same time. Try again.")
        if self._clock() - made.created_at > SETTLED_SECONDS / 2:  # a compaction may have missed it
            raise Unavailable("Making the token took too long. Try again.", retry_after=1.0)

    async def issue(
        self,
        tenant: Tenant,
        user: User,
        project_id: str,
        label: str,
        scopes: Iterable[str],
        *,
        expires_at: float | None = None,
        parent_id: str = "",
    ) -> tuple[ApiToken, str]:
        """Make a token without asking whether anybody may; the operator's commands do so, too."""
        id, now = new_id(), self._clock()
        if expires_at is None:
            expires_at = self._latest_expiry
        key_id, token = await self._issuer.issue(
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
            parent_id=parent_id,
            key_id=key_id,
        )
        await self._tables.tokens.insert(tenant, record)
        return record, token

    async def delete(self, id: str) -> None:
        caller = await self._callers.current()
        token = await self._tables.tokens.get(caller.tenant, id)
        if token is None or not may_delete(caller, token):
            raise NotFound("There is no such token.")
        change = audit.change()
        change.metadata["label"] = token.label
        await self._quotas.change(caller)
        count = await self._members.take_back(caller.tenant, [token])
        if count > 1:
            change.metadata["children"] = str(count - 1)

    def _scopes(self, caller: Caller, asked: NewToken) -> frozenset[str]:
        levels = checked_levels(asked.levels or {})
        scopes = checked_scopes([*asked.scopes, *scopes_from_levels(levels)])
        if EVERYTHING in scopes or not (asked.scopes or asked.levels):
            return caller.identity.scopes
        if not scopes:
            raise InvalidInput("A token needs at least one scope.", field="servicePermissions")
        return scopes

    @property
    def _latest_expiry(self) -> float:
        return float(int(self._clock() + self._max_days * _DAY))

    def _expiry(self, caller: Caller, asked: float | None) -> float:
        """Return the expiry of a token for which this one was asked; where none was, the latest allowed."""
        latest = min(self._latest_expiry, caller.lives_until)
        if asked is None:
            return latest
        if asked < self._clock() + _MIN_LIFE_SECONDS:
            raise InvalidInput("A token must live at least a minute.", field="expiresAt")
        if asked > self._latest_expiry + _MIN_LIFE_SECONDS:  # whose clock is a little ahead asks for no more
            raise InvalidInput(f"A token lives at most {self._max_days:g} days.", field="expiresAt")
        if asked > caller.lives_until + _MIN_LIFE_SECONDS:
            raise InvalidInput("A token ends no later than the API token that it is made with.", field="expiresAt")
        return min(float(int(asked)), latest)


def may_delete(caller: Caller, token: ApiToken) -> bool:
    if caller.sees_all:
        return True
    return caller.user is not None and token.user_id == caller.user.id and caller.may_see(token.project_id)
