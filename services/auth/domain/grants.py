"""Checks before rights are granted: nobody grants more than their own authority.

Reach is projects, scopes and rank, and it is that of the token that is used: see `Caller`.
"""

from collections.abc import Iterable, Mapping

from core.errors import InvalidInput, NotFound, PermissionDenied
from services.auth.domain.callers import Caller, Callers
from services.auth.domain.permissions import SEE_ALL_PROJECTS, scopes_of

_MAX_PROJECTS = 1000


def require_authority(caller: Caller, role: str, overrides: Mapping[str, str]) -> None:
    """Require that the caller holds whatever this role with these overrides gives, sees all projects if the role does,
    and is of no lower rank."""
    if role in SEE_ALL_PROJECTS and not caller.sees_all:
        raise PermissionDenied("This role sees every project, and your token does not. Sign in as an owner or admin.")
    if not caller.outranks(role) or not caller.holds(scopes_of(role, overrides)):
        raise PermissionDenied("This account has, or would have, rights beyond yours.")


async def checked_projects(callers: Callers, caller: Caller, ids: Iterable[str]) -> tuple[str, ...]:
    """The projects that a user becomes a member of: all must be the caller's."""
    wanted = tuple(dict.fromkeys(ids))
    if len(wanted) > _MAX_PROJECTS:
        raise InvalidInput(f"A user is a member of at most {_MAX_PROJECTS} projects.", field="projectIds")
    try:
        projects = [await callers.project(caller, id) for id in wanted]
    except NotFound:
        raise InvalidInput("One of these projects does not exist or is not one of yours.", field="projectIds") from None
    return tuple(dict.fromkeys(project.id for project in projects))


def require_projects_of(caller: Caller, project_ids: Iterable[str]) -> None:
    """Require that the caller sees all projects that the other user is a member of."""
    if not all(map(caller.may_see, project_ids)):
        raise PermissionDenied("This user is also a member of projects that are not yours.")
