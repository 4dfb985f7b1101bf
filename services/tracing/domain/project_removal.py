"""Remove a deleted project's traces."""

from core.tenancy import Project
from services.tracing.ports import TraceStore


class ProjectRemoval:
    def __init__(self, traces: TraceStore) -> None:
        self._traces = traces

    async def remove(self, project: Project, last: bool) -> bool:
        """See core.project_removal.Remove."""
        await self._traces.clear(project)
        return True
