"""Projects that have been deleted, noted in their tenant's store, so that nothing new begins in them.

Their tokens are revoked, but a call may be under way. Whoever makes a record that hangs on no other one asks here after
writing it, and takes it back: so either the removal of the project's records sees it, or it is taken back.
"""

from contextlib import suppress

from core.errors import Conflict, NotFound
from core.storage.ports import Collection, DocumentStore, Level
from core.tenancy import Project

CLOSED_PROJECTS = Collection("closed_projects", Level.TENANT)


async def close_project(store: DocumentStore, project: Project) -> None:
    """Close a project for good: ids of projects are never used again. Safe to repeat."""
    with suppress(Conflict):
        await store.insert(project.tenant, CLOSED_PROJECTS, {"id": project.id})


async def check_project_open(store: DocumentStore, project: Project) -> None:
    """Check that the project is open. Raises NotFound where the project has been deleted."""
    if await store.get(project.tenant, CLOSED_PROJECTS, project.id) is not None:
        raise NotFound("The project of this token has been deleted.", reason="PROJECT_DELETED")
